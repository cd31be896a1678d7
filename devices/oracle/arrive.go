package oracle

// arrive judges a message that was found, as one that was published now.
func (j *judge) arrive(s *session, t *topic, a arrival, e *Event) {
	at := j.row(s.number, a.stream)
	if i := j.find(at, a.message); i != 0 {
		j.first(s, at, i, a, e)
		return
	}
	seen := fresh
	if at != 0 {
		seen = j.rows.all[at].look(a.seq)
	}
	if g := j.inGroups(s, a); g != 0 {
		if seen == fresh && j.copies(s, t, a) > 0 { // it may be the one or the other
			r := &j.rows.all[j.deliveries.all[g].row]
			j.groups[int(r.receiver)-len(j.sessions)].mixed = j.now
		}
		j.first(s, j.deliveries.all[g].row, g, a, e)
		return
	}
	switch {
	case j.copies(s, t, a) == 0:
		j.arriveShared(s, t, a, e)
	case seen == fresh:
		j.optional(s, j.openRow(s.number, a.stream), a, e)
	case seen == beyond:
		j.skip("window: messages that came long after later ones")
		j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Repeated })
	default:
		j.repeated(s, at, t, a, e)
	}
}

// first is a delivery that had to come.
func (j *judge) first(s *session, at, i int32, a arrival, e *Event) {
	m := &j.messages.all[a.message]
	j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Expected })
	j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Delivered })
	if s.live && s.since <= m.at {
		j.latency.Record(e.At - m.at)
	}
	j.order(s, at, a, e)
	j.proveByArrival(a, e)
	j.strike(i)
}

// optional is a first arrival that nobody would have missed.
func (j *judge) optional(s *session, at int32, a arrival, e *Event) {
	j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Optional })
	if at == 0 {
		return
	}
	j.order(s, at, a, e)
	j.proveByArrival(a, e)
}

// proveByArrival: what was delivered, the server has. It may take a moment until a
// retained message stands too.
func (j *judge) proveByArrival(a arrival, e *Event) {
	if a.message == 0 {
		return
	}
	if m := &j.messages.all[a.message]; m.qos == 0 && m.flags&withRetain != 0 {
		j.streams[a.stream].topic.stood(a.stream, a.seq, e.At+int64(j.cfg.Slack))
	}
}

// order notes a first arrival in its row and judges its place among the others.
func (j *judge) order(s *session, at int32, a arrival, e *Event) {
	r := &j.rows.all[at]
	if r.epoch != s.epoch {
		r.epoch, r.before = s.epoch, r.next
	}
	r.see(a.seq)
	if a.message == 0 || int(r.receiver) >= len(j.sessions) {
		return
	}
	m, st := &j.messages.all[a.message], &j.streams[a.stream]
	q := m.qos
	if m.flags&anew != 0 || st.unordered {
		return
	}
	if !e.Marked && j.alike(m).many {
		return // which of them it is cannot be told
	}
	if a.seq+1 < r.last[q] && r.lastQoS[q] == e.QoS {
		j.fault(Reordered, Example{At: e.At, Device: j.name(e.Device), Publisher: j.publisherOf(a), Topic: st.topic.name, Seq: a.seq, Detail: "a later message came before it"})
		return
	}
	r.last[q], r.lastQoS[q] = a.seq+1, e.QoS
}

// copies is by how many plain subscriptions a session may get a message.
func (j *judge) copies(s *session, t *topic, a arrival) int {
	n := 0
	at := int64(0)
	if a.message != 0 {
		at = j.messages.all[a.message].at
	}
	publisher := j.devices[j.streams[a.stream].device].session
	for _, b := range s.subs {
		if b.filter.group == nil && b.takes(at) && (!b.noLocal || b.unsure || publisher != s || b.since > at) && j.matches(b.filter, t) {
			n++
		}
	}
	if n == 0 && s.foreign {
		n = 1
	}
	return n
}

// shares is by how many shared subscriptions a session may get a message too.
func (j *judge) shares(s *session, t *topic, a arrival) int {
	n := 0
	at := int64(0)
	if a.message != 0 {
		at = j.messages.all[a.message].at
	}
	for _, b := range s.subs {
		if b.filter.group != nil && b.takes(at) && j.matches(b.filter, t) {
			n++
		}
	}
	return n
}

// inGroups finds a delivery that must come to a group of which the session is a member.
func (j *judge) inGroups(s *session, a arrival) int32 {
	if a.message == 0 {
		return 0
	}
	at := j.messages.all[a.message].at
	for _, b := range s.subs {
		if b.filter.group != nil && b.takes(at) {
			if i := j.find(j.row(b.filter.group.number, a.stream), a.message); i != 0 {
				return i
			}
		}
	}
	return 0
}

