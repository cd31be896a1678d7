package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/core"
)

func put(id string, expect, epoch uint64) core.Op {
	return core.Op{Kind: core.OpPutSession, Session: id, Expect: expect, Record: &core.SessionRecord{ClientID: id, Epoch: epoch}}
}

func enqueue(id string, seq uint64, size int) core.Op {
	return core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: seq, QoS: 1,
		Msg: &core.Message{Topic: "t", ID: seq, Payload: make([]byte, size)}}}
}

func ack(id string, seq uint64) core.Op {
	return core.Op{Kind: core.OpAck, Session: id, Entry: core.QueuedMessage{Seq: seq}}
}

func retain(topic string, size int) core.Op {
	return core.Op{Kind: core.OpPutRetained, Msg: &core.Message{Topic: topic, Payload: make([]byte, size)}}
}

// send commits ops, again as long as the store refuses for a while; the channel gets what
// done said.
func send(t *testing.T, s core.Store, ops ...core.Op) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	for {
		err := s.Commit(&core.Batch{Ops: ops}, func(err error) { done <- err })
		if err == nil {
			return done
		}
		if errors.Is(err, sessions.ErrClaimed) || errors.Is(err, core.ErrStoreClosed) {
			done <- err
			return done
		}
		<-time.After(10 * time.Millisecond)
	}
}

