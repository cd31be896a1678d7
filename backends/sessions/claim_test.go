package sessions_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/core"
)

// Whoever claimed last keeps the table; the one before says so, and is over for good.
func TestClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		old := open(t, v, "the old one")
		defer old.Close()
		if err := errors.Join(<-send(t, old, put("c", 0, 1)), <-send(t, old, enqueue("c", 0, 10))); err != nil {
			t.Fatal(err)
		}
		fresh := open(t, v, "the new one")
		defer fresh.Close()
		if err := fresh.Load(t.Context(), newCounter()); err != nil {
			t.Fatal(err)
		}
		if err := <-send(t, fresh, enqueue("c", 1, 10)); err != nil {
			t.Fatal(err)
		}
		err := <-send(t, old, enqueue("c", 1, 700))
		if !errors.Is(err, sessions.ErrClaimed) || !strings.Contains(err.Error(), `"the new one"`) || !strings.Contains(err.Error(), "store.namespace") {
			t.Errorf("a write of the old one: %v", err)
		}
		for range 3 {
			time.Sleep(time.Minute)
			if err := old.Commit(&core.Batch{}, nil); !errors.Is(err, sessions.ErrClaimed) {
				t.Errorf("Commit: %v", err)
			}
			if err := old.Health(); !errors.Is(err, sessions.ErrClaimed) {
				t.Errorf("Health: %v", err)
			}
			if _, err := old.Fetch(t.Context(), "c", 0, 1, 1, nil); !errors.Is(err, sessions.ErrClaimed) {
				t.Errorf("Fetch: %v", err)
			}
		}
		if err := <-send(t, fresh, enqueue("c", 2, 10)); err != nil {
			t.Errorf("the new one: %v", err)
		}
		if got := fmt.Sprint(seqs(t, fresh, "c")); got != "[0 1 2]" {
			t.Errorf("the queue holds %s", got)
		}
	})
}

// A table that somebody emptied is nobody's to go on with.
func TestEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		s := open(t, v, "a")
		defer s.Close()
		<-send(t, s, put("c", 0, 1))
		v.memory.Edit(func(parts map[string]map[string][]byte) { clear(parts) })
		v.mu.Lock()
		v.plan = func(_ string, n int, _ []sessions.Write) fault {
			if n == v.calls {
				v.plan = nil
			}
			return away
		}
		v.mu.Unlock()
		if err := <-send(t, s, enqueue("c", 0, 10)); !errors.Is(err, sessions.ErrClaimed) || !strings.Contains(err.Error(), "deleted") {
			t.Errorf("done: %v", err)
		}
	})
}

// life is one gateway that enqueues for a session of its own until its store is over.
type life struct {
	id string
	s  *sessions.Store

	confirmed, sent uint64 // entries; written before ended is closed
	ended           chan struct{}
}

func (l *life) run(t *testing.T) {
	defer close(l.ended)
	if <-send(t, l.s, put(l.id, 0, 1)) != nil {
		return
	}
	for ; ; l.confirmed++ {
		l.sent++
		if err := <-send(t, l.s, enqueue(l.id, l.confirmed, int(l.confirmed%2)*600)); err != nil {
			if !errors.Is(err, sessions.ErrClaimed) && !errors.Is(err, core.ErrStoreClosed) {
				t.Errorf("entry %d of %s: %v", l.confirmed, l.id, err)
			}
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Gateways claim one table in turn while the ones before go on, and calls fail: what one
// finds at its start is what those before leave for ever, with all that was confirmed.
func TestClaimsInTurn(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { claimsInTurn(t, rand.New(rand.NewPCG(seed, 5))) })
		})
	}
}

func claimsInTurn(t *testing.T, rng *rand.Rand) {
	v := newServer()
	pauses := rand.New(rand.NewPCG(rng.Uint64(), 6)) // rng is the server's
	how := []fault{away, unheard, late, late, robbed, hangs}
	v.plan = func(string, int, []sessions.Write) fault {
		if rng.IntN(8) == 0 {
			return how[rng.IntN(len(how))]
		}
		return works
	}
	var lives []*life
	found := map[string]string{} // by the first gateway that came after
	compare := func(s core.Store) {
		for _, l := range lives {
			got := fmt.Sprint(seqs(t, s, l.id))
			if was, known := found[l.id]; known && was != got {
				t.Errorf("%s left %s, later it is %s", l.id, was, got)
			}
			found[l.id] = got
		}
	}
	start := func(id string) *life {
		l := &life{id: id, ended: make(chan struct{})}
		for l.s == nil { // it may fail, too
			l.s, _ = sessions.Open(t.Context(), v.connect(), options(id))
		}
		for l.s.Load(t.Context(), newCounter()) != nil {
			time.Sleep(time.Millisecond)
		}
		compare(l.s)
		return l
	}
	for i := range 6 {
		l := start(fmt.Sprint("gateway ", i))
		lives = append(lives, l)
		go l.run(t)
		time.Sleep(time.Duration(pauses.IntN(3000)) * time.Millisecond)
	}
	last := start("the last")
	defer last.s.Close()
	time.Sleep(10 * time.Minute) // until all who came before have found out
	for _, l := range lives {
		<-l.ended
		l.s.Close()
		n := uint64(len(strings.Fields(found[l.id])))
		if found[l.id] == "[]" {
			n = 0
		}
		if n < l.confirmed || n > l.sent {
			t.Errorf("%s left %d entries, %d were confirmed, %d sent", l.id, n, l.confirmed, l.sent)
		}
	}
	compare(last.s)
}
