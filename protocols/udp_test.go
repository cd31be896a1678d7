package protocols

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// bothSockets runs f over the system's batches and over plain sockets.
func bothSockets(t *testing.T, f func(t *testing.T, batches bool)) {
	for name, batches := range map[string]bool{"batches": true, "plain": false} {
		t.Run(name, func(t *testing.T) { f(t, batches) })
	}
}

func TestDatagrams(t *testing.T) {
	bothSockets(t, func(t *testing.T, batches bool) {
		e := startEcho(t, batches, &ListenerConfig{})
		c := e.client()
		c.asks("who", "me")
		if n := len(e.peers.made); n != 0 {
			t.Fatalf("%d machines for a question", n)
		}
		c.asks("hello", "welcome")
		c.say("prove")
		c.asks("x y z", "x y z")
		c.say("two aaa bb")
		c.hears("aaa", "bb")
		m := await(t, e.peers.made, "machine")
		if m.info.Peer != netAddrPort(c.LocalAddr()) || m.info.Local != netAddrPort(c.RemoteAddr()) || m.info.Node != "" || m.conn.Peer() != m.info.Peer {
			t.Fatalf("info %+v", m.info)
		}
		m.conn.Complete(core.Completion{Op: core.OpSubscribe, Token: 7})
		c.hears("completed 7")
		c.asks("bye", "bye")
		if m := await(t, e.peers.closed, "end"); m.reason != core.NormalDisconnect {
			t.Fatalf("ended for %s", m.reason)
		}
		c.asks("hello", "welcome")
		if n := e.server.Connections(); n != 1 {
			t.Fatalf("%d connections", n)
		}
	})
}

func TestDatagramsOfManyPeers(t *testing.T) {
	bothSockets(t, func(t *testing.T, batches bool) {
		e := startEcho(t, batches, &ListenerConfig{Address: "localhost:0"})
		var wg sync.WaitGroup
		for _, to := range e.server.AllAddresses()["l"] {
			for i := range 200 {
				c := dialDatagrams(t, to)
				wg.Go(func() {
					c.asks("hello", "welcome")
					c.say("prove")
					for j := range 10 {
						s := fmt.Sprintf("%d of %d", j, i)
						c.asks(s, s)
					}
				})
			}
		}
		wg.Wait()
		if n := e.server.Connections(); n != 200*len(e.server.AllAddresses()["l"]) {
			t.Fatalf("%d connections", n)
		}
		for _, p := range e.server.datagrams.ports {
			if batches && p.timers.entries == nil {
				t.Error("a socket that no peer was steered to")
			}
		}
	})
}

func TestDatagramsOfNodesBehindOneAddress(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.asks("Fa:hello", "welcome")
	c.asks("Fb:hello", "welcome")
	c.asks("hello", "welcome")
	names := map[string]bool{}
	for range 3 {
		names[await(t, e.peers.made, "machine").info.Node] = true
	}
	if !names["a"] || !names["b"] || !names[""] {
		t.Fatalf("nodes %v", names)
	}
	c.asks("Fa:bye", "bye")
	c.asks("Fb:x", "x")
}

func TestOutputInDatagrams(t *testing.T) {
	bothSockets(t, func(t *testing.T, batches bool) {
		e := startEcho(t, batches, &ListenerConfig{})
		c := e.client()
		c.asks("hello", "welcome")
		c.say("prove")
		for _, size := range []int{100, 1200, ReferenceAbove, 9000} {
			n := min(40, 90_000/size) // what the client's kernel keeps
			c.say(fmt.Sprintf("send %d %d", n, size))
			for i := range n {
				want := fmt.Sprintf("%06d", i) + strings.Repeat("x", size-6)
				if got := c.hear(); got != want {
					t.Fatalf("datagram %d of %d bytes: %d bytes %.20q", i, size, len(got), got)
				}
			}
		}
	})
}

