package fleet

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// faults are what a faulty broker does wrong. Each number n means: every n-th time; 0
// means never.
type faults struct {
	lose      int           // a message to a subscriber does not go out
	double    int           // it goes out twice
	swap      int           // it goes out behind the next one
	corrupt   int           // a byte of it is changed
	stale     int           // a retained message is not replaced by its successor
	forgotten int           // a retained message is not sent to a new subscriber
	lateWill  time.Duration // how late Wills come
	noWill    bool
	anyWill   bool // Wills come after a DISCONNECT as well
	misroute  int  // a message goes to somebody who has no subscription for it
	forget    bool // sessions are forgotten
}

// broker is a small MQTT broker for tests, right where its faults are not. It keeps
// sessions for as long as it lives.
type broker struct {
	t  *testing.T
	ln net.Listener

	mu       sync.Mutex
	faults   faults
	sessions map[string]*session
	retained map[string]*packet.Publish
	seen     map[string]int // how often each fault had its chance
	swapped  map[*session]*packet.Publish
	over     sync.WaitGroup
	timers   []*time.Timer
}

// session is one client's.
type session struct {
	id       string
	conn     net.Conn
	version  packet.Version
	clean    bool
	filters  map[string]packet.Subscription
	last     uint16
	inflight []*packet.Publish
	released map[uint16]bool
	received map[uint16]bool
	out      chan []byte
}

func startBroker(t *testing.T, ln net.Listener, f faults) *broker {
	b := &broker{t: t, ln: ln, faults: f, sessions: map[string]*session{}, retained: map[string]*packet.Publish{},
		seen: map[string]int{}, swapped: map[*session]*packet.Publish{}}
	b.over.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			b.over.Go(func() { b.serve(conn) })
		}
	})
	return b
}

func (b *broker) stop() {
	b.ln.Close()
	b.mu.Lock()
	for _, s := range b.sessions {
		if s.conn != nil {
			s.conn.Close()
		}
	}
	for _, t := range b.timers {
		t.Stop()
	}
	b.mu.Unlock()
	b.over.Wait()
}

// now tells whether a fault is due, and counts its chances.
func (b *broker) now(name string, every int) bool {
	if every == 0 {
		return false
	}
	b.seen[name]++
	return b.seen[name]%every == 0
}

// serve is one connection.
func (b *broker) serve(conn net.Conn) {
	defer conn.Close()
	var s *session
	var will *packet.Publish
	var delay uint32
	buf, orderly := []byte(nil), false
	for !orderly {
		f, n, err := packet.Next(buf, packet.MaxRemaining)
		if err != nil {
			break
		}
		if n == 0 {
			more := make([]byte, 4096)
			k, err := conn.Read(more)
			if err != nil {
				break
			}
			buf = append(buf, more[:k]...)
			continue
		}
		buf = buf[n:]
		if f.Type == packet.TypeConnect {
			if s, will, delay = b.connect(conn, f); s == nil {
				return
			}
			continue
		}
		b.mu.Lock()
		if s.conn != conn {
			b.mu.Unlock()
			break // taken over
		}
		orderly = b.packet(s, f)
		b.mu.Unlock()
	}
	if s != nil {
		b.gone(s, conn, will, delay, orderly)
	}
}

