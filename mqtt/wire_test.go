package mqtt

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// A scene shows that statements hold, byte by byte, against a real core: what
// clients send and what they receive, written by hand. Its name begins with the
// statements. A line of its script is one of
//
//	a > BYTES        client a sends; its first line, or one after its end, makes a connection
//	a < BYTES        a has received this and nothing else since it was last asked
//	a open           a has received nothing and is still connected
//	a closed         a has received nothing and the server has closed the connection
//	a closed BYTES   as the last words
//	a matches REGEXP a has received this, in hexadecimal; a group is kept
//	b differs a      what the two kept is not the same
//	a lost           the network breaks a's connection
//	wait 90s         time passes
//
// and may begin with the versions it is for: "5: a < …", "34: a closed". What follows
// " // " is a remark. BYTES are hexadecimal digits, 'text' with its two bytes of length, "text"
// without, and
//
//	;        between packets
//	..       the number of the bytes behind it, to the end of the packet
//	{ … }    a length and what it counts, in version 5 only: properties
//	[ … ]    in version 5 only
//	78*200   bytes many times
//	@v       name and level of the protocol
//	@c @k    a CONNECT with a clean session, or one that is kept; a ClientID follows
//	@ok      CONNACK, what the default configuration grants
//	@again   CONNACK with Session Present
type scene struct {
	name   string
	in     string // versions: 3 is 3.1, 4 is 3.1.1; "" is all
	set    func(*setup)
	script string
}

// setup is what a scene may change.
type setup struct {
	core *core.Options
	mqtt *Config
}

// chapter is a group of scenes.
type chapter struct {
	name   string
	scenes []scene
}

func chapters() []chapter {
	return []chapter{
		{"Connect", slices.Concat(connectScenes(), identifierScenes())},
		{"Accept", slices.Concat(acceptScenes(), grantScenes())},
		{"Will", willScenes()},
		{"Retain", retainScenes()},
		{"Publish", slices.Concat(publishScenes(), topicNameScenes())},
		{"Deliver", deliverScenes()},
		{"Subscribe", slices.Concat(subscribeScenes(), optionScenes())},
		{"Topic", topicScenes()},
		{"Share", shareScenes()},
		{"Place", placeScenes()},
		{"Frame", slices.Concat(frameScenes(), endScenes())},
		{"Reason", reasonScenes()},
		{"Corner", slices.Concat(cornerScenes(), oddScenes(), wrongAckScenes(), keptOptionScenes())},
	}
}

func (s *scene) versions() string {
	if s.in == "" {
		return "345"
	}
	return s.in
}

func versionName(v rune) string { return map[rune]string{'3': "3.1", '4': "3.1.1", '5': "5"}[v] }

func TestWire(t *testing.T) {
	for _, c := range chapters() {
		for _, s := range c.scenes {
			for _, v := range s.versions() {
				t.Run(c.name+"/"+s.name+" ("+versionName(v)+")", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { play(t, &s, byte(v)) })
				})
			}
		}
	}
}

// play runs a scene.
func play(t *testing.T, s *scene, version byte) {
	st := &stage{t: t, mqtt: DefaultConfig(), version: version, ends: map[string]*end{}}
	st.mqtt.ReasonStrings = false // words are not the point, but where a scene says so
	st.gw = coretest.Start(t, nil, func(o *core.Options) {
		if s.set != nil {
			s.set(&setup{o, &st.mqtt})
		}
	})
	for row, line := range strings.Split(s.script, "\n") {
		line, _, _ = strings.Cut(line, " // ")
		if only := wireOnly.FindStringSubmatch(line); only != nil {
			if !strings.ContainsRune(only[1], rune(version)) {
				continue
			}
			line = line[len(only[0]):]
		}
		if line = strings.TrimSpace(line); line != "" {
			st.at = fmt.Sprintf("line %d, %s", row, line)
			st.act(line)
		}
	}
	st.at = "end of the scene"
	for name, e := range st.ends {
		if out := e.take(); len(out) != 0 {
			st.t.Fatalf("%s: %s has received %x", st.at, name, out)
		}
		if e.over() == core.Success {
			e.lose()
		}
	}
	synctest.Wait()
}

// stage is a scene being played.
type stage struct {
	t       *testing.T
	gw      *coretest.Gateway
	mqtt    Config
	version byte
	ends    map[string]*end
	at      string
}

