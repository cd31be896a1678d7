package mqttsn

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// A scene shows that obligations hold, byte by byte, against a real core: what clients send
// and what they receive, written by hand. Its name begins with the obligations. A line of
// its script is one of
//
//	a > BYTES          client a sends a datagram; BYTES are what follows the Length
//	a raw BYTES        it sends these bytes as they are
//	a < BYTES ; BYTES  a has received these datagrams and no others since it was last asked;
//	                   xxxx stands for an identifier that the gateway chose at random, and
//	                   $x for the same one wherever it stands
//	a known            the gateway has a connection for a
//	a unknown          it has none
//	a moves            a gets another address
//	wait 90s           time passes
//	restart            the gateway is killed and started anew on what it stored
//	stop               the gateway ends in order, and is started anew
//	send TOPIC QOS TEXT [retain]   somebody publishes
//	seen TOPIC=TEXT …  what was published since it was last asked, by clients and Wills
//
// A client a/0102 is the wireless node 0102 behind the forwarder a. BYTES are hexadecimal
// digits, and "text".
type scene struct {
	name   string
	set    func(*setup)
	script string
}

// setup is what a scene may change.
type setup struct {
	core   *core.Options
	cfg    *Config
	secure bool
}

// chapter is a group of scenes.
type chapter struct {
	name   string
	scenes []scene
}

func chapters() []chapter {
	return []chapter{
		{"Discovery", discoveryScenes()},
		{"Connect", connectScenes()},
		{"Will", willScenes()},
		{"Register", registerScenes()},
		{"Publish", publishScenes()},
		{"Unconnected", unconnectedScenes()},
		{"Subscribe", subscribeScenes()},
		{"Deliver", deliverScenes()},
		{"Presence", presenceScenes()},
		{"Sleep", slices.Concat(sleepScenes(), returnScenes())},
		{"Repeat", slices.Concat(repeatScenes(), renewScenes())},
		{"Forwarder", forwarderScenes()},
		{"Address", addressScenes()},
	}
}

func TestWire(t *testing.T) {
	for _, c := range chapters() {
		for _, s := range c.scenes {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { play(t, &s) })
			})
		}
	}
}

// play runs a scene.
func play(t *testing.T, s *scene) {
	st := &stage{t: t, store: coretest.NewMemStore(), set: s.set, actors: map[string]*actor{}, marks: map[string]string{}}
	st.start()
	for row, line := range strings.Split(s.script, "\n") {
		line, _, _ = strings.Cut(line, " // ")
		if line = strings.TrimSpace(line); line != "" {
			st.at = fmt.Sprintf("line %d, %s", row, line)
			st.act(line)
		}
	}
	st.at = "end of the scene"
	st.settle()
	for name, a := range st.actors {
		if len(a.got) != 0 {
			t.Fatalf("%s: %s has received %q", st.at, name, a.got)
		}
	}
	if got := st.seen(); got != "" {
		t.Fatalf("%s: seen %s", st.at, got)
	}
	st.end()
}

// stage is a scene being played.
type stage struct {
	t      *testing.T
	store  *coretest.MemStore
	set    func(*setup)
	gw     *coretest.Gateway
	watch  *coretest.Client
	field  *field
	secure bool
	actors map[string]*actor
	marks  map[string]string
	ports  uint16
	at     string
}

// actor is one client.
type actor struct {
	peer netip.AddrPort
	node string
	got  []string // datagrams received, in hexadecimal behind their Length
}

// start starts a gateway on the store.
func (st *stage) start() {
	cfg := DefaultConfig()
	cfg.Predefined = map[string]string{"101": "plant/one", "102": "plant/two"}
	st.gw = coretest.Start(st.t, st.store, func(o *core.Options) {
		u := &setup{core: o, cfg: &cfg}
		if st.set != nil {
			st.set(u)
		}
		st.secure = u.secure
	})
	if err := cfg.Validate(); err != nil {
		st.t.Fatal(err)
	}
	st.watch = st.gw.Connect("watcher", nil)
	st.watch.Subscribe(0, "#")
	a := New(cfg, st.gw.Gateway)
	next := uint16(0x7000)
	a.random = func() uint16 { next++; return next }
	st.field = newField(st.t, st.gw, a, st.secure, st.receive)
}

// receive takes a datagram for whoever is at peer behind node.
func (st *stage) receive(peer netip.AddrPort, node string, d []byte) {
	for _, a := range st.actors {
		if a.peer == peer && a.node == node {
			a.got = append(a.got, hex.EncodeToString(d))
			return
		}
	}
	st.t.Fatalf("%s: %x for nobody at %s", st.at, d, peer)
}

// end ends all connections as a killed gateway does.
func (st *stage) end() { st.field.forget() }

func (st *stage) actor(name string) *actor {
	if a := st.actors[name]; a != nil {
		return a
	}
	forwarder, node, _ := strings.Cut(name, "/")
	a := &actor{}
	if node != "" {
		b, err := hex.DecodeString(node)
		if err != nil {
			st.t.Fatal(err)
		}
		a.node, a.peer = string(b), st.actor(forwarder).peer
	} else {
		a.peer = st.address()
	}
	st.actors[name] = a
	return a
}

