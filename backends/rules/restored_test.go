package rules_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// killed ends the gateway as kill -9 does, of what was handed to its store the first kept
// batches being there, and starts another one on what is left.
func (w *world) killed(kept int, list []rules.Rule) *world {
	w.t.Helper()
	store := w.Store.Kill(kept)
	w.stop()
	w.Gateway.Stop()
	return startOn(w.t, store, w.db, list, nil)
}

// unread has n messages of topic t wait in the database for s, and gives s as it subscribes
// with a session that lasts.
func (w *world) unread(n int, qos uint8) *coretest.Client {
	w.t.Helper()
	p := w.Connect("p", nil)
	w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
	for i := range n {
		p.Publish(pub("t", fmt.Sprint(i), qos, uint16(i+1)))
	}
	s := w.Connect("s", durable)
	s.Subscribe(2, "t")
	synctest.Wait()
	return s
}

// An acknowledgement of what was offered before the gateway was killed moves the cursor as
// any other: nothing comes twice.
func TestOfferedBeforeKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		s := w.unread(4, 1)
		w.ack(s, w.gets(s, "t=0 q1, t=1 q1, t=2 q1, t=3 q1")[0])
		w = w.killed(0, nil)
		s = w.Connect("s", durable)
		synctest.Wait()
		ids := w.gets(s, "t=1 q1, t=2 q1, t=3 q1")
		cursors := func(want int) {
			t.Helper()
			if n := strings.Count(w.did(), "on_message_acked s t"); n != want {
				t.Errorf("%d cursors moved, want %d", n, want)
			}
		}
		p := w.Connect("p", nil)
		p.Publish(pub("t", "live", 1, 1))
		ids = append(ids, w.gets(s, "t=live q1")...)
		w.ack(s, ids[3], ids[1])
		cursors(1) // one before them is not acknowledged
		w = w.killed(0, nil)
		s = w.Connect("s", durable)
		synctest.Wait()
		ids = w.gets(s, "t=1 q1, t=3 q1")
		w.ack(s, ids[0])
		cursors(2)
		w.ack(s, ids[1])
		cursors(3)
		w.gets(w.subscriber("s", 1, "t"), "t=live q1") // it was acknowledged before one that is older
	})
}

// What a QoS 2 receiver has said to have received moves the cursor, also where the gateway
// was killed before the database heard of it.
func TestReceivedBeforeKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		s := w.unread(3, 2)
		ids := w.gets(s, "t=0 q2, t=1 q2, t=2 q2")
		w.db.Away(errors.New("no"))
		s.Ack(core.AckReceived2, ids[0])
		s.Ack(core.AckReceived2, ids[1])
		synctest.Wait()
		w = w.killed(0, nil)
		w.db.Away(nil)
		s = w.Connect("s", durable)
		synctest.Wait()
		if got := show(s.Now()); got != "t=2 q2" {
			t.Error(got)
		}
		w.gets(w.subscriber("s", 2, "t"), "t=2 q2")
	})
}

// A message of a queue is taken out of it by an acknowledgement after the kill.
func TestQueueBeforeKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		list := []rules.Rule{
			{Hook: rules.MessagePublish, Topic: "t", Function: rules.OnMessagePublish},
			{Hook: rules.SessionSubscribed, Topic: "t", Function: rules.OnMessageFetchQueue},
			{Hook: rules.MessageAcked, Topic: "t", Function: rules.OnMessageAckedQueue},
		}
		w := start(t, nil, list, nil)
		s := w.unread(2, 1)
		w.gets(s, "t=0 q1, t=1 q1")
		w = w.killed(0, list)
		s = w.Connect("s", durable)
		synctest.Wait()
		w.ack(s, w.gets(s, "t=0 q1, t=1 q1")[1])
		w.gets(w.subscriber("u", 1, "t"), "t=0 q1")
	})
}

// Whose subscription has ended has no cursor any more, and gets none.
func TestUncoveredBeforeKill(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := start(t, nil, nil, nil)
				s := w.unread(2, 1)
				w.gets(s, "t=0 q1, t=1 q1")
				if when == "before" {
					s.Unsubscribe("t")
					synctest.Wait()
				}
				w = w.killed(0, nil)
				s = w.Connect("s", durable)
				synctest.Wait()
				ids := w.gets(s, "t=0 q1, t=1 q1")
				if when == "after" {
					s.Unsubscribe("t")
					synctest.Wait()
				}
				w.ack(s, ids...)
				if n := strings.Count(w.did(), "on_message_acked s t"); n != 0 {
					t.Errorf("%d cursors moved", n)
				}
			})
		})
	}
}

// Where one that was offered was dropped for want of room, nothing moves the cursor past it.
func TestSkippedBeforeKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		s := w.unread(3, 1)
		d := s.Now()
		w.Gateway.Drop(w.T, s.Result.Link, d[1], core.OutgoingFull)
		w.T.End()
		w = w.killed(0, nil)
		s = w.Connect("s", durable)
		synctest.Wait()
		w.ack(s, w.gets(s, "t=0 q1, t=2 q1")...)
		w.gets(w.subscriber("s", 1, "t"), "t=0 q1, t=1 q1, t=2 q1")
	})
}

