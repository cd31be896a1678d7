package mqttsn

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// script is what a fuzzer found: answers of the gateway, datagrams and time.
type script struct{ b []byte }

func (s *script) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *script) take(n int) []byte {
	n = min(n, len(s.b))
	b := s.b[:n:n]
	s.b = s.b[n:]
	return b
}

// moody is a gateway that answers at once or later, well or ill, as the script says.
type moody struct {
	s       *script
	late    []core.Completion
	queue   []core.Delivery
	ends    int
	granted int
	next    uint16
	open    int // messages of QoS 1 and 2 that are not acknowledged
}

func (g *moody) reason() core.Reason {
	if b := g.s.byte(); b&3 == 3 {
		return core.Reason(int(b>>2) % core.ReasonCount)
	}
	return core.Success
}

// later says whether an operation is answered later, with c.
func (g *moody) later(c core.Completion) bool {
	if g.s.byte()&1 == 0 {
		return false
	}
	g.late = append(g.late, c)
	return true
}

func (g *moody) Connect(*core.Turn, *core.ConnectRequest) (*core.ConnectResult, bool) {
	res := &core.ConnectResult{Reason: g.reason(), Registrations: []core.Registration{{ID: 9, Topic: "r"}, {ID: 2, Topic: "a/b"}}}
	if res.Reason == core.Success {
		g.granted++
		res.Link = core.Link{Session: &core.Session{}, Epoch: 1}
	}
	if g.later(core.Completion{Op: core.OpConnect, Connect: res}) {
		return nil, true
	}
	return res, false
}

func (g *moody) Resume(*core.Turn, core.Link) {}
func (g *moody) Publish(_ *core.Turn, _ core.Link, p *core.Publish) (bool, *core.Error) {
	switch b := g.s.byte(); {
	case b&7 == 7:
		return false, core.Errorf(core.Reason(int(b>>3)%core.ReasonCount), "")
	case p.QoS == 1:
		g.queue = append(g.queue, core.Delivery{Kind: core.DeliverAck, PacketID: p.PacketID, Reason: g.reason()})
	case p.QoS == 2:
		g.queue = append(g.queue, core.Delivery{Kind: core.DeliverReceived, PacketID: p.PacketID, Reason: g.reason()})
	}
	return g.s.byte()&15 == 15, nil
}
func (g *moody) PublishUnconnected(*core.Turn, *core.Identity, *core.Publish) core.Reason {
	return g.reason()
}
func (g *moody) Subscribe(_ *core.Turn, _ core.Link, r *core.SubscribeRequest) ([]uint8, []core.Reason, bool) {
	granted, reasons := []uint8{r.Filters[0].QoS}, []core.Reason{g.reason()}
	return granted, reasons, g.later(core.Completion{Op: core.OpSubscribe, Token: r.Token, Granted: granted, Reasons: reasons})
}
func (g *moody) Unsubscribe(_ *core.Turn, _ core.Link, q *core.UnsubscribeRequest) ([]core.Reason, bool) {
	reasons := []core.Reason{g.reason()}
	return reasons, g.later(core.Completion{Op: core.OpUnsubscribe, Token: q.Token, Reasons: reasons})
}
func (g *moody) Register(_ *core.Turn, _ core.Link, token uint32, _ core.Registration) (core.Reason, bool) {
	if token == 0 {
		return g.reason(), false
	}
	if g.later(core.Completion{Op: core.OpRegister, Token: token, Reasons: []core.Reason{g.reason()}}) {
		return core.Success, true
	}
	return g.reason(), false
}

