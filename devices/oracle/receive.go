package oracle

// arrival is what a received message was found to be.
type arrival struct {
	stream  int32
	seq     uint64
	message int32 // 0: not remembered any more
	will    *willClass
	soft    bool // a Will, or something else of the same content
}

// received judges a PUBLISH.
func (j *judge) received(d *device, e *Event) {
	j.count(e.QoS, d.number, func(c *Counts) *uint64 { return &c.Received })
	s := d.session
	t := j.byName[e.Topic]
	if t == nil {
		j.unknownTopic(e)
		return
	}
	a, ok := j.identify(s, t, e)
	if !ok {
		return
	}
	if a.message != 0 && j.messages.all[a.message].hash != e.Hash || a.will != nil && a.will.hash != e.Hash {
		j.corrupt(e, "the payload is not what was sent")
	}
	if e.Retain && j.retainedArrival(s, t, a, e) {
		j.count(e.QoS, d.number, func(c *Counts) *uint64 { return &c.Optional })
		return
	}
	if a.will != nil {
		j.willArrives(s, t, a.will, e, a.soft || e.Retain)
		return
	}
	if !e.Retain && !j.flagAllowed(s, t, a, false) {
		j.fault(WrongRetained, Example{At: e.At, Device: j.name(e.Device), Publisher: j.publisherOf(a), Topic: t.name, Seq: a.seq, Detail: "RETAIN is not set, though the subscription has Retain As Published"})
	}
	j.arrive(s, t, a, e)
}

func (j *judge) unknownTopic(e *Event) {
	if e.Marked && !j.full {
		j.corrupt(e, "nobody published on this topic")
		return
	}
	j.skip("messages on topics of others")
}

func (j *judge) corrupt(e *Event, why string) {
	x := Example{At: e.At, Device: j.name(e.Device), Topic: e.Topic, Seq: e.Seq, Detail: why}
	if e.Marked {
		x.Publisher = j.name(e.Publisher)
	}
	j.fault(Corrupt, x)
}

func (j *judge) publisherOf(a arrival) string { return j.name(j.streams[a.stream].device) }

// identify finds which message came: by its mark, or by its content.
func (j *judge) identify(s *session, t *topic, e *Event) (arrival, bool) {
	if !e.Marked {
		return j.byContent(s, t, e)
	}
	si, ok := j.stream(e.Publisher, t)
	if !ok {
		if j.full {
			j.skip("memory: messages that were not noted")
		} else {
			j.corrupt(e, "its publisher published nothing on this topic")
		}
		return arrival{}, false
	}
	st := &j.streams[si]
	a := arrival{stream: si, seq: e.Seq, message: st.find(e.Seq)}
	if a.message != 0 {
		return a, true
	}
	if w := t.willOf(si, e.Seq); w != nil {
		a.will = w.class
		return a, true
	}
	if e.Seq >= st.next {
		j.corrupt(e, "its publisher has not sent this number")
		return a, false
	}
	j.skip("messages that came after they were forgotten: content not compared")
	return a, true
}

const maxUnmarkedStreams = 64

// byContent finds an unmarked message by topic and hash: the oldest that has to come,
// but rather one behind what came before it; else a Will; else one that may come; else
// one that came already.
func (j *judge) byContent(s *session, t *topic, e *Event) (arrival, bool) {
	t.unmarked = true
	streams := t.streams
	if len(streams) > maxUnmarkedStreams {
		j.skip("unmarked messages on a topic of more than 64 publishers")
		return arrival{}, false
	}
	if e.Retain {
		if a, ok := j.retainedByContent(s, t, e); ok {
			return a, true
		}
	}
	inOrder, late := j.outstanding(s, t, e)
	if inOrder.message != 0 {
		return inOrder, true
	}
	a, ok := j.remembered(s, streams, e)
	if late.message != 0 && !(e.Dup && ok) {
		return late, true
	}
	if c := t.findWills(e.Hash); c != nil && len(c.wills) > 0 {
		w := c.wills[len(c.wills)-1]
		return arrival{stream: w.stream, seq: w.seq, will: c, soft: ok}, true
	}
	if ok {
		return a, true
	}
	j.unknownContent(t, e)
	return arrival{}, false
}

