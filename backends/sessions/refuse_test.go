package sessions_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/core"
)

// A batch that the database will never take fails alone: its neighbours in the transaction
// are kept, and so is what the store knows of its session.
func TestRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		v.most = 5000
		s := open(t, v, "a")
		if err := errors.Join(<-send(t, s, put("c", 0, 1)), <-send(t, s, enqueue("c", 0, 700)), <-send(t, s, enqueue("c", 1, 10))); err != nil {
			t.Fatal(err)
		}
		// What comes while the server is held up is one transaction, or two.
		v.mu.Lock()
		held := send(t, s, retain("hold", 1))
		dones := []<-chan error{
			send(t, s, enqueue("c", 2, 700)),
			send(t, s, put("c", 1, 2), ack("c", 0), ack("c", 1), enqueue("c", 3, 9000), put("d", 0, 1)), // too large
			send(t, s, put("d", 0, 5), enqueue("d", 0, 10)),                                             // would conflict, had d been made
			send(t, s, put("c", 1, 7), enqueue("c", 3, 20)),                                             // would conflict, had c changed
			send(t, s, retain("large", 9000)),
			send(t, s, ack("c", 2)),
		}
		v.mu.Unlock()
		if err := <-held; err != nil {
			t.Error(err)
		}
		for i, done := range dones {
			if err, bad := <-done, i == 1 || i == 4; errors.Is(err, sessions.ErrRefused) != bad || !bad && err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
		}
		want := func(s core.Store) {
			t.Helper()
			if got := fmt.Sprint(seqs(t, s, "c"), seqs(t, s, "d")); got != "[0 1 3] [0]" {
				t.Errorf("the queues hold %s", got)
			}
		}
		want(s)
		st := s.Stats()
		if st.Failed != 2 || st.Sessions != 2 || st.Queued != 4 || st.Retained != 1 || s.Health() != nil {
			t.Errorf("%+v, %v", st, s.Health())
		}
		if err := <-send(t, s, retain("small", 10)); err != nil {
			t.Error(err)
		}
		s.Close()
		again := open(t, v, "b")
		defer again.Close()
		c := newCounter()
		if err := again.Load(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want(again)
		if c.sessions["c"].Epoch != 7 || c.sessions["d"].Epoch != 5 || len(c.retained) != 2 {
			t.Errorf("%+v", c)
		}
	})
}

// What never fits is refused each time, and costs nobody else anything.
func TestRefusedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newServer()
		v.most = 5000
		s := open(t, v, "a")
		defer s.Close()
		<-send(t, s, put("c", 0, 1))
		for i := range uint64(100) {
			v.mu.Lock()
			large, small := send(t, s, enqueue("c", i, 9000)), send(t, s, enqueue("c", i, 10))
			v.mu.Unlock()
			if err := <-large; !errors.Is(err, sessions.ErrRefused) {
				t.Fatalf("the large one: %v", err)
			}
			if err := <-small; err != nil {
				t.Fatal(err)
			}
		}
		if got := seqs(t, s, "c"); len(got) != 100 || v.size("b") != 0 {
			t.Errorf("%d entries, %d bodies", len(got), v.size("b"))
		}
	})
}

