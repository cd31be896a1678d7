package protocols

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// simEcho is an echo over a network in memory, in a bubble whose clock it follows.
type simEcho struct {
	t     *testing.T
	net   *simnet.Network
	peers *gramAdapter
	gate  *fakeGateway
	srv   *Server
	ended chan error
	stop  func()
}

func serveSim(t *testing.T, lc *ListenerConfig) *simEcho {
	t.Helper()
	e := newSim(t, lc)
	e.serve()
	return e
}

// newSim is one that does not serve yet.
func newSim(t *testing.T, lc *ListenerConfig) *simEcho {
	t.Helper()
	lc.Given, lc.Protocol = true, "line"
	if lc.Transport == "" {
		lc.Transport = UDP
	}
	cfg := DefaultConfig()
	cfg.Listeners["l"] = lc
	e := &simEcho{t: t, net: simnet.New(1), peers: newGramAdapter(), gate: newFakeGateway(), ended: make(chan error, 1)}
	srv, err := newServer(cfg, e.gate, []Adapter{e.peers}, nil, newLoops)
	if err != nil {
		t.Fatal(err)
	}
	e.srv = srv
	return e
}

func (e *simEcho) serve() {
	e.t.Helper()
	c, err := e.net.ListenPacket("gateway:1884")
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.srv.Open(); err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(e.t.Context())
	ran := make(chan error, 1)
	go func() { ran <- e.srv.Run(ctx) }()
	go func() { e.ended <- e.srv.ServePacket(c, "l") }()
	synctest.Wait()
	e.stop = func() {
		cancel()
		if err := errors.Join(<-ran, <-e.ended); err != nil {
			e.t.Error(err)
		}
	}
}

// simClient is a device there.
type simClient struct {
	*simnet.PacketConn
	e *simEcho
}

func (e *simEcho) client() *simClient {
	e.t.Helper()
	c, err := e.net.ListenPacket("10.1.0.7:0")
	if err != nil {
		e.t.Fatal(err)
	}
	return &simClient{c, e}
}

func (c *simClient) say(s string) {
	if _, err := c.WriteTo([]byte(s), hostPort("gateway:1884")); err != nil {
		c.e.t.Fatal(err)
	}
}

// hostPort is an address by its text.
type hostPort string

func (hostPort) Network() string  { return "udp" }
func (n hostPort) String() string { return string(n) }

// hears waits for one datagram.
func (c *simClient) hears(want string) {
	c.e.t.Helper()
	b := make([]byte, 1<<16)
	c.SetReadDeadline(time.Now().Add(time.Hour))
	n, _, err := c.ReadFrom(b)
	if err != nil || string(b[:n]) != want {
		c.e.t.Fatalf("heard %q, %v; want %q", b[:n], err, want)
	}
}

func (c *simClient) asks(question, answer string) {
	c.e.t.Helper()
	c.say(question)
	c.hears(answer)
}

func TestAlarmsAreExactAndTimersLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{})
		defer e.stop()
		c := e.client()
		defer c.Close()
		c.asks("hello", "welcome")
		c.say("prove")
		for _, d := range []time.Duration{time.Millisecond, 2 * time.Second, 3700 * time.Millisecond, 10 * time.Minute} {
			begin := time.Now()
			c.say("alarm " + d.String())
			for time.Since(begin) < d-250*time.Millisecond {
				time.Sleep(min(d/8, time.Minute)) // input does not move it
				if time.Since(begin) < d {
					c.asks("x", "x")
				}
			}
			c.hears("tick")
			if took := time.Since(begin); took < d || took > d+2*alarmTick {
				t.Fatalf("an alarm of %s came after %s", d, took)
			}
		}
		begin := time.Now()
		c.say("timer 10s")
		time.Sleep(6 * time.Second)
		c.asks("x", "x") // moves it
		c.hears("tick")
		if took := time.Since(begin); took < 16*time.Second || took > 16*time.Second+3*tickLength {
			t.Fatalf("a timer of 10s came after %s, with input after 6s", took)
		}
		c.say("timer 0s")
		c.say("alarm 1s")
		c.say("alarm 0s")
		time.Sleep(time.Hour)
		c.asks("x", "x")
	})
}

func TestAnAlarmWaitsForTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{})
		defer e.stop()
		c := e.client()
		defer c.Close()
		c.asks("hello", "welcome")
		c.say("prove")
		c.say("alarm 1s")
		c.say("pause")
		time.Sleep(time.Minute)
		(<-e.peers.made).conn.Complete(core.Completion{Op: core.OpReadable, Token: 1})
		c.hears("completed 1")
		c.hears("tick")
	})
}

func TestAddressChangeOfPlainDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{})
		defer e.stop()
		e.net.SetConditions(simnet.Conditions{Latency: 50 * time.Millisecond, Jitter: 20 * time.Millisecond, Reorder: 0.1})
		c := e.client()
		defer c.Close()
		c.asks("hello", "welcome")
		if err := c.Rebind("10.1.0.7:0"); err != nil {
			t.Fatal(err)
		}
		c.say("x") // nobody knows it there
		c.asks("hello", "welcome")
		if n := len(e.peers.made); n != 2 || e.srv.Connections() != 2 {
			t.Fatalf("%d machines, %d connections", n, e.srv.Connections())
		}
	})
}

func TestConnectTimeoutOfDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{ConnectTimeout: 3 * time.Second})
		defer e.stop()
		c := e.client()
		defer c.Close()
		begin := time.Now()
		c.say("strange")
		m := <-e.peers.closed
		if took := time.Since(begin); m.reason != core.ConnectTimeout || took < 3*time.Second || took > 3*time.Second+3*tickLength {
			t.Fatalf("%s after %s", m.reason, took)
		}
	})
}

func TestServePacketThatMayNot(t *testing.T) {
	e := startEcho(t, true, &ListenerConfig{})
	open := func() net.PacketConn {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := e.server.ServePacket(open(), "l"); err == nil {
		t.Fatal("a listener that is not given")
	}
	e.stop()
	g := startEcho(t, true, &ListenerConfig{Given: true})
	g.stop()
	c := open()
	if err := g.server.ServePacket(c, "l"); !errors.Is(err, ErrNotServing) {
		t.Fatalf("after the end: %v", err)
	}
	if _, err := c.WriteTo([]byte("x"), c.LocalAddr()); err == nil {
		t.Fatal("left open")
	}
}

func TestBeaconKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newSim(t, &ListenerConfig{UDP: UDPConfig{Announce: []netip.AddrPort{netip.MustParseAddrPort("225.1.1.1:1885")}}})
		ear, err := e.net.ListenPacket("225.1.1.1:1885")
		if err != nil {
			t.Fatal(err)
		}
		defer ear.Close()
		c := &simClient{ear, e}
		begin := time.Now()
		e.serve() // the first goes out at once
		defer e.stop()
		c.hears("here is l")
		if took := time.Since(begin); took > alarmTick {
			t.Fatalf("first after %s", took)
		}
		c.hears("here is l")
		if took := time.Since(begin); took < time.Minute || took > time.Minute+alarmTick {
			t.Fatalf("after %s", took)
		}
		time.Sleep(time.Hour)
		if n := e.peers.said.Load(); n != 2 {
			t.Fatalf("asked %d times", n)
		}
	})
}
