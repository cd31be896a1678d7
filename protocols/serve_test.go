package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// given is a server that was handed a listener.
type given struct {
	*harness
	ended chan error // of Serve
	open  func() (net.Conn, error)
}

// plainConn hides all but net.Conn, as a tunnel's connection may have no more.
type plainConn struct{ net.Conn }

// plainListener accepts those.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return plainConn{c}, err
}

// givenKinds are listeners of other makes.
func givenKinds() map[string]func(t *testing.T) (net.Listener, func() (net.Conn, error)) {
	memory := func(t *testing.T) (net.Listener, func() (net.Conn, error)) {
		n := simnet.New(1)
		ln, err := n.Listen("gateway:1883")
		if err != nil {
			t.Fatal(err)
		}
		return ln, func() (net.Conn, error) { return n.Dial(t.Context(), "10.9.8.7:0", "gateway:1883") }
	}
	return map[string]func(t *testing.T) (net.Listener, func() (net.Conn, error)){
		"simnet": memory,
		"no more than net.Conn": func(t *testing.T) (net.Listener, func() (net.Conn, error)) {
			ln, dial := memory(t)
			return plainListener{ln}, dial
		},
		"kernel": func(t *testing.T) (net.Listener, func() (net.Conn, error)) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return ln, func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
		},
	}
}

func serveGiven(t *testing.T, kind string, lc *ListenerConfig) *given {
	t.Helper()
	lc.Given = true
	if lc.Transport == "" {
		lc.Transport = TCP
	}
	g := &given{harness: start(t, "", lc), ended: make(chan error, 1)}
	ln, dial := givenKinds()[kind](t)
	g.open = dial
	go func() { g.ended <- g.server.Serve(ln, "l") }()
	return g
}