// Acknowledge answers a PUBREC by a release, as core does.
func (g *moody) Acknowledge(_ *core.Turn, _ core.Link, k core.AckKind, id uint16, r core.Reason) {
	if g.open > 0 && (k == core.AckReceived1 || k == core.AckComplete) {
		g.open--
	}
	switch {
	case k == core.AckReceived2 && r == core.Success:
		g.queue = append(g.queue, core.Delivery{Kind: core.DeliverRelease, PacketID: id, Reason: g.reason()})
	case k == core.AckRelease:
		g.queue = append(g.queue, core.Delivery{Kind: core.DeliverComplete, PacketID: id})
	}
}
func (g *moody) Take(_ *core.Turn, _ core.Link, dst []core.Delivery, max int) ([]core.Delivery, bool) {
	n := min(max, len(g.queue))
	dst = append(dst, g.queue[:n]...)
	g.queue = g.queue[n:]
	return dst, len(g.queue) > 0
}
func (g *moody) Drop(*core.Turn, core.Link, core.Delivery, core.Reason) {}
func (g *moody) Sleep(*core.Turn, core.Link, time.Duration) (core.Reason, bool) {
	r := g.reason()
	return r, g.later(core.Completion{Op: core.OpSleep, Reasons: []core.Reason{r}})
}
func (g *moody) Awake(*core.Turn, core.Link) bool {
	if g.s.byte()&1 == 0 {
		g.queue = append(g.queue, core.Delivery{Kind: core.DeliverAsleep})
	}
	return g.s.byte()&7 != 7
}
func (g *moody) Will(core.Link) *core.Will {
	if g.s.byte()&1 == 0 {
		return nil
	}
	return &core.Will{Topic: "w"}
}
func (g *moody) SetWill(*core.Turn, core.Link, *core.Will) (core.Reason, bool) {
	r := g.reason()
	return r, g.later(core.Completion{Op: core.OpWill, Reasons: []core.Reason{r}})
}
func (g *moody) Disconnect(*core.Turn, core.Link, core.Reason, *uint32) { g.ends++ }
func (g *moody) Refuse(*core.Turn, core.Refusal)                        {}

// message makes a delivery of any kind that core could make.
func (g *moody) message() core.Delivery {
	names := []string{"zz", "a/b", "plant/one", "r", "long/and/longer/and/longer/still", "x"}
	b := g.s.byte()
	m := &core.Message{Topic: names[int(b>>4)%len(names)], Payload: make([]byte, 8*int(g.s.byte()))}
	d := core.Delivery{Kind: core.DeliverMessage, Msg: m, QoS: b % 3, Dup: b&8 != 0}
	if g.open >= takeBatch {
		d.QoS = 0 // core keeps to the Receive Maximum
	}
	if d.QoS > 0 {
		g.open++
		g.next++
		d.PacketID = max(1, g.next)
	}
	return d
}

type deafConn struct{ asked int }

func (c *deafConn) Wake(*core.Turn)          {}
func (c *deafConn) Complete(core.Completion) { c.asked++ }
func (c *deafConn) Close(core.Reason)        {}
func (c *deafConn) Peer() netip.AddrPort     { return home }

// FuzzMachine plays any datagrams, late answers, deliveries and time to one machine: it
// does not panic, uses whole datagrams, holds no more than its bounds, says nothing once it
// has ended, and gives back every session that it was given.
func FuzzMachine(f *testing.F) {
	seed := func(parts ...string) {
		var b []byte
		for _, p := range parts {
			m := wireBytes(f, p)
			b = append(append(append(b, 0, byte(len(m))), m...), 0, 0, 0)
		}
		f.Add(b)
	}
	seed(`04 04 01 003c "c1"`, `12 20 0001 "a/+"`, `16`, `0b 0001 7001 00`, `0d 0001 7002 00`, `18 0010`, `16 "c1"`, `18`)
	seed(`04 0c 01 003c "c1"`, `07 00 "w"`, `09 "x"`, `1a 00 "v"`, `1c "y"`, `1a`, `0a 0000 0001 "t"`, `0c 20 0001 0001 "x"`)
	seed(`04 00 01 003c "c1"`, `12 40 0001 "zz"`, `0f 0001`, `0e 0001`, `0c 42 "zz" 0007 "x"`, `10 0007`, `14 00 0002 "zz"`)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= maxScript {
			r.play(t, &script{b})
		}
	})
}

