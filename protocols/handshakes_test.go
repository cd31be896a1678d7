package protocols

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// waitFor tells how many of an address wait for a permit.
func (h *handshakes) waitFor(from string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.queue.Waiting(netip.MustParseAddr(from))
}

// TestHandshakesTakeTurns: addresses have their turns one after the other, an IPv6 /64 as
// one, and what was begun goes first in its line.
func TestHandshakesTakeTurns(t *testing.T) {
	type wish struct {
		from  string
		begun bool
	}
	for _, c := range []struct {
		name   string
		wishes []wish
		order  []int
	}{
		{"one line", []wish{{"10.0.0.1", false}, {"10.0.0.1", false}, {"10.0.0.1", false}}, []int{0, 1, 2}},
		{"a crowd and one", []wish{{"10.0.0.1", false}, {"10.0.0.1", false}, {"10.0.0.1", false}, {"10.0.0.2", false}}, []int{0, 3, 1, 2}},
		{"two crowds and one", []wish{{"10.0.0.1", false}, {"10.0.0.1", false}, {"10.0.0.2", false}, {"10.0.0.2", false}, {"10.0.0.3", false}}, []int{0, 2, 4, 1, 3}},
		{"a /64", []wish{{"2001:db8::1", false}, {"2001:db8::2", false}, {"2001:db8:0:1::1", false}, {"2001:db8::3", false}}, []int{0, 2, 1, 3}},
		{"mapped", []wish{{"10.0.0.1", false}, {"::ffff:10.0.0.1", false}, {"10.0.0.2", false}}, []int{0, 2, 1}},
		{"begun first, in its line", []wish{{"10.0.0.1", false}, {"10.0.0.1", false}, {"10.0.0.2", false}, {"10.0.0.1", true}}, []int{3, 2, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHandshakes(1)
			first := h.permitFor(netip.MustParseAddr("192.0.2.1"))
			first.take(nil)
			waits := make([]chan struct{}, len(c.wishes))
			for i, w := range c.wishes {
				waits[i] = h.ask(netip.MustParseAddr(w.from), w.begun)
			}
			first.giveBack()
			first.giveBack() // nothing is given twice
			got := []int{}
			for range waits {
				given := -1
				for i, w := range waits {
					select {
					case <-w:
						if !slices.Contains(got, i) {
							if given >= 0 {
								t.Fatal("two were given one permit")
							}
							given = i
						}
					default:
					}
				}
				got = append(got, given)
				h.give()
			}
			if !slices.Equal(got, c.order) {
				t.Errorf("served %v, want %v", got, c.order)
			}
			if h.free != 1 || h.queue.Len() != 0 {
				t.Errorf("left: %+v", h)
			}
		})
	}
}

// TestHandshakesGoOn: who had a turn before is the next of its line.
func TestHandshakesGoOn(t *testing.T) {
	h := newHandshakes(1)
	from := netip.MustParseAddr("10.0.0.1")
	p := h.permitFor(from)
	p.take(nil)
	fresh, behind := h.ask(from, false), h.ask(from, false)
	other := h.ask(netip.MustParseAddr("10.0.0.2"), false)
	p.giveBack()
	<-fresh
	again := make(chan struct{})
	go func() { p.take(nil); close(again) }()
	awaitCount(t, func() bool { return h.waitFor("10.0.0.1") == 2 })
	h.give()
	<-other
	h.give()
	await(t, again, "the turn of who had begun")
	p.giveBack()
	<-behind
}

// TestHandshakesAreBounded: never are more computed than there are permits, whoever gives
// up waiting, and none is lost.
func TestHandshakesAreBounded(t *testing.T) {
	const permits = 3
	h := newHandshakes(permits)
	var wg sync.WaitGroup
	var computing atomic.Int64
	for i := range 20 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			p := h.permitFor(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)}))
			for range 500 {
				done := make(chan struct{})
				if r.IntN(3) == 0 {
					go close(done)
				}
				p.take(done)
				if !p.held.Load() {
					continue
				}
				if n := computing.Add(1); n > permits {
					t.Errorf("%d compute at once", n)
				}
				runtime.Gosched()
				computing.Add(-1)
				p.giveBack()
			}
		})
	}
	wg.Wait()
	if h.free != permits || h.queue.Len() != 0 {
		t.Errorf("%d permits are left of %d, %d wait", h.free, permits, h.queue.Len())
	}
}

