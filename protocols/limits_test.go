package protocols

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// bothEngines runs f on the loops and on the pump.
func bothEngines(t *testing.T, c ListenerConfig, f func(t *testing.T, h *harness)) {
	for _, wait := range []string{"auto", "pump"} {
		t.Run(wait, func(t *testing.T) {
			own := c
			f(t, start(t, wait, &own))
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	c := ListenerConfig{Transport: TCP, Address: "127.0.0.1:0", MaxConnections: 2}
	bothEngines(t, c, func(t *testing.T, h *harness) {
		for range 2 {
			c := h.dial()
			c.say("hello\n")
			c.hears("welcome\n")
		}
		h.dial().hearsRefusal()
		if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectionLimit || r.Listener != "l" {
			t.Fatalf("refused %+v", r)
		}
	})
}

// hearsRefusal: the connection ends without a word, orderly or not.
func (c *client) hearsRefusal() {
	c.t.Helper()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		c.t.Fatalf("read %d bytes of a connection that should be refused", n)
	}
}

func TestUnauthenticatedLimitEndsWithAcceptance(t *testing.T) {
	c := ListenerConfig{Transport: TCP, Address: "127.0.0.1:0", MaxUnauthenticated: 2}
	bothEngines(t, c, func(t *testing.T, h *harness) {
		for range 10 { // one after the other, each accepted: no limit
			c := h.dial()
			c.say("hello\n")
			c.hears("welcome\n")
		}
		for range 2 {
			c := h.dial()
			c.say("not yet\n")
			c.hears("not yet\n")
		}
		h.dial().hearsRefusal()
		if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectionLimit {
			t.Fatalf("refused %+v", r)
		}
		if s := h.server.Listeners()["l"].Stats(); s.Open != 12 || s.Unauthenticated != 2 {
			t.Fatalf("counters %+v", s)
		}
	})
}

func TestAddressLimit(t *testing.T) {
	c := ListenerConfig{Transport: TCP, Address: "127.0.0.1:0", MaxConnectionsPerAddress: 1}
	bothEngines(t, c, func(t *testing.T, h *harness) {
		first := h.dial()
		first.say("hello\n")
		first.hears("welcome\n")
		h.dial().hearsRefusal()
		if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.AddressLimit {
			t.Fatalf("refused %+v", r)
		}
		first.say("bye\n")
		first.hearsEnd()
		first.Close()
		awaitZero(t, h)
		again := h.dial()
		again.say("hello\n")
		again.hears("welcome\n")
	})
}

// awaitZero waits until no connection is left.
func awaitZero(t *testing.T, h *harness) {
	t.Helper()
	await(t, h.server.tally.whenIdle(), "the end of all connections")
	if n := h.server.listeners["l"].perAddr.len(); n != 0 {
		t.Fatalf("%d addresses are left in the table", n)
	}
}

func TestAcceptRateDelaysAndRefusesNobody(t *testing.T) {
	c := ListenerConfig{Transport: TCP, Address: "127.0.0.1:0", AcceptRate: 4, AcceptBurst: 1}
	bothEngines(t, c, func(t *testing.T, h *harness) {
		begin := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				c := h.dial()
				c.say("hello\n")
				c.hears("welcome\n")
			})
		}
		wg.Wait()
		// One at once, two more at 4 a second.
		if d := time.Since(begin); d < 450*time.Millisecond {
			t.Fatalf("3 connections within %s", d)
		}
		if s := h.server.Listeners()["l"].Stats(); s.Accepted != 3 || s.Delayed == 0 {
			t.Fatalf("counters %+v", s)
		}
	})
}

func TestBucketAgreesWithArithmetic(t *testing.T) {
	b := newBucket(10, 3)
	now := time.Unix(1000, 0)
	for i := range 3 {
		if w := b.take(now); w != 0 {
			t.Fatalf("token %d of the burst: wait %s", i, w)
		}
	}
	if w := b.take(now); w != 100*time.Millisecond {
		t.Fatalf("empty bucket: wait %s", w)
	}
	if w := b.take(now.Add(100 * time.Millisecond)); w != 0 {
		t.Fatalf("after 100 ms: wait %s", w)
	}
	now = now.Add(time.Hour)
	taken := 0
	for b.take(now) == 0 {
		taken++
	}
	if taken != 3 {
		t.Fatalf("after an hour %d tokens, want the burst of 3", taken)
	}
}

