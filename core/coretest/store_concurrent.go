package coretest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
)

// caseBusy commits faster than any disk writes until the store says so, and
// finds that everything it took was kept.
func caseBusy(b *bench) {
	b.session("c")
	const enough = 20_000
	payload := message(0, 16<<10)
	var failed, finished atomic.Int64
	taken, busy := uint64(0), false
	for range enough {
		m := *plain(payload)
		one := &core.Message{Topic: m.Topic, Payload: payload.Payload, ID: taken, QoS: 1}
		err := b.store.Commit(&core.Batch{Ops: []core.Op{enqueue("c", taken, one)}}, func(err error) {
			finished.Add(1)
			if err != nil {
				failed.Add(1)
			}
		})
		if errors.Is(err, core.ErrStoreBusy) {
			busy = true
			break
		}
		if err != nil {
			b.Fatalf("Commit: %v", err)
		}
		taken++
	}
	if !busy {
		b.Logf("%d batches of 16 KiB in a row did not make the store busy", enough)
	}
	b.stop()
	if n := finished.Load(); n != int64(taken) || failed.Load() != 0 {
		b.Fatalf("%d of %d dones were called, %d failed", n, taken, failed.Load())
	}
	b.store = b.open(b.T, b.dir)
	d, err := readAll(b.store)
	if err != nil {
		b.Fatal(err)
	}
	if n := uint64(len(d.sessions["c"].queue)); n != taken {
		b.Fatalf("%d entries are left of %d", n, taken)
	}
}

