package oracle

import (
	"container/heap"
	"math/rand/v2"
	"slices"
)

const ms = int64(1e6)

// world is a fleet and a perfect broker in simulated time: what its devices see are the
// events that the judge gets. spoil makes the broker imperfect.
type world struct {
	r      *rand.Rand
	now    int64
	agenda agenda
	count  int
	events []Event
	devs   []*simDevice
	held   map[string]*simSession
	kept   map[string]*simMessage // retained
	old    map[string]*simMessage // what stood before, or was cleared
	copies bool                   // one copy for each overlapping subscription
	queue0 bool                   // QoS 0 is kept for durable sessions that are away
	turn   int                    // of shared subscriptions
	older  *simMessage            // a retained message that was replaced long ago
	spoil  func(what string, x *simDelivery) bool
	acked  map[*simMessage]bool
}

type agendaItem struct {
	at int64
	n  int
	do func()
}

type agenda []agendaItem

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, k int) bool {
	return a[i].at < a[k].at || a[i].at == a[k].at && a[i].n < a[k].n
}
func (a agenda) Swap(i, k int) { a[i], a[k] = a[k], a[i] }
func (a *agenda) Push(v any)   { *a = append(*a, v.(agendaItem)) }
func (a *agenda) Pop() any {
	old := *a
	v := old[len(old)-1]
	*a = old[:len(old)-1]
	return v
}

func (w *world) after(d int64, do func()) {
	w.count++
	heap.Push(&w.agenda, agendaItem{at: w.now + d, n: w.count, do: do})
}

func (w *world) run(until int64) {
	for len(w.agenda) > 0 && w.agenda[0].at <= until {
		v := heap.Pop(&w.agenda).(agendaItem)
		w.now = v.at
		v.do()
	}
	w.now = until
}

func (w *world) tell(d *simDevice, e Event) {
	e.At, e.Device = w.now, d.number
	w.events = append(w.events, e)
}

type simMessage struct {
	topic  string
	from   *simDevice
	seq    uint64
	hash   uint32
	size   uint32
	qos    uint8
	retain bool
	marked bool
	will   bool
	expiry uint32
	at     int64
	id     uint16
}

type simDelivery struct {
	m       *simMessage
	to      *simSession
	qos     uint8
	retain  bool
	dup     bool
	id      int
	late    int64
	content uint32
}

type simSub struct {
	filter  string
	qos     uint8
	noLocal bool
	asIs    bool
	group   string
}

type simSession struct {
	name     string
	conn     *simConn
	subs     []*simSub
	inflight []*simDelivery
	queue    []*simDelivery // QoS 0
	ids      int
	taken    map[uint16]bool // QoS 2 received
	keeps    bool
	expiry   int64
	gone     int // counts ends of connections
	will     *simMessage
	dead     bool
}

type simConn struct {
	d                *simDevice
	client, broker   bool // open on that side
	dead             bool // nothing passes
	upAt, downAt     int64
	session          *simSession
	will             *simMessage
	delay            int64
	clean            bool
	expiry, keptLive int64
}

type simDevice struct {
	w        *world
	number   uint32
	name     string
	v5       bool
	durable  bool
	expiry   uint32
	keep     uint16
	delay    uint32
	withWill bool
	conn     *simConn
	seqs     map[string]uint64
	unacked  []*simMessage
	got2     map[int]bool
	subs     map[string]bool
	ids      uint16
	steady   bool
	stopped  bool
	doomed   *simConn // which the broker has closed, and it does not know yet
}

func (w *world) latency() int64 { return ms + w.r.Int64N(15*ms) }

// up and down carry a packet, in order.
func (c *simConn) up(do func()) {
	w := c.d.w
	c.upAt = max(w.now+w.latency(), c.upAt+1)
	w.after(c.upAt-w.now, func() {
		if c.broker && !c.dead {
			do()
		}
	})
}

func (c *simConn) down(do func()) {
	w := c.d.w
	c.downAt = max(w.now+w.latency(), c.downAt+1)
	w.after(c.downAt-w.now, func() {
		if c.client && !c.dead {
			do()
		}
	})
}

