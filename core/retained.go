package core

import (
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core/route"
)

// retainedStore holds the retained messages in memory; the Store holds them
// beyond it. Found by topic through route.Topics, whose values are slots here.
type retainedStore struct {
	mu    sync.RWMutex
	index *route.Topics
	slots []*Message
	free  []uint32

	retainedBounds
	bytes int // of all, as retainedSize counts
}

func (r *retainedStore) init(c *Config) {
	r.index = route.NewTopics()
	r.retainedBounds = retainedBounds{max: c.MaxRetained, maxBytes: c.MaxRetainedBytes, expiry: c.RetainedExpiry.Milliseconds()}
}

func (r *retainedStore) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.slots) - len(r.free)
}

// put sets m whatever the bounds say, or with an empty payload removes what is there. [MQTT-3.3.1-6]
func (r *retainedStore) put(m *Message) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.putLocked(m)
}

func (r *retainedStore) putLocked(m *Message) (changed bool) {
	if len(m.Payload) == 0 {
		i, ok := r.index.Delete(m.Topic)
		if ok {
			r.release(i)
		}
		return ok
	}
	if i, ok := r.index.Get(m.Topic); ok {
		r.bytes += sizeRetained(m) - sizeRetained(r.slots[i])
		r.slots[i] = m
		return true
	}
	r.bytes += sizeRetained(m)
	var i uint32
	if n := len(r.free); n > 0 {
		i = r.free[n-1]
		r.free = r.free[:n-1]
		r.slots[i] = m
	} else {
		i = uint32(len(r.slots))
		r.slots = append(r.slots, m)
	}
	r.index.Put(m.Topic, i)
	return true
}

// release frees a slot. With the lock held.
func (r *retainedStore) release(i uint32) {
	r.bytes -= sizeRetained(r.slots[i])
	r.slots[i] = nil
	r.free = append(r.free, i)
}

// scan looks at one slice of what is retained, from where cur stands, and gives at most
// max messages that filter matches, none after those that reach retainedSliceBytes.
func (r *retainedStore) scan(filter string, cur *route.Cursor, max int, dst []*Message) ([]*Message, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	room := retainedSliceBytes
	done := r.index.Scan(filter, cur, retainedSlice, func(_ string, v uint32) bool {
		if m := r.slots[v]; m != nil {
			dst = append(dst, m)
			room -= m.Size()
		}
		return room > 0 && len(dst) < max
	})
	return dst, done
}

// retain keeps m as the retained message of its topic. [MQTT-3.3.1-5]
func (g *Gateway) retain(t *Turn, m *Message) {
	if g.retainsElsewhere(m.Topic) {
		return
	}
	changed, fits := g.retained.offer(m)
	if !fits { // a Will, or others took the room since mayPublish looked
		t.counters.reason(RetainedLimit)
		g.record(t, RetainedLimit, m.Publisher, m)
	}
	if changed {
		g.keepRetained(t, m)
	}
}

// keepRetained has the store follow a change.
func (g *Gateway) keepRetained(t *Turn, m *Message) {
	t.Count(MessagesRetained, 1)
	if len(m.Topic) > 0 && m.Topic[0] == '$' {
		return // the gateway's own figures: made anew at each start
	}
	if len(m.Payload) == 0 {
		t.op(Op{Kind: OpDeleteRetained, Filter: m.Topic})
	} else {
		t.op(Op{Kind: OpPutRetained, Msg: m})
	}
}

// retainsElsewhere says that the retained message of name is not core's to keep.
func (g *Gateway) retainsElsewhere(name string) bool {
	return g.elsewhere != nil && g.elsewhere.OwnsRetained(name)
}

// retainedSlice and retainedSliceBytes are how much is fed of retained messages at
// once, and below how much that waits feeding goes on.
const (
	retainedSlice      = 128
	retainedSliceBytes = 256 << 10
)