// When everything is acknowledged and every session deleted, nothing is left of them: whole
// parts went.
func TestNothingIsLeft(t *testing.T) {
	v := newServer()
	s := open(t, v, "a")
	defer s.Close()
	const n = 3000
	var dones []<-chan error
	for _, id := range []string{"acked", "backwards", "deleted"} {
		dones = append(dones, send(t, s, put(id, 0, 1)))
		for i := range uint64(n) {
			dones = append(dones, send(t, s, enqueue(id, i, int(i%3)*300)))
		}
	}
	for i := range uint64(n) {
		dones = append(dones, send(t, s, ack("acked", i)), send(t, s, ack("backwards", n-1-i)))
	}
	for _, done := range dones {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if queue, bodies := v.size("Q"), v.size("b"); queue != n || bodies != n/3 {
		t.Errorf("%d entries and %d bodies are left of one queue of %d and %d", queue, bodies, n, n/3)
	}
	for _, id := range []string{"acked", "backwards", "deleted"} {
		if err := <-send(t, s, core.Op{Kind: core.OpDeleteSession, Session: id}); err != nil {
			t.Fatal(err)
		}
	}
	if left := v.size("SQb"); left != 0 {
		t.Errorf("%d records are left of no session", left)
	}
}

// Damaged records are reported and counted, and not served; the rest goes on.
func TestDamage(t *testing.T) {
	v := newServer()
	s := open(t, v, "a")
	ops := []core.Op{put("c", 0, 1), retain("good", 10), retain("bad", 10)}
	for i := range uint64(6) {
		ops = append(ops, enqueue("c", i, 10))
	}
	ops = append(ops, enqueue("c", 6, 700), enqueue("c", 7, 800), enqueue("c", 8, 10))
	if err := <-send(t, s, ops...); err != nil {
		t.Fatal(err)
	}
	s.Close()
	damage(v, "Q", 2)
	damage(v, "t", 1)
	damage(v, "b", 1)
	s = open(t, v, "b")
	defer s.Close()
	c := newCounter()
	if err := s.Load(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := seqs(t, s, "c"); len(got) != 6 || len(c.retained) != 1 {
		t.Errorf("%d entries of 9 are served, %d retained", len(got), len(c.retained))
	}
	if err := <-send(t, s, enqueue("c", 9, 10)); err != nil { // behind what Fetch takes out
		t.Fatal(err)
	}
	if n, names := s.Faults(); n != 4 || s.Stats().Damaged != 4 || !strings.Contains(fmt.Sprint(names), "queue entry") {
		t.Errorf("%d faults: %q", n, names)
	}
	if st := s.Stats(); st.Queued != 7 {
		t.Errorf("%d are queued", st.Queued)
	}
}

// damage flips a bit in the first n values of the parts of a family.
func damage(v *server, family string, n int) {
	v.memory.Edit(func(parts map[string]map[string][]byte) {
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			if part[:1] != family {
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(parts[part])) {
				if n--; n < 0 {
					return
				}
				bad := slices.Clone(parts[part][key])
				bad[len(bad)-1] ^= 1
				parts[part][key] = bad
			}
		}
	})
}

// A table that an earlier program wrote is gone on with, and the earlier one keeps out from
// then on.
func TestEarlierFormat(t *testing.T) {
	v := newServer()
	s := open(t, v, "a")
	<-send(t, s, put("c", 0, 1))
	s.Close()
	first := sessions.FirstStamp()
	v.memory.Edit(func(parts map[string]map[string][]byte) {
		for key := range parts["m"] {
			parts["m"][key] = first
		}
	})
	s = open(t, v, "b")
	defer s.Close()
	if err := s.Load(t.Context(), newCounter()); err != nil || s.Stats().Sessions != 1 {
		t.Errorf("%d sessions, %v", s.Stats().Sessions, err)
	}
	v.memory.Edit(func(parts map[string]map[string][]byte) {
		for _, stamp := range parts["m"] {
			if stamp[image.Envelope] == first[image.Envelope] {
				t.Error("the stamp has the earlier format still")
			}
		}
	})
}

// A table that a later program wrote is left alone.
func TestLaterFormat(t *testing.T) {
	v := newServer()
	s := open(t, v, "a")
	<-send(t, s, put("c", 0, 1))
	s.Close()
	v.memory.Edit(func(parts map[string]map[string][]byte) {
		for key := range parts["m"] {
			parts["m"][key] = sessions.LaterStamp()
		}
	})
	if _, err := sessions.Open(t.Context(), v.connect(), options("b")); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("Open: %v", err)
	}
	if v.size("m") != 1 {
		t.Error("its stamp is gone")
	}
}