// act does what one line says.
func (st *stage) act(line string) {
	st.t.Helper()
	name, rest, _ := strings.Cut(line, " ")
	verb, bytes, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if name == "wait" {
		d, err := time.ParseDuration(verb)
		if err != nil {
			st.t.Fatalf("%s: %v", st.at, err)
		}
		st.wait(d)
		return
	}
	e := st.ends[name]
	if verb == ">" && (e == nil || e.over() != core.Success) {
		e = newEnd(st)
		st.ends[name] = e
	}
	if e == nil {
		st.t.Fatalf("%s: nobody has that name", st.at)
	}
	switch verb {
	case ">":
		e.inbuf = append(e.inbuf, st.bytes(bytes)...)
		e.heard = time.Now()
		st.settle()
	case "<", "open", "closed":
		st.settle()
		got, want := hex.EncodeToString(e.take()), hex.EncodeToString(st.bytes(bytes))
		if got != want {
			st.t.Fatalf("%s:\n got %s\nwant %s", st.at, got, want)
		}
		if why := e.over(); (why != core.Success) != (verb == "closed") {
			st.t.Fatalf("%s: the connection's end is %q", st.at, why)
		}
	case "matches":
		st.settle()
		got := hex.EncodeToString(e.take())
		m := regexp.MustCompile("^" + strings.ReplaceAll(bytes, " ", "") + "$").FindStringSubmatch(got)
		if m == nil {
			st.t.Fatalf("%s: got %s", st.at, got)
		}
		e.kept = m[1]
	case "differs":
		if e.kept == st.ends[bytes].kept {
			st.t.Fatalf("%s: both are %s", st.at, e.kept)
		}
	case "lost":
		e.lose()
		st.settle()
	default:
		st.t.Fatalf("%s: no such verb", st.at)
	}
}

// settle lets everything happen that can happen now.
func (st *stage) settle() {
	for busy := true; busy; {
		synctest.Wait()
		busy = false
		for _, e := range st.ends {
			busy = e.step() || busy
		}
	}
}

// wait lets time pass, with the ticks that connections asked for.
func (st *stage) wait(d time.Duration) {
	for until := time.Now().Add(d); ; {
		st.settle()
		next := until
		for _, e := range st.ends {
			if due := e.due(); !due.IsZero() && due.Before(next) {
				next = due
			}
		}
		time.Sleep(time.Until(next))
		for _, e := range st.ends {
			if due := e.due(); !due.IsZero() && !time.Now().Before(due) {
				e.tick()
			}
		}
		if !time.Now().Before(until) {
			st.settle()
			return
		}
	}
}

var (
	wireOnly  = regexp.MustCompile(`^\s*([345]+):`)
	wireToken = regexp.MustCompile(`'[^']*'|"[^"]*"|\.\.|[{}\[\];]|[0-9a-fA-F]+\*\d+|(?:[0-9a-fA-F]{2})+|\S`)
	wireMacro = regexp.MustCompile(`@\w+`)
)

// wireMacros are the bytes that every scene needs, in a version.
func wireMacros(version byte) map[string]string {
	return map[byte]map[string]string{
		'3': {"@v": "'MQIsdp' 03", "@c": "10 .. 'MQIsdp' 03 02 0000", "@k": "10 .. 'MQIsdp' 03 00 0000",
			"@ok": "20 02 00 00", "@again": "20 02 00 00"},
		'4': {"@v": "'MQTT' 04", "@c": "10 .. 'MQTT' 04 02 0000", "@k": "10 .. 'MQTT' 04 00 0000",
			"@ok": "20 02 00 00", "@again": "20 02 01 00"},
		'5': {"@v": "'MQTT' 05", "@c": "10 .. 'MQTT' 05 02 0000 00", "@k": "10 .. 'MQTT' 05 00 0000 05 11 00000e10",
			"@ok": "20 0e 00 00 0b 21 0400 22 0020 27 00100000", "@again": "20 0e 01 00 0b 21 0400 22 0020 27 00100000"},
	}[version]
}

// bytes reads the notation of scenes.
func (st *stage) bytes(s string) []byte {
	st.t.Helper()
	macros := wireMacros(st.version)
	s = wireMacro.ReplaceAllStringFunc(s, func(m string) string { return macros[m] })
	w := writer{five: st.version == '5'}
	w.open("packet")
	for _, token := range wireToken.FindAllString(s, -1) {
		if err := w.token(token); err != nil {
			st.t.Fatalf("%s: %q: %v", st.at, token, err)
		}
	}
	w.token(";")
	return w.parts[0].b
}

// writer puts bytes together. Its parts are what is open, outermost first: packet,
// the rest of it behind "..", braces, brackets.
type writer struct {
	five  bool
	parts []part
}

type part struct {
	kind string
	b    []byte
}

func (w *writer) open(kind string) { w.parts = append(w.parts, part{kind: kind}) }

// close ends the innermost part and gives its bytes to the one around it.
func (w *writer) close() {
	last := w.parts[len(w.parts)-1]
	w.parts = w.parts[:len(w.parts)-1]
	switch {
	case last.kind != ".." && !w.five:
		return // braces and brackets are version 5's
	case last.kind != "[":
		w.add(binary.AppendUvarint(nil, uint64(len(last.b)))...)
	}
	w.add(last.b...)
}

func (w *writer) add(b ...byte) {
	in := &w.parts[len(w.parts)-1]
	in.b = append(in.b, b...)
}

// token takes one word of the notation.
func (w *writer) token(s string) error {
	switch s[0] {
	case '{', '[', '.':
		w.open(s)
	case '}', ']':
		w.close()
	case ';':
		for len(w.parts) > 1 {
			w.close()
		}
	case '\'':
		w.add(byte((len(s)-2)>>8), byte(len(s)-2))
		fallthrough
	case '"':
		w.add([]byte(s[1 : len(s)-1])...)
	default:
		digits, times, repeated := strings.Cut(s, "*")
		n := 1
		if repeated {
			n, _ = strconv.Atoi(times)
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			return err
		}
		w.add([]byte(strings.Repeat(string(b), n))...)
	}
	return nil
}
