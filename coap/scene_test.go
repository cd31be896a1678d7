package coap

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// A scene shows that clauses hold, message by message, against a real core. Its name
// begins with the clauses. A line of its script is one of
//
//	a > MESSAGE      a peer sends a datagram; its first line makes it known
//	a < MESSAGE      a has received this next
//	a nothing        a has received nothing more
//	a gone           the machine has ended
//	a lost           the network takes a away
//	a > MSG CODE …   over TCP
//	a proven         its address counts as its own
//	wait 90s         time passes
//	restart          the gateway ends and begins anew with its store
//	mqtt ID respond TEXT TYPE: to the requests that it got
//	mqtt ID publish TOPIC QOS TEXT | retain TOPIC TEXT | subscribe FILTER QOS | got TOPIC TEXT
//
// A MESSAGE is TYPE CODE ID and then, in any order, /path?query, tok=HEX, 'payload' and
// options by name; raw HEX stands for any bytes. $x names a number that the gateway chose.
// What follows " // " is a remark.
type scene struct {
	name   string
	set    func(*setup)
	script string
	stream bool // over TCP
	rate   int  // messages that the listener's rates let through, and no more; 0: all
}

// setup is what a scene may change.
type setup struct {
	core *core.Options
	coap *Config
	info *protocols.ConnInfo
	slow *slowStore
}

func play(t *testing.T, s *scene) {
	st := &stage{t: t, coap: DefaultConfig(), ends: map[string]*end{}, stream: s.stream, mqtt: map[string]*coretest.Client{}, names: map[string]string{}, store: coretest.NewMemStore()}
	st.info = protocols.ConnInfo{Peer: netip.MustParseAddrPort("192.0.2.7:5000"), Local: netip.MustParseAddrPort("192.0.2.1:5683")}
	st.coap.Echo = echoOff // but in scenes that are about it
	slow := &slowStore{MemStore: st.store}
	st.start = func() {
		st.gw = coretest.Start(t, st.store, func(o *core.Options) {
			if s.set != nil {
				s.set(&setup{core: o, coap: &st.coap, info: &st.info, slow: slow})
			}
			if slow.delay > 0 {
				o.Store = slow
			}
		})
		if err := st.coap.Validate(); err != nil {
			t.Fatal(err)
		}
		st.adapter = New(st.coap, st.gw.Gateway)
	}
	if s.rate > 0 {
		st.rate = &s.rate
	}
	st.start()
	for row, line := range strings.Split(s.script, "\n") {
		line, _, _ = strings.Cut(line, " // ")
		if line = strings.TrimSpace(line); line != "" {
			st.at = fmt.Sprintf("line %d, %s", row, line)
			st.act(line)
		}
	}
	st.at = "end of the scene"
	for name, e := range st.ends {
		if b := e.take(); b != nil {
			t.Fatalf("%s: %s has received %s", st.at, name, st.show(b))
		}
		e.lose()
	}
	synctest.Wait()
}

// slowStore is a store whose commits take a while.
type slowStore struct {
	*coretest.MemStore
	delay time.Duration
}

func (s *slowStore) Commit(b *core.Batch, done func(error)) error {
	time.AfterFunc(s.delay, func() {
		if err := s.MemStore.Commit(b, done); err != nil {
			done(err)
		}
	})
	return nil
}

func (s *slowStore) Load(ctx context.Context, l core.Loader) error { return s.MemStore.Load(ctx, l) }

// stage is a scene being played.
type stage struct {
	t       *testing.T
	start   func()
	store   *coretest.MemStore
	gw      *coretest.Gateway
	adapter *Adapter
	coap    Config
	info    protocols.ConnInfo
	ends    map[string]*end
	mqtt    map[string]*coretest.Client
	names   map[string]string
	stream  bool
	rate    *int
	at      string
}

func (st *stage) act(line string) {
	st.t.Helper()
	name, rest, _ := strings.Cut(line, " ")
	verb, rest, _ := strings.Cut(rest, " ")
	switch name {
	case "wait":
		d, err := time.ParseDuration(verb)
		if err != nil {
			st.t.Fatal(err)
		}
		time.Sleep(d)
		synctest.Wait()
		return
	case "mqtt":
		st.client(verb, rest)
		return
	case "restart":
		st.restart()
		return
	}
	e := st.ends[name]
	if e == nil {
		info := st.info
		info.Peer = netip.AddrPortFrom(info.Peer.Addr(), 5000+uint16(len(st.ends)))
		e = &end{rate: st.rate, stream: st.stream, t: st.t, gw: st.gw, adapter: st.adapter, info: &info, turn: st.gw.NewTurn()}
		st.ends[name] = e
	}
	synctest.Wait()
	switch verb {
	case ">":
		e.send(build(st.t, st.substitute(rest)))
	case "<":
		st.expect(name, e.take(), rest)
	case "nothing":
		if b := e.take(); b != nil {
			st.t.Fatalf("%s: received %s", st.at, st.show(b))
		}
	case "gone":
		if !e.closed {
			st.t.Fatalf("%s: the machine lives", st.at)
		}
	case "proven":
		if !e.proven {
			st.t.Fatalf("%s: it is not", st.at)
		}
	case "lost":
		e.lose()
		delete(st.ends, name)
	default:
		st.t.Fatalf("%s: what is %q?", st.at, verb)
	}
	synctest.Wait()
}

