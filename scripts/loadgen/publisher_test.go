package main

import (
	"slices"
	"testing"
)

func TestWindow(t *testing.T) {
	w := newWindow(2)
	first, second := w.enter(10, 2, 5), w.enter(11, 1, 6)
	if w.progress != 5 || len(w.free) != 0 {
		t.Fatalf("progress %d, free %v", w.progress, w.free)
	}
	steps := []struct {
		name     string
		slot     uint32
		sequence uint64
		want     bool
	}{
		{"one of two copies", first, 10, false},
		{"another message", second, 10, false},
		{"the only copy", second, 11, true},
		{"the only copy again", second, 11, false},
		{"no slot at all", noSlot, 10, false},
		{"the second copy", first, 10, true},
	}
	for _, s := range steps {
		if got := w.arrived(s.slot, s.sequence, 7); got != s.want {
			t.Errorf("%s: %v", s.name, got)
		}
	}
	if !w.empty() || w.progress != 7 {
		t.Errorf("empty %v, progress %d", w.empty(), w.progress)
	}
}

// What was given up must not free the slot of its successor.
func TestWindowReset(t *testing.T) {
	w := newWindow(1)
	w.enter(1, 1, 0)
	w.reset()
	slot := w.enter(2, 1, 0)
	if w.arrived(slot, 1, 0) || !w.arrived(slot, 2, 0) {
		t.Error("the slot belongs to the wrong message")
	}
}

func TestShare(t *testing.T) {
	var got []int
	for i := range 4 {
		got = append(got, share(10, 4, i))
	}
	if !slices.Equal(got, []int{3, 3, 2, 2}) {
		t.Errorf("shares %v", got)
	}
}

func TestPaceIsEven(t *testing.T) {
	p := pace{rate: 3, start: 100}
	for n, want := range []int64{100, 333_333_433, 666_666_766, 1_000_000_100} {
		if got := p.at(int64(n)); got != want {
			t.Errorf("message %d at %d, want %d", n, got, want)
		}
	}
	p = pace{rate: maxRate}
	if got := p.at(maxRate * 3600); got != 3600*1_000_000_000 {
		t.Errorf("after an hour at the highest rate: %d", got)
	}
}