func (j *judge) unknownContent(t *topic, e *Event) {
	if t.sent(e.Hash) != nil {
		j.skip("messages that came after they were forgotten: content not compared")
		return
	}
	if len(t.streams) == 0 && len(t.wills) == 0 || t.many || j.full {
		j.skip("messages that nobody of the fleet sent")
		return
	}
	j.corrupt(e, "nobody sent this payload on this topic")
}

// retainedByContent prefers the version that a waiting subscription may get.
func (j *judge) retainedByContent(s *session, t *topic, e *Event) (arrival, bool) {
	best := -1
	for i, v := range t.versions {
		if v.hash == e.Hash && !v.clear && (best < 0 || !t.superseded(v, j.now) || t.superseded(t.versions[best], j.now)) {
			best = i
		}
	}
	if best < 0 {
		return arrival{}, false
	}
	v := t.versions[best]
	a := arrival{stream: v.stream, seq: v.seq, message: j.streams[v.stream].find(v.seq)}
	if !s.awaits(t) && (j.askedFor(s, t) == never || !s.asking() && j.keepsFlag(s, t, v.stream, j.now)) {
		if b, late := j.outstanding(s, t, e); b.message != 0 {
			return b, true
		} else if late.message != 0 {
			return late, true
		}
	}
	if !s.awaits(t) && !s.asking() && j.keepsFlag(s, t, v.stream, j.now) && j.seen(s, a) {
		if b, ok := j.remembered(s, t.streams, e); ok {
			return b, true
		}
	}
	if c := t.findWills(e.Hash); c != nil && !s.awaits(t) && j.keepsFlag(s, t, v.stream, j.now) {
		a.will, a.soft = c, true
	}
	return a, true
}

func (j *judge) seen(s *session, a arrival) bool {
	at := j.row(s.number, a.stream)
	return at != 0 && j.rows.all[at].look(a.seq) != fresh
}

// outstanding finds messages that must come with this content: the oldest behind what
// came before, and the oldest of the others.
func (j *judge) outstanding(s *session, t *topic, e *Event) (best, late arrival) {
	receivers := j.receiversOf(s, t)
	for _, si := range t.streams {
		for _, receiver := range receivers {
			at := j.row(receiver, si)
			if at == 0 {
				continue
			}
			r := &j.rows.all[at]
			for i := r.head; i != 0; i = j.deliveries.all[i].next {
				id := j.deliveries.all[i].message
				m := &j.messages.all[id]
				if m.hash != e.Hash {
					continue
				}
				a := arrival{stream: si, seq: m.seq, message: id}
				if m.seq+1 > r.last[m.qos] {
					best = j.older(best, a)
					break
				}
				late = j.older(late, a)
			}
		}
	}
	return best, late
}

func (j *judge) older(a, b arrival) arrival {
	if a.message == 0 || j.messages.all[b.message].at < j.messages.all[a.message].at {
		return b
	}
	return a
}

// remembered finds a message that may come, or one that came, the newest of each.
func (j *judge) remembered(s *session, streams []int32, e *Event) (arrival, bool) {
	var open, came arrival
	for _, si := range streams {
		at := j.row(s.number, si)
		st := &j.streams[si]
		for _, id := range st.ring {
			if id == 0 || j.messages.all[id].hash != e.Hash {
				continue
			}
			m := &j.messages.all[id]
			a := arrival{stream: si, seq: m.seq, message: id}
			if at == 0 || j.rows.all[at].look(m.seq) == fresh {
				if open.message == 0 || m.at > j.messages.all[open.message].at {
					open = a
				}
			} else if came.message == 0 || m.at > j.messages.all[came.message].at {
				came = a
			}
		}
	}
	if open.message != 0 {
		return open, true
	}
	return came, came.message != 0
}

// receiversOf are the session and the groups by which it may get messages of a topic.
func (j *judge) receiversOf(s *session, t *topic) []int32 {
	list := []int32{s.number}
	for _, b := range s.subs {
		if b.filter.group != nil && j.matches(b.filter, t) {
			list = append(list, b.filter.group.number)
		}
	}
	return list
}