func (st *stage) address() netip.AddrPort {
	st.ports++
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 4000+st.ports)
}

// act does what one line says.
func (st *stage) act(line string) {
	st.t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			st.t.Fatalf("%s: %v", st.at, err)
		}
		st.field.wait(d)
		return
	case "restart":
		st.settle()
		st.field.forget()
		st.store.Crash()
		st.start()
		return
	case "stop":
		st.settle()
		st.gw.Stopping()
		st.field.stopAll(core.ServerShuttingDown)
		st.settle()
		st.start()
		return
	case "send":
		p := core.Message{Topic: words[1], QoS: words[2][0] - '0', Payload: []byte(words[3]), Retain: len(words) > 4}
		st.gw.T.Begin(time.Now())
		if err := st.gw.PublishInternal(st.gw.T, &p); err != nil {
			st.t.Fatalf("%s: %v", st.at, err)
		}
		st.gw.T.End()
		st.settle()
		st.seen()
		return
	case "seen":
		st.settle()
		if got, want := st.seen(), strings.TrimSpace(strings.TrimPrefix(line, "seen")); got != want {
			st.t.Fatalf("%s: seen %q, want %q", st.at, got, want)
		}
		return
	}
	st.actorDoes(st.actor(words[0]), words[1], strings.TrimSpace(strings.Join(words[2:], " ")))
}

func (st *stage) actorDoes(a *actor, verb, rest string) {
	st.t.Helper()
	switch verb {
	case ">":
		for mark, bytes := range st.marks {
			rest = strings.ReplaceAll(rest, mark, bytes)
		}
		b := wireBytes(st.t, rest)
		st.field.datagram(a.peer, capsule(a.node, sized(b)))
		st.settle()
	case "raw":
		st.field.datagram(a.peer, wireBytes(st.t, rest))
		st.settle()
	case "<":
		st.settle()
		st.expect(a, rest)
	case "known", "unknown":
		st.settle()
		if known := st.field.known(a.peer, a.node); known != (verb == "known") {
			st.t.Fatalf("%s: known %v", st.at, known)
		}
	case "moves":
		a.peer = st.address()
	default:
		st.t.Fatalf("%s: no such verb", st.at)
	}
}

var (
	wireToken = regexp.MustCompile(`"[^"]*"|[0-9a-f]+\*\d+|[0-9a-f]+|xxxx|\$\w`)
	wireMark  = regexp.MustCompile(`\$\w`)
)

// expect compares what a has received.
func (st *stage) expect(a *actor, want string) {
	st.t.Helper()
	var wants []string
	for _, w := range strings.Split(want, ";") {
		if strings.TrimSpace(w) != "" {
			wants = append(wants, st.pattern(w))
		}
	}
	ok := len(wants) == len(a.got)
	for i := 0; ok && i < len(wants); i++ {
		m := regexp.MustCompile("^" + wants[i] + "$").FindStringSubmatch(a.got[i])
		ok = m != nil
		for j := 1; j < len(m); j++ {
			st.marks[st.newMarks(want)[0]] = m[j]
		}
	}
	if !ok {
		st.t.Fatalf("%s:\n got %s\nwant %s", st.at, strings.Join(a.got, " ; "), strings.Join(wants, " ; "))
	}
	a.got = nil
}

// newMarks are the marks of a text that stand for nothing yet.
func (st *stage) newMarks(s string) (fresh []string) {
	for _, m := range wireMark.FindAllString(s, -1) {
		if st.marks[m] == "" && !slices.Contains(fresh, m) {
			fresh = append(fresh, m)
		}
	}
	return fresh
}

// pattern makes a regular expression of expected bytes.
func (st *stage) pattern(s string) string {
	out := ""
	for _, tok := range wireToken.FindAllString(s, -1) {
		switch {
		case tok == "xxxx":
			out += "[0-9a-f]{4}"
		case tok[0] == '$' && st.marks[tok] == "":
			out += "([0-9a-f]{4})"
		case tok[0] == '$':
			out += st.marks[tok]
		default:
			out += hex.EncodeToString(wireBytes(st.t, tok))
		}
	}
	return out
}

// settle lets everything happen that can happen now.
func (st *stage) settle() { st.field.settle() }

// seen tells what was published.
func (st *stage) seen() string {
	var out []string
	for _, d := range st.watch.Now() {
		if d.Kind == core.DeliverMessage {
			out = append(out, d.Msg.Topic+"="+string(d.Msg.Payload))
		}
	}
	return strings.Join(out, " ")
}

// wireBytes reads the notation of scenes; a mark that is known stands for its bytes.
func wireBytes(t testing.TB, s string) (b []byte) {
	t.Helper()
	for _, tok := range wireToken.FindAllString(s, -1) {
		if tok[0] == '"' {
			b = append(b, tok[1:len(tok)-1]...)
			continue
		}
		digits, times, _ := strings.Cut(tok, "*")
		part, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%q: %v", tok, err)
		}
		n := 1
		if times != "" {
			fmt.Sscan(times, &n)
		}
		for range n {
			b = append(b, part...)
		}
	}
	return b
}
