package protocols

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveTimers is the wheel's oracle: every timer looked at every tick.
type naiveTimers struct {
	last, period map[uint32]uint32
	now          uint32
}

func (n *naiveTimers) advance(now uint32) []uint32 {
	var fired []uint32
	n.now = now
	for slot, period := range n.period {
		if now-n.last[slot] >= period {
			fired = append(fired, slot)
			n.last[slot] = now
		}
	}
	slices.Sort(fired)
	return fired
}

func TestWheelAgreesWithOracle(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		const slots = 200
		w := &wheel{}
		w.grow(slots)
		n := &naiveTimers{last: map[uint32]uint32{}, period: map[uint32]uint32{}}
		for step := range 2500 {
			slot := r.Uint32N(slots)
			switch r.IntN(5) {
			case 0:
				period := r.Uint32N(3000)
				w.set(slot, period)
				delete(n.period, slot)
				if period > 0 {
					n.period[slot], n.last[slot] = period, n.now
				}
			case 1:
				if n.period[slot] > 0 {
					w.touch(slot)
					n.last[slot] = n.now
				}
			case 2:
				n.now += r.Uint32N(5)
				w.clock = n.now
			default:
				now := n.now + r.Uint32N(20)
				if r.IntN(100) == 0 {
					now += r.Uint32N(3 * wheelSize)
				}
				got := slices.Sorted(slices.Values(w.advance(now)))
				if want := n.advance(now); !slices.Equal(got, want) {
					t.Fatalf("seed %d, step %d, tick %d: fired %v, want %v", seed, step, now, got, want)
				}
				checkNext(t, w, n)
			}
		}
	}
}

// checkNext: sleeping until next never oversleeps a timer.
func checkNext(t *testing.T, w *wheel, n *naiveTimers) {
	t.Helper()
	ticks, ok := w.next()
	if w.now != n.now {
		t.Fatalf("wheel at %d, oracle at %d", w.now, n.now)
	}
	if ok != (len(n.period) > 0) {
		t.Fatalf("next found %v with %d timers", ok, len(n.period))
	}
	for slot, period := range n.period {
		if due := n.last[slot] + period; due < n.now+ticks {
			t.Fatalf("next is %d ticks away, but slot %d is due in %d", ticks, slot, due-n.now)
		}
	}
}

func TestWheelNextWhenEmpty(t *testing.T) {
	w := &wheel{}
	w.grow(1)
	if ticks, ok := w.next(); ok {
		t.Fatalf("an empty wheel has something in %d ticks", ticks)
	}
	w.set(0, 10)
	w.set(0, 0)
	if _, ok := w.next(); ok {
		t.Fatal("a stopped timer is still in the wheel")
	}
}

func BenchmarkWheelTouch(b *testing.B) {
	w := &wheel{}
	w.grow(1 << 20)
	for i := range uint32(1 << 20) {
		w.set(i, 900)
	}
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		w.touch(i & (1<<20 - 1))
		i += 7919
	}
}

// A clock that is read a little earlier than the last, as on the way from one loop to
// another, has nobody seem idle.
func TestWheelClockBehind(t *testing.T) {
	var w wheel
	w.grow(2)
	w.advance(10)
	w.set(0, 900)
	w.set(1, 900)
	w.clock = 11
	w.touch(0)
	w.advance(11)
	if fired := w.advance(10); len(fired) != 0 {
		t.Errorf("%v fired", fired)
	}
	if fired := w.advance(911); len(fired) != 2 {
		t.Errorf("%v fired, want both", fired)
	}
}