// caseClose: what was taken is answered before Close returns, and nothing works
// after it.
func caseClose(b *bench) {
	b.session("c")
	var answered atomic.Int64
	for i := range uint64(100) {
		if err := b.store.Commit(&core.Batch{Ops: []core.Op{enqueue("c", i, message(int(i), 100))}}, func(err error) {
			if err == nil {
				answered.Add(1)
			}
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := b.store.Close(); err != nil {
		b.Fatalf("Close: %v", err)
	}
	if n := answered.Load(); n != 100 {
		b.Fatalf("%d of 100 batches were confirmed before Close returned", n)
	}
	called := false
	if err := b.store.Commit(&core.Batch{}, func(error) { called = true }); !errors.Is(err, core.ErrStoreClosed) {
		b.Errorf("Commit after Close: %v", err)
	}
	if called {
		b.Error("done was called for a batch that was refused")
	}
	if _, err := b.store.Fetch(context.Background(), "c", 0, 1, 1, nil); err == nil {
		b.Error("Fetch after Close succeeded")
	}
	if err := b.store.Health(); err == nil {
		b.Error("a closed store says that it is healthy")
	}
	b.store.Stats()
	if err := b.store.Close(); err != nil {
		b.Errorf("the second Close: %v", err)
	}
	b.store = nil
}

func caseStats(b *bench) {
	stats := func(sessions, queued, retained int64) {
		b.Helper()
		s := b.store.Stats()
		if s.Sessions != sessions || s.Queued != queued || s.Retained != retained {
			b.Fatalf("Stats: %d sessions, %d queued, %d retained; want %d, %d, %d", s.Sessions, s.Queued, s.Retained, sessions, queued, retained)
		}
	}
	if b.store.Stats().Engine == "" {
		b.Error("the engine has no name")
	}
	b.session("a")
	b.session("b")
	b.do(enqueue("a", 0, message(1, 10)), enqueue("a", 1, message(2, 10)), enqueue("b", 0, message(1, 10)), retain(message(1, 1)), retain(message(2, 1)))
	stats(2, 3, 2)
	b.do(ack("a", 1), ack("a", 1), ack("a", 50), retain(message(2, 5)), unretain("none"))
	stats(2, 2, 2)
	b.do(putSession("c", 9, 10)) // fails
	s := b.store.Stats()
	if s.Failed != 1 || s.Batches != 4 || s.Commits < 1 || s.Commits > s.Batches {
		b.Errorf("Stats: %d commits, %d batches, %d failed; want at most 4, 4, 1", s.Commits, s.Batches, s.Failed)
	}
	b.do(deleteSession("a"), unretain(message(1, 1).Topic))
	stats(1, 1, 1)
	b.reopen()
	stats(1, 1, 1)
}

// caseConcurrent has goroutines commit for sessions of their own.
func caseConcurrent(b *bench) {
	const workers, rounds = 16, 60
	models := make([]*model, workers)
	var wg sync.WaitGroup
	for w := range workers {
		models[w] = newModel()
		wg.Go(func() {
			if err := work(b.store, models[w], fmt.Sprintf("w%d", w), rounds); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	for _, m := range models {
		for id, s := range m.sessions {
			b.model.sessions[id] = s
		}
	}
	b.reopen()
}

// work commits rounds of batches for the session id, the model beside it.
func work(s core.Store, m *model, id string, rounds int) error {
	errs := make(chan error, 1)
	commit := func(ops ...core.Op) error {
		batch := &core.Batch{Ops: ops}
		if err := m.apply(batch); err != nil {
			return err
		}
		for {
			err := s.Commit(batch, func(err error) { errs <- err })
			if errors.Is(err, core.ErrStoreBusy) {
				runtime.Gosched()
				continue
			}
			if err != nil {
				return err
			}
			return <-errs
		}
	}
	if err := commit(putSession(id, 0, 1)); err != nil {
		return err
	}
	for i := range uint64(rounds) {
		if err := commit(enqueue(id, i, message(int(i), 50)), subscribe(id, fmt.Sprint("f/", i%5), uint8(i%3))); err != nil {
			return err
		}
		if i%3 == 0 {
			if err := commit(ack(id, i/2), received(id, uint16(i), true)); err != nil {
				return err
			}
		}
		if _, err := s.Fetch(context.Background(), id, 0, 4, 1<<20, nil); err != nil {
			return err
		}
	}
	return nil
}

// caseFetchConcurrent reads a queue while it is filled at one end and emptied at
// the other: each reading is a run without repeats, and an entry whose done was
// called is there until its ack was given.
func caseFetchConcurrent(b *bench) {
	const rounds = 300
	for _, id := range []string{"c", "d"} {
		b.session(id)
	}
	var confirmed, acked atomic.Uint64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fillAndEmpty(b, rounds, &confirmed, &acked)
	}()
	for {
		select {
		case <-ended:
			return
		default:
		}
		high := confirmed.Load()
		got := b.queue("c", 0, 1000, 1<<30)
		low := acked.Load()
		have := map[uint64]bool{}
		for i := range got {
			if i > 0 && got[i].Seq <= got[i-1].Seq {
				b.Fatalf("entry %d follows %d", got[i].Seq, got[i-1].Seq)
			}
			if got[i].Msg == nil || got[i].Msg.ID != got[i].Seq {
				b.Fatalf("entry %d has the wrong message: %s", got[i].Seq, describeEntry(got[i]))
			}
			have[got[i].Seq] = true
		}
		for seq := low; seq < high; seq++ {
			if !have[seq] {
				b.Fatalf("entry %d was confirmed, not acknowledged, and is missing", seq)
			}
		}
	}
}

// fillAndEmpty puts rounds messages into the queues of c and d and acknowledges
// each ten later. confirmed counts what is in for sure, acked what may be out.
func fillAndEmpty(b *bench, rounds uint64, confirmed, acked *atomic.Uint64) {
	done := make(chan error, 1)
	commit := func(ops ...core.Op) bool {
		err := b.store.Commit(&core.Batch{Ops: ops}, func(err error) { done <- err })
		if err == nil {
			err = <-done
		}
		if err != nil {
			b.Errorf("Commit: %v", err)
		}
		return err == nil
	}
	for i := range rounds {
		m := message(int(i), 600)
		if !commit(enqueue("c", i, m), enqueue("d", i, m)) {
			return
		}
		confirmed.Store(i + 1)
		if i >= 10 {
			acked.Store(i - 10 + 1)
			if !commit(ack("c", i-10), ack("d", i-10)) {
				return
			}
		}
	}
}
