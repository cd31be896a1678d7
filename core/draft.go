package core

// onlyReceivers says that nothing but its receivers can want a message.
func (g *Gateway) onlyReceivers(p *Publish) bool {
	return !p.Retain && g.sinks.kinds&(EventPublish|EventDropped) == 0
}

// publishPlain lets a message through that only its receivers can want. Where none does,
// nothing of it is copied: a flood of what nobody takes makes no garbage.
func (g *Gateway) publishPlain(t *Turn, s *Session, p *Publish) Reason {
	d := &t.draft
	d.Topic, d.Payload, d.QoS, d.Publisher, d.Username, d.ID, d.Published = p.Topic, p.Payload, p.QoS, s.id, s.user, g.newMessageID(), t.now
	nodes := g.match(t, d)
	switch {
	case nodes == 0 && len(t.targets) == 0:
		t.Count(MessagesUnmatched, 1)
		d.Payload = nil
		return NoMatchingSubscribers
	case nodes != 0 || !g.refusedByAll(t, d, p.more()):
		g.hand(t, p.named(t, s, d.ID), nodes)
	}
	d.Payload = nil // the loop's buffer
	return Success
}

// Of messages smaller than this copying costs no more than asking who would take them,
// and so it is with many receivers.
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
// Nothing of it is kept. more is the size of what is not made yet.
func (g *Gateway) refusedByAll(t *Turn, d *Message, more int) bool {
	if len(d.Payload)+more < draftAbove || len(t.targets) > draftMost || g.cfg.QueueDrop != DropNewest {
		return false
	}
	var reasons [draftMost]Reason
	for i := range t.targets {
		if reasons[i] = g.wouldDrop(d, more, &t.targets[i]); reasons[i] == Success {
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
func (g *Gateway) wouldDrop(d *Message, more int, tg *target) Reason {
	s := tg.session
	if tg.group != nil || tg.flags&subCovered == 0 || tg.checked != uint32(g.chain.version()) || s.recheck.Load() {
		return Success
	}
	qos := min(d.QoS, tg.qos)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return Success
	case qos > 0 || g.queuesQoS0(s):
		return g.beyond(s, d.Size()+more)
	case s.away():
		return Success
	case g.outgoingFull(s, tg):
		return OutgoingFull
	}
	return Success
}
