package machine

import (
	"slices"
	"unsafe"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// session is what a machine holds only while there is something in it: own packets under
// way, and received QoS 2 identifiers.
//
// An entry stands in the slot that its packet identifier names modulo the number of slots,
// which is a power of two. Identifiers are ours to choose, so one whose slot is taken is
// passed over, and looking one up is one step. The messages among them are chained in
// the order of their publishing.
type session struct {
	slots    []entry
	used     int
	messages int      // of used; the others are SUBSCRIBE and UNSUBSCRIBE
	queued   int      // of messages: never sent
	head     uint16   // identifiers of the first and last message, 0: none
	tail     uint16   //
	cursor   uint16   // first message not sent on this connection, 0: none
	received []uint16 // QoS 2 identifiers, acknowledged with PUBREC, ascending
	size     int      // bytes of memory, in all
}

// entry is a packet that waits for its acknowledgement.
type entry struct {
	token      uint64
	wire       []byte // the whole PUBLISH without DUP; empty once PUBREC came
	id         uint16
	prev, next uint16 // message before and behind, 0: none
	state      state
	onWire     bool              // sent on this connection
	code       packet.ReasonCode // what PUBREC said
}

type state uint8

const (
	free          state = iota
	queued              // never sent
	sent                // waits for PUBACK or PUBREC
	released            // QoS 2: waits for PUBCOMP
	subscribing         // waits for SUBACK
	unsubscribing       // waits for UNSUBACK
)

// Sizes of what a session keeps.
const (
	minSlots  = 4
	maxSlots  = 1 << 16
	maxIDs    = maxSlots - 1
	keepWire  = 4096 // largest packet memory kept in a free slot, in bytes
	entrySize = int(unsafe.Sizeof(entry{}))
)

func newSession() *session { return &session{size: int(unsafe.Sizeof(session{}))} }

func (s *session) empty() bool { return s.used == 0 && len(s.received) == 0 }

// find gives the entry of an identifier, nil if there is none.
func (s *session) find(id uint16) *entry {
	if s == nil || len(s.slots) == 0 {
		return nil
	}
	e := &s.slots[int(id)&(len(s.slots)-1)]
	if e.state == free || e.id != id {
		return nil
	}
	return e
}

// reserve takes the next free identifier after last; nil when all are in use. It makes
// entries that were found before invalid. [MQTT-2.2.1-3]
func (s *session) reserve(last *uint16, st state, token uint64) *entry {
	if s.used == maxIDs {
		return nil
	}
	if s.used == len(s.slots) {
		s.grow()
	}
	for {
		if *last++; *last == 0 {
			continue
		}
		e := &s.slots[int(*last)&(len(s.slots)-1)]
		if e.state == free {
			*e = entry{id: *last, state: st, token: token, wire: e.wire}
			s.used++
			return e
		}
	}
}

func (s *session) grow() {
	n := max(minSlots, 2*len(s.slots))
	grown := make([]entry, n)
	for i := range s.slots {
		e := &s.slots[i]
		grown[int(e.id)&(n-1)] = *e
	}
	s.size += (n - len(s.slots)) * entrySize
	s.slots = grown
}

// write puts p into e as it goes out first.
func (s *session) write(e *entry, p *packet.Publish, v packet.Version) {
	s.size -= cap(e.wire)
	e.wire = p.Append(e.wire[:0], v)
	s.size += cap(e.wire)
}

// append puts e behind the other messages.
func (s *session) append(e *entry) {
	e.prev = s.tail
	if before := s.find(s.tail); before != nil {
		before.next = e.id
	} else {
		s.head = e.id
	}
	s.tail = e.id
	if s.cursor == 0 {
		s.cursor = e.id
	}
	s.messages++
	s.queued++
}

// remove frees a message.
func (s *session) remove(e *entry) {
	if before := s.find(e.prev); before != nil {
		before.next = e.next
	} else {
		s.head = e.next
	}
	if behind := s.find(e.next); behind != nil {
		behind.prev = e.prev
	} else {
		s.tail = e.prev
	}
	if s.cursor == e.id {
		s.cursor = e.next
	}
	if e.state == queued {
		s.queued--
	}
	s.messages--
	s.vacate(e)
}

// vacate frees a slot.
func (s *session) vacate(e *entry) {
	s.drain(e)
	*e = entry{wire: e.wire}
	s.used--
}

// drain lets go of a packet, and of its memory where it was large.
func (s *session) drain(e *entry) {
	if e.wire = e.wire[:0]; cap(e.wire) > keepWire {
		s.size -= cap(e.wire)
		e.wire = nil
	}
}

// offline prepares for the next connection: all goes out again, and what was asked of
// the former one is forgotten.
func (s *session) offline() {
	for i := range s.slots {
		e := &s.slots[i]
		if e.onWire = false; e.state >= subscribing {
			s.vacate(e)
		}
	}
	s.cursor = s.head
}

// know notes a received QoS 2 message.
func (s *session) know(id uint16) {
	if i, known := slices.BinarySearch(s.received, id); !known {
		before := cap(s.received)
		s.received = slices.Insert(s.received, i, id)
		s.size += 2 * (cap(s.received) - before)
	}
}

// knows reports whether a QoS 2 message was received and not released.
func (s *session) knows(id uint16) bool {
	if s == nil {
		return false
	}
	_, known := slices.BinarySearch(s.received, id)
	return known
}

// forget ends a received QoS 2 message; false when it is not known.
func (s *session) forget(id uint16) bool {
	if s == nil {
		return false
	}
	i, known := slices.BinarySearch(s.received, id)
	if known {
		s.received = slices.Delete(s.received, i, i+1)
	}
	return known
}

// qos is the message's, while it is kept.
func (e *entry) qos() byte {
	if len(e.wire) == 0 {
		return 2
	}
	return e.wire[0] >> 1 & 3
}

// convert writes the kept messages anew for another version.
func (s *session) convert(from, to packet.Version) {
	open := &packet.Limits{PropertyBytes: packet.MaxRemaining, UserProperties: packet.MaxRemaining, Filters: packet.MaxRemaining}
	p := packet.Publish{Limits: open}
	for e := s.find(s.head); e != nil; e = s.find(e.next) {
		if len(e.wire) == 0 {
			continue
		}
		former := e.wire
		if f, _, err := packet.Next(former, 0); err == nil && p.Decode(from, f.Header, f.Body) == nil {
			s.size -= cap(former)
			e.wire = nil // p stands in it
			s.write(e, &p, to)
		}
	}
}
