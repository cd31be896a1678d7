package oracle

// will is the Will of one connection.
type will struct {
	topic    *topic
	class    *willClass
	session  *session // of its publisher
	device   uint32
	stream   int32
	seq      uint64
	delay    int64 // until it is due, or the session ends
	qos      uint8
	retain   bool
	doubtful bool // what became of the connection is not sure
	state    willState
	decided  bool

	at        int64 // end of the connection
	by        int64 // the server knows of it at the latest
	backFrom  int64 // the next connection of the session: CONNECT, 0 for none
	backBy    int64 // and CONNACK
	backClean bool
	judgeAt   int64
	missing   []*session // that were said to miss it
	later     []deferredWill
}

// willClass is the Wills of one topic with one content: which of them came cannot be
// told, so that an arrival is in order if one of them may come then, and a Will is if
// something came while it was due.
type willClass struct {
	hash     uint32
	wills    []*will
	arrivals []willArrival
	forgot   bool // there were more wills
}

// willArrival is one that a receiver got.
type willArrival struct {
	session *session
	at      int64
	since   int64 // connected since
	device  uint32
	copies  int  // as many are in order of one Will
	soft    bool // it may have been something else: only to the good
	repeat  bool // QoS 1 and DUP, or after a reconnect
}

type willState uint8

const (
	set   willState = iota // CONNECT is under way
	armed                  // the connection stands
	gone                   // the connection ended without DISCONNECT
	left0                  // DISCONNECT deleted it
	void                   // the connection was refused
)

type obligation uint8

const (
	mayCome obligation = iota
	mustCome
	mustNot
)

func (j *judge) willSet(d *device, e *Event) {
	t := j.topic(e.Topic)
	if t == nil || d.state != asking {
		j.skip("a Will without its Connecting, or memory: more topics than MaxTopics")
		return
	}
	t.remember(e.Hash)
	si := j.openStream(d.number, t)
	st := &j.streams[si]
	st.next = max(st.next, e.Seq+1)
	delay := int64(e.Delay) * second
	if d.version < 5 {
		delay = 0
	} else if d.expiry != 0xFFFFFFFF { // the session's end sends it too [MQTT-3.1.2-8]
		delay = min(delay, int64(d.expiry)*second)
	}
	w := &will{topic: t, class: t.willClass(e.Hash), session: d.session, device: d.number, stream: si, seq: e.Seq, delay: delay, qos: min(e.QoS, 2), retain: e.Retain}
	w.class.wills = append(w.class.wills, w)
	d.will = w
}

// endWill notes the end of the connection to which a Will belongs.
func (j *judge) endWill(d *device, at, notice int64, how ending) {
	w := d.will
	if w == nil || w.state != armed {
		return
	}
	w.at, w.by = at, min(at+notice, never)
	w.state = gone
	if how == leftWell {
		w.state = left0
	}
	if how == tookOver {
		by := at // the other's CONNECT
		w.backFrom, w.doubtful = by, d.since >= by
		w.by = j.now + int64(j.cfg.WillWithin)
	}
	w.session.wills = append(w.session.wills, w)
	if w.retain {
		j.retain(w.topic, version{stream: w.stream, seq: w.seq, hash: w.class.hash, qos: w.qos, will: true, clear: w.class.hash == 0, from: at - int64(j.cfg.Slack), by: never})
	}
	j.schedule(w)
}

// due tells when a Will may come at the earliest and at the latest.
func (j *judge) dueTimes(w *will) (earliest, latest int64) {
	earliest = w.at + w.delay - int64(j.cfg.Slack)
	if w.backClean && w.backFrom > 0 { // the end of the session sends it too
		earliest = min(earliest, w.backFrom-int64(j.cfg.Slack))
	}
	latest = min(w.by+w.delay, never)
	if w.backBy > 0 && w.delay == 0 { // the next connection tells the server
		latest = min(latest, w.backBy+int64(j.cfg.WillWithin))
	}
	return earliest, latest
}

// owed tells whether a Will has to come. [MQTT-3.1.2-8] [MQTT-3.1.3-9] [MQTT-3.14.4-3]
func (j *judge) owed(w *will) obligation {
	earliest, latest := j.dueTimes(w)
	switch {
	case w.doubtful:
		return mayCome
	case w.state == left0 && w.backFrom > 0 && w.backFrom < w.at+int64(j.cfg.WillWithin):
		return mayCome // the next connection may have come before DISCONNECT did
	case w.state != gone:
		return mustNot
	case w.backFrom == 0 || w.backFrom > latest:
	case w.delay > 0 && w.backBy > 0 && w.backBy < earliest && !w.backClean && !w.session.contested:
		return mustNot
	case w.delay > 0 || w.backBy == 0:
		return mayCome
	}
	if latest > j.now {
		return mayCome
	}
	return mustCome
}

// willClass gives the Wills of a topic with one content.
func (t *topic) willClass(hash uint32) *willClass {
	if c := t.findWills(hash); c != nil {
		return c
	}
	c := &willClass{hash: hash}
	t.wills = append(t.wills, c)
	return c
}

func (t *topic) findWills(hash uint32) *willClass {
	for _, c := range t.wills {
		if c.hash == hash {
			return c
		}
	}
	return nil
}

// willOf gives the Will of a number, if it is remembered.
func (t *topic) willOf(stream int32, seq uint64) *will {
	for _, c := range t.wills {
		for _, w := range c.wills {
			if w.stream == stream && w.seq == seq {
				return w
			}
		}
	}
	return nil
}

// willArrives notes that a Will came; what to think of it shows later.
func (j *judge) willArrives(s *session, t *topic, c *willClass, e *Event, soft bool) {
	j.count(e.QoS, e.Device, func(n *Counts) *uint64 { return &n.Optional })
	n := j.willCopies(s, t)
	if n == 0 {
		j.fault(Unwanted, Example{At: e.At, Device: j.name(e.Device), Topic: t.name, Detail: "no subscription of the receiver matches this Will"})
		return
	}
	for _, w := range c.wills {
		if w.retain && w.state == gone && !soft && s.since <= w.at {
			t.stood(w.stream, w.seq, e.At+int64(j.cfg.Slack))
		}
	}
	a := willArrival{session: s, at: e.At, since: s.since, device: e.Device, copies: n, soft: soft || s.contested}
	a.repeat = e.QoS == 1 && (e.Dup || j.cfg.Duplicates)
	c.arrivals = append(c.arrivals, a)
	j.wake(dueWill{at: e.At + int64(j.cfg.Slack+j.cfg.WillWithin), class: c, arrival: a, topic: t})
}

// willCopies is by how many subscriptions a session may get a Will.
func (j *judge) willCopies(s *session, t *topic) int {
	n := 0
	for _, b := range s.subs {
		if b.takes(j.now-int64(j.cfg.Flight)) && j.matches(b.filter, t) {
			n++
		}
	}
	if n == 0 && s.foreign {
		n = 1
	}
	return n
}
