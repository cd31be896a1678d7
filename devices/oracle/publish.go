package oracle

import "slices"

// publishing notes a message and who has to get it.
func (j *judge) publishing(d *device, e *Event) {
	j.count(e.QoS, d.number, func(c *Counts) *uint64 { return &c.Sent })
	t := j.topic(e.Topic)
	if t == nil {
		j.skip("memory: more topics than MaxTopics")
		j.full = true
		return
	}
	t.remember(e.Hash)
	si := j.openStream(d.number, t)
	id := j.note(si, e)
	if e.Retain {
		j.retain(t, version{stream: si, seq: e.Seq, hash: e.Hash, qos: e.QoS, from: e.At, by: never, clear: e.Size == 0, expires: e.Expiry > 0})
		if e.QoS == 0 {
			d.unproved++
		}
	}
	if id == 0 {
		j.full = true
		return
	}
	j.expectAll(d, t, si, id)
}

// note remembers a message; 0 if it cannot.
func (j *judge) note(si int32, e *Event) int32 {
	st := &j.streams[si]
	q := min(e.QoS, 2)
	if e.Seq < st.latest[q] {
		st.unordered = true
	}
	st.latest[q] = max(st.latest[q], e.Seq)
	if j.messages.used() >= j.cfg.MaxMessages {
		st.next = max(st.next, e.Seq+1)
		j.skip("memory: more messages than MaxMessages")
		return 0
	}
	m := message{seq: e.Seq, at: e.At, hash: e.Hash, expiry: e.Expiry, stream: si, qos: q, flags: inUse}
	if e.Retain {
		m.flags |= withRetain
	}
	id := j.messages.add(m)
	if !st.place(e.Seq, id) {
		j.messages.remove(id)
		st.next = max(st.next, e.Seq+1)
		j.skip("order: a message's number was used before, or is too far from those that are outstanding")
		return 0
	}
	st.next = max(st.next, e.Seq+1)
	if q > 0 {
		st.unacked++
	}
	j.ages = append(j.ages, age{at: e.At, message: id})
	return id
}

// touched is a session that a message has to reach, and how.
type touched struct {
	session *session
	qos     uint8
	must    bool
}

// expectAll notes the deliveries that must come of a message. Those that may come are
// not noted: they are looked at when they do.
func (j *judge) expectAll(d *device, t *topic, si, id int32) {
	m := j.messages.all[id]
	matching := j.matching(t)
	plain, groups := 0, 0
	for _, f := range matching {
		if f.group != nil {
			groups++
		} else {
			plain++
		}
	}
	j.serial++
	j.touched = j.touched[:0]
	for _, f := range matching {
		if f.group == nil {
			j.touch(f, d, m.qos, plain > 1)
		}
	}
	for _, to := range j.touched {
		if to.must && j.reaches(to.session, to.qos) {
			j.expect(j.openRow(to.session.number, si), id, to.qos)
		}
	}
	if groups == 0 {
		return
	}
	for _, f := range matching {
		if f.group != nil && j.groupReady(f, t) {
			j.expect(j.openRow(f.group.number, si), id, j.groupQoS(f, m.qos))
		}
	}
}

// touch collects the sessions of a filter's subscriptions. A session with several that
// match gets the message with the highest QoS of them. [MQTT-3.3.4-2]
func (j *judge) touch(f *filter, d *device, qos uint8, overlaps bool) {
	for _, b := range f.subs {
		s := b.session
		if (b.noLocal || b.unsure) && s == d.session { // [MQTT-3.8.3-3]
			continue
		}
		to := touched{session: s, qos: min(qos, b.qos), must: b.state == active}
		if !overlaps || s.stamp != j.serial {
			s.stamp = j.serial
			j.touched = append(j.touched, to)
			continue
		}
		for i := range j.touched {
			if have := &j.touched[i]; have.session == s {
				have.merge(to)
				break
			}
		}
	}
}

func (t *touched) merge(o touched) {
	switch {
	case o.must && !t.must:
		t.must, t.qos = true, o.qos
	case o.must:
		t.qos = max(t.qos, o.qos)
	}
}

