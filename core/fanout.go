package core

import "sync"

const (
	// fanAbove is how many receivers a message may have before it is delivered in
	// slices of fanSlice, with others served in between.
	fanAbove = 2048
	fanSlice = 1024
	// fansMost bounds the messages on their way like that, by what they hold: some
	// 50 bytes a receiver. Further ones are delivered at once.
	fansMost = 64
)

// fan is a message on its way to very many. The turn that published it goes on with
// it at each Flush; whoever publishes for the same client finishes it first, so that
// nothing of one publisher overtakes.
type fan struct {
	m *Message

	mu   sync.Mutex // while delivering: session locks are taken under it
	rest []target
	next int  // those before it were delivered
	link Link // who waits for its end to publish on, if anybody
	over bool
}

// fans are those of all turns.
type fans struct {
	mu  sync.Mutex
	all []*fan // few; its length is looked at without the lock in Gateway.fanCount
}

// deliverTargets delivers m to what match found: to very many in slices. What the
// store has to keep is delivered at once, for the publisher's answer waits for it.
func (g *Gateway) deliverTargets(t *Turn, m *Message) {
	t.Count(Matched, uint64(len(t.targets)))
	t.Spend(len(t.targets))
	if g.fanCount.Load() > 0 {
		g.finishFans(t, m.Publisher)
	}
	if len(t.targets) > fanAbove {
		if f := g.newFan(m); f != nil {
			t.fan = f
			t.fans = append(t.fans, f)
			g.spread(t, f)
			return
		}
	}
	targets := t.targets
	for i := range targets {
		g.deliver(t, m, &targets[i])
		targets[i].session, targets[i].group, targets[i].subIDs = nil, nil, nil
	}
	t.targets = targets[:0]
}

// newFan enters a fan for m, or gives nil when there are too many.
func (g *Gateway) newFan(m *Message) *fan {
	g.fans.mu.Lock()
	defer g.fans.mu.Unlock()
	if len(g.fans.all) >= fansMost {
		return nil
	}
	f := &fan{m: m}
	g.fans.all = append(g.fans.all, f)
	g.fanCount.Store(int32(len(g.fans.all)))
	return f
}

// spread delivers the first slice and what must not wait, and leaves the rest to f.
func (g *Gateway) spread(t *Turn, f *fan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	targets := t.targets
	t.targets = nil // f's from now on
	f.rest = targets[:0]
	for i := range targets {
		if tg := &targets[i]; i < fanSlice || tg.group != nil || tg.flags&subDurable != 0 {
			g.deliver(t, f.m, tg)
			continue
		}
		f.rest = append(f.rest, targets[i])
	}
	clear(targets[len(f.rest):])
	if len(f.rest) == 0 {
		g.endFan(t, f)
	}
}

// fanOut delivers a slice of the oldest of t's fans. more says that something is left.
func (g *Gateway) fanOut(t *Turn) (more bool) {
	for len(t.fans) > 0 {
		f := t.fans[0]
		f.mu.Lock()
		if !f.over {
			g.deliverSome(t, f, fanSlice)
		}
		over, room := f.over, f.rest
		f.mu.Unlock()
		if !over {
			return true
		}
		if cap(room) > cap(t.targets) {
			t.targets = room[:0] // the next one like it needs it
		}
		t.fans[0] = nil
		if t.fans = t.fans[1:]; len(t.fans) == 0 {
			t.fans = nil
		}
	}
	return false
}

// deliverSome delivers at most n; with f's lock held.
func (g *Gateway) deliverSome(t *Turn, f *fan, n int) {
	for end := min(f.next+n, len(f.rest)); f.next < end; f.next++ {
		g.deliver(t, f.m, &f.rest[f.next])
		f.rest[f.next] = target{}
	}
	if f.next == len(f.rest) {
		g.endFan(t, f)
	}
}

// endFan forgets f and lets its publisher go on. With f's lock held.
func (g *Gateway) endFan(t *Turn, f *fan) {
	f.over = true
	g.fans.mu.Lock()
	for i, o := range g.fans.all {
		if o == f {
			g.fans.all = append(g.fans.all[:i], g.fans.all[i+1:]...)
			break
		}
	}
	g.fanCount.Store(int32(len(g.fans.all)))
	g.fans.mu.Unlock()
	s := f.link.Session
	if s == nil {
		return
	}
	s.mu.Lock()
	if f.link.live() {
		s.maybeReadable(t)
	}
	s.mu.Unlock()
}

// finishFans ends what is on its way of a publisher, before something new of it is
// delivered.
func (g *Gateway) finishFans(t *Turn, publisher string) {
	for {
		f := g.fanOf(publisher)
		if f == nil {
			return
		}
		f.mu.Lock()
		if !f.over {
			g.deliverSome(t, f, len(f.rest))
		}
		f.mu.Unlock()
	}
}

func (g *Gateway) fanOf(publisher string) *fan {
	g.fans.mu.Lock()
	defer g.fans.mu.Unlock()
	for _, f := range g.fans.all {
		if f.m.Publisher == publisher {
			return f
		}
	}
	return nil
}

// awaitFan stops l's connection from being read until what it just published has
// reached everyone, if that takes slices.
func (t *Turn) awaitFan(l Link) (pause bool) {
	f := t.fan
	if f == nil {
		return false
	}
	t.fan = nil
	s := l.Session
	if f.m.Publisher != s.id {
		return false // a Will, or one of the gateway's own
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.over || !l.live() {
		return false
	}
	f.link, s.paused = l, true
	return true
}
