package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// helloBytes is what a TLS client says first.
func helloBytes(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake()
	b := make([]byte, 4096)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// awaitStrangers waits until so many were accepted and are not known.
func (h *harness) awaitStrangers(n int64) {
	h.t.Helper()
	awaitCount(h.t.(*testing.T), func() bool { return h.server.listeners["l"].Stats().Unauthenticated == n })
}

// running is how many strangers have a goroutine that does not wait for its turn.
func running() (n int) {
	b := make([]byte, 16<<20)
	b = b[:runtime.Stack(b, true)]
	for stack := range strings.SplitSeq(string(b), "\n\n") {
		if strings.Contains(stack, "(*pumpConn).open(") && !strings.Contains(stack, "(*guest).await(") {
			n++
		}
	}
	return n
}

// TestFewStrangersRunAtOnce: what a thousand strangers send at one moment makes no more
// goroutines than there are permits run; those who have not had their turn have none.
func TestFewStrangersRunAtOnce(t *testing.T) {
	const strangers, workers = 1000, 2
	h := start(t, "auto", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", HandshakeWorkers: workers, HandshakeTimeout: time.Hour})
	var computing, seen atomic.Int64
	done := make(chan struct{})
	c := h.server.listeners["l"].tls.Load().Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if n := computing.Add(1); n > workers {
			t.Errorf("%d compute at once", n)
		}
		n := seen.Add(1)
		if n%250 == 1 {
			if r := running(); r > workers {
				t.Errorf("%d run at once", r)
			}
		}
		runtime.Gosched()
		computing.Add(-1)
		if n == strangers {
			close(done)
		}
		return nil, nil
	}
	h.server.listeners["l"].tls.Store(c)
	first, second := holdPermit(h), holdPermit(h)
	before := runtime.NumGoroutine()
	hello := helloBytes(t)
	for range strangers {
		h.dialVia("127.0.0.1").Write(hello)
	}
	h.awaitWaiting("127.0.0.1", strangers)
	if n := runtime.NumGoroutine(); n > before+strangers/10 {
		t.Errorf("%d goroutines before anybody's turn, %d more than without them", n, n-before)
	}
	first()
	second()
	await(t, done, "the last hello")
}

// TestSilentStrangersHaveNoGoroutine until they say something.
func TestSilentStrangersHaveNoGoroutine(t *testing.T) {
	const strangers = 500
	for _, c := range []ListenerConfig{{Transport: TLS}, {Transport: WebSocket}, {Transport: TLS, ProxyProtocol: "on"}} {
		t.Run(c.Transport+c.ProxyProtocol, func(t *testing.T) {
			c.Address, c.HandshakeTimeout = "127.0.0.1:0", time.Hour
			c.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			if c.ProxyProtocol == "" {
				c.ProxyTrusted = nil
			}
			h := start(t, "auto", &c)
			before := runtime.NumGoroutine()
			for range strangers {
				h.dialRaw()
			}
			h.awaitStrangers(strangers)
			if n := runtime.NumGoroutine(); n > before+strangers/10 {
				t.Errorf("%d goroutines, %d more than without them", n, n-before)
			}
			h.stop() // which has nothing to wait for
			if n := h.server.Connections(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

// TestStrangersEndInTime, however far they came, and for the same reason.
func TestStrangersEndInTime(t *testing.T) {
	says := func(what string) func(*testing.T, *harness) {
		return func(_ *testing.T, h *harness) { h.dialRaw().say(what) }
	}
	shakes := func(then string) func(*testing.T, *harness) {
		return func(t *testing.T, h *harness) {
			c := h.dial()
			if s, ok := c.Conn.(*tls.Conn); ok {
				if err := s.Handshake(); err != nil {
					t.Error(err)
				}
			}
			if then != "" {
				c.say(then)
				c.hears(then)
			}
		}
	}
	for _, c := range []struct {
		name   string
		come   func(*testing.T, *harness)
		detail string
		lc     ListenerConfig
	}{
		{"silent", says(""), "TLS handshake: ", ListenerConfig{Transport: TLS}},
		{"half a hello", func(t *testing.T, h *harness) { h.dialRaw().Write(helloBytes(t)[:20]) }, "TLS handshake: ", ListenerConfig{Transport: TLS}},
		{"a hello", func(t *testing.T, h *harness) { h.dialRaw().Write(helloBytes(t)) }, "TLS handshake: ", ListenerConfig{Transport: TLS}},
		{"half a request", says("GET / HTTP/1.1\r\n"), "no WebSocket request in time", ListenerConfig{Transport: WebSocket}},
		{"half a header", says("PROXY "), "timeout", ListenerConfig{Transport: WebSocket, ProxyProtocol: "on"}},
		{"a header", says("PROXY TCP4 10.0.0.1 192.0.2.8 1234 8083\r\n"), "no WebSocket request in time", ListenerConfig{Transport: WebSocket, ProxyProtocol: "on"}},
		{"no packet", shakes(""), "nothing that the protocol accepts within 1s", ListenerConfig{Transport: TLS}},
		{"no known packet", shakes("who is there\n"), "nothing that the protocol accepts within 1s", ListenerConfig{Transport: TLS}},
		{"no known message", shakes("who is there\n"), "nothing that the protocol accepts within 1s", ListenerConfig{Transport: SecureWS}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // they wait
			lc := c.lc
			lc.Address, lc.HandshakeTimeout, lc.ConnectTimeout = "127.0.0.1:0", time.Second, time.Second
			if strings.HasPrefix(c.detail, "nothing") {
				lc.HandshakeTimeout = time.Hour
			}
			if lc.ProxyProtocol == "on" {
				lc.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
			if lc.Transport == SecureWS {
				lc.TLS.CertFile = "?"
			}
			h := start(t, "auto", &lc)
			c.come(t, h)
			if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("refused %+v", r)
			}
			awaitCount(t, func() bool { return h.server.Connections() == 0 })
			if n := len(h.gateway.refusals); n != 0 {
				t.Errorf("%d more refusals", n)
			}
		})
	}
}

// TestDrainEndsStrangersThatWait, for their turn or for their client, and computes nothing
// for them.
func TestDrainEndsStrangersThatWait(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", HandshakeWorkers: 1, HandshakeTimeout: time.Hour})
	order := greeted(h)
	hello := helloBytes(t)
	h.dialVia("127.0.0.2").Write(hello) // its second turn is never asked for
	await(t, order, "a hello")
	giveBack := holdPermit(h)
	const each = 50
	for range each {
		h.dialVia("127.0.0.1")
		h.dialVia("127.0.0.1").Write(hello)
	}
	h.awaitWaiting("127.0.0.1", each)
	h.awaitStrangers(2*each + 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- h.server.Drain(ctx, nil) }()
	h.awaitWaiting("127.0.0.1", 2*each)
	giveBack()
	if err := await(t, drained, "Drain"); err != nil {
		t.Error(err)
	}
	if n := len(h.gateway.refusals); n != 2*each+1 || len(order) > 0 {
		t.Errorf("%d refusals, and %d hellos were read", n, len(order))
	}
}

// TestStrangerThatCannotBeWatched is refused, and says why.
func TestStrangerThatCannotBeWatched(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", HandshakeTimeout: time.Hour})
	c := h.dialRaw()
	h.awaitStrangers(1)
	p := h.server.pumps
	outside := func() (g *guest) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.slots) > 0 && p.slots[0] != nil && p.slots[0].socket.guest.outside.Load() {
			g = p.slots[0].socket.guest
		}
		return g
	}
	awaitCount(t, func() bool { return outside() != nil })
	outside().come(errors.New("no room to watch it"))
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError || !strings.Contains(r.Detail, "no room to watch it") {
		t.Errorf("refused %+v", r)
	}
	c.Close()
	awaitCount(t, func() bool { return h.server.Connections() == 0 })
}
