package coretest

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A scenario is a story of devices (they connect, subscribe, publish, sleep, die,
// come back) with the trace that it must leave. Every protocol plays the same files,
// core alone first: what a session does cannot depend on what its client speaks.
//
// A file is lines. "# …" is a remark, "needs WORD …" in front of the story names what
// a protocol must have to play it (see Stage.Has). A line of the story is one of
//
//	connect NAME [durable|for 60s] [will TOPIC "TEXT"] [keep 60s] [via PROTOCOL]
//	subscribe NAME FILTER QOS
//	unsubscribe NAME FILTER
//	publish NAME TOPIC "TEXT" QOS [retain] [expires 5s]
//	hold NAME            it acknowledges nothing from here on
//	release NAME         it acknowledges what it held and all that follows
//	sleep NAME 60s       it tells that it sleeps
//	wake NAME            it asks what came meanwhile, and sleeps on
//	disconnect NAME      with the protocol's own goodbye
//	cut NAME             without a word
//	pass 90s             time
//	restart              the gateway stops and starts again on the same store
//
// followed by lines "< …", what the devices tell of it: one line an event, sorted by
// device, in the words of Device.
//
//go:embed scenarios/*.txt
var scenarioFiles embed.FS

// Stage is a gateway with clients of one protocol or several. It is made inside a
// bubble of testing/synctest and ends with the test.
type Stage interface {
	// Name is the protocol, for the names of the tests.
	Name() string
	// Has says whether the protocol has something: durable, qos1, qos2, will, expiry,
	// sleep, window (more than one message unacknowledged at a time), and "via
	// PROTOCOL" for further protocols. Of the marks of messages, retain and dup, those
	// that it has not are left out of the traces; without "topic" its messages say
	// neither topic nor QoS, and an event is the quoted text; without
	// "resumed" its clients are not told whether a session was there.
	Has(what string) bool
	// Device makes a client, not yet connected; protocol is "" for the stage's own.
	Device(name, protocol string) Device
	// Restart stops the gateway, so that every connection is lost, and starts it on
	// the same store.
	Restart()
}

// Device is one client. What its methods return is told in the trace, unless empty:
// "new" or "resumed" for a session, "refused" for what was not allowed.
type Device interface {
	Connect(o Connecting) string
	Subscribe(filter string, qos uint8) string
	Unsubscribe(filter string) string
	Publish(p Publishing) string
	// Hold makes the device keep its acknowledgements back; false sends them.
	Hold(on bool)
	// Sleep and Wake are asked only of protocols that have "sleep".
	Sleep(d time.Duration) string
	Wake() string
	Disconnect()
	Cut()
	// Events tells what came since it was last asked, each an [Arrival] or "closed":
	// the gateway ended the connection. It acknowledges unless it holds.
	Events() []string
}

// Connecting is how a device connects.
type Connecting struct {
	Durable   bool
	Expiry    time.Duration // of a durable session; 0 for ever
	KeepAlive time.Duration
	WillTopic string // "" for no Will
	WillText  string
}

// Publishing is one message.
type Publishing struct {
	Topic, Text string
	QoS         uint8
	Retain      bool
	Expires     time.Duration // 0 never
}

// Arrival is the event of a message.
func Arrival(topic, text string, qos uint8, retain, dup bool) string {
	s := fmt.Sprintf("%s %q %d", topic, text, qos)
	if retain {
		s += " retain"
	}
	if dup {
		s += " dup"
	}
	return s
}

// RunScenarios plays every scenario that the protocol can, each in a bubble of its
// own on a stage of its own, and logs those it cannot.
func RunScenarios(t *testing.T, open func(*testing.T) Stage) {
	names, err := fs.Glob(scenarioFiles, "scenarios/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no scenarios: ", err)
	}
	var played, not []string
	for _, name := range names {
		s := loadScenario(t, name)
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stage := open(t)
				if lacks := s.lacks(stage); lacks != "" {
					not = append(not, fmt.Sprintf("%s (no %s)", s.name, lacks))
					return
				}
				played = append(played, s.name)
				s.play(t, stage)
			})
		})
	}
	t.Logf("%d of %d scenarios played: %s", len(played), len(names), strings.Join(played, ", "))
	if len(not) > 0 {
		t.Logf("not played: %s", strings.Join(not, ", "))
	}
}

