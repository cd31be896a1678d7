package protocols

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// limited is a listener whose clients are slowed.
func limited(transport string, change func(*ListenerConfig)) ListenerConfig {
	c := ListenerConfig{Transport: transport, Address: "127.0.0.1:0"}
	change(&c)
	return c
}

// everyEdge runs f on the loops and, over every stream transport, on the pump.
func everyEdge(t *testing.T, change func(*ListenerConfig), f func(t *testing.T, h *harness)) {
	for _, e := range []struct{ name, wait, transport string }{
		{"loops", "auto", TCP}, {"pump", "pump", TCP}, {"tls", "pump", TLS}, {"ws", "pump", WebSocket}, {"wss", "pump", SecureWS}, {"quic", "pump", QUIC},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			c := limited(e.transport, change)
			f(t, start(t, e.wait, &c))
		})
	}
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// TestClientRatesSlowAndCloseNobody: everything that a client sends too fast is taken
// in the end, in order, at the rate, whatever its keep alive; others are not slowed.
func TestClientRatesSlowAndCloseNobody(t *testing.T) {
	for name, change := range map[string]func(*ListenerConfig){
		"messages": func(c *ListenerConfig) { c.ClientMessageRate, c.ClientMessageBurst = 50, 20 },
		"bytes":    func(c *ListenerConfig) { c.ClientByteRate, c.ClientByteBurst = 450, 180 },
	} {
		t.Run(name, func(t *testing.T) {
			everyEdge(t, change, func(t *testing.T, h *harness) {
				c, other := h.dial(), h.dial()
				other.say("hello\n")
				other.hears("welcome\n")
				c.say("hello\ntimer 1s\n")
				c.hears("welcome\n")
				const n = 100                         // 890 bytes
				const least = 1200 * time.Millisecond // that they take; it is 1.6 s
				begin := time.Now()
				c.say(lines(n))
				c.hears("line 0\n") // it is slowed from here on
				other.say("me too\n")
				other.hears("me too\n")
				if d := time.Since(begin); d > least {
					t.Errorf("another client waited for %s", d)
				}
				c.hears(lines(n)[len("line 0\n"):])
				if d := time.Since(begin); d < least {
					t.Errorf("%d lines within %s", n, d)
				}
				if s := h.server.Listeners()["l"].Stats(); s.Throttles == 0 {
					t.Errorf("counters %+v", s)
				}
				if r := await(t, h.gateway.refusals, "a record"); r.Reason != core.MessageRateTooHigh || r.Listener != "l" || r.Peer == "" {
					t.Errorf("explained as %+v", r)
				}
			})
		})
	}
}

// TestRateKeepsNothingOfWhoLeaves: the gauges are right when slowed clients go.
func TestRateKeepsNothingOfWhoLeaves(t *testing.T) {
	everyEdge(t, func(c *ListenerConfig) { c.MessageRate, c.MessageBurst, c.ClientMessageRate = 5, 5, 5 }, func(t *testing.T, h *harness) {
		for range 3 {
			c := h.dial()
			c.say("hello\n" + lines(50))
			c.hears("welcome\nline 0\n")
			c.Close()
		}
		c := h.dial()
		c.say("hello\n" + lines(50))
		c.hears("welcome\n")
		if err := h.drainSoon(); err != nil {
			t.Error(err)
		}
		await(t, h.server.tally.whenIdle(), "the end of all connections")
		if r := h.server.Listeners()["l"].rates; r.throttled.Load() != 0 || r.queued.Load() != 0 {
			t.Errorf("left: %d throttled, %d queued", r.throttled.Load(), r.queued.Load())
		}
	})
}

// drainSoon tells every connection to leave and waits for them.
func (h *harness) drainSoon() error {
	done := make(chan error, 1)
	go func() { done <- h.server.Drain(h.t.Context(), nil) }()
	return await(h.t, done, "the end of the drain")
}