func (b *broker) connect(conn net.Conn, f packet.Frame) (*session, *packet.Publish, uint32) {
	p := &packet.Connect{}
	if err := p.Decode(0, f.Header, slices.Clone(f.Body)); err != nil {
		b.t.Errorf("broker: CONNECT: %v", err)
		return nil, nil, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s, present := b.sessions[string(p.ClientID)]
	if present && s.conn != nil {
		s.conn.Close()
	}
	if !present || p.CleanStart || s.clean || b.faults.forget {
		s, present = &session{id: string(p.ClientID), filters: map[string]packet.Subscription{}, received: map[uint16]bool{}, released: map[uint16]bool{}}, false
		b.sessions[s.id] = s
	}
	s.conn, s.version = conn, p.Version
	s.clean = p.CleanStart && p.Version < packet.V5 || p.Version == packet.V5 && p.Properties.SessionExpiry == 0
	s.out = make(chan []byte, 1<<16)
	out := s.out
	b.over.Go(func() {
		for bytes := range out {
			if _, err := conn.Write(bytes); err != nil {
				conn.Close()
			}
		}
	})
	b.send(s, &packet.Connack{SessionPresent: present})
	for _, m := range s.inflight {
		again := *m
		again.Dup = true
		if s.released[m.PacketID] {
			b.send(s, &packet.Ack{Type: packet.TypePubrel, PacketID: m.PacketID})
		} else {
			b.send(s, &again)
		}
	}
	if !p.HasWill {
		return s, nil, 0
	}
	return s, &packet.Publish{Topic: p.Will.Topic, Payload: p.Will.Payload, QoS: p.Will.QoS, Retain: p.Will.Retain}, p.Will.Properties.WillDelay
}

func (b *broker) send(s *session, p packet.Packet) {
	if s.conn != nil {
		s.out <- p.Append(nil, s.version)
	}
}

// packet takes one; true is the end in order.
func (b *broker) packet(s *session, f packet.Frame) bool {
	body := slices.Clone(f.Body)
	switch f.Type {
	case packet.TypePublish:
		p := &packet.Publish{}
		if err := p.Decode(s.version, f.Header, body); err != nil {
			b.t.Errorf("broker: PUBLISH: %v", err)
			return true
		}
		b.published(s, p)
	case packet.TypePubrel:
		a := b.ack(s, f, body)
		delete(s.received, a.PacketID)
		b.send(s, &packet.Ack{Type: packet.TypePubcomp, PacketID: a.PacketID})
	case packet.TypePubrec:
		a := b.ack(s, f, body)
		s.released[a.PacketID] = true
		b.send(s, &packet.Ack{Type: packet.TypePubrel, PacketID: a.PacketID})
	case packet.TypePuback, packet.TypePubcomp:
		a := b.ack(s, f, body)
		delete(s.released, a.PacketID)
		s.inflight = slices.DeleteFunc(s.inflight, func(m *packet.Publish) bool { return m.PacketID == a.PacketID })
	case packet.TypeSubscribe:
		b.subscribe(s, f, body)
	case packet.TypeUnsubscribe:
		p := &packet.Unsubscribe{}
		if err := p.Decode(s.version, f.Header, body); err != nil {
			b.t.Errorf("broker: UNSUBSCRIBE: %v", err)
		}
		for _, filter := range p.Filters {
			delete(s.filters, string(filter))
		}
		b.send(s, &packet.Unsuback{PacketID: p.PacketID, Codes: make([]packet.ReasonCode, len(p.Filters))})
	case packet.TypePingreq:
		b.send(s, &packet.Pingresp{})
	case packet.TypeDisconnect:
		return true
	}
	return false
}

func (b *broker) ack(s *session, f packet.Frame, body []byte) *packet.Ack {
	a := &packet.Ack{}
	if err := a.Decode(s.version, f.Header, body); err != nil {
		b.t.Errorf("broker: %v: %v", f.Type, err)
	}
	return a
}

func (b *broker) published(s *session, p *packet.Publish) {
	switch p.QoS {
	case 1:
		b.send(s, &packet.Ack{Type: packet.TypePuback, PacketID: p.PacketID})
	case 2:
		b.send(s, &packet.Ack{Type: packet.TypePubrec, PacketID: p.PacketID})
		if s.received[p.PacketID] {
			return
		}
		s.received[p.PacketID] = true
	}
	b.route(p)
}

// route gives p to all that subscribed to it.
func (b *broker) route(p *packet.Publish) {
	if p.Retain {
		switch old := b.retained[string(p.Topic)]; {
		case len(p.Payload) == 0:
			delete(b.retained, string(p.Topic))
		case old != nil && b.now("stale", b.faults.stale):
		default:
			b.retained[string(p.Topic)] = p
		}
	}
	for _, s := range b.ordered() {
		best, found := byte(0), false
		for filter, o := range s.filters {
			if covers(filter, string(p.Topic)) {
				best, found = max(best, o.QoS), true
			}
		}
		if !found && !b.now("misroute", b.faults.misroute) {
			continue
		}
		if s.conn == nil && p.QoS == 0 {
			continue
		}
		b.deliver(s, p, min(best, p.QoS), false)
	}
}

// ordered are the sessions by name, so that a run can be repeated.
func (b *broker) ordered() (out []*session) {
	for _, s := range b.sessions {
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y *session) int { return strings.Compare(x.id, y.id) })
	return out
}

func (b *broker) deliver(s *session, p *packet.Publish, qos byte, retain bool) {
	m := *p
	m.QoS, m.Retain, m.Dup, m.PacketID = qos, retain, false, 0
	if b.now("lose", b.faults.lose) {
		return
	}
	if b.now("corrupt", b.faults.corrupt) {
		m.Payload = slices.Clone(m.Payload)
		m.Payload[0] ^= 1
	}
	if b.now("swap", b.faults.swap) && b.swapped[s] == nil {
		b.swapped[s] = &m
		return
	}
	b.emit(s, m)
	if b.now("double", b.faults.double) {
		b.emit(s, m)
	}
	if held := b.swapped[s]; held != nil {
		delete(b.swapped, s)
		b.emit(s, *held)
	}
}

func (b *broker) emit(s *session, m packet.Publish) {
	if m.QoS > 0 {
		s.last++
		m.PacketID = s.last
		kept := m
		s.inflight = append(s.inflight, &kept)
	}
	b.send(s, &m)
}

func (b *broker) subscribe(s *session, f packet.Frame, body []byte) {
	p := &packet.Subscribe{}
	if err := p.Decode(s.version, f.Header, body); err != nil {
		b.t.Errorf("broker: SUBSCRIBE: %v", err)
	}
	ack := &packet.Suback{PacketID: p.PacketID}
	for _, o := range p.Filters {
		o.Filter = slices.Clone(o.Filter)
		s.filters[string(o.Filter)] = o
		ack.Codes = append(ack.Codes, packet.ReasonCode(o.QoS))
	}
	b.send(s, ack)
	for _, o := range p.Filters {
		for topic, m := range b.retained {
			if covers(string(o.Filter), topic) && !b.now("forgotten", b.faults.forgotten) {
				b.emit(s, packet.Publish{Topic: m.Topic, Payload: m.Payload, QoS: min(o.QoS, m.QoS), Retain: true})
			}
		}
	}
}

// gone ends a connection.
func (b *broker) gone(s *session, conn net.Conn, will *packet.Publish, delay uint32, orderly bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.conn == conn {
		s.conn = nil
		close(s.out)
		if s.clean {
			delete(b.sessions, s.id)
		}
	}
	if will == nil || b.faults.noWill || orderly && !b.faults.anyWill {
		return
	}
	b.timers = append(b.timers, time.AfterFunc(time.Duration(delay)*time.Second+b.faults.lateWill, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if now := b.sessions[s.id]; delay == 0 || now == nil || now.conn == nil {
			b.route(will)
		}
	}))
}

// covers matches level by level, as the specification tells it.
func covers(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (filter[0] == '#' || filter[0] == '+') {
		return false
	}
	fs, ts := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, f := range fs {
		switch {
		case f == "#":
			return true
		case i >= len(ts), f != "+" && f != ts[i]:
			return false
		}
	}
	return len(fs) == len(ts)
}
