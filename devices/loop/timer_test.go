package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// TestTimersAgainstList holds the heap against a list that is searched.
func TestTimersAgainstList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h timers
	all := make([]Timer, 300)
	want := map[*Timer]int64{}
	now := int64(0)
	for range 20_000 {
		timer := &all[rng.IntN(len(all))]
		switch rng.IntN(4) {
		case 0, 1:
			at := now + rng.Int64N(1000)
			h.set(timer, at)
			want[timer] = at
		case 2:
			_, in := want[timer]
			if h.stop(timer) != in {
				t.Fatal("stop tells wrongly")
			}
			delete(want, timer)
		case 3:
			now += rng.Int64N(20)
			last := int64(0)
			for due := h.due(now); due != nil; due = h.due(now) {
				at, in := want[due]
				if !in || at > now || at < last {
					t.Fatalf("fired at %d after %d for %d (%v)", now, last, at, in)
				}
				last = at
				delete(want, due)
			}
			for _, at := range want {
				if at <= now {
					t.Fatalf("%d did not fire at %d", at, now)
				}
			}
		}
		if timer.Set() != (want[timer] != 0) && want[timer] != 0 {
			t.Fatal("Set tells wrongly")
		}
		if at, ok := h.next(); ok != (len(want) > 0) || ok && at != least(want) {
			t.Fatalf("next %d %v of %d", at, ok, len(want))
		}
	}
	if size := unsafe.Sizeof(Timer{}) + unsafe.Sizeof(appointment{}); size > 64 {
		t.Errorf("a timer takes %d bytes", size)
	}
}

func least(m map[*Timer]int64) int64 {
	var all []int64
	for _, at := range m {
		all = append(all, at)
	}
	return slices.Min(all)
}

// TestTimersInTheLoop: with the false clock of a bubble, a portable loop is exact.
func TestTimersInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, Options{Portable: true})
		began := time.Now()
		var fired []time.Duration
		var each, moved, stopped, last Timer
		done := make(chan struct{})
		do(t, l, func() {
			l.After(&each, time.Second, func(now int64) {
				fired = append(fired, time.Since(began))
				if now != l.Now() {
					t.Error("the time told is not the turn's")
				}
				l.After(&each, time.Second, nil) // keeps its function
			})
			l.After(&moved, time.Hour, func(int64) { fired = append(fired, -time.Since(began)) })
			l.After(&moved, 1500*time.Millisecond, nil)
			l.After(&stopped, time.Second, func(int64) { t.Error("a stopped timer fires") })
			if !l.Stop(&stopped) || l.Stop(&stopped) {
				t.Error("Stop tells wrongly")
			}
			l.After(&last, 3500*time.Millisecond, func(int64) { close(done) })
		})
		<-done
		want := []time.Duration{time.Second, -1500 * time.Millisecond, 2 * time.Second, 3 * time.Second}
		if !slices.Equal(fired, want) {
			t.Errorf("fired at %v, want %v", fired, want)
		}
	})
}

// TestLateTimersStarveNobody: a timer that is always due leaves the loop its turns.
func TestLateTimersStarveNobody(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		var timer Timer
		do(t, l, func() { l.After(&timer, 0, func(int64) { l.After(&timer, 0, nil) }) })
		for range 10 {
			do(t, l, func() {})
		}
		do(t, l, func() { l.Stop(&timer) })
	})
}

func BenchmarkTimers(b *testing.B) {
	var h timers
	all := make([]Timer, 300_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range all {
		h.set(&all[i], rng.Int64N(1<<30))
	}
	b.ReportAllocs()
	now := int64(0)
	for b.Loop() {
		now, _ = h.next()
		t := h.due(now)
		h.set(t, now+rng.Int64N(1<<30))
	}
}