func TestHandshakesTakeHalfOfTheProcessors(t *testing.T) {
	if got, want := newListener("l", &ListenerConfig{}, nil).handshakes.free, max(1, runtime.GOMAXPROCS(0)/2); got != want {
		t.Errorf("%d at once, want %d", got, want)
	}
	if got := newListener("l", &ListenerConfig{HandshakeWorkers: 7}, nil).handshakes.free; got != 7 {
		t.Errorf("%d at once, want 7", got)
	}
}

// holdPermit takes the listener's only permit until what it gives is called.
func holdPermit(h *harness) (giveBack func()) {
	h.t.Helper()
	p := h.server.listeners["l"].handshakes.permitFor(netip.MustParseAddr("192.0.2.1"))
	p.take(nil)
	h.t.Cleanup(p.giveBack)
	return p.giveBack
}

// awaitWaiting waits until n of an address wait for a permit.
func (h *harness) awaitWaiting(from string, n int) {
	h.t.Helper()
	awaitCount(h.t.(*testing.T), func() bool { return h.server.listeners["l"].handshakes.waitFor(from) == n })
}

// dialVia connects from an address of this machine, or behind a proxy, as a client of it.
func (h *harness) dialVia(source string) net.Conn {
	h.t.Helper()
	d := net.Dialer{Timeout: patience}
	if h.server.listeners["l"].cfg.ProxyProtocol != "on" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c, err := d.Dial("tcp", h.server.Addresses()["l"].String())
	if err != nil {
		h.t.Skipf("this machine cannot dial from %s: %v", source, err)
	}
	h.t.Cleanup(func() { c.Close() })
	if d.LocalAddr == nil {
		fmt.Fprintf(c, "PROXY TCP4 %s 192.0.2.8 1234 8883\r\n", source)
	}
	return c
}

// greeted gives the addresses whose ClientHello was read, in that order.
func greeted(h *harness) <-chan string {
	order := make(chan string, 100)
	c := h.server.listeners["l"].tls.Load().Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		order <- netAddrPort(hello.Conn.RemoteAddr()).Addr().String()
		return nil, nil
	}
	h.server.listeners["l"].tls.Store(c)
	return order
}

// TestHandshakesOfOneAddressWaitBehindThemselves: whoever comes by another address than a
// crowd's is the second whose handshake is computed, however many wait.
func TestHandshakesOfOneAddressWaitBehindThemselves(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", HandshakeWorkers: 1})
	order := greeted(h)
	giveBack := holdPermit(h)
	shake := func(source string) {
		c := tls.Client(h.dialVia(source), h.tls)
		go c.Handshake()
	}
	for range 6 {
		shake("127.0.0.1")
	}
	h.awaitWaiting("127.0.0.1", 6)
	shake("127.0.0.2")
	h.awaitWaiting("127.0.0.2", 1)
	giveBack()
	if first, second := await(t, order, "a hello"), await(t, order, "a hello"); first != "127.0.0.1" || second != "127.0.0.2" {
		t.Errorf("the first two were %s and %s", first, second)
	}
	for range 7 {
		await(t, h.adapter.made, "a machine")
	}
}

// TestWhoLeftCostsNoHandshake: what a client sent is read when it has its turn; who broke
// off before is not computed for.
func TestWhoLeftCostsNoHandshake(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", HandshakeWorkers: 1})
	order := greeted(h)
	giveBack := holdPermit(h)
	c := h.dialVia("127.0.0.1").(*net.TCPConn)
	go tls.Client(c, h.tls).Handshake()
	h.awaitWaiting("127.0.0.1", 1)
	c.SetLinger(0)
	c.Close()
	giveBack()
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError && r.Reason != core.ConnectionLost || len(order) > 0 {
		t.Errorf("refused %+v, and %d hellos were read", r, len(order))
	}
}

