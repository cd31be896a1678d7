package devices

import (
	"slices"
	"sync"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Session is the client's part of a session's state: own messages that are not
// acknowledged, in their order, and the QoS 2 messages that were received and not
// yet released. It outlives connections; give it to the next Dial. One Client at a
// time uses it: a Dial that succeeds ends the one before with ErrReplaced, as the
// server does with its connection. [MQTT 5 section 4.1]
type Session struct {
	mu       sync.Mutex
	out      []*Pending // not yet acknowledged, oldest first
	byID     map[uint16]*Pending
	other    map[uint16]struct{} // identifiers of SUBSCRIBE and UNSUBSCRIBE under way
	received map[uint16]struct{} // QoS 2, acknowledged with PUBREC
	last     uint16
	unsent   []*Pending    // of out, not yet sent on this connection
	idle     chan struct{} // closed while out is empty
	user     *Client       // the last that was given the session
}

// NewSession makes an empty session.
func NewSession() *Session {
	s := &Session{byID: map[uint16]*Pending{}, other: map[uint16]struct{}{}, received: map[uint16]struct{}{}, idle: make(chan struct{})}
	close(s.idle)
	return s
}

// Unacknowledged is how many own messages wait for the server.
func (s *Session) Unacknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out)
}

// Pending is a message of QoS 1 or 2 on its way to the server.
type Pending struct {
	message *Message
	id      uint16
	state   pendingState
	onWire  bool          // sent on the present connection
	sent    chan struct{} // closed when it was first sent
	done    chan struct{} // closed at the end
	code    packet.ReasonCode
	err     error // set before done is closed
}

type pendingState uint8

const (
	queued   pendingState = iota // waits for room in the window
	sent                         // waits for PUBACK or PUBREC
	released                     // QoS 2: PUBREL is out, waits for PUBCOMP
)

// add puts a message behind the others; ok is false when all identifiers are
// in use. This and the following are called with the lock held.
func (s *Session) add(m *Message) (p *Pending, ok bool) {
	id, ok := s.freeID()
	if !ok {
		return nil, false
	}
	p = &Pending{message: m, id: id, sent: make(chan struct{}), done: make(chan struct{})}
	if len(s.out) == 0 {
		s.idle = make(chan struct{})
	}
	s.out, s.unsent = append(s.out, p), append(s.unsent, p)
	s.byID[id] = p
	return p, true
}

// reserve takes an identifier for a SUBSCRIBE or UNSUBSCRIBE.
func (s *Session) reserve() (id uint16, ok bool) {
	if id, ok = s.freeID(); ok {
		s.other[id] = struct{}{}
	}
	return id, ok
}

// freeID finds an identifier that is not in use. [MQTT-2.2.1-3]
func (s *Session) freeID() (uint16, bool) {
	for range 65535 {
		if s.last++; s.last == 0 {
			s.last = 1
		}
		_, a := s.byID[s.last]
		_, b := s.other[s.last]
		if !a && !b {
			return s.last, true
		}
	}
	return 0, false
}

// finish ends p.
func (s *Session) finish(p *Pending, code packet.ReasonCode, err error) {
	s.out = without(s.out, p)
	if p.state == queued {
		s.unsent = without(s.unsent, p)
	}
	delete(s.byID, p.id)
	p.code, p.err = code, err
	close(p.done)
	if len(s.out) == 0 {
		close(s.idle)
	}
}

// without takes p out; it stands in front as a rule.
func without(list []*Pending, p *Pending) []*Pending {
	if i := slices.Index(list, p); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// begin prepares for c's connection: what is unacknowledged goes out again
// [MQTT-4.4.0-1], or is lost where the server has forgotten [MQTT-3.2.2-5].
func (s *Session) begin(c *Client, present bool) {
	s.mu.Lock()
	former := s.user
	if s.user = c; former != nil {
		former.endLocked(ErrReplaced) // or it would go on taking from unsent
	}
	s.resume(present)
	s.mu.Unlock()
	if former != nil {
		former.conn.Close()
	}
}

func (s *Session) resume(present bool) {
	clear(s.other)
	if !present {
		clear(s.received)
		for _, p := range slices.Clone(s.out) {
			if p.state != queued {
				s.finish(p, packet.ReasonUnspecifiedError, ErrSessionLost)
			}
		}
	}
	for _, p := range s.out {
		p.onWire = false
	}
	s.unsent = slices.Clone(s.out) // [MQTT-4.6.0-1]
}