func TestAddressesAgreeWithOracle(t *testing.T) {
	const maxOpen, maxFresh = 4, 2
	type connection struct {
		addr  netip.Addr
		fresh bool
	}
	table := newAddresses(maxOpen, maxFresh)
	var all []connection
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		switch {
		case r.IntN(2) == 0:
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(5))})
			open, fresh := 0, 0
			for _, c := range all {
				if c.addr == a {
					open++
					if c.fresh {
						fresh++
					}
				}
			}
			want := core.Success
			if open >= maxOpen || fresh >= maxFresh {
				want = core.AddressLimit
			}
			if got := table.enter(a); got != want {
				t.Fatalf("%s with %d open, %d fresh: %s", a, open, fresh, got)
			}
			if want == core.Success {
				all = append(all, connection{a, true})
			}
		case len(all) == 0:
		case r.IntN(2) == 0:
			if c := &all[r.IntN(len(all))]; c.fresh {
				c.fresh = false
				table.accepted(c.addr)
			}
		default:
			i := r.IntN(len(all))
			table.leave(all[i].addr, all[i].fresh)
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
		}
	}
	for _, c := range all {
		table.leave(c.addr, c.fresh)
	}
	if table.len() != 0 {
		t.Fatalf("%d addresses are left", table.len())
	}
}

func TestOpenTellsWhoHoldsThePort(t *testing.T) {
	for _, wait := range []string{"auto", "pump"} {
		t.Run(wait, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			own := makeEngine(newLoops)
			if wait == "pump" {
				own = func(*Config, gateway, *slog.Logger, *tally) (engine, error) { return nil, nil }
			}
			cfg := DefaultConfig()
			cfg.Listeners["front"] = &ListenerConfig{Protocol: "line", Transport: TCP, Address: l.Addr().String()}
			cfg.Listeners["good"] = &ListenerConfig{Protocol: "line", Transport: TCP, Address: "127.0.0.1:0"}
			s, err := newServer(cfg, newFakeGateway(), []Adapter{newLineAdapter()}, nil, own)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Open()
			if err == nil {
				s.Close()
				t.Fatal("opened a port that is taken")
			}
			for _, part := range []string{`listener "front"`, l.Addr().String(), "address already in use", "held by process", filepath.Base(os.Args[0]), "listeners.front.address"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
		})
	}
}

func TestLocalhostBindsBothFamiliesOnOnePort(t *testing.T) {
	c := ListenerConfig{Transport: TCP, Address: "localhost:0"}
	bothEngines(t, c, func(t *testing.T, h *harness) {
		all := h.server.AllAddresses()["l"]
		if len(all) == 1 {
			t.Skip("this machine has no IPv6 loopback")
		}
		if len(all) != 2 || all[0].(*net.TCPAddr).Port != all[1].(*net.TCPAddr).Port {
			t.Fatalf("addresses %v", all)
		}
		for _, a := range all {
			c := h.dialAddr(a)
			c.say("hello\n")
			c.hears("welcome\n")
		}
	})
}

func TestUnixSocketOfADeadProcessIsReplaced(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, wait := range []string{"auto", "pump"} {
		h := start(t, wait, &ListenerConfig{Transport: Unix, Address: path, Mode: "0600"})
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		second := ListenerConfig{Protocol: "line", Transport: Unix, Address: path}
		if err := clearUnix(second.Address); err == nil || !strings.Contains(err.Error(), "another process serves") {
			t.Fatalf("a served socket: %v", err)
		}
		h.stop()
	}
	file := writeFile(t, t.TempDir()+"/file", nil)
	if err := clearUnix(file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Fatalf("a plain file: %v", err)
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Wait = "sometimes"
	cfg.Listeners["a"] = &ListenerConfig{Protocol: "smtp", Transport: "sctp", Address: "nowhere", MaxConnections: -1}
	cfg.Listeners["b"] = &ListenerConfig{Protocol: "line", Transport: TLS, Address: "x:1", ProxyProtocol: "on"}
	cfg.Listeners["c"] = &ListenerConfig{Protocol: "line", Transport: TCP, Address: "x:99999", Path: "/p", Mode: "0600", AcceptBurst: 1, ConnectTimeout: -1}
	cfg.Listeners["d"] = &ListenerConfig{Protocol: "line", Transport: Unix, Address: strings.Repeat("p", 200), Mode: "rw", TLS: TLSConfig{CertFile: "c"}}
	cfg.Listeners["e"] = &ListenerConfig{Protocol: "line", Transport: SecureWS, Address: ":1", Path: "p", Origins: []string{"example"},
		TLS: TLSConfig{CertFile: "c", KeyFile: "k", ClientAuth: "require", MinVersion: "1.1"}}
	err := cfg.Validate("line")
	want := []string{"wait =", "a.protocol", "a.transport", "a.address", "a.max_connections", "b.tls", "b.proxy_trusted",
		"c.address", "c.path", "c.mode", "c.accept_burst", "c.connect_timeout", "d.address", "d.mode", "d.tls",
		"e.path", "e.origins", "e.tls.client_ca_file", "e.tls.min_version"}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%s is not reported", w)
		}
	}
	if n := len(strings.Split(fmt.Sprint(err), "\n")); n != len(want) {
		t.Errorf("%d faults, want %d:\n%v", n, len(want), err)
	}
}

