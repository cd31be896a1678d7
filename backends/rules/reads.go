package rules

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// reads is what a pool reads for subscriptions: unread and retained messages.
type reads struct {
	pool  *pool
	rules []*planned // that read
	acks  []*planned // of message.acked

	clients atomic.Int64 // how many have an entry in of
	mu      sync.Mutex
	of      map[string]*reader
	feeds   int
	ready   []*feed
	some    chan struct{} // holds one when a feed is ready
}

// reader is one client for whom something is read, or under way.
type reader struct {
	id       string
	away     bool
	feeds    []*feed
	underWay map[uint64]*offered
	held     map[string]*offered // of each topic the latest acknowledged that came by itself
}

// feed is one subscription that is read for.
type feed struct {
	reader *reader
	rule   *planned
	event  core.Event
	behind uint64 // what was written up to this number can be read
	after  string
	before string
	since  int64
	order  map[string][]*offered // of each topic, as they were read, from the first on that is not settled
	count  int                   // how many there are
	pause  time.Duration
	timer  *time.Timer
	state  feedState
	again  bool // of no subscription: what waits in the queue since before the start
}

type feedState uint8

const (
	waiting  feedState = iota // for what is written, the database, or the client
	isReady                   // in ready
	running                   // a goroutine reads
	finished                  // nothing is left to read; some may be under way
	ended                     // the subscription is gone
)

// offered is one message on its way to a client.
type offered struct {
	feed    *feed
	id      uint64
	msg     core.Message // without its payload
	msgID   string
	settled bool // acknowledged, or nobody will
}

// offeredMark tells IDs of messages that were read from those that were published: also
// after a restart, when nobody knows any more which message it was.
const offeredMark = 1 << 63

const (
	pauseForClient = 200 * time.Millisecond // unless an acknowledgement comes before
	pauseWhileAway = 30 * time.Second       // unless the client comes back before
	maxUnderWay    = 1000                   // messages of one subscription
	maxHeld        = 1000                   // topics of one client
)

func newReads(p *pool) *reads {
	r := &reads{pool: p, of: map[string]*reader{}, some: make(chan struct{}, 1)}
	for _, rule := range p.rules {
		switch {
		case rule.work.kind == fetches || rule.work.kind == retains:
			r.rules = append(r.rules, rule)
		case rule.Hook == MessageAcked:
			r.acks = append(r.acks, rule)
		}
	}
	return r
}

// wanted adds the events that reading needs.
func (r *reads) wanted(kinds core.EventKind, filters []string) (core.EventKind, []string) {
	if len(r.rules) > 0 {
		kinds |= core.EventSubscribed | core.EventUnsubscribed | core.EventConnected | core.EventDisconnected |
			core.EventSessionEnded | core.EventDropped | core.EventAcked | core.EventRestored
	}
	return kinds, filters
}

// see takes notice of what concerns reading.
func (r *reads) see(e *core.Event) {
	switch e.Kind {
	case core.EventSubscribed:
		r.subscribed(e)
		return
	case core.EventRestored:
		r.restored(e)
		return
	}
	if r.clients.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of[e.ClientID]
	if c == nil {
		return
	}
	switch e.Kind {
	case core.EventUnsubscribed:
		for _, f := range c.feeds {
			switch {
			case f.again:
				r.uncovered(f, e.Topic)
			case f.event.Filter == e.Filter && f.event.Proxy == e.Proxy:
				r.end(f)
			}
		}
		r.tidy(c)
	case core.EventDisconnected:
		c.away = true
	case core.EventConnected:
		c.away = false
		r.wake(c)
	case core.EventSessionEnded:
		r.forget(c)
	case core.EventDropped:
		r.dropped(c, e)
	}
}

// subscribed begins to read for a subscription.
func (r *reads) subscribed(e *core.Event) {
	for _, rule := range r.rules {
		if !rule.wants(e) || !rule.reads(e) {
			continue
		}
		f := &feed{rule: rule, event: *e, before: MessageIDAfter(e.Before), behind: r.pool.writing.latest()}
		if rule.TimeRange > 0 {
			f.since = e.Time - rule.TimeRange.Milliseconds()
		}
		if !r.begin(f) {
			rule.dropped.Add(1)
			r.pool.engine.log.Warn("too many subscriptions are read for at once; what is stored for one is not read", "pool", r.pool.name, "client_id", e.ClientID, "filter", e.Filter)
		}
	}
}

// reads says whether something is to be read for a subscription.
func (p *planned) reads(e *core.Event) bool {
	if p.work.kind == retains {
		return e.Retained
	}
	shared := e.Filter != "" && isShared(e.Filter)
	return e.Fresh && e.QoS > 0 && !shared
}

// Reads implements core.Reader for what has cursors.
func (s others) Reads(e *core.Event) bool {
	for _, rule := range s.reads.rules {
		if rule.work.kind == fetches && rule.Function != OnMessageFetchQueue && rule.wants(e) && rule.reads(e) {
			return true
		}
	}
	return false
}

func isShared(filter string) bool {
	s, err := topic.ParseSubscription(filter, topic.Limits{Length: topic.MaxLength})
	return err == nil && s.Shared()
}