func (d *simDevice) connect() {
	w := d.w
	if d.conn != nil || d.stopped {
		return
	}
	c := &simConn{d: d, client: true, broker: true, clean: !d.durable || w.r.IntN(12) == 0, delay: int64(d.delay) * second}
	version := uint8(4)
	expiry := d.expiry
	if d.v5 {
		version = 5
		c.expiry = int64(expiry) * second
	} else {
		expiry, c.delay = 0, 0
		if !c.clean {
			c.expiry = never
		}
	}
	d.conn = c
	w.tell(d, Event{Kind: Connecting, Clean: c.clean, Expiry: expiry, KeepAlive: d.keep, Code: version})
	if d.withWill {
		c.will = d.message("w/"+d.name, 1, true)
		c.will.hash, c.will.marked, c.will.will = 1000+d.number, d.number%2 == 0, true
		if c.will.marked {
			c.will.hash += uint32(c.will.seq) * 7919
		}
		w.tell(d, Event{Kind: WillSet, Topic: c.will.topic, Hash: c.will.hash, Seq: c.will.seq, QoS: 1, Retain: true, Delay: uint32(c.delay / second), Size: 3})
	}
	c.up(func() { w.accept(c) })
}

func (d *simDevice) message(topic string, qos uint8, retain bool) *simMessage {
	m := &simMessage{topic: topic, from: d, seq: d.seqs[topic], qos: qos, retain: retain, marked: true, size: 10, at: d.w.now}
	d.seqs[topic]++
	m.hash = d.number*1_000_003 + uint32(m.seq)*31 + Hash32([]byte(topic))
	return m
}

func (w *world) accept(c *simConn) {
	d := c.d
	s := w.held[d.name]
	if s != nil && s.conn != nil {
		old := s.conn
		w.brokerCloses(old)
		w.after(w.latency(), func() { old.d.lose(old, 0x8E, false) })
	}
	s = w.held[d.name]
	if s != nil && s.will != nil && !c.clean {
		s.will = nil // back within the delay
	}
	if s != nil && c.clean {
		w.endSession(s)
		s = nil
	}
	kept := s != nil
	if kept && w.spoil != nil && w.spoil("session", &simDelivery{to: s}) {
		w.endSession(s)
		s, kept = nil, false
	}
	if s == nil {
		s = &simSession{name: d.name, taken: map[uint16]bool{}}
		w.held[d.name] = s
	}
	s.conn, c.session, s.expiry, s.keeps = c, s, c.expiry, c.expiry > 0
	c.down(func() { d.accepted(c, kept) })
	for _, x := range s.queue {
		w.send(s, x)
	}
	s.queue = nil
	for _, x := range slices.Clone(s.inflight) {
		w.send(s, x)
	}
}

func (d *simDevice) accepted(c *simConn, present bool) {
	w := d.w
	w.tell(d, Event{Kind: Connected, Present: present})
	if !present {
		d.got2, d.subs = map[int]bool{}, map[string]bool{}
	}
	c.keptLive = 1
	for _, m := range d.unacked {
		d.transmit(m)
	}
	if d.withWill {
		m := d.message("w/"+d.name, 1, true)
		m.hash, m.marked = 2000+d.number, false
		d.publish(m)
	}
}

func (d *simDevice) up() bool { return d.conn != nil && d.conn.keptLive > 0 }

func (d *simDevice) publish(m *simMessage) {
	d.w.tell(d, Event{Kind: Publishing, Topic: m.topic, Seq: m.seq, Hash: m.hash, QoS: m.qos, Retain: m.retain, Size: m.size, Expiry: m.expiry})
	if m.qos > 0 {
		d.ids++
		m.id = d.ids
		d.unacked = append(d.unacked, m)
	}
	d.transmit(m)
}

func (d *simDevice) transmit(m *simMessage) {
	c, w := d.conn, d.w
	c.up(func() {
		if m.qos < 2 || !c.session.taken[m.id] {
			w.route(m)
		}
		if m.qos == 0 {
			return
		}
		if m.qos == 2 {
			c.session.taken[m.id] = true
		}
		c.down(func() {
			if !slices.Contains(d.unacked, m) {
				return
			}
			w.tell(d, Event{Kind: Published, Topic: m.topic, Seq: m.seq})
			w.acked[m] = true
			d.unacked = without(d.unacked, func(o *simMessage) bool { return o == m })
			c.up(func() { delete(c.session.taken, m.id) })
		})
	})
}