// TestListenerRateIsShared: what all clients may send together is divided among them,
// and all of it is used.
func TestListenerRateIsShared(t *testing.T) {
	c := limited(TCP, func(c *ListenerConfig) { c.MessageRate, c.MessageBurst = 1000, 100 })
	bothEngines(t, c, func(t *testing.T, h *harness) {
		const clients, each = 5, 300
		var got [clients]atomic.Int64
		var wg sync.WaitGroup
		var first sync.Once
		all := make(chan struct{}) // closed when all are connected
		shares := make(chan [clients]int64, 1)
		for i := range clients {
			c := h.dial()
			wg.Go(func() {
				<-all
				c.say("hello\n" + lines(each))
				in := bufio.NewReader(c)
				for range each + 1 {
					if _, err := in.ReadString('\n'); err != nil {
						t.Error(err)
						return
					}
					got[i].Add(1)
				}
				first.Do(func() {
					var s [clients]int64
					for j := range s {
						s[j] = got[j].Load()
					}
					shares <- s
				})
			})
		}
		begin := time.Now()
		close(all)
		wg.Wait()
		// 100 at once, 1,400 more at 1,000 a second.
		if d := time.Since(begin); d < 1200*time.Millisecond || d > 5*time.Second {
			t.Errorf("%d messages within %s", clients*each, d)
		}
		for i, n := range <-shares {
			// The first had the burst of 200; the rest is divided.
			if n < each/10 {
				t.Errorf("client %d had %d of %d when the first was done", i, n, each)
			}
		}
	})
}

// TestMeterAgreesWithArithmetic: over any time no more is taken than the burst and what
// flowed in meanwhile.
func TestMeterAgreesWithArithmetic(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		cfg := ListenerConfig{
			ClientMessageRate: rnd.IntN(100), ClientByteRate: rnd.IntN(10_000),
			MessageRate: rnd.IntN(300), ByteRate: rnd.IntN(30_000),
		}
		r := newRates(&cfg)
		if r == nil {
			continue
		}
		var m [4]meter
		now := time.Unix(1000, 0).UnixNano()
		begin := now
		var messages, bytes [4]float64
		for range 2000 {
			now += int64(rnd.IntN(20)) * int64(time.Millisecond)
			i := rnd.IntN(len(m))
			if r.judge(&m[i], now) != mayRead {
				continue
			}
			n, k := rnd.IntN(r.room(&m[i]))+1, rnd.IntN(min(r.messages(&m[i], true), 50)+1)
			r.take(&m[i], k, n)
			messages[i] += float64(k)
			bytes[i] += float64(n)
		}
		passed := float64(now-begin) / float64(time.Second)
		within := func(what string, got float64, rate, burst float64) {
			if rate > 0 && got > burst+rate*passed+1 {
				t.Fatalf("%+v: %s: %.0f within %.2f s", cfg, what, got, passed)
			}
		}
		sumM, sumB := 0.0, 0.0
		for i := range m {
			within("messages", messages[i], r.client.messages, r.client.messageBurst)
			within("bytes", bytes[i], r.client.bytes, r.client.byteBurst)
			sumM, sumB = sumM+messages[i], sumB+bytes[i]
		}
		within("messages of all", sumM, r.all.messages, r.all.messageBurst)
		within("bytes of all", sumB, r.all.bytes, r.all.byteBurst)
	}
}

// TestNoRatesNoMemory: a listener without rates has none, and its loops no meters.
func TestNoRatesNoMemory(t *testing.T) {
	c := limited(TCP, func(*ListenerConfig) {})
	if newRates(&c) != nil {
		t.Error("rates without limits")
	}
	if err := (&ListenerConfig{Protocol: "line", Transport: TCP, Address: "127.0.0.1:0", ByteBurst: 1, ClientMessageRate: -1}).check(); err == nil || !strings.Contains(err.Error(), "byte_burst") || !strings.Contains(err.Error(), "client_message_rate") {
		t.Errorf("validated as %v", err)
	}
}

// check is Validate for one listener.
func (c *ListenerConfig) check() error {
	cfg := DefaultConfig()
	cfg.Listeners["l"] = c
	return cfg.Validate("line")
}
