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
	f.pause = 0
	if len(page) == 0 {
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
	r.pool.engine.turn(func(g *core.Gateway, t *core.Turn) {
		taken, open = g.Offer(t, &f.event, ms, f.rule.work.kind == retains)
	})
	f.rule.read.Add(uint64(taken))
	r.settle(f, page, os, taken, open)
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
			Published: p.Arrived, Expires: p.Expires, QoS: min(p.QoS, 2), Retain: f.rule.work.kind == retains}
		o := &offered{feed: f, id: m.ID, msgID: p.MsgID}
		o.msg.Topic, o.msg.Publisher, o.msg.ID, o.msg.Published, o.msg.Expires, o.msg.QoS = m.Topic, m.Publisher, m.ID, m.Published, m.Expires, m.QoS
		ms, os = append(ms, m), append(os, o)
		if r.of[f.reader.id] == f.reader {
			f.reader.underWay[o.id] = o
		}
		f.order = append(f.order, o)
	}
	return ms, os
}

// settle goes on after a page was offered.
func (r *reads) settle(f *feed, page []Message, os []*offered, taken int, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range os[taken:] {
		delete(f.reader.underWay, o.id)
		o.left = true
	}
	f.order = slices.DeleteFunc(f.order, func(o *offered) bool { return o.left })
	for _, o := range os[:taken] {
		if min(o.msg.QoS, f.event.QoS) == 0 { // nobody acknowledges it
			delete(f.reader.underWay, o.id)
			o.settled = true
		}
	}
	if taken > 0 {
		f.after = page[taken-1].Cursor
	}
	var sc scratch
	r.moveOn(f, &sc)
	switch {
	case !open:
		r.end(f)
	case taken < len(page), len(f.order) > maxUnderWay:
		r.later(f, pauseForClient)
	case f.state == running:
		f.state = waiting
		r.makeReady(f)
	}
	r.tidy(f.reader)
}

// moveOn moves the cursors over what is settled at the front. With the lock held.
func (r *reads) moveOn(f *feed, sc *scratch) {
	now := time.Now().UnixMilli()
	n := 0
	for ; n < len(f.order); n++ {
		o := f.order[n]
		if o.msg.Expired(now) && !o.settled {
			delete(f.reader.underWay, o.id)
			o.settled = true
		}
		if !o.settled {
			break
		}
		if f.rule.work.kind == fetches {
			r.moveCursor(f.reader, o, sc)
		}
	}
	if f.order = f.order[n:]; len(f.order) == 0 {
		f.order = nil
	}
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
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of[e.ClientID]
	if c == nil {
		return marked // nobody knows any more which it was: it may come again
	}
	o := c.underWay[e.Msg.ID]
	switch {
	case o != nil:
		r.ackedOffered(c, o, e, sc)
		return true
	case marked:
		return true
	case !c.holds(e.Topic):
		return false
	}
	r.hold(c, e, sc)
	return true
}

func (r *reads) ackedOffered(c *reader, o *offered, e *core.Event, sc *scratch) {
	delete(c.underWay, o.id)
	o.settled = true
	for _, rule := range r.acks {
		if !rule.movesCursor() && rule.wants(e) {
			r.pool.put(rule, rule.job(e, o.msgID), sc)
		}
	}
	f := o.feed
	r.moveOn(f, sc)
	if f.timer != nil && f.pause == 0 { // it waits for the client, not for the database
		r.makeReady(f)
	}
	r.tidy(c)
}

// hold keeps the cursor from going over what is still unread.
func (r *reads) hold(c *reader, e *core.Event, sc *scratch) {
	msgID := MessageID(e.Msg)
	for _, rule := range r.acks {
		if !rule.movesCursor() && rule.wants(e) {
			r.pool.put(rule, rule.job(e, msgID), sc)
		}
	}
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
	switch e.Reason {
	case core.NoMatchingSubscribers, core.DeliverNotAuthorized, core.MessageExpired, core.TooLargeForReceiver, core.ReceiverRefused:
	default:
		return // it comes again with the next subscription
	}
	delete(c.underWay, o.id)
	o.settled = true
	var sc scratch
	r.moveOn(o.feed, &sc)
	r.tidy(c)
}