func (d *simDevice) subscribe(filter string, qos uint8, wanted, noLocal, asIs bool) {
	c, w := d.conn, d.w
	w.tell(d, Event{Kind: Subscribing, Topic: filter, QoS: qos, Present: wanted, Retain: asIs, Clean: noLocal})
	c.up(func() {
		s := c.session
		s.subs = without(s.subs, func(b *simSub) bool { return b.filter == filter })
		b := &simSub{filter: filter, qos: qos, noLocal: noLocal, asIs: asIs}
		if shared(filter) {
			b.group = filter
		}
		s.subs = append(s.subs, b)
		early := w.r.IntN(2) == 0
		ack := func() {
			c.down(func() {
				w.tell(d, Event{Kind: Subscribed, Topic: filter, Code: qos})
				d.subs[filter] = true
			})
		}
		if early {
			ack()
		}
		if wanted && b.group == "" {
			w.sendRetained(s, b)
		}
		if !early {
			ack()
		}
	})
}

func (w *world) sendRetained(s *simSession, b *simSub) {
	var names []string
	for name := range w.old {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !naive(b.filter, name) {
			continue
		}
		m := w.kept[name]
		x := &simDelivery{m: m, to: s, retain: true}
		switch {
		case m == nil && w.spoil != nil && w.spoil("cleared", &simDelivery{m: w.old[name], to: s}):
			x.m = w.old[name]
		case m == nil:
			continue
		case w.spoil != nil && w.spoil("retained", x):
			continue
		}
		if x.m.expiry > 0 && x.m.at+int64(x.m.expiry)*second < w.now {
			continue
		}
		x.qos = min(b.qos, x.m.qos)
		w.push(x)
	}
}

func (d *simDevice) unsubscribe(filter string) {
	c, w := d.conn, d.w
	delete(d.subs, filter)
	w.tell(d, Event{Kind: Unsubscribing, Topic: filter})
	c.up(func() {
		c.session.subs = without(c.session.subs, func(b *simSub) bool { return b.filter == filter })
		c.down(func() { w.tell(d, Event{Kind: Unsubscribed, Topic: filter}) })
	})
}

// route is what the broker does with a message.
func (w *world) route(m *simMessage) {
	if m.retain {
		if m.size == 0 {
			if w.kept[m.topic] != nil {
				w.old[m.topic] = w.kept[m.topic]
			}
			delete(w.kept, m.topic)
		} else {
			if w.old[m.topic] == nil || w.kept[m.topic] != nil {
				w.old[m.topic] = w.kept[m.topic]
			}
			w.kept[m.topic] = m
		}
	}
	groups := map[string][]*simSession{}
	var names []string
	for _, d := range w.devs {
		s := w.held[d.name]
		if s == nil {
			continue
		}
		var best *simDelivery
		for _, b := range s.subs {
			if !naive(b.filter, m.topic) || b.noLocal && m.from.name == s.name {
				continue
			}
			x := &simDelivery{m: m, to: s, qos: min(b.qos, m.qos), retain: m.retain && b.asIs}
			switch {
			case b.group != "":
				if groups[b.group] == nil {
					names = append(names, b.group)
				}
				groups[b.group] = append(groups[b.group], s)
			case w.copies:
				w.push(x)
			case best == nil:
				best = x
			default:
				best.qos, best.retain = max(best.qos, x.qos), best.retain || x.retain
			}
		}
		if best != nil {
			w.push(best)
		}
	}
	for _, name := range names {
		w.share(m, name, groups[name])
	}
}

func (w *world) share(m *simMessage, name string, members []*simSession) {
	w.turn++
	to := members[w.turn%len(members)]
	for _, s := range members {
		if to.conn == nil {
			to = s
		}
	}
	for _, b := range to.subs {
		if b.filter == name {
			w.push(&simDelivery{m: m, to: to, qos: min(b.qos, m.qos), retain: m.retain && b.asIs})
		}
	}
}