// startRetained begins to give the new subscriptions their retained messages.
func (w *subscribing) startRetained(t *Turn) {
	g, s := w.g, w.link.Session
	if g.retained.len() == 0 {
		return
	}
	cursors := t.cursors
	defer func() { t.cursors = emptied(cursors, maxScratch) }()
	for i := range w.accept {
		a := &w.accept[i]
		if !a.wantsRetained() {
			continue
		}
		tg := target{session: s, subID: w.r.SubID, qos: a.qos, flags: a.flags() | g.mountFlags(s, string(a.parsed.Filter)) | subRetainAsPublished | subPaced, checked: uint32(a.version)}
		cursors = append(cursors, retainedCursor{filter: string(a.parsed.Filter), tg: tg})
	}
	if len(cursors) == 0 {
		return
	}
	s.mu.Lock()
	if !w.link.live() {
		s.mu.Unlock()
		return
	}
	more := s.rarely()
	for i := range cursors {
		more.replays.begin(cursors[i], s.feeding)
	}
	s.mu.Unlock()
	g.feedRetained(t, s)
}

// wantsRetained says whether retained messages are to be sent.
func (a *accepted) wantsRetained() bool {
	if a.parsed.Shared() { // [MQTT 4.8.2]: none for shared subscriptions
		return false
	}
	h := a.request.RetainHandling // [MQTT-3.3.1-10] [MQTT-3.3.1-11]
	return h == 0 || h == 1 && a.fresh
}

// feedSlices and feedTime are how many slices are looked through, and for how long, before
// others are served: many filters match little of what is retained, and a client may have
// many of them.
const (
	feedSlices = 8
	feedTime   = shareTime / 2
)

// feedRetained gives s retained messages while it takes them. What is left when
// others have to be served goes on when the connection is woken next.
func (g *Gateway) feedRetained(t *Turn, s *Session) {
	began := time.Now()
	for i := range feedSlices {
		if i > 0 && time.Since(began) > feedTime {
			break
		}
		c, ok := s.nextCursor()
		if !ok {
			return
		}
		var done bool
		t.found, done = g.retained.scan(c.filter, c.cur, retainedSlice, t.found[:0])
		t.Spend(retainedSlice)
		g.giveRetained(t, &c.tg)
		s.mu.Lock()
		s.feeding = false
		if s.more != nil && done {
			s.more.replays.done(c.cur)
			g.maybeAsleep(t, s)
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	if s.conn != nil && s.hungry() {
		s.wake(t)
	}
	s.mu.Unlock()
}

// hungry says that retained messages are left for s. With its lock held.
func (s *Session) hungry() bool { return s.more != nil && s.more.replays.any() }

// nextCursor gives the cursor to go on with, if the client has room, and marks the
// session so that one turn alone feeds it.
func (s *Session) nextCursor() (retainedCursor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feeding || !s.hungry() || !s.hasRoom() {
		return retainedCursor{}, false
	}
	s.feeding = true
	return s.more.replays.list[0], true
}

// giveRetained delivers what a scan found.
func (g *Gateway) giveRetained(t *Turn, tg *target) {
	for i, m := range t.found {
		t.found[i] = nil
		if g.retained.lapsed(m, t.now) {
			continue // it waits for its sweep
		}
		if tg.flags&subNoLocal != 0 && m.Publisher == tg.session.id {
			continue // [MQTT-3.8.3-3]
		}
		if tg.flags&subMounted != 0 && !g.below(tg, m) {
			continue
		}
		t.Count(RetainedMatched, 1)
		one := *tg
		g.deliver(t, m, &one)
	}
}

// sweepRetained removes expired retained messages, some at a time. [MQTT-3.3.2-5]
func (g *Gateway) sweepRetained(t *Turn, from *int) {
	r := &g.retained
	var dead []*Message
	r.mu.RLock()
	for n := 0; n < 4096 && *from < len(r.slots); n++ {
		if m := r.slots[*from]; m != nil && r.lapsed(m, t.now) {
			dead = append(dead, m)
		}
		*from++
	}
	if *from >= len(r.slots) {
		*from = 0
	}
	r.mu.RUnlock()
	for _, m := range dead {
		g.forgetRetained(t, m)
	}
}

// forgetRetained removes m if it is still what its topic retains.
func (g *Gateway) forgetRetained(t *Turn, m *Message) {
	r := &g.retained
	r.mu.Lock()
	i, ok := r.index.Get(m.Topic)
	if ok = ok && r.slots[i] == m; ok {
		r.index.Delete(m.Topic)
		r.release(i)
	}
	r.mu.Unlock()
	if ok {
		t.op(Op{Kind: OpDeleteRetained, Filter: m.Topic})
		g.record(t, MessageExpired, "", m)
	}
}