// lacks names what the stage has not, of what the scenario needs.
func (s *scenario) lacks(stage Stage) string {
	for _, what := range s.needs {
		if !stage.Has(what) {
			return what
		}
	}
	return ""
}

// play runs the story and compares its trace line by line.
func (s *scenario) play(t *testing.T, stage Stage) {
	p := &telling{stage: stage, devices: map[string]Device{}, all: map[string]Device{}}
	for _, step := range s.steps {
		got := byDevice(append(p.do(t, step), p.settle()...))
		want := byDevice(p.spoken(step.want))
		if !slices.Equal(got, want) {
			t.Fatalf("%s:%d: %s\ngot:\n\t%s\nwant:\n\t%s", s.name, step.line, step.text, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
}

// telling is a scenario under way.
type telling struct {
	stage   Stage
	devices map[string]Device // as they are now
	all     map[string]Device // by name and protocol
}

// byDevice sorts a trace by device; what one device tells keeps its order.
func byDevice(trace []string) []string {
	device := func(line string) string { name, _, _ := strings.Cut(line, ":"); return name }
	slices.SortStableFunc(trace, func(a, b string) int { return strings.Compare(device(a), device(b)) })
	return trace
}

// messageLine is the event of a message in a trace: device, topic, text, QoS and marks.
var messageLine = regexp.MustCompile(`^(\S+:) \S+ (".*") \d( retain)?( dup)?$`)

// spoken leaves out of a trace what the protocol has no words for.
func (p *telling) spoken(trace []string) []string {
	said := slices.Clone(trace)
	for _, mark := range []string{"retain", "dup"} {
		if !p.stage.Has(mark) {
			for i := range said {
				said[i] = strings.TrimSuffix(said[i], " "+mark)
			}
		}
	}
	if !p.stage.Has("topic") {
		for i := range said {
			said[i] = messageLine.ReplaceAllString(said[i], "$1 $2")
		}
	}
	if !p.stage.Has("resumed") {
		for i := range said {
			said[i] = strings.Replace(said[i], ": resumed", ": new", 1)
		}
	}
	return said
}

// settle collects events until nothing more comes: acknowledging may bring more.
func (p *telling) settle() (events []string) {
	for more := true; more; {
		synctest.Wait()
		more = false
		for name, d := range p.devices {
			for _, e := range d.Events() {
				more = true
				events = append(events, name+": "+e)
			}
		}
	}
	return events
}

// do runs one step and gives what came of it.
func (p *telling) do(t *testing.T, s step) []string {
	t.Helper()
	switch s.verb {
	case "pass":
		time.Sleep(s.time)
		return nil
	case "restart":
		p.stage.Restart()
		for _, d := range p.devices {
			d.Events() // that their connections are over
		}
		return nil
	}
	if s.verb == "connect" {
		p.take(s.device, s.via)
	}
	d, known := p.devices[s.device]
	if !known {
		t.Fatalf("line %d: %s has not connected", s.line, s.device)
	}
	if said := act(d, s); said != "" {
		return []string{s.device + ": " + said}
	}
	return nil
}

// take finds the device by which a client connects: the one it has, or that of another
// protocol, which remembers what it knew when it was last used.
func (p *telling) take(name, via string) {
	if _, known := p.devices[name]; known && via == "" {
		return
	}
	key := name + " via " + via
	if p.all[key] == nil {
		p.all[key] = p.stage.Device(name, via)
	}
	p.devices[name] = p.all[key]
}

func act(d Device, s step) string {
	switch s.verb {
	case "connect":
		return d.Connect(s.connect)
	case "subscribe":
		return d.Subscribe(s.publish.Topic, s.publish.QoS)
	case "unsubscribe":
		return d.Unsubscribe(s.publish.Topic)
	case "publish":
		return d.Publish(s.publish)
	case "hold", "release":
		d.Hold(s.verb == "hold")
	case "sleep":
		return d.Sleep(s.time)
	case "wake":
		return d.Wake()
	case "disconnect":
		d.Disconnect()
	case "cut":
		d.Cut()
	}
	return ""
}