// TestMachineAtRandom plays scripts of well-formed messages with fields at random, which
// reach further than bytes at random do.
func TestMachineAtRandom(t *testing.T) {
	g := newRig(t)
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b []byte
		for range 40 {
			if r.IntN(2) == 0 {
				b = append(b, byte(3+r.IntN(5)), byte(r.IntN(256)), byte(r.IntN(256)))
				continue
			}
			m := anyMessage(r)
			b = append(append(append(b, 0, byte(len(m))), m...), byte(r.IntN(256)), byte(r.IntN(256)))
		}
		if g.play(t, &script{b}); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// anyMessage is a message without its Length.
func anyMessage(r *rand.Rand) []byte {
	id := []uint16{1, 2, 3, 9, 101, 0x7001, 0x7002, 0x7003}
	pick := func() uint16 { return id[r.IntN(len(id))] }
	names := []string{"zz", "a/b", "a/+", "r", "plant/one", "#"}
	name := []byte(names[r.IntN(len(names))])
	code := packet.ReturnCode(r.IntN(4))
	all := []packet.Packet{
		&packet.Connect{Will: r.IntN(4) == 0, CleanSession: r.IntN(2) == 0, Duration: uint16(r.IntN(100)), ClientID: []byte("c1")},
		&packet.Connect{ClientID: []byte("c1"), Duration: 10},
		&packet.WillTopic{Type: packet.TypeWillTopic, Topic: name}, &packet.WillMsg{Type: packet.TypeWillMsg, Message: name},
		&packet.WillTopic{Type: packet.TypeWillTopicUpd, Topic: name}, &packet.WillMsg{Type: packet.TypeWillMsgUpd, Message: name},
		&packet.Register{MessageID: pick(), Topic: name},
		&packet.Topicack{Type: packet.TypeRegack, TopicID: pick(), MessageID: pick(), Code: code},
		&packet.Topicack{Type: packet.TypePuback, TopicID: pick(), MessageID: pick(), Code: code},
		&packet.Publish{QoS: uint8(r.IntN(3)), IDType: packet.IDType(r.IntN(3)), TopicID: pick(), MessageID: pick(), Data: name},
		&packet.Ack{Type: packet.TypePubrec, MessageID: pick()}, &packet.Ack{Type: packet.TypePubrel, MessageID: pick()},
		&packet.Ack{Type: packet.TypePubcomp, MessageID: pick()},
		&packet.Subscribe{Type: packet.TypeSubscribe, QoS: uint8(r.IntN(3)), MessageID: pick(), Topic: name},
		&packet.Subscribe{Type: packet.TypeUnsubscribe, MessageID: pick(), Topic: name},
		&packet.Pingreq{}, &packet.Pingreq{ClientID: []byte("c1")}, &packet.Bare{Type: packet.TypePingresp},
		&packet.Disconnect{Sleeps: true, Duration: uint16(r.IntN(100))}, &packet.SearchGW{},
	}
	return all[r.IntN(len(all))].Append(nil)[1:]
}

// maxScript bounds what is played at once, in bytes: longer is no deeper, only slower.
const maxScript = 4 << 10

// rig is what all executions share: making it costs more than to play to a machine.
// Adapters never change, and what a turn keeps is scratch.
type rig struct {
	turn    *core.Turn
	adapter *Adapter
}

func newRig(t testing.TB) *rig {
	cfg := DefaultConfig()
	cfg.Predefined = map[string]string{"101": "plant/one"}
	r := &rig{turn: core.New(core.Options{Config: core.DefaultConfig()}).NewTurn(), adapter: New(cfg, nil)}
	t.Cleanup(r.turn.Close)
	return r
}

// play plays one script to a new machine.
func (r *rig) play(t *testing.T, s *script) {
	g, a, turn := &moody{s: s}, r.adapter, r.turn
	a.gw = g
	random := uint16(0x7000)
	a.random = func() uint16 { random++; return random }
	conn := &deafConn{}
	m := a.NewMachine(&protocols.ConnInfo{Peer: home}, conn).(*Machine)
	now := time.UnixMilli(1_000_000)
	var act protocols.Actions
	over := false
	for len(s.b) > 0 {
		turn.Begin(now)
		act.Reset()
		switch op := s.byte() % 8; {
		case op < 3 && !over && m.waiting == forNothing:
			d := sized(s.take(int(s.byte())))
			if n := m.Input(turn, d, &act); n != len(d) {
				t.Fatalf("used %d of %d", n, len(d))
			}
		case op == 3 && !over:
			now = now.Add(time.Duration(s.byte()) * time.Second / 4)
			turn.Begin(now)
			m.Tick(turn, &act)
		case op == 4 && m.linked:
			g.queue = append(g.queue, g.message())
			m.Complete(turn, core.Completion{Op: core.OpOutput}, &act)
		case op == 5 && !over:
			m.Complete(turn, core.Completion{Op: core.OpReadable}, &act)
		case op == 6 && !over && s.byte()&7 == 7:
			m.Stop(turn, core.SessionTakenOver, &act)
		case len(g.late) > 0:
			c := g.late[0]
			g.late = g.late[1:]
			if !over || c.Op == core.OpConnect {
				m.Complete(turn, c, &act)
			}
		}
		if over && (len(act.Out) > 0 || act.SetAlarm) {
			t.Fatalf("it goes on after its end: % x", act.Out)
		}
		checkMachine(t, m, &act)
		if act.Close && !over {
			over = true
			m.Closed(turn, act.Reason)
		}
	}
	if !over {
		m.Closed(turn, core.ConnectionLost)
	}
	for _, c := range g.late {
		if c.Op == core.OpConnect {
			m.Complete(turn, c, &act)
		}
	}
	if g.ends != g.granted {
		t.Fatalf("core granted %d connections and heard of %d ends", g.granted, g.ends)
	}
}

func checkMachine(t *testing.T, m *Machine, a *protocols.Actions) {
	t.Helper()
	if len(m.held) > maxHeld+takeBatch || len(m.ups) > maxUpward {
		t.Fatalf("%d held, %d upward", len(m.held), len(m.ups))
	}
	for b := a.Out; len(b) > 0; {
		n := int(b[0])
		if n == 1 {
			n = int(b[1])<<8 | int(b[2])
		}
		if n > m.adapter.cfg.MaxPacketSize {
			t.Fatalf("a message of %d bytes", n)
		}
		f, err := packet.Parse(b[:n])
		if err == nil {
			err = packet.New(f.Type).Decode(f)
		}
		if err != nil {
			t.Fatalf("it sends % x: %v", b[:n], err)
		}
		b = b[n:]
	}
}

// FuzzWithCore plays any datagrams of two clients, one behind a forwarder, with time passing
// and messages to them in between, against a real core: no panic, no answer larger than
// allowed to an address that is not proven, no memory that grows, and core hears of each
// connection's end.
func FuzzWithCore(f *testing.F) {
	seed := func(parts ...string) {
		var b []byte
		for _, p := range parts {
			m := sized(wireBytes(f, p))
			b = append(append(b, byte(len(m))), m...)
		}
		f.Add(b)
	}
	seed(`04 04 01 003c "c1"`, `12 20 0001 "a/+"`, `16`, `0b 0001 7001 00`, `0d 0001 7002 00`, `18 0010`, `16 "c1"`, `18`)
	seed(`04 0c 01 003c "c1"`, `07 00 "w"`, `09 "x"`, `1a 00 "v"`, `1c "y"`, `1a`, `0a 0000 0001 "t"`, `0c 20 0001 0001 "x"`)
	seed(`04 00 01 003c "c1"`, `12 40 0001 "zz"`, `0f 0001`, `0e 0001`, `0c 42 "zz" 0007 "x"`, `10 0007`, `14 00 0002 "zz"`)
	seed(`16 "c1"`, `04 00 01 003c "c1"`, `18 0064`, `01 00`, `0c 61 0065 0000 "x"`)
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 2000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzWithCore(t, script) })
	})
}

