package oracle

import "slices"

// version is a retained message, or its clearing, that stands or stood on a topic at
// some time. The server took it between from and by.
type version struct {
	stream  int32
	seq     uint64
	hash    uint32
	qos     uint8
	clear   bool
	will    bool
	expires bool
	from    int64
	by      int64 // never: not known
}

// wait is a retained message that a new subscription has to bring.
type wait struct {
	topic *topic
	asked int64 // Subscribing
	at    int64 // Subscribed
}

const maxVersions = 64

// retain adds a version and lets go of those that nobody can be sent any more.
func (j *judge) retain(t *topic, v version) {
	j.keep(t)
	if v.clear {
		for _, s := range j.sessions {
			if len(s.waits) > 0 {
				s.waits = without(s.waits, func(w *wait) bool { return w.topic == t })
			}
		}
	}
	if len(t.versions) > 2 {
		oldest := j.now - int64(j.cfg.Keep)
		t.versions = without(t.versions, func(v version) bool { return t.superseded(v, oldest) })
	}
	if len(t.versions) >= maxVersions {
		j.skip("memory: retained messages of one topic under way at once")
		t.versions = slices.Delete(t.versions, 0, 1)
	}
	t.versions = append(t.versions, v)
}

// stood notes when the server surely had a version.
func (t *topic) stood(stream int32, seq uint64, at int64) {
	for i := range t.versions {
		if v := &t.versions[i]; v.stream == stream && v.seq == seq {
			v.by = min(v.by, at)
		}
	}
}

// superseded tells whether at a time another version surely stood in v's place.
// [MQTT-3.3.1-5]
func (t *topic) superseded(v version, at int64) bool {
	for _, w := range t.versions {
		if w.by <= at && follows(w, v) {
			return true
		}
	}
	return false
}

// follows tells whether the server surely took w later than v: v was answered before w
// was sent, or one device sent both, in this order and with one QoS.
func follows(w, v version) bool {
	if v.by <= w.from && v != w {
		return true
	}
	return w.stream == v.stream && w.seq > v.seq && w.qos == v.qos && !w.will && !v.will
}

// standing tells whether a retained message surely stood on t from a time on.
func (t *topic) standing(at int64) bool {
	sure := false
	for _, v := range t.versions {
		if t.superseded(v, at) {
			continue
		}
		if v.clear || v.expires {
			return false
		}
		sure = sure || v.by <= at
	}
	return sure
}

// awaitRetained notes the retained messages that a new subscription brings.
// [MQTT-3.3.1-9] [MQTT-3.3.1-10]
func (j *judge) awaitRetained(s *session, b *sub) {
	if s.contested {
		return
	}
	first := len(s.waits)
	j.retained.below(b.filter.levels, true, func(t *topic) {
		if b.noLocal && t.by(j, s) {
			return
		}
		if t.standing(b.retained) && !s.awaits(t) && !slices.Contains(s.early, t) {
			s.waits = append(s.waits, &wait{topic: t, asked: b.retained, at: j.now})
		}
	})
	if !s.asking() {
		s.early = nil
	}
	slices.SortFunc(s.waits[first:], func(a, b *wait) int { return int(a.topic.id) - int(b.topic.id) })
}

// by tells whether a session published what stands on t, or may stand: No Local may
// keep it back.
func (t *topic) by(j *judge, s *session) bool {
	return slices.ContainsFunc(t.versions, func(v version) bool {
		return j.devices[j.streams[v.stream].device].session == s
	})
}

// asking tells whether a SUBSCRIBE waits for its answer.
func (s *session) asking() bool {
	return slices.ContainsFunc(s.subs, func(b *sub) bool { return b.pending > 0 })
}

func (s *session) awaits(t *topic) bool {
	return slices.ContainsFunc(s.waits, func(w *wait) bool { return w.topic == t })
}

func (j *judge) retainedMissing(s *session, w *wait) {
	if s.slow {
		return
	}
	j.fault(WrongRetained, Example{At: w.at, Device: j.deviceName(s), Topic: w.topic.name, Detail: "the retained message did not come with the subscription"})
}

// retainedArrival judges a message with RETAIN set; false if it is one of those that
// were published now, to a subscription with Retain As Published.
func (j *judge) retainedArrival(s *session, t *topic, a arrival, e *Event) bool {
	v := t.version(a)
	asked := j.askedFor(s, t)
	live := j.asPublished(s, t, a, v, asked, e)
	for i, w := range s.waits {
		if w.topic != t {
			continue
		}
		if v != nil && !v.clear && !t.superseded(*v, w.asked) {
			s.waits = slices.Delete(s.waits, i, i+1)
			return !live
		}
		asked = min(asked, w.asked)
		break
	}
	if v == nil && a.will != nil { // of a connection whose end is not known yet
		s.waits = without(s.waits, func(w *wait) bool { return w.topic == t })
	}
	if live {
		if s.asking() {
			s.early = append(s.early, t)
		}
		return false
	}
	switch {
	case asked != never && v != nil && !v.clear && !t.superseded(*v, asked):
		if s.asking() {
			s.early = append(s.early, t)
		}
		return true
	case asked != never && len(t.versions) == 0 && a.message == 0 || s.foreign:
		j.skip("retained messages of before the run")
		return true
	}
	if !e.Marked && a.message != 0 && j.alike(&j.messages.all[a.message]).many {
		j.skip("unmarked messages of one content: RETAIN not judged")
		return !j.isLive(s, a)
	}
	j.wrongRetained(s, t, a, v, asked, e)
	return !j.isLive(s, a)
}

