package oracle

import (
	"container/heap"
	"slices"
)

// dueWills orders the Wills by when they can be judged.
type dueWills struct {
	heap  willHeap
	count uint64
}

// dueWill is a Will, or an arrival of one.
type dueWill struct {
	at      int64
	number  uint64
	will    *will
	class   *willClass
	arrival willArrival
	topic   *topic
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
	w.judgeAt = latest
	if latest < never { // else at the end
		j.wake(dueWill{at: latest, will: w})
	}
}

func (j *judge) wake(d dueWill) {
	j.due.count++
	d.number = j.due.count
	heap.Push(&j.due.heap, d)
}

func (j *judge) judgeDueWills() {
	for len(j.due.heap) > 0 && j.due.heap[0].at < j.now {
		v := heap.Pop(&j.due.heap).(dueWill)
		switch w := v.will; {
		case w == nil:
			j.judgeArrival(v.topic, v.class, v.arrival)
		case w.judgeAt != v.at:
		case w.decided:
			j.forgetWill(w)
		default:
			j.judgeWill(w)
			w.judgeAt = j.now + int64(j.cfg.Keep)
			j.wake(dueWill{at: w.judgeAt, will: w})
		}
	}
}

// forgetWill lets go of a Will that was decided long ago, unless it waits for devices.
func (j *judge) forgetWill(w *will) {
	if len(w.later) > 0 {
		return
	}
	c := w.class
	c.forgot = true
	c.wills = without(c.wills, func(o *will) bool { return o == w })
	if len(c.arrivals) > 64 || len(c.wills) == 0 {
		old := j.now - 2*int64(j.cfg.Keep)
		c.arrivals = without(c.arrivals, func(a willArrival) bool { return a.at < old })
	}
}

// suits tells whether an arrival is in order for a Will.
func (j *judge) suits(w *will, a willArrival) bool {
	if w.doubtful {
		return true
	}
	earliest, latest := j.dueTimes(w)
	if w.state == left0 && a.at <= w.at {
		return true // the server had ended the connection before DISCONNECT was sent
	}
	if w.state == left0 && a.at < w.backFrom {
		return false
	}
	if w.state == set || w.state == armed || j.owed(w) == mustNot || a.at < earliest {
		return false
	}
	return a.at <= latest || a.since > w.at
}

// judgeArrival decides about an arrival, once all that it may answer is known.
func (j *judge) judgeArrival(t *topic, c *willClass, a willArrival) {
	if a.soft {
		return
	}
	var last *will
	begin, wills, patient := int64(never), 0, false
	for _, w := range c.wills {
		if j.suits(w, a) {
			earliest, _ := j.dueTimes(w)
			begin, wills = min(begin, earliest), wills+1
			patient = patient || a.since > w.at || w.doubtful
		}
		if w.state != set && (last == nil || w.state != armed) {
			last = w
		}
	}
	switch {
	case last == nil:
		j.skip("wills that came after they were forgotten")
	case wills == 0 && c.forgot && a.session.keeps && a.at-a.since < int64(j.cfg.Flight):
		j.skip("wills that came after they were forgotten")
	case wills == 0:
		if i := slices.Index(last.missing, a.session); i >= 0 { // said already
			last.missing = slices.Delete(last.missing, i, i+1)
			return
		}
		j.wrongWill(last, a.session, a.at, j.whyNot(last, a))
	case !patient && !a.repeat && j.cameSince(c, a, begin) > a.copies*j.dueBetween(c, begin, a.at):
		j.wrongWill(last, a.session, a.at, "it came twice")
	}
}

// cameSince counts what a receiver got of a class up to an arrival.
func (j *judge) cameSince(c *willClass, a willArrival, begin int64) int {
	n := 0
	for _, o := range c.arrivals {
		if o.session.keeps && o.at-o.since < int64(j.cfg.Flight) {
			continue // it may have waited for the device
		}
		if o.session == a.session && o.at >= begin && o.at <= a.at && !o.repeat && !o.soft && o.since == a.since {
			n++
		}
	}
	return n
}