// dial connects as the transport asks for.
func (g *given) dial() *client {
	g.t.Helper()
	c, err := g.open()
	if err != nil {
		g.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	if g.server.listeners["l"].secure() {
		c = tls.Client(c, g.tls)
	}
	if t := g.server.listeners["l"].cfg.Transport; t == WebSocket || t == SecureWS {
		c = g.dialWebSocket(c)
	}
	g.t.Cleanup(func() { c.Close() })
	return &client{c, g.t}
}

func TestServe(t *testing.T) {
	cases := []struct {
		name string
		lc   ListenerConfig
		run  func(t *testing.T, g *given)
	}{
		{"talks", ListenerConfig{}, talks},
		{"talks TLS", ListenerConfig{Transport: TLS}, talks},
		{"talks WebSocket", ListenerConfig{Transport: WebSocket}, talks},
		{"talks WebSocket over TLS", ListenerConfig{Transport: SecureWS}, talks},
		{"pauses and goes on", ListenerConfig{}, pauses},
		{"a client that does not read is not read from", ListenerConfig{}, doesNotRead},
		{"connect timeout", ListenerConfig{ConnectTimeout: 300 * time.Millisecond}, func(t *testing.T, g *given) {
			c := g.dial()
			if r := await(t, g.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
				t.Errorf("%+v", r)
			}
			c.hearsEnd()
		}},
		{"max connections", ListenerConfig{MaxConnections: 1}, func(t *testing.T, g *given) {
			first := g.dial()
			first.say("hello\n")
			first.hears("welcome\n")
			g.dial()
			if r := await(t, g.gateway.refusals, "refusal"); r.Reason != core.ConnectionLimit {
				t.Errorf("%+v", r)
			}
		}},
		{"the machine ends it", ListenerConfig{}, func(t *testing.T, g *given) {
			c := g.dial()
			c.say("hello\nbye\n")
			c.hears("welcome\nbye\n")
			c.hearsEnd()
			c.Close()
			if m := await(t, g.adapter.closed, "Closed"); m.reason != core.NormalDisconnect {
				t.Error(m.reason)
			}
		}},
		{"the client ends it", ListenerConfig{}, func(t *testing.T, g *given) {
			c := g.dial()
			c.say("hello\n")
			c.hears("welcome\n")
			c.Close()
			if m := await(t, g.adapter.closed, "Closed"); m.reason != core.ConnectionLost {
				t.Error(m.reason)
			}
		}},
		{"drains", ListenerConfig{}, drains},
	}
	for kind := range givenKinds() {
		for _, c := range cases {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				lc := c.lc
				g := serveGiven(t, kind, &lc)
				c.run(t, g)
				g.stop()
				if err := await(t, g.ended, "the end of Serve"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func talks(t *testing.T, g *given) {
	c := g.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	for _, size := range []int{1, 100, 5000, 200_000} {
		line := strings.Repeat("x", size) + "\n"
		var wg sync.WaitGroup
		wg.Go(func() { c.say(line) })
		c.hears(line)
		wg.Wait()
	}
	c.say("send 100 3000\n")
	c.hears(strings.Repeat("x", 300_000))
	if s := g.server.Listeners()["l"].Stats(); s.Open != 1 || s.Accepted != 1 || s.Unauthenticated != 0 {
		t.Errorf("%+v", s)
	}
	if len(g.server.AllAddresses()["l"]) != 1 {
		t.Errorf("addresses %v", g.server.AllAddresses())
	}
}

func pauses(t *testing.T, g *given) {
	c := g.dial()
	c.say("hello\npause\nafter\n")
	c.hears("welcome\n")
	m := await(t, g.adapter.made, "machine")
	c.say("more\n") // comes while nobody reads
	m.conn.Complete(core.Completion{Token: 7})
	c.hears("completed 7\nafter\nmore\n")
	c.say("once more\n")
	c.hears("once more\n")
}

func doesNotRead(t *testing.T, g *given) {
	c := g.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	line := strings.Repeat("y", 10_000) + "\n"
	const count = 200
	var wg sync.WaitGroup
	wg.Go(func() {
		for range count {
			c.say(line)
		}
	})
	for range count {
		c.hears(line)
	}
	wg.Wait()
}

func drains(t *testing.T, g *given) {
	c := g.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.server.Drain(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
	c.hears("stop " + core.ServerShuttingDown.String() + "\n")
	c.Close()
	wg.Wait()
	if n, err := g.open(); err == nil {
		n.SetDeadline(time.Now().Add(patience))
		if _, err := n.Read(make([]byte, 1)); err == nil {
			t.Error("accepted while draining")
		}
		n.Close()
	}
}

func TestServeRefuses(t *testing.T) {
	g := serveGiven(t, "simnet", &ListenerConfig{})
	ln, _ := simnet.New(1).Listen("gateway:1")
	if err := g.server.Serve(ln, "other"); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("the refused listener was left open")
	}
	g.stop()
	ln, _ = simnet.New(1).Listen("gateway:1")
	if err := g.server.Serve(ln, "l"); !errors.Is(err, ErrNotServing) {
		t.Error(err)
	}
}

// failing is a listener that fails in its own ways.
type failing struct {
	net.Listener
	fails []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.fails) == 0 {
		return f.Listener.Accept()
	}
	err := f.fails[0]
	f.fails = f.fails[1:]
	return nil, err
}

type passes struct{ error }

func (passes) Temporary() bool { return true }

func TestServeTellsWhatTheListenerSays(t *testing.T) {
	broken := errors.New("the tunnel broke")
	g := serveGiven(t, "simnet", &ListenerConfig{})
	for _, fails := range [][]error{{broken}, {passes{errors.New("later")}, broken}} {
		ln, _ := simnet.New(1).Listen("gateway:1")
		if err := g.server.Serve(&failing{ln, fails}, "l"); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
	ln, _ := simnet.New(1).Listen("gateway:1")
	ln.Close()
	if err := g.server.Serve(ln, "l"); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	c := g.dial() // the others go on
	c.say("hello\n")
	c.hears("welcome\n")
}

func TestServeBeforeRunAndWithoutIt(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Listeners["l"] = &ListenerConfig{Protocol: "line", Transport: TCP, Given: true}
	for _, runs := range []bool{true, false} {
		s, err := newServer(cfg, newFakeGateway(), []Adapter{newLineAdapter()}, nil, newLoops)
		if err != nil {
			t.Fatal(err)
		}
		n := simnet.New(1)
		ln, _ := n.Listen("gateway:1883")
		if err := s.Serve(ln, "l"); !errors.Is(err, ErrNotServing) {
			t.Error("before Open:", err)
		}
		ln, _ = n.Listen("gateway:1883")
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ln, "l") }()
		for len(s.Addresses()) == 0 {
			runtime.Gosched()
		}
		ctx, cancel := context.WithCancel(t.Context())
		if runs {
			go s.Run(ctx)
			c, err := n.Dial(ctx, "", "gateway:1883")
			if err != nil {
				t.Fatal(err)
			}
			k := &client{c, t}
			k.say("hello\n")
			k.hears("welcome\n")
			c.Close()
		} else {
			s.Close()
		}
		cancel()
		if err := await(t, ended, "the end of Serve"); err != nil {
			t.Error(err)
		}
	}
}

// A polled connection has no goroutine while it idles, and hears of input all the same.
func TestPolledConnectionsHaveNoGoroutine(t *testing.T) {
	for _, transport := range []string{TCP, WebSocket} {
		t.Run(transport, func(t *testing.T) { polledIdle(t, transport) })
	}
}

func polledIdle(t *testing.T, transport string) {
	g := serveGiven(t, "simnet", &ListenerConfig{Transport: transport})
	const count = 200
	before := runtime.NumGoroutine()
	var all []*client
	for range count {
		c := g.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		all = append(all, c)
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before+count/2 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before+count/2 {
		t.Errorf("%d goroutines for %d idle connections", n-before, count)
	}
	for _, c := range all {
		c.say("still there\n")
		c.hears("still there\n")
	}
}