// What the gateway's store did not take is offered again, in order.
func TestOfferNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, func(o *rules.Options) { o.Config.Page = 2 })
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		for i := range 5 {
			p.Publish(pub("t", fmt.Sprint(i), 1, uint16(i+1)))
		}
		s := w.Connect("s", durable)
		w.db.Away(errors.New("no"))
		s.Subscribe(2, "t")
		synctest.Wait()
		w.Store.Fail(core.ErrStoreFull)
		w.db.Away(nil)
		w.minute()
		w.gets(s, "")
		w.Store.Fail(nil)
		w.minute()
		w.gets(s, "t=0 q1, t=1 q1, t=2 q1, t=3 q1, t=4 q1")
	})
}

// What was not read yet when the gateway was killed is not skipped, whatever comes by the
// subscription itself and is acknowledged: the next new subscription reads it.
func TestUnreadBeforeKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const unread = 3000
		w := start(t, nil, nil, nil)
		s := w.unread(unread, 1)
		seen := map[string]int{}
		takes := func() {
			for ds := s.Now(); len(ds) > 0; ds = s.Now() {
				for _, d := range ds {
					seen[string(d.Msg.Payload)]++
					s.Ack(core.AckReceived1, d.PacketID)
				}
				synctest.Wait()
			}
		}
		for range 2 { // the mark outlives a second kill
			w = w.killed(0, nil)
			s = w.Connect("s", durable)
			synctest.Wait()
			takes()
			w.Connect("p", nil).Publish(pub("t", "live", 1, 1))
			synctest.Wait()
			takes()
		}
		if len(seen) > unread {
			t.Fatal("nothing was left unread")
		}
		s.Disconnect(core.NormalDisconnect)
		w.Connect("s", nil).Disconnect(core.NormalDisconnect) // that session is over
		s = w.Connect("s", durable)
		s.Subscribe(2, "t")
		synctest.Wait()
		takes()
		w.minute()
		takes()
		for i := range unread {
			if n := seen[fmt.Sprint(i)]; n != 1 {
				t.Fatalf("%d came %d times", i, n)
			}
		}
		// All is read: cursors move again, after a kill, too.
		w = w.killed(0, nil)
		s = w.Connect("s", durable)
		w.Connect("p", nil).Publish(pub("t", "last", 1, 1))
		synctest.Wait()
		takes()
		w.gets(w.subscriber("s", 1, "t"), "")
	})
}

// receiver is a client of QoS 2 that keeps to the specification over any number of
// connections.
type receiver struct {
	seen   map[string]int
	begun  map[uint16]bool // identifiers that it has received and that are not released
	answer func() bool     // whether it goes on
}

// take takes what has come, and answers it in order as long as answer says so.
func (r *receiver) take(c *coretest.Client) {
	going := true
	for more := true; more; {
		synctest.Wait()
		more = false
		for _, d := range c.Now() {
			more = true
			going = going && r.answer()
			switch d.Kind {
			case core.DeliverMessage:
				if !r.begun[d.PacketID] {
					r.seen[string(d.Msg.Payload)]++
					r.begun[d.PacketID] = true
				}
				if going {
					c.Ack(core.AckReceived2, d.PacketID)
				}
			case core.DeliverRelease:
				delete(r.begun, d.PacketID)
				if going {
					c.Ack(core.AckComplete, d.PacketID)
				}
			}
		}
	}
}

// Over kills at any moment each message of QoS 2 that a database has for a client comes
// once, whatever its session and subscriptions do in between.
func TestOfferedOnceOverKills(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { offeredOnceOverKills(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func offeredOnceOverKills(t *testing.T, rnd *rand.Rand) {
	w := start(t, nil, nil, nil)
	w.subscriber("s", 2, "t").Disconnect(core.NormalDisconnect)
	r, next := &receiver{seen: map[string]int{}}, 0
	for range 8 {
		p := w.Connect("p", nil)
		for range rnd.IntN(90) {
			p.Publish(pub("t", fmt.Sprint(next), 2, uint16(next%1000+1)))
			p.Ack(core.AckRelease, uint16(next%1000+1))
			next++
		}
		synctest.Wait()
		// All of the session before is over, and what it had begun.
		r.begun, r.answer = map[uint16]bool{}, func() bool { return rnd.IntN(30) > 0 }
		w.Connect("s", nil).Disconnect(core.NormalDisconnect)
		for kills := rnd.IntN(4); kills > 0; kills-- {
			s := w.Connect("s", durable)
			if !s.Result.SessionPresent {
				s.Subscribe(2, "t")
			}
			if rnd.IntN(2) == 0 {
				w.Store.Hold()
			}
			r.take(s)
			w = w.killed(rnd.IntN(w.Store.Held()+1), nil)
		}
		r.answer = func() bool { return true }
		s := w.Connect("s", durable)
		if !s.Result.SessionPresent {
			s.Subscribe(2, "t")
		}
		r.take(s)
	}
	w.Connect("s", nil).Disconnect(core.NormalDisconnect)
	r.begun = map[uint16]bool{}
	r.take(w.subscriber("s", 2, "t"))
	for i := range next {
		if n := r.seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("%d came %d times", i, n)
		}
	}
}