func (w *world) push(x *simDelivery) {
	s := x.to
	x.content = x.m.hash
	if x.m.will && !x.retain && w.spoil != nil && w.spoil("will", x) {
		return
	}
	if x.qos == 0 {
		if s.conn != nil {
			w.send(s, x)
		} else if s.keeps && w.queue0 {
			s.queue = append(s.queue, x)
		}
		return
	}
	s.ids++
	x.id = s.ids
	s.inflight = append(s.inflight, x)
	if s.conn != nil {
		w.send(s, x)
	}
}

func (w *world) send(s *simSession, x *simDelivery) {
	c, m := s.conn, x.m
	if m.expiry > 0 && !x.dup && m.at+int64(m.expiry)*second < w.now {
		s.inflight = without(s.inflight, func(o *simDelivery) bool { return o == x })
		return
	}
	dup := x.dup
	x.dup = x.qos > 0
	c.down(func() {
		d := c.d
		if x.qos < 2 || !d.got2[x.id] {
			e := Event{Kind: Received, Topic: m.topic, Hash: x.content, QoS: x.qos, Retain: x.retain, Dup: dup, Size: m.size}
			if m.marked {
				e.Marked, e.Publisher, e.Seq, e.Sent = true, m.from.number, m.seq, m.at
			}
			w.tell(d, e)
		}
		if x.qos == 0 {
			return
		}
		if x.qos == 2 {
			d.got2[x.id] = true
		}
		c.up(func() {
			s.inflight = without(s.inflight, func(o *simDelivery) bool { return o == x })
			c.down(func() { delete(d.got2, x.id) })
		})
	})
}

// lose is the end of a connection as the device sees it.
func (d *simDevice) lose(c *simConn, code uint8, silent bool) {
	if !c.client {
		return
	}
	c.client = false
	if d.conn == c {
		d.conn = nil
	}
	d.w.tell(d, Event{Kind: Lost, Code: code, Silent: silent})
}

// cut ends a connection from without, with what is under way or behind it.
func (d *simDevice) cut() {
	c, w := d.conn, d.w
	switch w.r.IntN(3) {
	case 0: // nobody is told
		c.dead = true
		d.lose(c, 0, true)
		wait := int64(d.keep) * second * 3 / 2
		w.after(max(wait-w.r.Int64N(second), 0), func() { w.brokerCloses(c) })
	case 1: // what is under way is lost
		c.dead = true
		d.lose(c, 0, false)
		w.after(w.latency(), func() { w.brokerCloses(c) })
	case 2:
		d.lose(c, 0, false)
		c.up(func() { w.brokerCloses(c) })
	}
}

func (d *simDevice) leave(code uint8) {
	c, w := d.conn, d.w
	w.tell(d, Event{Kind: Leaving, Code: code})
	c.up(func() {
		if code == 0 && (w.spoil == nil || !w.spoil("after", &simDelivery{m: c.will, to: c.session})) {
			c.will = nil
		}
		w.brokerCloses(c)
	})
	c.client = false
	d.conn = nil
}

func (w *world) brokerCloses(c *simConn) {
	if !c.broker {
		return
	}
	c.broker = false
	s := c.session
	if s == nil || s.conn != c {
		return
	}
	s.conn = nil
	s.gone++
	gone := s.gone
	delay := min(c.delay, c.expiry)
	if !c.d.v5 {
		delay = 0
	}
	s.will = c.will
	if s.will != nil && w.spoil != nil {
		x := &simDelivery{m: s.will, to: s}
		if w.spoil("timing", x) {
			delay += x.late
		}
	}
	w.after(max(delay, 0), func() {
		if s.gone == gone && s.conn == nil {
			w.sendWill(s)
		}
	})
	if delay <= 0 {
		w.sendWill(s)
	}
	if !s.keeps {
		w.endSession(s)
	} else if s.expiry < never {
		w.after(s.expiry, func() {
			if s.gone == gone && s.conn == nil {
				w.endSession(s)
			}
		})
	}
}

func (w *world) sendWill(s *simSession) {
	if s.will == nil {
		return
	}
	m := s.will
	s.will = nil
	w.route(m)
}

func (w *world) endSession(s *simSession) {
	if s.dead {
		return
	}
	s.dead = true
	w.sendWill(s)
	delete(w.held, s.name)
}