func TestAnUnprovenAddressGetsThreeTimesWhatItSent(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.say("blow 22") // 7 bytes
	c.say("blow 21")
	c.hears(strings.Repeat("x", 21))
	await(t, e.gateway.refusals, "refusal")
	c.asks("hello", "welcome") // 15 may go, 7 did
	sent, got := len("hello"), len("welcome")
	say := func(s string) { c.say(s); sent += len(s) }
	hear := func() {
		if got += len(c.hear()); got > 3*sent {
			t.Fatalf("%d bytes for %d", got, sent)
		}
	}
	say("send 3 20") // 27 more: one of 20 fits
	hear()
	say("aaaaaaaaaaaaaaaaaaaaaaaaa") // releases the second, and its echo
	hear()
	hear()
	c.say("prove")
	hear2 := c.hear()
	if !strings.HasPrefix(hear2, "000002") {
		t.Fatalf("heard %q", hear2)
	}
}

func TestRepliesThatWaitAreBounded(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.asks("hello", "welcome")
	c.say("send 1 1000") // more than may go: everything waits behind it
	for range 40 {
		c.say("two " + strings.Repeat("b", 4) + " " + strings.Repeat("c", 4))
	}
	c.hears("000000" + strings.Repeat("x", 994)) // 40 times 13 bytes allow 1,560
	for range 40 {
		c.hears("bbbb", "cccc")
	}
	m := await(t, e.peers.made, "machine")
	for i := range 200 {
		m.conn.Complete(core.Completion{Op: core.OpReadable, Token: uint32(1e9 + i)})
	}
	for r := await(t, e.gateway.refusals, "refusal"); r.Reason != core.AmplificationLimit; {
		t.Fatalf("refused %+v", r)
	}
}

func TestStrangersWithoutStateAreLimited(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{UDP: UDPConfig{AnswerRate: 5}})
	c := e.client()
	begin := time.Now()
	for range 30 {
		c.say("who")
	}
	refused := e.server.Listeners()["l"].Stats
	heard, b := 0, make([]byte, 10)
	for heard+int(refused().Refused[core.MessageRateTooHigh]) < 30 {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(b); err == nil {
			heard++
		} else if time.Since(begin) > patience {
			t.Fatalf("%d answers, %+v", heard, refused())
		}
	}
	if most := 5 * (2 + int(time.Since(begin)/time.Second)); heard < 5 || heard > most { // a second may begin meanwhile
		t.Fatalf("%d answers within %s, allowed are 5 a second", heard, time.Since(begin))
	}
	if r := await(t, e.gateway.refusals, "refusal"); r.Reason != core.MessageRateTooHigh {
		t.Fatalf("refused for %s", r.Reason)
	}
}

func TestDatagramLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    ListenerConfig
		say    string
		reason core.Reason
	}{
		{"connections", ListenerConfig{MaxConnections: 1}, "hello", core.ConnectionLimit},
		{"of one address", ListenerConfig{MaxConnectionsPerAddress: 1}, "hello", core.AddressLimit},
		{"rate", ListenerConfig{AcceptRate: 1, AcceptBurst: 1}, "hello", core.ConnectionRateExceeded},
		{"size", ListenerConfig{MaxPacketSize: 100}, strings.Repeat("x", 101), core.PacketTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := startEcho(t, true, &c.cfg)
			first := e.client()
			first.asks("hello", "welcome")
			second := e.client()
			second.say(c.say)
			if r := await(t, e.gateway.refusals, "refusal"); r.Reason != c.reason || r.Peer != second.LocalAddr().String() {
				t.Fatalf("refused %+v", r)
			}
			if n := e.server.Listeners()["l"].Stats().Refused[c.reason]; n != 1 {
				t.Fatalf("counted %d times", n)
			}
			first.asks("bye", "bye")
		})
	}
}

func TestStrangersOfDatagramsAreLimited(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{MaxUnauthenticated: 2, ConnectTimeout: 2 * time.Second})
	for range 3 {
		e.client().say("strange")
	}
	if r := await(t, e.gateway.refusals, "refusal"); r.Reason != core.ConnectionLimit {
		t.Fatalf("refused %+v", r)
	}
	for range 2 {
		if m := await(t, e.peers.closed, "end"); m.reason != core.ConnectTimeout {
			t.Fatalf("ended for %s", m.reason)
		}
	}
	if s := e.server.Listeners()["l"].Stats(); s.Open != 0 || s.Unauthenticated != 0 {
		t.Fatalf("stats %+v", s)
	}
}

