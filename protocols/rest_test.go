package protocols

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// TestRests: who takes more than its share of a processor is not read from until it is
// made up for. Nothing of it is lost, its keep alive is not held against it meanwhile,
// and others are served at once.
func TestRests(t *testing.T) {
	share := func(c *ListenerConfig) { c.ClientProcessorShare, c.ClientProcessorBurst = 2, time.Millisecond }
	everyEdge(t, share, func(t *testing.T, h *harness) {
		c, other := h.dial(), h.dial()
		other.say("hello\n")
		other.hears("welcome\n")
		begin := time.Now()
		c.say("hello\ntimer 300ms\ncost 41ms\nsoon\nlater\n") // 40 ms too much: nobody rests for longer than a second
		c.hears("welcome\n")
		other.say("me too\n")
		other.hears("me too\n")
		if n := h.server.Listeners()["l"].Stats().Throttled; n != 1 {
			t.Errorf("another client was served when %d rested", n)
		}
		if r := await(t, h.gateway.refusals, "a record"); r.Reason != core.MessageRateTooHigh || !strings.Contains(r.Detail, "client_processor_share") {
			t.Errorf("explained as %+v", r)
		}
		c.say("last\n")
		c.hears("soon\nlater\nlast\n")
		if d := time.Since(begin); d < 600*time.Millisecond {
			t.Errorf("it rested for %s only", d)
		}
		s := h.server.Listeners()["l"].Stats()
		if s.Rests == 0 || s.Rests > s.Throttles || s.Rested < 600*time.Millisecond || s.Throttled != 0 {
			t.Errorf("counters %+v", s)
		}
	})
}

// TestWhoRestsCanLeave: a client that rests ends like any other, and is counted out.
func TestWhoRestsCanLeave(t *testing.T) {
	share := func(c *ListenerConfig) { c.ClientProcessorShare = 1 }
	everyEdge(t, share, func(t *testing.T, h *harness) {
		for range 2 {
			c := h.dial()
			c.say("hello\ncost 50ms\nnever read\n")
			c.hears("welcome\n")
			await(t, h.gateway.refusals, "a record")
			c.Close()
		}
		c := h.dial()
		c.say("hello\ncost 50ms\n")
		c.hears("welcome\n")
		await(t, h.gateway.refusals, "a record")
		if err := h.drainSoon(); err != nil {
			t.Error(err)
		}
		if s := c.hearsEnd(); s != "stop server_shutting_down\n" && h.server.listeners["l"].cfg.Transport != QUIC {
			t.Errorf("it heard %q at its end", s)
		}
		await(t, h.server.tally.whenIdle(), "the end of all connections")
		if r := h.server.Listeners()["l"].rates; r.throttled.Load() != 0 {
			t.Errorf("left: %d throttled", r.throttled.Load())
		}
	})
}

// TestSharesOfTimeAgreeWithArithmetic: over any time a client takes no more than its
// burst, its share, and what it was begun with when that was used up.
func TestSharesOfTimeAgreeWithArithmetic(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		share, most := 1+rnd.IntN(100), time.Duration(1+rnd.IntN(3000))*time.Microsecond
		cfg := ListenerConfig{ClientProcessorShare: share, ClientProcessorBurst: time.Duration(rnd.IntN(5)) * time.Millisecond}
		r := newRates(&cfg)
		var m meter
		begin := time.Unix(1000, 0).UnixNano()
		now, taken := begin, time.Duration(0)
		for range 500 {
			if v := r.judge(&m, now); v == rests {
				due := r.due(&m, v, now, 0)
				if wait := time.Duration(due - now); wait < leastRest || wait > longRest {
					t.Fatalf("%+v: a rest of %s", cfg, wait)
				}
				if now = due; r.turn(&m, now) != mayRead {
					t.Fatalf("%+v: tired after its rest: %+v", cfg, m)
				}
			}
			took := time.Duration(rnd.Int64N(int64(most)))
			r.takeTime(&m, took, 0)
			taken += took
			now += int64(took)
		}
		passed := time.Duration(now - begin)
		if bound := time.Duration(r.client.timeBurst) + passed*time.Duration(share)/100 + most; taken > bound {
			t.Fatalf("%+v: took %s of %s, allowed are %s", cfg, taken, passed, bound)
		}
	}
}

// TestLongestRest: a debt that nobody could make up for in time is forgotten.
func TestLongestRest(t *testing.T) {
	r := newRates(&ListenerConfig{ClientProcessorShare: 1})
	m := meter{}
	now := time.Unix(1000, 0).UnixNano()
	r.judge(&m, now)
	r.takeTime(&m, time.Minute, 1)
	v := r.judge(&m, now)
	due := r.due(&m, v, now, 0)
	if rest := time.Duration(due - now).Truncate(time.Millisecond); v != rests || rest != longRest {
		t.Errorf("verdict %d, a rest of %s", v, rest)
	}
	if v := r.turn(&m, due); v != mayRead {
		t.Errorf("still tired by %v", m.time)
	}
}

func TestProcessorShareIsValidated(t *testing.T) {
	err := (&ListenerConfig{Protocol: "line", Transport: TCP, Address: "127.0.0.1:0", ClientProcessorBurst: 2 * time.Second}).check()
	if err == nil || !strings.Contains(err.Error(), "must be between 0 and 1s") || !strings.Contains(err.Error(), "does nothing without client_processor_share") {
		t.Errorf("validated as %v", err)
	}
	err = (&ListenerConfig{Protocol: "line", Transport: TCP, Address: "127.0.0.1:0", ClientProcessorShare: 101}).check()
	if err == nil || !strings.Contains(err.Error(), "client_processor_share = 101") {
		t.Errorf("validated as %v", err)
	}
}

// TestRestsByTheClock: a rest is as long as the share says, again and again; what others say meanwhile is answered at once, and whoever is idle has rested.
func TestRestsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := serveGiven(t, "simnet", &ListenerConfig{ClientProcessorShare: 10})
		greedy, polite := g.dial(), g.dial()
		for _, c := range []*client{greedy, polite} {
			c.say("hello\ntimer 100ms\n")
			c.hears("welcome\n")
		}
		time.Sleep(50 * time.Millisecond)
		const burst = 200 * time.Microsecond // 10 % of 2 ms
		owed := -burst
		for i := range 3 {
			begin := time.Now()
			greedy.say("cost 10.2ms\n")
			synctest.Wait()
			owed += 10200*time.Microsecond + readTime
			greedy.say("rested\n")
			for range 5 {
				polite.say("hi\n")
				polite.hears("hi\n")
				if d := time.Since(begin); d > 0 {
					t.Fatalf("round %d: the polite client waited for %s", i, d)
				}
			}
			stop := make(chan struct{})
			polite.say("timer 10m\n")
			go func() { greedy.hears("rested\n"); close(stop) }()
			<-stop
			if rest := time.Since(begin); rest < 10*owed || rest > 10*owed+leastRest {
				t.Errorf("round %d: a rest of %s, owed were %s", i, rest, owed)
			}
			time.Sleep(50 * time.Millisecond)
			owed = -burst
		}
		// Of each round a long one, and the shortest for the line behind it if need be.
		if s := g.server.Listeners()["l"].Stats(); s.Rests < 3 || s.Rests > 6 || s.Throttled != 0 || s.Rested < 300*time.Millisecond || s.Rested > 306*time.Millisecond {
			t.Errorf("counters %+v", s)
		}
		polite.say("bye\n")
		polite.hears("bye\n")
		greedy.say("bye\n")
		greedy.hears("bye\n")
	})
}
