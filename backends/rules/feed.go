package rules

import (
	"context"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// step reads one page for f and offers it to the client.
func (r *reads) step(ctx context.Context, f *feed) {
	cfg := &r.pool.engine.cfg
	call, cancel := context.WithTimeout(ctx, cfg.Timeout)
	page, err := r.read(call, f)
	cancel()
	if err != nil {
		r.failed(f, err)
		return
	}
	r.pool.trouble.answered(r.pool)
	if len(page) == 0 {
		if f.rule.work.kind == fetches && !r.isEnded(f) { // else there may be another of its filter
			r.pool.engine.turn(func(g *core.Gateway, t *core.Turn) { g.AllOffered(t, r.pool.name, &f.event) })
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if f.state == running {
			f.state = finished
		}
		r.tidy(f.reader)
		return
	}
	ms, os := r.register(f, page)
	taken, open := 0, false
	kept := make(chan error, 1)
	r.pool.engine.turn(func(g *core.Gateway, t *core.Turn) {
		taken, open = g.Offer(t, &f.event, ms, f.rule.work.kind == retains, func(err error) { kept <- err })
	})
	// What is offered next must not be stored where this is not: after a restart nobody
	// would know of the gap.
	select {
	case err := <-kept:
		if err == nil {
			f.rule.read.Add(uint64(taken))
			r.settle(f, page, os, taken, open)
			return
		}
		r.notKept(f, os)
	case <-ctx.Done():
	}
}

// notKept offers a page again later, which the gateway's store did not take.
func (r *reads) notKept(f *feed, os []*offered) {
	cfg := &r.pool.engine.cfg
	f.pause = min(max(2*f.pause, cfg.RetryMin), cfg.RetryMax)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range os {
		f.remove(o)
	}
	r.later(f, f.pause)
	r.tidy(f.reader)
}

func (r *reads) read(ctx context.Context, f *feed) ([]Message, error) {
	q := &Query{ClientID: f.event.ClientID, Filter: f.event.Topic, QoS: f.event.QoS, After: f.after, Max: r.pool.engine.cfg.Page,
		Newest: f.rule.MaxReturned, Since: f.since, Before: f.before}
	if f.rule.work.kind == retains {
		return r.pool.db.Retained(ctx, &f.rule.Rule, q)
	}
	return r.pool.db.Unread(ctx, &f.rule.Rule, q)
}

// failed tries again later, unless it never can.
func (r *reads) failed(f *feed, err error) {
	cfg := &r.pool.engine.cfg
	f.rule.failed.Add(1)
	if IsPermanent(err) {
		r.pool.engine.explain(core.StoreUnavailable, f.event.ClientID, "rule "+f.rule.name()+" of "+r.pool.name+": nothing is read for "+clip(f.event.Filter)+": "+err.Error())
		r.pool.engine.complain("a database refuses what a rule asks for", "pool", r.pool.name, "rule", f.rule.name(), "err", err)
		f.rule.dropped.Add(1)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.end(f)
		r.tidy(f.reader)
		return
	}
	r.pool.trouble.failed(r.pool, f.rule.name(), err)
	f.pause = min(max(2*f.pause, cfg.RetryMin), cfg.RetryMax)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.later(f, f.pause)
	r.tidy(f.reader) // the subscription may have ended meanwhile
}

// register makes messages of what was read, and notes them: an acknowledgement may come
// before Offer returns.
func (r *reads) register(f *feed, page []Message) (ms []*core.Message, os []*offered) {
	g := r.pool.engine.gateway
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range page {
		p := &page[i]
		m := &core.Message{Topic: p.Topic, Payload: p.Payload, Publisher: p.Sender, ID: g.NewMessageID() | offeredMark,
			Published: p.Arrived, Expires: p.Expires, QoS: min(p.QoS, 2), Retain: f.rule.work.kind == retains,
			Stored: &core.StoredName{Sink: r.pool.name, ID: p.MsgID}}
		ms, os = append(ms, m), append(os, r.underWay(f, m))
	}
	return ms, os
}

// underWay notes a message of f that is on its way to its client, behind those that are.
// With the lock held.
func (r *reads) underWay(f *feed, m *core.Message) *offered {
	o := &offered{feed: f, id: m.ID, msgID: m.Stored.ID}
	o.msg.Topic, o.msg.Publisher, o.msg.ID, o.msg.Published, o.msg.Expires, o.msg.QoS = m.Topic, m.Publisher, m.ID, m.Published, m.Expires, m.QoS
	if r.of[f.reader.id] == f.reader {
		f.reader.underWay[o.id] = o
	}
	if f.order == nil {
		f.order = map[string][]*offered{}
	}
	f.order[m.Topic] = append(f.order[m.Topic], o)
	f.count++
	return o
}

// settle goes on after a page was offered.
func (r *reads) settle(f *feed, page []Message, os []*offered, taken int, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range os[taken:] {
		f.remove(o)
	}
	if taken > 0 {
		f.after = page[taken-1].Cursor
	}
	var sc scratch
	for _, o := range os[:taken] {
		if min(o.msg.QoS, f.event.QoS) == 0 { // nobody acknowledges it
			r.settled(o, &sc)
		}
	}
	f.pause = 0
	switch {
	case !open:
		r.end(f)
	case taken < len(page), f.count > maxUnderWay:
		r.later(f, pauseForClient)
	case f.state == running:
		f.state = waiting
		r.makeReady(f)
	}
	r.tidy(f.reader)
}

// remove takes away what the client had no room for.
func (f *feed) remove(o *offered) {
	delete(f.reader.underWay, o.id)
	list := f.order[o.msg.Topic]
	if i := slices.Index(list, o); i >= 0 {
		f.setOrder(o.msg.Topic, slices.Delete(list, i, i+1), 1)
	}
}

// setOrder notes the list of a topic, from which n were taken.
func (f *feed) setOrder(name string, list []*offered, n int) {
	f.count -= n
	if len(list) == 0 {
		delete(f.order, name)
		return
	}
	f.order[name] = list
}

// settled moves the cursor of o's topic, if nothing before it is under way. With the lock
// held.
func (r *reads) settled(o *offered, sc *scratch) {
	f, name := o.feed, o.msg.Topic
	delete(f.reader.underWay, o.id)
	o.settled = true
	list, now, n := f.order[name], time.Now().UnixMilli(), 0
	for ; n < len(list) && (list[n].settled || list[n].msg.Expired(now)); n++ {
		delete(f.reader.underWay, list[n].id)
	}
	if n == 0 {
		return
	}
	if f.rule.work.kind == fetches {
		r.moveCursor(f.reader, list[n-1], sc)
	}
	f.setOrder(name, list[n:], n)
}

// moveCursor has the cursors of a client follow. With the lock held.
func (r *reads) moveCursor(c *reader, o *offered, sc *scratch) {
	e := core.Event{Kind: core.EventAcked, Time: time.Now().UnixMilli(), ClientID: c.id, Topic: o.msg.Topic, QoS: o.msg.QoS, Msg: &o.msg}
	for _, rule := range r.acks {
		if rule.movesCursor() && rule.wants(&e) {
			r.pool.put(rule, rule.job(&e, o.msgID), sc)
		}
	}
}

// movesCursor says that a function of message.acked stands for all messages before, too.
func (p *planned) movesCursor() bool {
	return p.Function == OnMessageAcked || p.Function == OnMessageAckedPubsub
}

// acked takes an acknowledgement that concerns reading; false: it is like any other.
func (r *reads) acked(e *core.Event, sc *scratch) bool {
	marked := e.Msg.ID&offeredMark != 0
	if !marked && r.clients.Load() == 0 {
		return r.ackedUnread(e, sc)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of[e.ClientID]
	if c == nil {
		return marked || r.ackedUnread(e, sc) // nobody knows any more which it was: it may come again
	}
	o := c.underWay[e.Msg.ID]
	switch {
	case o != nil:
		r.ackedOffered(c, o, e, sc)
		return true
	case marked:
		return true
	case !c.holds(e.Topic):
		return r.ackedUnread(e, sc)
	}
	r.hold(c, e, sc)
	return true
}

// ackedUnread keeps cursors where they are until a new subscription has read what was
// unread when the gateway ended; false: nothing was.
func (r *reads) ackedUnread(e *core.Event, sc *scratch) bool {
	if e.Unread {
		r.others(e, MessageID(e.Msg), sc)
	}
	return e.Unread
}

func (r *reads) ackedOffered(c *reader, o *offered, e *core.Event, sc *scratch) {
	r.others(e, o.msgID, sc)
	f := o.feed
	r.settled(o, sc)
	if f.timer != nil && f.pause == 0 { // it waits for the client, not for the database
		r.makeReady(f)
	}
	r.tidy(c)
}

// others makes the jobs of an acknowledgement that concern one message alone.
func (r *reads) others(e *core.Event, msgID string, sc *scratch) {
	for _, rule := range r.acks {
		if !rule.movesCursor() && rule.wants(e) {
			r.pool.put(rule, rule.job(e, msgID), sc)
		}
	}
}

// hold keeps the cursor from going over what is still unread.
func (r *reads) hold(c *reader, e *core.Event, sc *scratch) {
	msgID := MessageID(e.Msg)
	r.others(e, msgID, sc)
	old := c.held[e.Topic]
	if old != nil && old.msgID > msgID || old == nil && len(c.held) >= maxHeld {
		return // the rest comes again
	}
	if c.held == nil {
		c.held = map[string]*offered{}
	}
	o := &offered{msgID: msgID}
	o.msg.Topic, o.msg.Publisher, o.msg.ID, o.msg.Published, o.msg.QoS = e.Topic, e.Msg.Publisher, e.Msg.ID, e.Msg.Published, e.Msg.QoS
	c.held[e.Topic] = o
}

// dropped takes notice that a client does not get a message that was offered.
func (r *reads) dropped(c *reader, e *core.Event) {
	if e.Msg.ID&offeredMark == 0 {
		return
	}
	o := c.underWay[e.Msg.ID]
	if o == nil {
		return
	}
	if !e.Reason.EndsOffer() {
		return // it comes again with the next subscription
	}
	var sc scratch
	r.settled(o, &sc)
	r.tidy(c)
}
