package main

import (
	"math/rand/v2"
	"testing"
)

// delivery is one message as it comes to a receiver.
type delivery struct {
	receiver, publisher int
	sequence            uint64
}

func TestLedgerFindsFaults(t *testing.T) {
	fanin := &options{mode: modeFanin, pubs: 2, subs: 1}
	fanout := &options{mode: modeFanout, pubs: 1, subs: 2}
	pairs := &options{mode: modePairs, pubs: 2, subs: 2}
	shared := &options{mode: modeShared, pubs: 1, subs: 2}
	tests := []struct {
		name      string
		options   *options
		published []int
		come      []delivery
		want      faults
	}{
		{"all is well", fanin, []int{2, 1}, []delivery{{0, 0, 0}, {0, 1, 0}, {0, 0, 1}}, faults{}},
		{"one is lost", fanin, []int{2, 1}, []delivery{{0, 0, 0}, {0, 0, 1}}, faults{Lost: 1}},
		{"one comes twice", fanin, []int{2, 0}, []delivery{{0, 0, 0}, {0, 0, 1}, {0, 0, 0}}, faults{Duplicates: 1}},
		{"two are swapped", fanin, []int{3, 0}, []delivery{{0, 0, 1}, {0, 0, 0}, {0, 0, 2}}, faults{OutOfOrder: 1}},
		{"never published", fanin, []int{1, 0}, []delivery{{0, 0, 0}, {0, 0, 1}, {0, 7, 0}}, faults{Strays: 2}},
		{"one receiver misses one", fanout, []int{2}, []delivery{{0, 0, 0}, {1, 0, 0}, {1, 0, 1}}, faults{Lost: 1}},
		{"each receiver has its own", fanout, []int{1}, []delivery{{0, 0, 0}, {1, 0, 0}}, faults{}},
		{"the wrong pair", pairs, []int{1, 1}, []delivery{{0, 0, 0}, {0, 1, 0}}, faults{Lost: 1, Strays: 1}},
		{"a group shares", shared, []int{4}, []delivery{{0, 0, 0}, {1, 0, 1}, {1, 0, 3}, {0, 0, 2}}, faults{}},
		{"two of a group have it", shared, []int{1}, []delivery{{0, 0, 0}, {1, 0, 0}}, faults{Duplicates: 1}},
		{"a member's order", shared, []int{3}, []delivery{{0, 0, 2}, {0, 0, 0}, {1, 0, 1}}, faults{OutOfOrder: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(newPlan(tt.options, 1))
			for p, n := range tt.published {
				for range n {
					l.publish(p)
				}
			}
			for _, d := range tt.come {
				l.deliver(d.receiver, d.publisher, d.sequence)
			}
			if got := l.close(); got != tt.want {
				t.Errorf("faults %+v, want %+v", got, tt.want)
			}
		})
	}
}

// The stream must agree with a plain set as long as nothing comes later than reach.
func TestStreamAgreesWithASet(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var s stream
		seen := map[uint64]bool{}
		highest := uint64(0)
		for range 5000 {
			n := highest - min(highest, random.Uint64N(reach-1)) + random.Uint64N(3)*random.Uint64N(3*reach/2)*random.Uint64N(2)
			if got := s.take(n); got == seen[n] {
				t.Fatalf("seed %d: take(%d) = %v, highest %d", seed, n, got, highest)
			}
			seen[n] = true
			highest = max(highest, n)
			if s.holes != holesBelow(seen, s.base) {
				t.Fatalf("seed %d: %d holes below %d", seed, s.holes, s.base)
			}
			if highest > 50_000 {
				break
			}
		}
	}
}

func holesBelow(seen map[uint64]bool, base uint64) uint64 {
	holes := base
	for n := range seen {
		if n < base {
			holes--
		}
	}
	return holes
}

// What comes after a gap of more than reach is late, not doubled; once the gap is full, it is doubled.
func TestStreamBeyondReach(t *testing.T) {
	var s stream
	s.take(0)
	s.take(2 * reach)
	if s.holes != reach {
		t.Fatalf("%d holes, want %d", s.holes, reach)
	}
	for n := range uint64(reach) {
		if !s.take(1 + n) {
			t.Fatalf("late message %d is taken for a duplicate", 1+n)
		}
	}
	if s.take(0) {
		t.Error("a message comes again and is taken for new")
	}
}

func BenchmarkLedgerDeliver(b *testing.B) {
	l := newLedger(newPlan(&options{mode: modeFanin, pubs: 100, subs: 1}, 1))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.deliver(0, i%100, l.publish(i%100))
	}
}