func fuzzWithCore(t *testing.T, script []byte) {
	gw := coretest.Start(t, nil, nil)
	cfg := DefaultConfig()
	cfg.Predefined = map[string]string{"101": "plant/one"}
	in, out := 0, 0
	proven := false
	var fl *field
	fl = newField(t, gw, New(cfg, gw.Gateway), false, func(_ netip.AddrPort, _ string, d []byte) {
		for _, e := range fl.ends {
			proven = proven || e.proven || e.m.(*Machine).proven
		}
		if out += len(d) + 1; !proven && len(d) > 200 {
			t.Fatalf("%d bytes to an address that nobody has proven", len(d))
		}
	})
	for i := 0; len(script) > 0; i++ {
		n := int(script[0])
		script = script[1:]
		b := bytes.Clone(script[:min(n, len(script))])
		script = script[len(b):]
		in += len(b)
		if n%3 == 2 {
			b = capsule("n", b)
		}
		fl.datagram(home, b)
		switch n % 5 {
		case 0:
			fl.wait(7 * time.Second)
		case 1:
			gw.T.Begin(time.Now())
			gw.PublishInternal(gw.T, &core.Message{Topic: "a/" + string('a'+rune(i%20)), QoS: uint8(i % 3), Payload: make([]byte, i%300)})
			gw.PublishInternal(gw.T, &core.Message{Topic: "zz", QoS: uint8(i % 3), Payload: []byte("x")})
			gw.T.End()
		}
		fl.settle()
	}
	fl.wait(2 * time.Minute)
	for _, e := range fl.all() {
		if m := e.m.(*Machine); len(m.held) > maxHeld+1 || len(m.ups) > maxUpward {
			t.Fatalf("%d held, %d upward", len(m.held), len(m.ups))
		}
		e.finish(core.ConnectionLost)
	}
	gw.T.End()
	fl.settle()
	gw.Clients(func(c core.ClientInfo) bool {
		if c.Connected {
			t.Errorf("core still holds a connection of %q", c.ClientID)
		}
		return true
	})
}