func (j *judge) wrongRetained(s *session, t *topic, a arrival, v *version, asked int64, e *Event) {
	detail := "it does not stand as the retained message"
	switch {
	case j.isLive(s, a):
		detail = "RETAIN is set on a message of an old subscription"
	case asked == never:
		detail = "a retained message that no subscription asked for"
	case v != nil:
		detail = "an older retained message, or one that was cleared"
		for i, w := range s.waits {
			if w.topic == t { // it came, if wrongly
				s.waits = slices.Delete(s.waits, i, i+1)
				break
			}
		}
	}
	j.fault(WrongRetained, Example{At: e.At, Device: j.name(e.Device), Publisher: j.publisherOf(a), Topic: t.name, Seq: a.seq, Detail: detail})
}

// version finds what arrived among the versions.
func (t *topic) version(a arrival) *version {
	for i := range t.versions {
		if v := &t.versions[i]; v.stream == a.stream && v.seq == a.seq {
			return v
		}
	}
	return nil
}

// askedFor is the last time that a matching subscription asked for retained messages,
// the earliest of several subscriptions; never if none did.
func (j *judge) askedFor(s *session, t *topic) int64 {
	asked := int64(never)
	for _, b := range s.subs {
		if b.retained > 0 && b.filter.group == nil && j.matches(b.filter, t) {
			asked = min(asked, b.retained)
		}
	}
	return asked
}

// isLive tells whether a message has to come, or may, by its publishing.
func (j *judge) isLive(s *session, a arrival) bool {
	if a.message == 0 {
		return false
	}
	return j.find(j.row(s.number, a.stream), a.message) != 0 || j.inGroups(s, a) != 0
}

// keepsFlag tells whether the session may get messages with RETAIN set as it was.
func (j *judge) keepsFlag(s *session, t *topic, stream int32, published int64) bool {
	own := j.devices[j.streams[stream].device].session == s
	for _, b := range s.subs {
		if (b.asIs || b.wasAsIs > published) && !(b.noLocal && own && !b.unsure && b.since <= published) && j.matches(b.filter, t) {
			return true
		}
	}
	return false
}

// asPublished tells whether RETAIN is set on an arrival because of Retain As Published,
// and not because it is a retained message of a new subscription.
func (j *judge) asPublished(s *session, t *topic, a arrival, v *version, asked int64, e *Event) bool {
	stands := asked != never && v != nil && !v.clear && !t.superseded(*v, asked)
	if a.will != nil {
		return v == nil || j.keepsFlag(s, t, a.stream, j.now) && (!s.awaits(t) || a.soft)
	}
	if a.message == 0 {
		return j.keepsFlag(s, t, a.stream, j.now) && !s.awaits(t) && !stands
	}
	if j.isLive(s, a) {
		if j.keepsFlag(s, t, a.stream, j.messages.all[a.message].at) {
			if at := j.row(s.number, a.stream); stands && at != 0 { // if it is not, the live one still comes
				j.repeats[copyKey{at, a.seq}]--
			}
			return true
		}
		return !stands && j.flagAllowed(s, t, a, true)
	}
	m := &j.messages.all[a.message]
	if m.flags&withRetain == 0 || !j.keepsFlag(s, t, a.stream, m.at) {
		return false
	}
	if at := j.row(s.number, a.stream); at != 0 && j.rows.all[at].look(a.seq) != fresh {
		return !stands && !s.awaits(t) && (e.Dup || asked == never || m.flags&(resent|anew) != 0 || j.copies(s, t, a)+j.shares(s, t, a) > 1)
	}
	for _, b := range s.subs {
		if (b.asIs || b.wasAsIs > m.at) && !(b.noLocal && j.devices[j.streams[a.stream].device].session == s) && b.takes(m.at) && (b.since <= m.at || b.wasAsIs > m.at || v != nil && v.by > b.asked) && j.matches(b.filter, t) {
			return !s.awaits(t) && !stands
		}
	}
	return false
}

// flagAllowed tells whether RETAIN may be so on a message that is published now.
// [MQTT-3.3.1-12] [MQTT-3.3.1-13]
func (j *judge) flagAllowed(s *session, t *topic, a arrival, flag bool) bool {
	if a.message == 0 || s.foreign {
		return true
	}
	m := &j.messages.all[a.message]
	set := m.flags&withRetain != 0
	sure := false
	for _, b := range s.subs {
		if !b.takes(m.at) || !j.matches(b.filter, t) {
			continue
		}
		if b.since > m.at || (set && b.asIs) == flag {
			return true
		}
		sure = true
	}
	return !sure
}
