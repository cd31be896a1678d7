package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// Measurement is one thing that is measured, as data.
type Measurement struct {
	Name     string
	What     string     // one line
	Detail   string     // what its devices do, and what Devices and Rate mean
	Uses     []string   // the flags that it heeds, besides --seconds and --protocol
	Defaults Parameters // to begin with
	// Scenario is what the fleet plays; Broker, Seed and TLS are to be set.
	Scenario func(p Parameters) *scenario.Scenario
	// Cleanup takes away what the broker keeps afterwards, with the same Seed; nil:
	// nothing is left.
	Cleanup func(p Parameters) *scenario.Scenario
	Figures []Figure // in the order in which they are shown

	window       func(o *outcome) span // what is measured of a run
	least, most  int                   // devices
	acknowledged bool                  // only QoS 1 and 2 make sense
	paced        bool                  // Rate is what the window has to show
}

// Figure is one number that is read off a round.
type Figure struct {
	Name  string // stable, for programs
	What  string // for people
	Unit  string
	Less  bool // less is better
	Fresh bool // means something in the first round only, before the broker has memory to reuse

	of      func(o *outcome) (float64, bool) // false: it could not be measured
	neutral bool                             // neither more nor less is better: it is not the broker's
}

// All lists the measurements in the order in which they are best made: a broker's memory
// is fresh for the first.
func All() []*Measurement {
	return []*Measurement{connections(), fanIn(), fanOut(), pointToPoint(), shared(), wildcard(), retainedStorm(), reconnectStorm()}
}

// Find gives the measurement of a name. The error lists the names.
func Find(name string) (*Measurement, error) {
	var names []string
	for _, m := range All() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return nil, fmt.Errorf("there is no measurement %q; there are %s", name, strings.Join(names, ", "))
}

// defaults are those of all measurements that say nothing else.
func defaults(devices int, rate float64) Parameters {
	return Parameters{Devices: devices, Rate: rate, QoS: 1, Payload: 64, Seconds: 5, Window: 500, Topics: 1000, Queued: 10, Protocol: "mqtt5"}
}

// stream is a measurement of messages that flow.
func stream(name, what, detail string, d Parameters, build func(p Parameters) *scenario.Scenario) *Measurement {
	return &Measurement{
		Name: name, What: what, Detail: detail, Defaults: d, Scenario: build,
		Uses:    []string{"devices", "rate", "qos", "payload", "window"},
		Figures: streamFigures(), window: steady, least: 1, most: 1_000_000, paced: true,
	}
}

func connections() *Measurement {
	return &Measurement{
		Name: "connections", What: "idle devices: connects a second, and what each costs",
		Detail:   "DEVICES connect, subscribe to a topic of their own and stay idle for the seconds. RATE connections are begun a second; 0: all at once.",
		Defaults: defaults(2000, 0), Uses: []string{"devices", "rate"},
		Scenario: idle, Figures: connectFigures(), window: connecting, least: 1, most: 1_000_000,
	}
}

func fanIn() *Measurement {
	return stream("fan-in", "many publishers, one subscriber",
		"DEVICES publish on a topic each, and one subscriber hears all of them by a wildcard. RATE is of all publishers together.",
		defaults(100, 5000), manyToOne)
}

func fanOut() *Measurement {
	return stream("fan-out", "one publisher, many subscribers",
		"One device publishes on one topic, and DEVICES subscribe to it: each message is delivered DEVICES times.",
		defaults(500, 20), oneToMany)
}

func pointToPoint() *Measurement {
	m := stream("point-to-point", "pairs of a publisher and a subscriber",
		"Half of DEVICES publish on a topic each, and each of the other half subscribes to one of them.",
		defaults(500, 5000), pairs)
	m.least = 2
	return m
}

func shared() *Measurement {
	return stream("shared", "many publishers, a shared subscription",
		"DEVICES publish, and ten subscribers share what comes ($share): each message goes to one of them.",
		defaults(100, 5000), sharers)
}

func wildcard() *Measurement {
	m := stream("wildcard", "subscribers with + and # over many topics",
		"Up to 100 publishers with many topics each. Of DEVICES subscribers, some hear one publisher with #, the others one topic of every publisher with +: each message is delivered twice.",
		defaults(200, 2000), wild)
	m.least, m.most = 2, 10_000
	return m
}

func retainedStorm() *Measurement {
	return &Measurement{
		Name: "retained-storm", What: "many retained messages, and then many new subscribers",
		Detail:   "TOPICS retained messages are stored. Then DEVICES come at once; half of them subscribe to all with #, the others to a tenth with a prefix.",
		Defaults: defaults(50, 0), Uses: []string{"devices", "qos", "payload", "topics", "window"},
		Scenario: retained, Cleanup: clearRetained, Figures: retainedFigures(), window: retainedFlow, least: 1, most: 100_000,
	}
}

func reconnectStorm() *Measurement {
	return &Measurement{
		Name: "reconnect-storm", What: "all devices are cut off and come back at one moment",
		Detail:   "DEVICES with durable sessions lose their connections. QUEUED messages are published for each; the seconds are the time for it. Then all come back at once.",
		Defaults: defaults(500, 0), Uses: []string{"devices", "qos", "payload", "queued", "window"},
		Scenario: storm, Cleanup: endSessions, Figures: stormFigures(), window: returning, least: 1, most: 65_536, acknowledged: true,
	}
}

// roundUp is the time for n things of which so many are done a second, and a second.
func roundUp(n, perSecond int) time.Duration {
	return time.Second + time.Duration(n)*time.Second/time.Duration(perSecond)
}
