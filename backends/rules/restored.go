package rules

import (
	"slices"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// What was offered before the gateway ended, and waits in its client's queue still, is
// known again by its name and its place in the queue, so that acknowledgements that come
// now move the cursor as they would have before.

// restored takes such a message back into what is under way.
func (r *reads) restored(e *core.Event) {
	if e.Msg.Stored.Sink != r.pool.name {
		return
	}
	rule := r.ruleOf(e.Msg)
	if rule == nil {
		return // the configuration is another one now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.readerOf(e.ClientID)
	f := r.againOf(c, rule)
	if f == nil || c.underWay[e.Msg.ID] != nil {
		r.tidy(c)
		return
	}
	o := r.underWay(f, e.Msg)
	if !e.Answered {
		return
	}
	// What was to be done then may not have been. A statement may be one that must not be
	// done twice, and has no payload any more.
	var sc scratch
	acked := *e
	acked.Kind = core.EventAcked
	for _, ack := range r.acks {
		if ack.Function != "" && !ack.movesCursor() && ack.wants(&acked) {
			r.pool.put(ack, ack.job(&acked, o.msgID), &sc)
		}
	}
	r.settled(o, &sc)
	r.tidy(c)
}

// ruleOf is the rule by which a message was read.
func (r *reads) ruleOf(m *core.Message) *planned {
	kind, asked := fetches, core.Event{Kind: core.EventSubscribed, Topic: m.Topic}
	if m.Retain {
		kind = retains
	}
	i := slices.IndexFunc(r.rules, func(p *planned) bool { return p.work.kind == kind && p.wants(&asked) })
	if i < 0 {
		return nil
	}
	return r.rules[i]
}

// againOf is the feed of what a client has still to acknowledge of a rule, made on demand;
// nil where there are too many. With the lock held.
func (r *reads) againOf(c *reader, rule *planned) *feed {
	i := slices.IndexFunc(c.feeds, func(f *feed) bool { return f.again && f.rule == rule })
	if i >= 0 {
		return c.feeds[i]
	}
	if r.feeds >= r.pool.engine.cfg.Feeds {
		return nil
	}
	f := &feed{reader: c, rule: rule, again: true, state: finished, event: core.Event{ClientID: c.id}}
	c.feeds = append(c.feeds, f)
	r.feeds++
	return f
}

// uncovered forgets what a subscription to filter was for that has ended. With the lock
// held; tidy follows.
func (r *reads) uncovered(f *feed, filter string) {
	for name, list := range f.order {
		if !topic.Match(filter, name) {
			continue
		}
		for _, o := range list {
			if f.rule.Function != OnMessageFetchQueue {
				delete(f.reader.underWay, o.id)
			}
		}
		f.setOrder(name, nil, len(list))
	}
}
