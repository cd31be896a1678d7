package core

// onlyReceivers says that nothing but its receivers can want a message.
func (g *Gateway) onlyReceivers(p *Publish) bool {
	return !p.Retain && g.sinks.kinds&(EventPublish|EventDropped) == 0
}

// publishPlain lets a message through that only its receivers can want. Where none does,
// nothing of it is copied: a flood of what nobody takes makes no garbage.
func (g *Gateway) publishPlain(t *Turn, s *Session, p *Publish) Reason {
	d := &t.draft
	// More than these is not looked at.
	d.Topic, d.QoS, d.Publisher, d.ID, d.Payload = p.Topic, p.QoS, s.id, g.newMessageID(), p.Payload
	nodes := g.match(t, d)
	defer t.forgetDraft()
	switch {
	case nodes == 0 && len(t.targets) == 0:
		t.Count(MessagesUnmatched, 1)
		return NoMatchingSubscribers
	case nodes != 0 || !g.refusedByAll(t, d, p):
		g.hand(t, p.named(t, s, d.ID), nodes)
	}
	return Success
}

// forgetDraft lets go of the loop's buffer.
func (t *Turn) forgetDraft() { t.draft.Payload = nil }

// Of messages smaller than this copying costs no more than asking who would take them,
// unless there was no room for the last one. With many receivers somebody takes it.
const (
	draftAbove = 1 << 10
	draftMost  = 8
)

// more is the size of what p leaves to be made later.
func (p *Publish) more() int {
	if p.Later == nil {
		return 0
	}
	return p.Later.Size()
}

// refusedByAll drops a draft that all its receivers would drop, as their queues are full.
// Nothing of p is kept.
func (g *Gateway) refusedByAll(t *Turn, d *Message, p *Publish) bool {
	if len(t.targets) > draftMost || g.cfg.QueueDrop != DropNewest {
		return false
	}
	size := len(p.Payload) + p.more()
	small := size < draftAbove
	var reasons [draftMost]Reason
	for i := range t.targets {
		if s := t.targets[i].session; small && (s == nil || !s.stuffed.Load()) {
			return false
		}
		if reasons[i] = g.wouldDrop(d, size, &t.targets[i]); reasons[i] == Success {
			return false
		}
	}
	t.Count(Matched, uint64(len(t.targets)))
	t.Spend(len(t.targets))
	for i := range t.targets {
		tg := &t.targets[i]
		g.drop(t, d, tg.session.id, reasons[i])
		*tg = target{}
	}
	t.targets = t.targets[:0]
	return true
}

// wouldDrop says which bound keeps d from a receiver, and Success where none does or
// more than that is to be looked at.
func (g *Gateway) wouldDrop(d *Message, size int, tg *target) Reason {
	s := tg.session
	if tg.group != nil || tg.flags&subCovered == 0 || tg.checked != uint32(g.chain.version()) || s.recheck.Load() {
		return Success
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := g.roomFor(s, len(d.Topic)+size+queueOverhead, min(d.QoS, tg.qos), tg)
	if reason == Success {
		s.stuffed.Store(false)
	}
	return reason
}

// roomFor is wouldDrop with the session's lock held.
func (g *Gateway) roomFor(s *Session, size int, qos uint8, tg *target) Reason {
	switch {
	case s.ended:
		return Success
	case qos > 0 || g.queuesQoS0(s):
		return g.beyond(s, size)
	case s.away():
		return Success
	case g.outgoingFull(s, tg):
		return OutgoingFull
	}
	return Success
}