// reaches tells whether a session must get what is published now with that QoS.
func (j *judge) reaches(s *session, qos uint8) bool {
	switch {
	case s.contested:
		return false
	case s.live:
		return true
	case qos == 0 || !s.keeps || s.stands != present:
		return false
	}
	return j.now < s.away+s.expiry-int64(j.cfg.Slack)
}

// groupReady tells whether one of a group must get what is published now: all members
// are there, and none of them gets it by another subscription too.
func (j *judge) groupReady(f *filter, t *topic) bool {
	if j.mixed(f, t) {
		f.group.mixed = j.now
		return false
	}
	if j.now < f.group.unsure {
		return false
	}
	for _, b := range f.subs {
		if !b.session.live || b.session.contested {
			return false
		}
	}
	return slices.ContainsFunc(f.subs, func(b *sub) bool { return b.state == active })
}

// mixed tells whether a member has another subscription that matches: then it cannot be
// said by which of them it got a message.
func (j *judge) mixed(f *filter, t *topic) bool {
	for _, b := range f.subs {
		for _, o := range b.session.subs {
			if o != b && (o.state != ended || o.until+int64(j.cfg.Flight) > j.now) && j.matches(o.filter, t) {
				return true
			}
		}
	}
	return false
}

// groupQoS is the lowest that a member was granted: who gets it is the server's choice.
func (j *judge) groupQoS(f *filter, qos uint8) uint8 {
	for _, b := range f.subs {
		qos = min(qos, b.qos)
	}
	return qos
}

// published is the server's answer: it has the message, or refused it.
func (j *judge) published(d *device, e *Event) {
	t := j.byName[e.Topic]
	if t == nil {
		return
	}
	si, ok := j.stream(d.number, t)
	if !ok {
		return
	}
	st := &j.streams[si]
	id := st.find(e.Seq)
	if id == 0 || j.messages.all[id].done() {
		return
	}
	m := &j.messages.all[id]
	st.unacked--
	if m.at >= d.since {
		j.prove(d, m.at)
	}
	if e.Code >= 0x80 {
		m.flags |= refused
		j.refusedAck("publish", d, e)
		t.versions = without(t.versions, func(v version) bool { return v.stream == si && v.seq == e.Seq })
	} else {
		m.settled = e.At
		j.count(m.qos, d.number, func(c *Counts) *uint64 { return &c.Acked })
		j.ack.Record(e.At - m.at)
		if m.flags&withRetain != 0 {
			t.stood(si, e.Seq, e.At)
		}
	}
	if m.flags&aged != 0 { // its answer came late: count from here
		m.flags &^= aged
		j.ages = append(j.ages, age{at: e.At, message: id})
	}
}

// prove notes that the server has read what a device sent up to a time on its present
// connection, as it answered something that was sent then.
func (j *judge) prove(d *device, sent int64) {
	if d.state != on || sent <= d.proved || sent < d.since {
		return
	}
	d.proved = sent
	if d.unproved == 0 {
		return
	}
	d.unproved = 0
	for _, si := range d.streams {
		t := j.streams[si].topic
		for i := range t.versions {
			v := &t.versions[i]
			if v.stream == si && v.qos == 0 && !v.will && v.by == never && v.from <= sent && v.from >= d.since {
				v.by = j.now
			} else if v.stream == si && v.qos == 0 && v.by == never {
				d.unproved++
			}
		}
	}
}

const maxHashes = 32

// remember keeps the hashes of the last few different payloads of a topic.
func (t *topic) remember(hash uint32) {
	n := len(t.hashes)
	if h := t.sent(hash); h != nil {
		h.often = true
		return
	}
	if n < maxHashes {
		t.hashes = append(t.hashes, sentHash{hash: hash})
		return
	}
	t.many = true
	copy(t.hashes, t.hashes[1:])
	t.hashes[n-1] = sentHash{hash: hash}
}

// sent finds what is known of a content; nil if it was not sent here of late.
func (t *topic) sent(hash uint32) *sentHash {
	for i := range t.hashes {
		if t.hashes[i].hash == hash {
			return &t.hashes[i]
		}
	}
	return nil
}