// TestStrangersOfThePumpTakeTurns: the upgrade to WebSocket and the first packet behind it
// or behind TLS are worked off in turns by address, too; behind a proxy by the client's own.
func TestStrangersOfThePumpTakeTurns(t *testing.T) {
	for _, transport := range []string{WebSocket, SecureWS, TLS} {
		for _, proxy := range []string{"", "on"} {
			t.Run(transport+proxy, func(t *testing.T) {
				lc := &ListenerConfig{Transport: transport, Address: "127.0.0.1:0", HandshakeWorkers: 1, ProxyProtocol: proxy}
				if proxy == "on" {
					lc.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
				if transport != WebSocket {
					lc.TLS.CertFile = "?"
				}
				strangersTakeTurns(t, start(t, "auto", lc))
			})
		}
	}
}

func strangersTakeTurns(t *testing.T, h *harness) {
	cfg := h.server.listeners["l"].cfg
	come := func(source string) *client {
		c := h.dialVia(source)
		if h.server.listeners["l"].secure() {
			c = tls.Client(c, h.tls)
			if err := c.(*tls.Conn).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		if cfg.Transport != TLS {
			c = h.dialWebSocket(c)
		}
		await(t, h.adapter.made, "a machine")
		k := &client{c, t}
		k.say("who is there\n") // a stranger it still is
		k.hears("who is there\n")
		return k
	}
	crowd := []*client{}
	for range 5 {
		crowd = append(crowd, come("127.0.0.1"))
	}
	lone := come("127.0.0.2")
	giveBack := holdPermit(h)
	for _, c := range crowd {
		c.say("work\nhello\n")
	}
	h.awaitWaiting("127.0.0.1", len(crowd))
	lone.say("work\nhello\n")
	h.awaitWaiting("127.0.0.2", 1)
	giveBack()
	for i := range 6 {
		await(t, h.adapter.work, "work")
		if n := h.server.listeners["l"].handshakes.waitFor("127.0.0.2"); i == 1 && n != 0 {
			t.Error("the lone stranger waits behind the crowd")
		}
		h.adapter.worked <- struct{}{}
	}
	for _, c := range append(crowd, lone) {
		c.hears("welcome\n")
	}
	giveBack = holdPermit(h)
	defer giveBack()
	for _, c := range append(crowd, lone) { // clients that were let in need no permit
		c.say("again\n")
		c.hears("again\n")
	}
}

// TestDTLSHandshakesTakeTurns: they wait for permits of the same kind.
func TestDTLSHandshakesTakeTurns(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{HandshakeWorkers: 1})
	hs := e.server.listeners["l"].handshakes
	p := hs.permitFor(netip.MustParseAddr("192.0.2.1"))
	p.take(nil)
	t.Cleanup(p.giveBack)
	dialled := make(chan *dtlsClient, 1)
	go func() {
		c, err := e.dialDTLS(withKey("meter-1", testKey)...)
		if err != nil {
			t.Error(err)
		}
		dialled <- c
	}()
	awaitCount(t, func() bool { return hs.waitFor("127.0.0.1") == 1 })
	if len(dialled) > 0 {
		t.Fatal("a handshake without a permit")
	}
	p.giveBack()
	await(t, dialled, "the handshake").asks("hello", "welcome")
}

// TestFirstBytesBehindAProxyHeaderWaitTheirTurn: they are here already when it is asked for.
func TestFirstBytesBehindAProxyHeaderWaitTheirTurn(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", HandshakeWorkers: 1,
		ProxyProtocol: "on", ProxyTrusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	giveBack := holdPermit(h)
	c := h.dialRaw()
	c.say("PROXY TCP4 10.0.0.1 192.0.2.8 1234 8083\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	h.awaitWaiting("10.0.0.1", 1)
	giveBack()
	c.hears("HTTP/1.1 404 ")
}

// TestHandshakesOverGivenSockets: they give their permit back while nothing is to be
// computed, however the sockets are read.
func TestHandshakesOverGivenSockets(t *testing.T) {
	for kind := range givenKinds() {
		for _, transport := range []string{TLS, WebSocket} {
			t.Run(kind+" "+transport, func(t *testing.T) {
				lc := &ListenerConfig{Transport: transport, HandshakeWorkers: 1}
				if transport == TLS {
					lc.TLS.CertFile = "?"
				}
				g := serveGiven(t, kind, lc)
				for range 3 {
					stranger := g.dial()
					stranger.say("who is there\n")
					stranger.hears("who is there\n")
				}
			})
		}
	}
}
