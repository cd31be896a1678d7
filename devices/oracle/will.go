package oracle

import (
	"container/heap"
	"slices"
)

// will is the Will of one connection.
type will struct {
	topic    *topic
	session  *session // of its publisher
	device   uint32
	stream   int32
	seq      uint64
	hash     uint32
	delay    int64 // until it is due, or the session ends
	qos      uint8
	retain   bool
	doubtful bool // what became of the connection is not sure
	state    willState

	at        int64 // end of the connection
	by        int64 // the server knows of it at the latest
	backFrom  int64 // the next connection of the session: CONNECT, 0 for none
	backBy    int64 // and CONNACK
	backClean bool
	judgeAt   int64
	arrivals  []willArrival
}

type willState uint8

const (
	set      willState = iota // CONNECT is under way
	armed                     // the connection stands
	gone                      // the connection ended without DISCONNECT
	leftOnes                  // DISCONNECT deleted it
	void                      // the connection was refused
	finished                  // decided
)

// willArrival is what one receiver got of a Will.
type willArrival struct {
	session *session
	at      int64
	times   int
	steady  bool // the receiver was connected all the time
	missing bool // it was said to be missing
}

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
	d.will = &will{topic: t, session: d.session, device: d.number, stream: si, seq: e.Seq, hash: e.Hash, delay: delay, qos: min(e.QoS, 2), retain: e.Retain}
	t.wills = append(t.wills, d.will)
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
		w.state = leftOnes
	}
	if how == tookOver {
		by := at // the other's CONNECT
		w.backFrom, w.doubtful = by, d.since >= by
		w.by = j.now + int64(j.cfg.WillWithin)
	}
	w.session.wills = append(w.session.wills, w)
	if w.retain && w.state == gone {
		j.retain(w.topic, version{stream: w.stream, seq: w.seq, hash: w.hash, qos: w.qos, will: true, clear: w.hash == 0, from: at - int64(j.cfg.Slack) + w.delay, by: never})
	}
	j.schedule(w)
}

// due tells when a Will may come at the earliest and at the latest.
func (j *judge) dueTimes(w *will) (earliest, latest int64) {
	earliest = w.at + w.delay - int64(j.cfg.Slack)
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

// willOf gives the Will of a number, if it is remembered.
func (t *topic) willOf(stream int32, seq uint64) *will {
	for _, w := range t.wills {
		if w.stream == stream && w.seq == seq {
			return w
		}
	}
	return nil
}

// willByContent finds the Will that came: the oldest that is due, else one whose end
// the server may know first, else one that must not come, else one that came.
func (j *judge) willByContent(t *topic, s *session, e *Event) *will {
	var best *will
	rank := 0
	for _, w := range t.wills {
		if w.hash != e.Hash {
			continue
		}
		if r := j.likelihood(w, s, e); r > rank {
			best, rank = w, r
		}
	}
	return best
}

func (j *judge) likelihood(w *will, s *session, e *Event) int {
	came := w.arrival(s) != nil
	earliest, _ := j.dueTimes(w)
	switch {
	case came && e.Dup:
		return 6
	case came:
		return 1
	case w.state == gone && e.At >= earliest && j.owed(w) != mustNot:
		return 5
	case w.state == armed:
		return 4
	case w.state == gone:
		return 3
	}
	return 2
}

func (w *will) arrival(s *session) *willArrival {
	for i := range w.arrivals {
		if w.arrivals[i].session == s {
			return &w.arrivals[i]
		}
	}
	return nil
}

// willArrives notes that a Will came.
func (j *judge) willArrives(s *session, t *topic, w *will, e *Event) {
	n := j.willCopies(s, t, w)
	if n == 0 {
		j.fault(Unwanted, Example{At: e.At, Device: j.name(e.Device), Publisher: j.name(w.device), Topic: t.name, Seq: w.seq, Detail: "no subscription of the receiver matches this Will"})
		return
	}
	j.count(e.QoS, e.Device, func(c *Counts) *uint64 { return &c.Optional })
	if w.retain {
		t.stood(w.stream, w.seq, e.At+int64(j.cfg.Slack))
	}
	a := w.arrival(s)
	if a == nil {
		steady := s.live && (w.at == 0 || s.since <= w.at)
		w.arrivals = append(w.arrivals, willArrival{session: s, at: e.At, times: 1, steady: steady})
		if w.state == finished {
			j.wrongWill(w, s, e.At, "it came too late, or must not come")
		}
		return
	}
	a.times++
	switch {
	case a.missing:
		a.missing, a.times = false, 1
	case a.times > n && (e.QoS != 1 || !e.Dup && s.since <= a.at && !j.cfg.Duplicates) && !s.contested:
		j.wrongWill(w, s, e.At, "it came twice")
	}
}

// willCopies is by how many subscriptions a session may get a Will.
func (j *judge) willCopies(s *session, t *topic, w *will) int {
	n := 0
	at := w.at
	if at == 0 || w.state == finished {
		at = j.now
	}
	for _, b := range s.subs {
		if b.takes(at) && j.matches(b.filter, t) {
			n++
		}
	}
	if n == 0 && s.foreign {
		n = 1
	}
	return n
}

func (j *judge) wrongWill(w *will, s *session, at int64, detail string) {
	j.fault(WrongWill, Example{At: at, Device: j.deviceName(s), Publisher: j.name(w.device), Topic: w.topic.name, Seq: w.seq, Detail: "Will: " + detail})
}

// dueWills orders the Wills by when they can be judged.
type dueWills struct {
	heap  willHeap
	count uint64
}

type dueWill struct {
	at     int64
	number uint64
	will   *will
}

type willHeap []dueWill

func (h willHeap) Len() int { return len(h) }
func (h willHeap) Less(a, b int) bool {
	return h[a].at < h[b].at || h[a].at == h[b].at && h[a].number < h[b].number
}
func (h willHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *willHeap) Push(v any)   { *h = append(*h, v.(dueWill)) }
func (h *willHeap) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = dueWill{}
	*h = old[:len(old)-1]
	return v
}

