package loop

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// drainLine takes all that comes out, with the time of each byte.
func drainLine(q *line) (all []byte, at []int64) {
	for {
		now, ok := q.next()
		if !ok {
			return all, at
		}
		b := q.due(now)
		all = append(all, b...)
		for range b {
			at = append(at, now)
		}
	}
}

func TestLineKeepsOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		q := line{latency: rng.Int64N(50) * ms, jitter: rng.Int64N(50) * ms}
		if rng.IntN(2) == 0 {
			q.bandwidth = 1 + rng.IntN(100_000)
		}
		want := pattern(rng.IntN(3000))
		var got []byte
		now, sent := int64(0), 0
		for sent < len(want) {
			n := 1 + rng.IntN(min(len(want)-sent, 300))
			q.push(now, want[sent:sent+n], rng)
			sent += n
			if rng.IntN(3) == 0 {
				now += rng.Int64N(100 * ms)
				got = append(got, q.due(now)...)
			}
			if q.size() != sent-len(got) {
				t.Fatalf("size %d, want %d", q.size(), sent-len(got))
			}
		}
		rest, _ := drainLine(&q)
		if got = append(got, rest...); !bytes.Equal(got, want) {
			t.Fatalf("%d of %d bytes, or in another order", len(got), len(want))
		}
	}
}

func TestLineLatencyAndJitter(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	q := line{latency: 100 * ms, jitter: 40 * ms}
	const count = 2000
	var sum int64
	for i := range int64(count) {
		now := i * 1000 * ms // so far apart that none waits for another
		q.push(now, []byte{1}, rng)
		at, _ := q.next()
		if late := at - now; late < 100*ms || late > 140*ms {
			t.Fatalf("%v late", time.Duration(late))
		}
		sum += at - now
		q.due(at)
	}
	// The mean of 2,000 even choices out of 40 ms is 20 ms; its deviation 0.26 ms.
	if mean := sum / count; mean < 118*ms || mean > 122*ms {
		t.Errorf("%v late in the mean", time.Duration(mean))
	}
}

func TestLineBandwidth(t *testing.T) {
	q := line{bandwidth: 10_000, latency: 5 * ms}
	b := pattern(25_000)
	q.push(0, b[:20_000], nil)
	q.push(1000*ms, b[20_000:], nil) // waits for those before
	all, at := drainLine(&q)
	if !bytes.Equal(all, b) {
		t.Fatal("the bytes differ")
	}
	for i, at := range at {
		// Byte i has left after i+1 bytes' time, and comes with those of its piece.
		earliest := int64(i+1)*int64(time.Second)/10_000 + 5*ms
		if at < earliest || at > earliest+int64(pieceTime) {
			t.Fatalf("byte %d comes at %v, not after %v", i, time.Duration(at), time.Duration(earliest))
		}
	}
	// What was saved while nothing was sent cannot be spent later.
	q.push(60_000*ms, b[:100], nil)
	if at, _ := q.next(); at != 60_000*ms+5*ms+10*ms {
		t.Errorf("after a pause: %v", time.Duration(at-60_000*ms))
	}
}

func TestLineGivesMemoryBack(t *testing.T) {
	var q line
	q.push(0, make([]byte, 1<<20), nil)
	q.due(0)
	if cap(q.bytes) > keepBuffer {
		t.Errorf("%d bytes kept", cap(q.bytes))
	}
	for i := range int64(10_000) { // never empty
		q.latency = 10
		q.push(i, make([]byte, 100), nil)
		q.due(i)
	}
	if cap(q.bytes) > 16<<10 {
		t.Errorf("%d bytes for 1,000 under way", cap(q.bytes))
	}
}

// TestPlan: cuts and rebinds follow the seed, with the means that were asked for.
func TestPlan(t *testing.T) {
	n := &Conditions{CutEvery: time.Minute, Rebind: time.Minute, HalfOpen: 0.25}
	const count = 4000
	var sum float64
	rebinds := 0
	for seed := range uint64(count) {
		s, again := newShaper(&networkSeed{n, seed}), newShaper(&networkSeed{n, seed})
		at := s.plan(7)
		if at != again.plan(7) || s.rebinds != again.rebinds {
			t.Fatal("the same seed plans another end")
		}
		sum += float64(at - 7)
		if s.rebinds {
			rebinds++
		}
	}
	// The earlier of two with a mean of a minute has one of 30 s; deviation 0.5 s.
	if mean := time.Duration(sum / count); mean < 28*time.Second || mean > 32*time.Second {
		t.Errorf("ends after %v in the mean", mean)
	}
	if rebinds < count*45/100 || rebinds > count*55/100 {
		t.Errorf("%d of %d are rebinds", rebinds, count)
	}
	quiet := newShaper(&networkSeed{&Conditions{Latency: 1}, 1})
	if at := quiet.plan(7); at != 0 {
		t.Errorf("an end at %d that nobody asked for", at)
	}
}

func TestZeroConditionsCostNothing(t *testing.T) {
	for _, n := range []*Conditions{nil, {}, {Loss: 0.5, Reorder: 0.5, HalfOpen: 1}} {
		if shaped(n) {
			t.Errorf("%+v shapes streams", n)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	q := line{latency: 20 * ms, jitter: 5 * ms}
	msg := make([]byte, 100)
	b.ReportAllocs()
	now := int64(0)
	for b.Loop() {
		now += ms / 10
		q.push(now, msg, rng)
		q.due(now)
	}
}
