package oracle

func (j *judge) subscribing(d *device, e *Event) {
	s := d.session
	f, fresh := j.filter(e.Topic)
	if f == nil {
		j.skip("memory: more filters than MaxTopics")
		s.foreign = true
		return
	}
	if fresh && shared(e.Topic) {
		f.group = &group{number: int32(len(j.sessions) + len(j.groups)), filter: f}
		j.groups = append(j.groups, f.group)
	}
	b := s.sub(f)
	if b == nil {
		b = &sub{filter: f, session: s}
		s.subs = append(s.subs, b)
	}
	if b.state == ended {
		b.state, b.qos = may, e.QoS
		f.subs = append(f.subs, b)
	}
	b.qos = min(b.qos, e.QoS) // what is granted is not known before SUBACK
	if b.state != active {
		b.qos = e.QoS
	}
	b.pending++
	b.leaving = false
	b.asked, b.since = e.At, never
	if b.state != ended && b.noLocal != e.Clean {
		b.unsure = true
	}
	if b.asIs && b.state != ended {
		b.wasAsIs = never
	}
	b.noLocal, b.asIs, b.wants = e.Clean, e.Retain, e.Present
	if b.wants {
		b.retained = e.At
	}
	for _, o := range s.subs { // by which of them it gets what is under way cannot be told
		j.disturb(o)
	}
}

func (s *session) sub(f *filter) *sub {
	for _, b := range s.subs {
		if b.filter == f {
			return b
		}
	}
	return nil
}

func (j *judge) subscribed(d *device, e *Event) {
	if e.Code >= 0x80 {
		j.refusedAck("subscribe", d, e)
	}
	f := j.byFilter[e.Topic]
	if f == nil {
		return
	}
	b := d.session.sub(f)
	if b == nil || b.pending == 0 {
		return
	}
	b.pending--
	j.prove(d, b.asked)
	if e.Code >= 0x80 {
		j.notSubscribed(b)
		return
	}
	if b.pending > 0 || b.leaving {
		return
	}
	b.state, b.qos, b.since = active, min(e.Code, 2), e.At
	b.wasAsIs, b.unsure = min(b.wasAsIs, e.At), false
	if b.wants && f.group == nil {
		j.awaitRetained(d.session, b)
	}
}

// notSubscribed is the answer to a SUBSCRIBE that failed. One that was there before may
// have stayed.
func (j *judge) notSubscribed(b *sub) {
	switch {
	case b.state == active:
		b.state = may
	case b.pending == 0:
		j.endSub(b)
	}
}

func (j *judge) unsubscribing(d *device, e *Event) {
	f := j.byFilter[e.Topic]
	if f == nil {
		return
	}
	b := d.session.sub(f)
	if b == nil || b.state == ended {
		return
	}
	b.state, b.leaving = may, true
	j.closeSub(b)
}

// unsubscribed: nothing that is published from here on may come. [MQTT-3.10.4-2]
func (j *judge) unsubscribed(d *device, e *Event) {
	f := j.byFilter[e.Topic]
	if f == nil {
		return
	}
	b := d.session.sub(f)
	if b == nil || b.state != may || !b.leaving || b.pending > 0 {
		return
	}
	j.prove(d, b.asked)
	j.endSub(b)
}

// closeSub decides what a session still had to get by a subscription that ends, if it
// has no other for it. What the server has not begun to send it need not.
// [MQTT-3.10.4-3]
func (j *judge) closeSub(b *sub) {
	s := b.session
	j.disturb(b)
	covered := func(w *wait) bool { return j.matches(b.filter, w.topic) }
	j.overdue(s, j.now, covered)
	s.waits = without(s.waits, covered)
	if b.filter.group != nil {
		return
	}
	for r := s.rows; r != 0; r = j.rows.all[r].sibling {
		t := j.streams[j.rows.all[r].stream].topic
		if j.rows.all[r].head != 0 && j.matches(b.filter, t) && !j.covered(s, t) {
			j.closeRow(r, s, j.now, false)
		}
	}
}

// covered tells whether an active subscription of the session matches.
func (j *judge) covered(s *session, t *topic) bool {
	for _, b := range s.subs {
		if b.state == active && b.filter.group == nil && j.matches(b.filter, t) {
			return true
		}
	}
	return false
}

// disturb notes that a member of a group goes: what was under way to it may be lost
// with it. [MQTT-4.8.2-5]
func (j *judge) disturb(b *sub) {
	g := b.filter.group
	if g == nil {
		return
	}
	g.disturbs = j.now
	for r := g.rows; r != 0; r = j.rows.all[r].sibling {
		for i := j.rows.all[r].head; i != 0; {
			d := &j.deliveries.all[i]
			next := d.next
			m := &j.messages.all[d.message]
			if m.demanded() && j.now-m.accepted() > int64(j.cfg.Flight) && !b.session.slow {
				j.loseInGroup(m, d, g)
			}
			j.strike(i)
			i = next
		}
	}
}

func (j *judge) loseInGroup(m *message, d *delivery, g *group) {
	j.loseOne(m, d.qos, memberOf(g), Example{Detail: "did not arrive at any member of the shared subscription"})
}

// memberOf is a device of a group, for counting.
func memberOf(g *group) uint32 {
	for _, b := range g.filter.subs {
		if b.session.owner >= 0 {
			return uint32(b.session.owner)
		}
	}
	return 0
}

func (j *judge) missedByGroup(g *group) {
	for r := g.rows; r != 0; r = j.rows.all[r].sibling {
		for i := j.rows.all[r].head; i != 0; i = j.deliveries.all[i].next {
			d := &j.deliveries.all[i]
			m := &j.messages.all[d.message]
			if m.demanded() && !m.expired(j.now, int64(j.cfg.Slack)) {
				j.loseInGroup(m, d, g)
			}
		}
	}
}

func (j *judge) refusedAck(what string, d *device, e *Event) {
	j.refusals[what+": "+reason(e.Code)]++
	if j.cfg.Refusals {
		return
	}
	j.fault(RefusedAck, Example{At: e.At, Device: j.name(d.number), Topic: e.Topic, Seq: e.Seq, Detail: what + " was refused: " + reason(e.Code)})
}

func without[T any](list []T, gone func(T) bool) []T {
	kept := list[:0]
	for _, v := range list {
		if !gone(v) {
			kept = append(kept, v)
		}
	}
	clear(list[len(kept):])
	return kept
}
