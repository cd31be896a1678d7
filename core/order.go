package core

import (
	"slices"
	"sync"
)

// order sees that what is decided of a session's record goes to the store as it was
// decided, whichever turns decide: they flush when they come to it. A delete that came
// behind the put of the next session would take that along, though its client was told.
// What else is decided of a session has no place in that line: where it comes behind the
// delete it is left out, or it would get into the record of the next session.
type order struct {
	mu   sync.Mutex
	last map[string]*ticket // by ClientID, of those with one that has not gone

	// handing is held while something is handed to the store, which does not block: by
	// itself for a delete, shared for all else.
	handing sync.RWMutex
}

// ticket is the place of one put or delete, or of a change of subscriptions: another
// connection may take the next one back. Guarded by order.mu.
type ticket struct {
	id     string
	before *ticket // nil for none, or once this one has gone
	gone   bool    // handed to the store
	next   *commit // waits for it
}

func (o *order) init() { o.last = make(map[string]*ticket) }

// take gives what is decided now its place. With the session's lock held, or before
// anyone can find it. Who takes it hands it over, or gives it back.
func (o *order) take(id string) *ticket {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := &ticket{id: id, before: o.last[id]}
	o.last[id] = k
	return k
}

// waits says whether something goes before c, which is handed over behind that then.
func (o *order) waits(c *commit) bool {
	k := c.tickets[0]
	if k == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if k.before == nil || k.before.gone {
		return false
	}
	k.before.next = c
	return true
}

// went says that k was handed over, or never will be, and gives what waited for it.
func (o *order) went(k *ticket) *commit {
	o.mu.Lock()
	defer o.mu.Unlock()
	k.gone, k.before = true, nil
	if o.last[k.id] == k {
		delete(o.last, k.id)
	}
	c := k.next
	k.next = nil
	return c
}

// handOver gives c to the store once its turn has come, and what waited for it.
func (t *Turn) handOver(c *commit) {
	if t.g.order.waits(c) {
		return
	}
	done, tickets := c.done, c.tickets
	taken, err := t.g.order.hand(t.g.store, c)
	if taken {
		t.Count(StoreBatches, 1)
	}
	if err != nil || !taken {
		done(err) // refused at once: nobody was acknowledged, everybody is told
	}
	for _, k := range tickets {
		t.pass(k)
	}
}

// hand gives c to the store; taken is false where that has nothing to do.
func (o *order) hand(store Store, c *commit) (taken bool, err error) {
	if ops := c.batch.Ops; len(ops) > 0 && ops[0].Kind == OpDeleteSession { // it stands first
		o.handing.Lock()
		defer o.handing.Unlock()
		s := ops[0].of
		err = store.Commit(&c.batch, c.done)
		s.erased = true // over it is, whatever the store says
		return true, err
	}
	o.handing.RLock()
	defer o.handing.RUnlock()
	c.leaveOut()
	if len(c.batch.Ops) == 0 { // only peers are waited for, or nobody
		return false, nil
	}
	return true, store.Commit(&c.batch, c.done)
}

// leaveOut takes out what is about a session that the store was told to forget.
func (c *commit) leaveOut() {
	ops := c.batch.Ops
	for i := range ops {
		if s := ops[i].of; s != nil && s.erased {
			c.batch.Ops = slices.DeleteFunc(ops, func(o Op) bool { return o.of != nil && o.of.erased })
			return
		}
	}
}

// giveBack says that ops will not be handed over.
func (t *Turn) giveBack(ops []Op) {
	for i := range ops {
		t.pass(ops[i].ticket)
	}
}

// pass ends the wait of what comes after k.
func (t *Turn) pass(k *ticket) {
	if k == nil {
		return
	}
	if c := t.g.order.went(k); c != nil {
		t.handOver(c)
	}
}