func TestDatagramsWhilePaused(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.asks("hello", "welcome")
	c.say("prove")
	m := await(t, e.peers.made, "machine")
	c.say("pause")
	for _, s := range []string{"one", "two", "pause", "three"} {
		if s == "two" {
			s = "deux"
		}
		c.say(s)
	}
	c.say(strings.Repeat("x", heldDatagrams)) // does not fit
	if r := await(t, e.gateway.refusals, "refusal"); r.Reason != core.InputOverflow {
		t.Fatalf("refused %+v", r)
	}
	m.conn.Complete(core.Completion{Op: core.OpReadable, Token: 1})
	c.hears("completed 1", "one", "deux")
	m.conn.Complete(core.Completion{Op: core.OpReadable, Token: 2})
	c.hears("completed 2", "three")
}

func TestDrainOfDatagrams(t *testing.T) {
	bothSockets(t, func(t *testing.T, batches bool) {
		e := startEcho(t, batches, &ListenerConfig{})
		clients := make([]*dgramClient, 20)
		for i := range clients {
			clients[i] = e.client()
			clients[i].asks("hello", "welcome")
			clients[i].say("prove")
			clients[i].asks("x", "x")
		}
		if err := e.server.Drain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			c.hears("stop server_shutting_down")
		}
		c := e.client()
		c.say("hello")
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(make([]byte, 10)); err == nil {
			t.Fatal("let in while draining")
		}
	})
}

func TestClosedByTheGateway(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.asks("hello", "welcome")
	c.say("prove")
	c.asks("x", "x")
	m := await(t, e.peers.made, "machine")
	m.conn.Close(core.SessionTakenOver)
	m.conn.Close(core.SessionTakenOver)
	c.hears("stop session_taken_over")
	await(t, e.peers.closed, "end")
	m.conn.Complete(core.Completion{Op: core.OpReadable}) // too late to matter
}

func TestAnswersLeaveFromWhereTheyWereAsked(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{Address: ":0"})
	port := netAddrPort(e.server.Addresses()["l"]).Port()
	for _, ip := range []string{"127.0.0.1", "127.0.0.2", "127.9.8.7", "::1"} {
		// A connected socket hears only the address that it asked.
		c := dialDatagrams(t, &net.UDPAddr{IP: net.ParseIP(ip), Port: int(port)})
		c.say("where ............") // room for the answer
		c.asks("hello", func() string { c.hears(ip); return "welcome" }())
		c.say("prove")
		c.asks("x", "x")
		if m := await(t, e.peers.made, "machine"); m.info.Local.Addr().String() != ip {
			t.Fatalf("%s is seen as %s", ip, m.info.Local)
		}
	}
}

func TestAPortInUseIsTold(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	cfg := DefaultConfig()
	cfg.Listeners["l"] = &ListenerConfig{Protocol: "line", Transport: UDP, Address: e.server.Addresses()["l"].String()}
	s, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newGramAdapter()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("second gateway: %v", err)
	}
	s.Close()
}

func TestAStreamProtocolHasNoDatagrams(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Listeners["l"] = &ListenerConfig{Protocol: "line", Transport: UDP, Address: "127.0.0.1:0"}
	_, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newLineAdapter()}, nil)
	if err == nil || !strings.Contains(err.Error(), "does not travel in datagrams") {
		t.Fatal(err)
	}
}

func TestServerWithDatagramsThatNeverRan(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Listeners["l"] = &ListenerConfig{Protocol: "line", Transport: UDP, Address: "127.0.0.1:0"}
	s, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newGramAdapter()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s.Run(ctx) == nil {
		t.Fatal("ran after Close")
	}
}

func TestOutputOfOtherTurns(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{Address: "localhost:0"})
	var machines []*gramMachine
	var clients []*dgramClient
	for _, to := range e.server.AllAddresses()["l"] {
		for range 20 {
			c := dialDatagrams(t, to)
			c.asks("hello", "welcome")
			c.say("prove")
			c.asks("x", "x")
			clients = append(clients, c)
			machines = append(machines, await(t, e.peers.made, "machine"))
		}
	}
	turn := e.gateway.NewTurn()
	defer turn.Close()
	for i, m := range machines {
		for j := range 3 {
			m.push(fmt.Appendf(nil, "%d for %s", j, m.info.Peer))
		}
		if i%2 == 0 {
			m.conn.Wake(turn)
		}
	}
	for i, m := range machines {
		if i%2 == 1 {
			m.conn.Wake(turn)
		}
	}
	turn.End()
	for _, c := range clients {
		for j := range 3 {
			c.hears(fmt.Sprintf("%d for %s", j, netAddrPort(c.LocalAddr())))
		}
	}
	if n := e.gateway.Stats().Counters[core.WriteCalls]; n == 0 {
		t.Fatal("not counted")
	}
}