// restart ends the gateway and begins another with its store. Peers keep their address.
func (st *stage) restart() {
	st.gw.Stopping()
	for _, e := range st.ends {
		e.in.Lock()
		if !e.closed {
			e.turn.Begin(time.Now())
			var a protocols.Actions
			e.m.Stop(e.turn, core.ServerShuttingDown, &a)
			e.collect(&a)
			e.over(core.ServerShuttingDown)
			e.turn.End()
		}
		e.in.Unlock()
	}
	synctest.Wait()
	st.start()
	for _, e := range st.ends {
		e.turn.Close()
		e.gw, e.adapter, e.turn = st.gw, st.adapter, st.gw.NewTurn()
	}
	clear(st.mqtt)
}

// client does what an MQTT client does.
func (st *stage) client(id, line string) {
	st.t.Helper()
	c := st.mqtt[id]
	if c == nil {
		c = st.gw.Connect(id, func(r *core.ConnectRequest) {
			r.Credentials.Username, r.Credentials.HasUsername = "ann", true
			r.Credentials.Password, r.Credentials.HasPassword = []byte("secret"), true
		})
		st.mqtt[id] = c
	}
	if line == "durable" || line == "again" {
		c.Disconnect(core.NormalDisconnect)
		st.mqtt[id] = st.gw.Connect(id, func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 600 })
		return
	}
	f := strings.SplitN(line, " ", 4)
	for len(f) < 4 {
		f = append(f, "")
	}
	switch f[0] {
	case "publish":
		qos, _ := strconv.Atoi(f[2])
		c.Publish(core.Publish{Topic: f[1], QoS: uint8(qos), PacketID: 1, Payload: []byte(repeated(f[3]))})
		if qos == 2 {
			c.Take(1)
			c.Ack(core.AckRelease, 1)
		}
	case "retain":
		c.Publish(core.Publish{Topic: f[1], Retain: true, Payload: []byte(repeated(strings.TrimSpace(f[2] + " " + f[3])))})
	case "respond": // to the request that came last
		for _, d := range c.Now() {
			if d.Kind == core.DeliverMessage {
				p := d.Msg.Properties
				c.Publish(core.Publish{Topic: p.ResponseTopic, Payload: []byte(string(d.Msg.Payload) + f[1]), Properties: &core.Properties{CorrelationData: p.CorrelationData, ContentType: f[2]}})
			}
		}
	case "typed":
		c.Publish(core.Publish{Topic: f[1], Retain: true, Payload: []byte(f[3]), Properties: &core.Properties{ContentType: f[2]}})
	case "lapse":
		n, _ := strconv.Atoi(f[2])
		c.Publish(core.Publish{Topic: f[1], Retain: true, Payload: []byte(f[3]), Expiry: uint32(n), HasExpiry: true})
	case "subscribe":
		qos, _ := strconv.Atoi(f[2])
		if r := c.Subscribe(uint8(qos), f[1]); r != core.Success {
			st.t.Fatalf("%s: %s", st.at, r)
		}
	case "got":
		synctest.Wait()
		got := ""
		for _, d := range c.Now() {
			if d.Kind == core.DeliverMessage {
				got += fmt.Sprintf("%s %d %s;", d.Msg.Topic, d.QoS, d.Msg.Payload)
				if d.QoS == 1 {
					c.Ack(core.AckReceived1, d.PacketID)
				}
			}
		}
		if want := strings.TrimSpace(strings.TrimPrefix(line, "got")); got != want {
			st.t.Fatalf("%s: got %q", st.at, got)
		}
	default:
		st.t.Fatalf("%s: what is %q?", st.at, f[0])
	}
	synctest.Wait()
}