// dueBetween counts the Wills of a class that may have come in a time.
func (j *judge) dueBetween(c *willClass, from, to int64) int {
	n := 0
	for _, w := range c.wills {
		earliest, latest := j.dueTimes(w)
		if w.doubtful || w.state != set && w.state != armed && j.owed(w) != mustNot && earliest <= to && latest >= from {
			n++
		}
	}
	return n
}

func (j *judge) whyNot(w *will, a willArrival) string {
	switch {
	case w.state == armed:
		return "it came and must not: the connection stood"
	case w.state == left0:
		return "it came and must not: the device had sent DISCONNECT"
	case w.state == void:
		return "it came and must not: the connection was refused"
	case j.owed(w) == mustNot:
		return "it came and must not: the device was back within the delay"
	}
	if earliest, _ := j.dueTimes(w); a.at < earliest {
		return "it came before its delay had passed"
	}
	return "it came too late, or must not come"
}

func (j *judge) wrongWill(w *will, s *session, at int64, detail string) {
	j.fault(WrongWill, Example{At: at, Device: j.deviceName(s), Publisher: j.name(w.device), Topic: w.topic.name, Seq: w.seq, Detail: "Will: " + detail})
}

// judgeWill decides about a Will whose time has passed.
func (j *judge) judgeWill(w *will) {
	owed := j.owed(w)
	_, latest := j.dueTimes(w)
	if owed == mustCome {
		j.missWill(w)
	}
	if w.retain {
		if owed == mustNot {
			w.topic.versions = without(w.topic.versions, func(v version) bool { return v.stream == w.stream && v.seq == w.seq })
		} else if owed == mustCome && len(w.missing) == 0 {
			w.topic.stood(w.stream, w.seq, latest)
		}
	}
	w.decided = true
	w.session.wills = without(w.session.wills, func(o *will) bool { return o == w })
}

// came tells whether a receiver got something that may be this Will.
func (j *judge) came(w *will, s *session) bool {
	earliest, _ := j.dueTimes(w)
	for _, a := range w.class.arrivals {
		if a.session == s && a.at >= earliest {
			return true
		}
	}
	return false
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
			case j.came(w, s):
				j.count(qos, uint32(s.owner), func(c *Counts) *uint64 { return &c.Expected })
				j.count(qos, uint32(s.owner), func(c *Counts) *uint64 { return &c.Delivered })
			case s.live && s.since <= since:
				j.willMissing(w, s, qos)
			case qos > 0 && s.keeps:
				w.later = append(w.later, deferredWill{session: s, sub: b, life: s.life})
			}
		}
	}
}

func (j *judge) willMissing(w *will, s *session, qos uint8) {
	j.count(qos, uint32(s.owner), func(c *Counts) *uint64 { return &c.Expected })
	if qos == 0 && j.cfg.LossQoS0 > 0 {
		j.count(0, uint32(s.owner), func(c *Counts) *uint64 { return &c.LostQoS0 })
		return
	}
	w.missing = append(w.missing, s)
	j.wrongWill(w, s, w.at, "it did not come")
}

// deferredWill is who has to get a Will when its device is back.
type deferredWill struct {
	session *session
	sub     *sub
	life    uint32
}

func (j *judge) finishWills() {
	for len(j.due.heap) > 0 {
		if v := heap.Pop(&j.due.heap).(dueWill); v.will == nil {
			j.judgeArrival(v.topic, v.class, v.arrival)
		}
	}
	for _, t := range j.numbered {
		for _, c := range t.wills {
			for _, w := range c.wills {
				j.finishWill(w)
			}
		}
	}
}

func (j *judge) finishWill(w *will) {
	if !w.decided && (w.state == gone || w.state == left0) {
		j.judgeWill(w)
	}
	for _, v := range w.later {
		s := v.session
		if s.live && s.life == v.life && v.sub.state == active && v.sub.since <= w.at && !j.came(w, s) {
			j.willMissing(w, s, 1)
		}
	}
}