// seqs are the numbers in the queue of id.
func seqs(t *testing.T, s core.Store, id string) (got []uint64) {
	t.Helper()
	for from := uint64(0); ; {
		es, err := s.Fetch(t.Context(), id, from, 100, 1<<20, nil)
		if errors.Is(err, errAway) || errors.Is(err, context.DeadlineExceeded) {
			<-time.After(10 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(es) == 0 {
			return got
		}
		for _, e := range es {
			if e.Msg == nil || e.Msg.ID != e.Seq {
				t.Fatalf("entry %d holds %+v", e.Seq, e.Msg)
			}
			got = append(got, e.Seq)
		}
		from = es[len(es)-1].Seq + 1
	}
}

// counter is a loader that counts.
type counter struct {
	sessions map[string]core.SessionRecord
	retained map[string]int
	delayed  int
}

func newCounter() *counter {
	return &counter{sessions: map[string]core.SessionRecord{}, retained: map[string]int{}}
}

func (c *counter) Session(r core.SessionRecord) error {
	c.sessions[r.ClientID] = r
	return nil
}
func (c *counter) Subscription(string, core.SubscriptionRecord) error { return nil }
func (c *counter) Retained(m *core.Message) error {
	c.retained[m.Topic] = len(m.Payload)
	return nil
}
func (c *counter) Delayed(core.DelayedRecord) error {
	c.delayed++
	return nil
}

// Whatever goes wrong with one call of the table, and whichever it is: every batch is
// confirmed, once and in order, and in the table once.
func TestUnknownFateAtEveryCall(t *testing.T) {
	for _, how := range []fault{away, unheard, late, robbed, hangs} {
		t.Run(string(how), func(t *testing.T) {
			for at, met := 1, true; met; at++ {
				synctest.Test(t, func(t *testing.T) { met = failAt(t, how, at, 1) })
			}
		})
	}
}

// The same with outages of three calls in a row.
func TestOutageAtEveryCall(t *testing.T) {
	for _, how := range []fault{away, unheard, late, hangs} {
		t.Run(string(how), func(t *testing.T) {
			for at, met := 1, true; met; at++ {
				synctest.Test(t, func(t *testing.T) { met = failAt(t, how, at, 3) })
			}
		})
	}
}

// failAt has calls at and following go wrong; met is false where there were not as many.
func failAt(t *testing.T, how fault, at, times int) (met bool) {
	v := newServer()
	v.plan = func(_ string, n int, _ []sessions.Write) fault {
		if n >= at && n < at+times {
			met = true
			return how
		}
		return works
	}
	s := open(t, v, "a")
	const n = 8
	var order []int
	for i := range n {
		ops := []core.Op{enqueue("c", uint64(i), 700*(i%2))}
		if i == 0 {
			ops = slices.Insert(ops, 0, put("c", 0, 1))
		}
		if i > 2 {
			ops = append(ops, ack("c", uint64(i-3)))
		}
		for {
			err := s.Commit(&core.Batch{Ops: ops}, func(err error) {
				if err != nil {
					t.Errorf("%s at call %d: batch %d: %v", how, at, i, err)
				}
				order = append(order, i)
			})
			if err == nil {
				break
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	if err := <-send(t, s, retain("last", 3)); err != nil {
		t.Errorf("%s at call %d: %v", how, at, err)
	}
	want := fmt.Sprint([]uint64{n - 3, n - 2, n - 1})
	if got := fmt.Sprint(seqs(t, s, "c")); got != want {
		t.Errorf("%s at call %d: the queue holds %s, want %s", how, at, got, want)
	}
	if got, all := fmt.Sprint(order), fmt.Sprint([]int{0, 1, 2, 3, 4, 5, 6, 7}); got != all {
		t.Errorf("%s at call %d: done came for %s", how, at, got)
	}
	if err := s.Health(); err != nil {
		t.Errorf("%s at call %d: Health: %v", how, at, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	v.plan = nil
	after := open(t, v, "b")
	defer after.Close()
	c := newCounter()
	if err := after.Load(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(seqs(t, after, "c")); got != want || c.sessions["c"].Queued != 3 || c.retained["last"] != 3 {
		t.Errorf("%s at call %d: after a start the queue holds %s, want %s; %+v", how, at, got, want, c)
	}
	if n, names := after.Faults(); n != 0 {
		t.Errorf("%s at call %d: %d faults: %q", how, at, n, names)
	}
	return met
}

// While the database is away Commit refuses with the reason, and Health tells it; then all
// goes on.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		s := open(t, v, "a")
		defer s.Close()
		if err := <-send(t, s, put("c", 0, 1)); err != nil {
			t.Fatal(err)
		}
		v.plan = func(string, int, []sessions.Write) fault { return away }
		done := send(t, s, enqueue("c", 0, 10))
		synctest.Wait()
		if err := s.Commit(&core.Batch{}, nil); !errors.Is(err, errAway) {
			t.Errorf("Commit while the database is away: %v", err)
		}
		if err := s.Health(); !errors.Is(err, errAway) {
			t.Errorf("Health: %v", err)
		}
		if _, err := s.Fetch(t.Context(), "c", 0, 1, 1, nil); !errors.Is(err, errAway) {
			t.Errorf("Fetch: %v", err)
		}
		time.Sleep(5 * time.Minute)
		v.mu.Lock()
		v.plan = nil
		v.mu.Unlock()
		if err := <-done; err != nil {
			t.Errorf("the batch of before: %v", err)
		}
		if err := errors.Join(s.Health(), <-send(t, s, enqueue("c", 1, 10))); err != nil {
			t.Error(err)
		}
		if got := seqs(t, s, "c"); len(got) != 2 {
			t.Errorf("the queue holds %v", got)
		}
	})
}

// A store that is closed while the database is away ends, and answers all.
func TestCloseWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		s := open(t, v, "a")
		<-send(t, s, put("c", 0, 1))
		v.plan = func(string, int, []sessions.Write) fault { return hangs }
		var dones []<-chan error
		for i := range uint64(1000) { // more than one transaction
			dones = append(dones, send(t, s, enqueue("c", i, 10)))
		}
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("Close took %s", took)
		}
		for i, done := range dones {
			if err := <-done; !errors.Is(err, core.ErrStoreClosed) {
				t.Fatalf("batch %d: %v", i, err)
			}
		}
	})
}

// A database that is away at the start is waited for; one that stays away is an error that
// says why.
func TestOpenWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		v.plan = func(_ string, n int, _ []sessions.Write) fault {
			if n < 5 {
				return away
			}
			return works
		}
		open(t, v, "a").Close()
		v.plan = func(string, int, []sessions.Write) fault { return away }
		if _, err := sessions.Open(t.Context(), v.connect(), options("b")); !errors.Is(err, errAway) {
			t.Errorf("Open: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := sessions.Open(ctx, v.connect(), options("b")); !errors.Is(err, errAway) || time.Since(began) > 2*time.Second {
			t.Errorf("Open: %v after %s", err, time.Since(began))
		}
	})
}
