package hashes

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestMakerIsBounded: who finds no slot waits for one, and gets no hash when nobody waits
// any more.
func TestMakerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMaker(nil)
		if n := cap(m.slots); n < 1 || n > maxSlots {
			t.Fatalf("%d slots", n)
		}
		for range cap(m.slots) {
			m.slots <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if hash, err := m.Make(ctx, cheap(), nil); hash != nil || !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%x, %v after %v", hash, err, time.Since(began))
		}
		time.AfterFunc(time.Minute, func() { <-m.slots })
		if hash, err := m.Make(t.Context(), cheap(), nil); err != nil || !bytes.Equal(hash, alone(t, cheap(), "")) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("%x, %v after %v", hash, err, time.Since(began))
		}
		if n := len(m.slots); n != cap(m.slots)-1 {
			t.Errorf("%d slots are taken; it has not given its own back", n)
		}
		for range 20 {
			if hash, err := m.Make(ctx, cheap(), nil); hash != nil || !errors.Is(err, ErrBusy) {
				t.Fatalf("a slot is free, but nobody waits: %x, %v", hash, err)
			}
		}
	})
}

// TestNobodyWaits: where a worker fails for whose hash nobody waits any more, this process
// is not held up by it.
func TestNobodyWaits(t *testing.T) {
	w := withWorkers(t)
	begin := w.begin
	ctx, cancel := context.WithCancel(t.Context())
	w.begin = func() (*worker, error) {
		k, err := begin()
		if err == nil {
			k.in = whenAsked{k.in, func() {
				cancel()
				k.kill()
			}}
		}
		return k, err
	}
	if hash, err := w.make(ctx, usual(), nil); hash != nil || !errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("%x, %v", hash, err)
	}
	wantStats(t, w, 0, 0, 1)
}
