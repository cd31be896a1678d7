package oracle

import "math"

// merger brings the events of the sources into one order: by time, then what was sent
// before what was received, then by the source's number. The order does not depend on
// when the sources added them.
type merger struct {
	lanes []lane
	limit int64 // events before it may go
	late  uint64
	last  int64
}

// lane is what was taken of one source.
type lane struct {
	events []Event
	next   int
}

// take fills empty lanes from their sources and finds how far merging may go. With the
// sources' lock held.
func (m *merger) take(sources []*Source, ending bool) {
	for len(m.lanes) < len(sources) {
		m.lanes = append(m.lanes, lane{})
	}
	m.limit = math.MaxInt64
	for i, s := range sources {
		l := &m.lanes[i]
		l.take(s)
		s.held = len(l.events) - l.next
		m.late += s.late
		s.late = 0
		open := !ending && !s.closed
		switch {
		case len(s.in) > 0: // the lane goes up to where the queue goes on
			m.limit = min(m.limit, s.in[0].At)
		case open:
			m.limit = min(m.limit, s.floor)
		}
	}
}

// take takes over a source's queue when the lane is empty, or when the queue goes on
// with the very time at which the lane begins: that time has to be merged as a whole.
func (l *lane) take(s *Source) {
	switch {
	case len(s.in) == 0:
	case l.next == len(l.events):
		l.events, s.in = s.in, l.events[:0]
		l.next = 0
	case l.events[l.next].At == s.in[0].At:
		l.events = append(l.events[l.next:], s.in...)
		l.next = 0
		s.in = s.in[:0]
	}
}

// ready tells whether a step would do something.
func (m *merger) ready() bool {
	for i := range m.lanes {
		if l := &m.lanes[i]; l.next < len(l.events) && l.events[l.next].At < m.limit {
			return true
		}
	}
	return false
}

func (m *merger) empty() bool {
	for i := range m.lanes {
		if l := &m.lanes[i]; l.next < len(l.events) {
			return false
		}
	}
	return true
}

// each gives the events that may go to step, which must not keep them.
func (m *merger) each(step func(*Event)) {
	for {
		first, second := m.pick()
		if first == nil {
			return
		}
		for {
			e := &first.events[first.next]
			m.last = e.At
			step(e)
			first.next++
			if first.next == len(first.events) || !m.goesOn(&first.events[first.next], second) {
				break
			}
		}
	}
}

// goesOn tells whether e may go before the other lanes are looked at again.
func (m *merger) goesOn(e, second *Event) bool {
	return e.At < m.limit && (second == nil || e.At < second.At)
}

// pick finds the lane whose event is next, and the event that is next in the others.
func (m *merger) pick() (first *lane, second *Event) {
	var head *Event
	for i := range m.lanes {
		l := &m.lanes[i]
		if l.next == len(l.events) {
			continue
		}
		e := &l.events[l.next]
		switch {
		case e.At >= m.limit:
		case head == nil || before(e, head):
			first, second, head = l, head, e
			continue
		}
		if e != head && (second == nil || before(e, second)) {
			second = e
		}
	}
	return first, second
}

// before tells the order of two events of different sources; of equals the one of the
// source that is looked at first stays first.
func before(a, b *Event) bool {
	if a.At != b.At {
		return a.At < b.At
	}
	return !a.Kind.received() && b.Kind.received()
}

// received tells the events that answer something from those that begin it.
func (k Kind) received() bool {
	switch k {
	case Connected, Refused, Subscribed, Unsubscribed, Published, Received, Ends:
		return true
	}
	return false
}