// arriveShared judges what no plain subscription allows.
func (j *judge) arriveShared(s *session, t *topic, a arrival, e *Event) {
	at := int64(0)
	if a.message != 0 {
		at = j.messages.all[a.message].at
	}
	var seen *group
	for _, b := range s.subs {
		g := b.filter.group
		if g == nil || !b.takes(at) || !j.matches(b.filter, t) {
			continue
		}
		r := j.openRow(g.number, a.stream)
		if r == 0 || j.rows.all[r].look(a.seq) == fresh {
			j.optional(s, r, a, e)
			return
		}
		seen = g
	}
	if seen == nil && !e.Marked && a.message != 0 && j.alike(&j.messages.all[a.message]).many {
		j.skip("unmarked messages of one content: whose it is cannot be told")
		return
	}
	if seen == nil {
		j.fault(Unwanted, Example{At: e.At, Device: j.name(e.Device), Publisher: j.publisherOf(a), Topic: t.name, Seq: a.seq, Detail: "no subscription of the receiver matches"})
		return
	}
	j.repeatedShared(seen, t, a, e)
}

// repeated judges a message that came before.
func (j *judge) repeated(s *session, at int32, t *topic, a arrival, e *Event) {
	r := &j.rows.all[at]
	reconnected := r.epoch != s.epoch || a.seq < r.before
	allowed := j.mayRepeat(a, e, reconnected)
	if n := j.copies(s, t, a) + j.shares(s, t, a); !allowed {
		allowed = j.oneMore(copyKey{at, a.seq}) < n
	}
	if !allowed && !e.Marked && a.message != 0 {
		allowed = j.alike(&j.messages.all[a.message]).many // it may be the first of another
	}
	if allowed || s.contested {
		j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Repeated })
		return
	}
	j.duplicate(t, a, e, "it came before")
}

func (j *judge) repeatedShared(g *group, t *topic, a arrival, e *Event) {
	moved := a.message == 0 || g.disturbs >= j.messages.all[a.message].at
	unsure := a.message == 0 || g.mixed >= j.messages.all[a.message].at || j.mixed(g.filter, t)
	unsure = unsure || !e.Marked && j.alike(&j.messages.all[a.message]).many
	if unsure || j.mayRepeat(a, e, moved) {
		j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Repeated })
		return
	}
	j.duplicate(t, a, e, "a member of the shared subscription has got it")
}

func (j *judge) duplicate(t *topic, a arrival, e *Event, why string) {
	if j.full && (a.message == 0 || !e.Marked) {
		j.skip("memory: messages that were not noted")
		return
	}
	j.fault(Duplicate, Example{At: e.At, Device: j.name(e.Device), Publisher: j.publisherOf(a), Topic: t.name, Seq: a.seq, Detail: why})
}

// mayRepeat tells whether a repetition is in order: at QoS 1 with DUP or after a
// reconnect, and when the publisher itself had to send again.
func (j *judge) mayRepeat(a arrival, e *Event, reconnected bool) bool {
	var m message
	if a.message != 0 {
		m = j.messages.all[a.message]
		if !e.Marked {
			m.flags |= j.alike(&m).flags
		}
	}
	switch {
	case m.flags&anew != 0, m.qos == 1 && m.flags&resent != 0:
		return true
	case e.QoS == 1:
		return e.Dup || reconnected || j.cfg.Duplicates
	}
	return false
}

// alike is what is known of the messages on a topic with one content: without a mark
// one cannot be told from another.
type alike struct {
	many  bool
	flags messageFlags
}

func (j *judge) alike(m *message) alike {
	n := 0
	var found alike
	hash := m.hash
	for _, si := range j.streams[m.stream].topic.streams {
		for _, id := range j.streams[si].ring {
			if id == 0 || j.messages.all[id].hash != hash {
				continue
			}
			n++
			found.flags |= j.messages.all[id].flags & (resent | anew)
		}
	}
	h := j.streams[m.stream].topic.sent(hash)
	found.many = n > 1 || h != nil && h.often // those may be forgotten by now
	return found
}

// copyKey is a message in a row that several subscriptions match.
type copyKey struct {
	row int32
	seq uint64
}

const maxCopies = 1 << 16

// oneMore counts the repetitions of a message, this one included.
func (j *judge) oneMore(key copyKey) int {
	if len(j.repeats) >= maxCopies {
		clear(j.repeats)
		j.skip("window: copies by overlapping subscriptions")
	}
	j.repeats[key]++
	return int(j.repeats[key])
}