func TestASocketThatFails(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{Given: true})
	c := &failingSocket{PacketConn: newSilentSocket(t), left: 100}
	ended := make(chan error, 1)
	go func() { ended <- e.server.ServePacket(c, "l") }()
	if err := await(t, ended, "end"); err != nil {
		t.Fatal(err)
	}
	if n := e.server.Listeners()["l"].Stats().Faults; n != 100 {
		t.Fatalf("%d faults counted", n)
	}
}

// failingSocket fails some times as sockets do that ICMP speaks of, then is closed.
type failingSocket struct {
	net.PacketConn
	left int
}

func (s *failingSocket) ReadFrom([]byte) (int, net.Addr, error) {
	if s.left--; s.left < 0 {
		return 0, nil, net.ErrClosed
	}
	return 0, nil, syscall.ECONNREFUSED
}

func newSilentSocket(t *testing.T) net.PacketConn {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Publishers on turns of their own, a client's input and its timers at the same time:
// each message arrives once, and those of one publisher to one client in order while
// nothing is lost.
func TestManyTurnsSendToOnePeer(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	c := e.client()
	c.asks("hello", "welcome")
	c.say("prove")
	c.asks("alarm 20ms", "tick")
	m := await(t, e.peers.made, "machine")
	const publishers, each = 4, 50
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			turn := e.gateway.NewTurn()
			defer turn.Close()
			for range each {
				m.push([]byte("m"))
				m.conn.Wake(turn)
				turn.End()
			}
		})
	}
	for range each {
		c.say("e")
	}
	wg.Wait()
	heard := map[string]int{}
	for heard["m"] < publishers*each || heard["e"] < each {
		heard[c.hear()]++
	}
	if heard["m"] != publishers*each || heard["e"] != each {
		t.Fatalf("heard %v", heard)
	}
}

// flooded is a port that got n datagrams, each from another address.
func flooded(t testing.TB, lc *ListenerConfig, n int, what string) (p *port, answers int, grown int64) {
	lc.Protocol, lc.Transport, lc.Address = "line", UDP, "127.0.0.1:0"
	ln := newListener("l", lc, newGramAdapter())
	g := newFakeGateway()
	s := &sink{}
	p = newPort(newDatagrams(&Config{Loops: 1}, g, nil, &tally{}), ln, s)
	p.turn = g.NewTurn()
	p.box, p.now = boxOf(p.turn), time.Unix(1_800_000_000, 0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1000)
		p.datagram(&inItem{b: []byte(what), from: from, size: len(what)})
		if i%64 == 0 {
			p.settle()
		}
	}
	p.settle()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return p, s.sent, int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestSpoofedQuestionsMakeNoState(t *testing.T) {
	const n = 50_000
	p, answers, grown := flooded(t, &ListenerConfig{}, n, "who")
	if p.open != 0 || answers != n || grown > 1<<20 {
		t.Fatalf("%d connections, %d answers, the heap grew by %d bytes", p.open, answers, grown)
	}
}

func TestSpoofedBeginningsAreBounded(t *testing.T) {
	p, answers, _ := flooded(t, &ListenerConfig{MaxUnauthenticated: 100}, 10_000, "strange")
	if p.open != 100 || answers != 100 {
		t.Fatalf("%d connections, %d answers", p.open, answers)
	}
	if n := p.listener.Stats().Refused[core.ConnectionLimit]; n != 9_900 {
		t.Fatalf("%d refusals are counted", n)
	}
	if n := len(p.engine.gateway.(*fakeGateway).refusals); n != explainedAtOnce {
		t.Fatalf("%d refusals are explained in one second", n)
	}
}