func TestHeldKeepsAndGrows(t *testing.T) {
	var p helds
	r := rand.New(rand.NewPCG(3, 3))
	var h *held
	var want []byte
	for range 5000 {
		n := r.IntN(300)
		if r.IntN(50) == 0 {
			n = r.IntN(200_000)
		}
		more := bytes.Repeat([]byte{byte(r.IntN(256))}, n)
		all := append(bytes.Clone(want), more...)
		cut := r.IntN(len(all) + 1)
		want = all[cut:]
		h = p.replace(h, all[cut:])
		if h == nil != (len(want) == 0) || h != nil && !bytes.Equal(h.b, want) {
			t.Fatalf("held differs")
		}
		if h != nil && len(h.b) > 1024 && cap(h.b) > 8*len(h.b) {
			t.Fatalf("%d bytes in a buffer of %d", len(h.b), cap(h.b))
		}
		if h != nil && r.IntN(4) == 0 { // a rest of itself
			cut := r.IntN(len(h.b) + 1)
			want = bytes.Clone(h.b[cut:])
			h = p.replace(h, h.b[cut:])
		}
	}
}

// awaitCount polls a counter that nobody announces.
func awaitCount(t *testing.T, reached func() bool) {
	t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the counter does not move")
		}
	}
}

// TestStrangersShare: the more connections are not yet accepted, the less each may
// hold, and all of them together little more than strangersBytes.
func TestStrangersShare(t *testing.T) {
	ln := newListener("mqtt", &ListenerConfig{Transport: TCP}, nil)
	for _, c := range []struct{ fresh, want int }{
		{0, defaultMaxConnectSize + packetSlack},
		{1, defaultMaxConnectSize + packetSlack},
		{64, defaultMaxConnectSize + packetSlack},
		{1024, 16 << 10},
		{4096, strangerLeast},
		{defaultUnauthenticated, strangerLeast},
	} {
		ln.fresh.Store(int64(c.fresh))
		if got := ln.heldLimit(false); got != c.want {
			t.Errorf("%d strangers: each may hold %d bytes, wanted %d", c.fresh, got, c.want)
		}
		if got := ln.heldLimit(true); got != defaultMaxPacketSize+packetSlack {
			t.Errorf("%d strangers: an accepted client may hold %d bytes", c.fresh, got)
		}
	}
}

// TestAddressIsCountedBeforeTheHandshake: who says nothing counts from the moment
// that its address is known, in front of TLS and of the WebSocket upgrade.
func TestAddressIsCountedBeforeTheHandshake(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.%d 192.0.2.8 1234 1883\r\n"
	for _, c := range []ListenerConfig{
		{Transport: TLS, TLS: TLSConfig{CertFile: "?"}},
		{Transport: WebSocket},
		{Transport: SecureWS, TLS: TLSConfig{CertFile: "?"}, ProxyProtocol: "on", ProxyTrusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		t.Run(c.Transport+c.ProxyProtocol, func(t *testing.T) {
			c.Address, c.MaxUnauthenticatedPerAddress = "127.0.0.1:0", 1
			h := start(t, "pump", &c)
			dial := func(from int) net.Conn {
				s, err := h.connect(h.server.Addresses()["l"])
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				if c.ProxyProtocol == "on" {
					fmt.Fprintf(s, header, from)
				}
				return s
			}
			eventually := func(what string, is func() bool) {
				for late := time.After(patience); !is(); runtime.Gosched() {
					select {
					case <-late:
						t.Fatalf("%s: not in time", what)
					default:
					}
				}
			}
			dial(7)
			eventually("the address is counted", func() bool { return h.server.listeners["l"].perAddr.len() == 1 })
			(&client{dial(7), t}).hearsRefusal()
			if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.AddressLimit {
				t.Fatalf("refused %+v", r)
			}
			eventually("its place is free again", func() bool { return h.server.Listeners()["l"].Stats().Unauthenticated == 1 })
		})
	}
}