// begin adds a feed. What was published before is written first.
func (r *reads) begin(f *feed) bool {
	r.mu.Lock()
	if r.feeds >= r.pool.engine.cfg.Feeds {
		r.mu.Unlock()
		return false
	}
	c := r.readerOf(f.event.ClientID)
	for _, old := range c.feeds { // the same subscription anew
		if old.rule == f.rule && !old.again && old.event.Filter == f.event.Filter && old.event.Proxy == f.event.Proxy {
			r.end(old)
		}
	}
	f.reader = c
	c.feeds = append(c.feeds, f)
	r.feeds++
	r.mu.Unlock()
	r.afterWriting(f)
	return true
}

// readerOf gives a client's, made on demand. With the lock held.
func (r *reads) readerOf(clientID string) *reader {
	c := r.of[clientID]
	if c == nil {
		c = &reader{id: clientID, underWay: map[uint64]*offered{}}
		r.of[c.id] = c
		r.clients.Add(1)
	}
	return c
}

// afterWriting makes f ready once what was queued before it is written.
func (r *reads) afterWriting(f *feed) {
	r.pool.barriers.add(f.behind, func() {
		if r.pool.writing.reached() < f.behind && !r.isEnded(f) {
			r.afterWriting(f)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.makeReady(f)
	})
}

func (r *reads) isEnded(f *feed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f.state == ended || r.pool.engine.ending.Load()
}

// makeReady has a goroutine go on with f. With the lock held.
func (r *reads) makeReady(f *feed) {
	if f.state != waiting {
		return
	}
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	f.state = isReady
	r.ready = append(r.ready, f)
	r.signal()
}

func (r *reads) signal() {
	select {
	case r.some <- struct{}{}:
	default:
	}
}

// wake goes on with all that waits for the client. With the lock held.
func (r *reads) wake(c *reader) {
	for _, f := range c.feeds {
		if f.timer != nil {
			r.makeReady(f)
		}
	}
}

// later goes on with f after d. With the lock held.
func (r *reads) later(f *feed, d time.Duration) {
	if f.state != running {
		return
	}
	f.state = waiting
	if f.reader.away {
		d = pauseWhileAway
	}
	f.timer = time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if f.timer != nil {
			r.makeReady(f)
		}
	})
}

// end gives up a feed. Its cursors stay where they are; what a queue has given may still
// be acknowledged. With the lock held; tidy follows.
func (r *reads) end(f *feed) {
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	f.state = ended
	for id, o := range f.reader.underWay {
		if o.feed == f && f.rule.Function != OnMessageFetchQueue {
			delete(f.reader.underWay, id)
		}
	}
}

// tidy removes what is over, and lets cursors follow that were held. With the lock held.
func (r *reads) tidy(c *reader) {
	kept := c.feeds[:0]
	for _, f := range c.feeds {
		if f.state == ended || f.state == finished && f.count == 0 {
			r.feeds--
			continue
		}
		kept = append(kept, f)
	}
	clear(c.feeds[len(kept):])
	c.feeds = kept
	var sc scratch
	for name, o := range c.held {
		if !c.holds(name) {
			delete(c.held, name)
			r.moveCursor(c, o, &sc)
		}
	}
	if len(c.feeds) == 0 && len(c.underWay) == 0 && r.of[c.id] == c {
		delete(r.of, c.id)
		r.clients.Add(-1)
	}
}

// holds says whether the client may have unread messages of a topic, before which no
// cursor may go.
func (c *reader) holds(name string) bool {
	for _, f := range c.feeds {
		switch {
		case f.rule.work.kind != fetches || f.state == ended:
		case f.again && len(f.order[name]) > 0, !f.again && topic.Match(f.event.Topic, name):
			return true
		}
	}
	return false
}

// forget ends all of a client whose session is over: cursors stay where they are.
func (r *reads) forget(c *reader) {
	for _, f := range c.feeds {
		if f.timer != nil {
			f.timer.Stop()
			f.timer = nil
		}
		f.state = ended
	}
	r.feeds -= len(c.feeds)
	c.feeds, c.held = nil, nil
	clear(c.underWay)
	delete(r.of, c.id)
	r.clients.Add(-1)
}

// run reads until ctx ends.
func (r *reads) run(ctx context.Context, wg *sync.WaitGroup) {
	if len(r.rules) == 0 {
		return
	}
	for range r.pool.engine.cfg.Readers {
		wg.Go(func() {
			for {
				f := r.next(ctx)
				if f == nil {
					return
				}
				r.step(ctx, f)
			}
		})
	}
}

// next waits for a feed that is ready; nil at the end.
func (r *reads) next(ctx context.Context) *feed {
	for {
		r.mu.Lock()
		if len(r.ready) > 0 {
			f := r.ready[0]
			r.ready[0] = nil
			if r.ready = r.ready[1:]; len(r.ready) == 0 {
				r.ready = nil
			} else {
				r.signal()
			}
			live := f.state == isReady
			if live {
				f.state = running
			}
			r.mu.Unlock()
			if live {
				return f
			}
			continue
		}
		r.mu.Unlock()
		select {
		case <-r.some:
		case <-ctx.Done():
			return nil
		}
	}
}