// schedule has a Will judged when it cannot come in time any more.
func (j *judge) schedule(w *will) {
	_, latest := j.dueTimes(w)
	j.wakeWill(w, latest)
}

func (j *judge) wakeWill(w *will, at int64) {
	w.judgeAt = at
	if at >= never {
		return // at the end
	}
	j.due.count++
	heap.Push(&j.due.heap, dueWill{at: at, number: j.due.count, will: w})
}

func (j *judge) judgeDueWills() {
	for len(j.due.heap) > 0 && j.due.heap[0].at < j.now {
		v := heap.Pop(&j.due.heap).(dueWill)
		switch w := v.will; {
		case w.judgeAt != v.at:
		case w.state == finished:
			w.topic.wills = without(w.topic.wills, func(o *will) bool { return o == w })
		default:
			j.judgeWill(w)
			j.wakeWill(w, j.now+int64(j.cfg.Keep))
		}
	}
}

// judgeWill decides about a Will whose time has passed.
func (j *judge) judgeWill(w *will) {
	owed := j.owed(w)
	earliest, latest := j.dueTimes(w)
	for i := range w.arrivals {
		a := &w.arrivals[i]
		switch {
		case owed == mustNot:
			j.wrongWill(w, a.session, a.at, "it came and must not: "+w.because())
		case w.state == gone && a.at < earliest:
			j.wrongWill(w, a.session, a.at, "it came before its delay had passed")
		case owed == mustCome && a.steady && a.at > latest:
			j.wrongWill(w, a.session, a.at, "it came too late")
		}
	}
	if owed == mustCome {
		j.missWill(w)
	}
	if w.retain {
		if owed == mustNot {
			w.topic.versions = without(w.topic.versions, func(v version) bool { return v.stream == w.stream && v.seq == w.seq })
		} else if owed == mustCome {
			w.topic.stood(w.stream, w.seq, latest)
		}
	}
	w.state = finished
	w.session.wills = without(w.session.wills, func(o *will) bool { return o == w })
}

func (w *will) because() string {
	switch w.state {
	case armed, set:
		return "the connection stood"
	case leftOnes:
		return "the device had sent DISCONNECT"
	case void:
		return "the connection was refused"
	}
	return "the device was back within the delay"
}

// missWill finds those who had to get a Will and did not.
func (j *judge) missWill(w *will) {
	since := w.at - int64(j.cfg.Slack)
	var done []*session
	for _, f := range j.matching(w.topic) {
		for _, b := range f.subs {
			s := b.session
			if f.group != nil || b.state != active || b.since > since || b.noLocal || s.contested || s.slow || slices.Contains(done, s) {
				continue
			}
			done = append(done, s)
			qos := min(w.qos, b.qos)
			switch {
			case w.arrival(s) != nil:
				j.count(qos, uint32(s.owner), func(c *Counts) *uint64 { return &c.Expected })
				j.count(qos, uint32(s.owner), func(c *Counts) *uint64 { return &c.Delivered })
			case s.live && s.since <= since:
				j.willMissing(w, s, qos)
			case qos > 0 && s.keeps:
				j.deferred = append(j.deferred, deferredWill{will: w, session: s, sub: b, life: s.life})
			}
		}
	}
}

func (j *judge) willMissing(w *will, s *session, qos uint8) {
	j.count(qos, uint32(s.owner), func(c *Counts) *uint64 { return &c.Expected })
	w.arrivals = append(w.arrivals, willArrival{session: s, missing: true})
	if qos == 0 && j.cfg.LossQoS0 > 0 {
		j.count(0, uint32(s.owner), func(c *Counts) *uint64 { return &c.LostQoS0 })
		return
	}
	j.wrongWill(w, s, w.at, "it did not come")
}

// deferredWill is one that a durable session has to bring when its device is back.
type deferredWill struct {
	will    *will
	session *session
	sub     *sub
	life    uint32
}

func (j *judge) finishWills() {
	for _, t := range j.numbered {
		for _, w := range t.wills {
			if w.state != finished && w.state != set {
				j.judgeWill(w)
			}
		}
	}
	for _, v := range j.deferred {
		s := v.session
		if s.live && s.life == v.life && v.sub.state == active && v.will.arrival(s) == nil {
			j.willMissing(v.will, s, 1)
		}
	}
}