func (st *stage) substitute(text string) string {
	for name, value := range st.names {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

func (st *stage) show(b []byte) string {
	if st.stream {
		return showStream(b)
	}
	return show(b)
}

// expect compares what was received with what was written: word by word.
func (st *stage) expect(who string, b []byte, want string) {
	st.t.Helper()
	got := "nothing"
	if b != nil {
		got = st.show(b)
	}
	words, have := split(want), split(got)
	if words[len(words)-1] == "*" && len(have) >= len(words) { // in some words
		words, have = words[:len(words)-1], have[:len(words)-1]
	}
	ok := len(words) == len(have)
	for i := 0; ok && i < len(words); i++ {
		w := words[i]
		at, end := strings.IndexByte(w, '$'), ""
		if at >= 0 && strings.HasSuffix(w, "'") {
			w, end = w[:len(w)-1], "'"
		}
		switch {
		case strings.HasSuffix(w, "=*"):
			ok = strings.HasPrefix(have[i], w[:len(w)-1])
		case at >= 0 && st.names[w[at:]] == "":
			ok = strings.HasPrefix(have[i], w[:at])
			if ok {
				st.names[w[at:]] = strings.TrimSuffix(have[i][at:], end)
			}
		default:
			ok = st.substitute(w)+end == have[i]
		}
	}
	if !ok {
		st.t.Fatalf("%s: %s\n got %s\nwant %s", st.at, who, got, st.substitute(want))
	}
}

// end is a peer's machine with the edge around it.
type end struct {
	t       testing.TB
	gw      *coretest.Gateway
	adapter *Adapter
	info    *protocols.ConnInfo

	in     sync.Mutex // the machine's input half and turn
	turn   *core.Turn
	m      *Machine
	timer  *time.Timer
	paused bool
	kept   [][]byte
	closed bool
	proven bool
	stream bool
	rate   *int

	mu  sync.Mutex
	out [][]byte
}

func (e *end) Peer() netip.AddrPort { return e.info.Peer }

func (e *end) Wake(t *core.Turn) {
	e.mu.Lock()
	m := e.m
	e.mu.Unlock()
	if m != nil {
		m.Output(t, nil)
	}
}

func (e *end) Complete(c core.Completion) {
	go e.run(func(a *protocols.Actions) { e.m.Complete(e.turn, c, a) })
}

func (e *end) Close(r core.Reason) {
	go e.run(func(a *protocols.Actions) { e.m.Stop(e.turn, r, a) })
}

// run makes one call of the machine, and does what it wants.
func (e *end) run(call func(*protocols.Actions)) {
	e.in.Lock()
	defer e.in.Unlock()
	e.locked(call)
	for !e.paused && !e.closed && len(e.kept) > 0 {
		b := e.kept[0]
		e.kept = e.kept[1:]
		e.locked(func(a *protocols.Actions) { e.m.Input(e.turn, b, a) })
	}
}

func (e *end) locked(call func(*protocols.Actions)) {
	if e.closed {
		return
	}
	var a protocols.Actions
	e.turn.Begin(time.Now())
	if e.rate != nil {
		a.Limited, a.Messages = true, *e.rate
	}
	call(&a)
	if e.rate != nil {
		*e.rate = a.Messages
	}
	e.collect(&a)
	e.paused = a.Pause
	e.proven = e.proven || a.Proven
	if a.SetTimer {
		a.SetAlarm, a.Alarm = true, a.Timer
	}
	if a.SetAlarm {
		if e.timer != nil {
			e.timer.Stop()
		}
		e.timer = time.AfterFunc(a.Alarm, func() {
			e.run(func(a *protocols.Actions) { e.m.Tick(e.turn, a) })
		})
	}
	if a.Close {
		e.over(a.Reason)
	}
	e.turn.End()
}

func (e *end) over(r core.Reason) {
	e.closed = true
	if e.timer != nil {
		e.timer.Stop()
	}
	if e.m != nil {
		e.m.Closed(e.turn, r)
	}
}

// collect takes the datagrams of a call. The test's own decoder checks that each is one.
func (e *end) collect(a *protocols.Actions) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stream {
		e.out = append(e.out, frames(e.t, a.Out)...)
		return
	}
	e.out = append(e.out, a.Datagrams()...)
}

func (e *end) send(b []byte) {
	e.in.Lock()
	if e.closed {
		e.m, e.closed, e.paused = nil, false, false
	}
	if e.m == nil {
		var a protocols.Actions
		e.turn.Begin(time.Now())
		open := e.stream || e.adapter.Meet(e.turn, e.info, b, &a)
		e.collect(&a)
		e.turn.End()
		if !open {
			e.in.Unlock()
			return
		}
		e.mu.Lock()
		e.m = e.adapter.NewMachine(e.info, e).(*Machine)
		if e.stream {
			e.m.stream, e.m.proven = &stream{maxMessage: defaultMessage}, true
		}
		e.mu.Unlock()
	}
	if e.paused {
		e.kept = append(e.kept, b)
		e.in.Unlock()
		return
	}
	e.in.Unlock()
	e.run(func(a *protocols.Actions) { e.m.Input(e.turn, b, a) })
}

// take gives the next datagram received, or nil.
func (e *end) take() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.out) == 0 {
		return nil
	}
	b := e.out[0]
	e.out = e.out[1:]
	return b
}

func (e *end) lose() {
	e.in.Lock()
	defer e.in.Unlock()
	if !e.closed {
		e.turn.Begin(time.Now())
		e.over(core.ConnectionLost)
		e.turn.End()
		e.turn.Close()
	}
}

func port(n uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), n) }
