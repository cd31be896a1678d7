package devices

import (
	"fmt"
	"sync"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Session is the client's part of a session's state: own messages that are not
// acknowledged, in their order, and the QoS 2 messages that were received and not
// yet released. It outlives connections; give it to the next Dial. One Client at a
// time uses it: a Dial that succeeds ends the one before with ErrReplaced, as the
// server does with its connection. [MQTT 5 section 4.1]
type Session struct {
	mu      sync.Mutex
	user    *Client // the last that was given the session; its machine holds the state
	sensor  *Sensor // the same for sensors, whose speaker holds it
	pending map[uint64]*Pending
	last    uint64        // token of pending that was given out last
	idle    chan struct{} // closed while pending is empty
}

// NewSession makes an empty session.
func NewSession() *Session {
	s := &Session{pending: map[uint64]*Pending{}, idle: make(chan struct{})}
	close(s.idle)
	return s
}

// Unacknowledged is how many own messages wait for the server.
func (s *Session) Unacknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// Pending is a message of QoS 1 or 2 on its way to the server.
type Pending struct {
	topic string
	token uint64
	sent  chan struct{} // closed when it was first sent
	done  chan struct{} // closed at the end
	code  packet.ReasonCode
	err   error // set before done is closed
}

// add makes a Pending. This and the following are called with the lock held.
func (s *Session) add(m *Message) *Pending {
	s.last++
	p := &Pending{topic: m.Topic, token: s.last, sent: make(chan struct{}), done: make(chan struct{})}
	if len(s.pending) == 0 {
		s.idle = make(chan struct{})
	}
	s.pending[p.token] = p
	return p
}

// finish ends p, once.
func (s *Session) finish(p *Pending, code packet.ReasonCode, err error) {
	if s.pending[p.token] != p {
		return
	}
	delete(s.pending, p.token)
	p.code, p.err = code, err
	close(p.done)
	if len(s.pending) == 0 {
		close(s.idle)
	}
}

// withdraw takes back what was never sent.
func (s *Session) withdraw(p *Pending, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.user; u != nil && u.machine.Withdraw(&u.turn, p.token) {
		s.finish(p, packet.ReasonUnspecifiedError, why)
	}
}

// begin gives c the session, and what the client before c held of it; that one is
// over, and is returned so that its connection be closed.
func (s *Session) begin(c *Client) (former *Client) {
	former, s.user = s.user, c
	if former != nil {
		former.endLocked(ErrReplaced) // or it would go on with the session's messages
		c.machine.Adopt(&former.machine)
	}
	return former
}

// events hears what the machine of a Client has to tell; the lock is held.
type events Client

var _ machine.Authenticator = (*events)(nil)

// Connected takes the server's answer to CONNECT.
func (e *events) Connected(ack *packet.Connack) {
	c := (*Client)(e)
	if p := &ack.Properties; ack.Reason.Failed() {
		c.said = &ReasonError{Op: "connection refused", Code: ack.Reason, Version: c.opt.Version,
			Text: string(p.ReasonString), Reference: string(p.ServerReference)}
		return
	}
	if c.scram != nil {
		if c.unsure = c.scram.verify(ack.Properties.AuthenticationData); c.unsure != nil {
			return
		}
	}
	c.accepted = accepted(&c.opt, ack)
	c.former = c.session.begin(c)
}

// Message keeps a message for the reader, which hands it on without the lock.
func (e *events) Message(p *packet.Publish, topic []byte) {
	e.got = (*Client)(e).received(p, string(topic))
}

// Sent lets Send return.
func (e *events) Sent(token uint64) {
	if p := e.session.pending[token]; p != nil {
		close(p.sent)
	}
}

// Acked ends a message with the server's code.
func (e *events) Acked(token uint64, code packet.ReasonCode, text []byte) {
	p := e.session.pending[token]
	if p == nil {
		return
	}
	var err error
	if code.Failed() {
		err = &ReasonError{Op: fmt.Sprintf("publish to %q", p.topic), Code: code, Version: e.opt.Version, Text: string(text)}
	}
	e.session.finish(p, code, err)
}

// Dropped ends a message that will never be acknowledged.
func (e *events) Dropped(token uint64, why error) {
	if p := e.session.pending[token]; p != nil {
		e.session.finish(p, packet.ReasonUnspecifiedError, fmt.Errorf("publish to %q: %w", p.topic, why))
	}
}

// Subscribed ends a Subscribe.
func (e *events) Subscribed(token uint64, codes []packet.ReasonCode, text []byte) {
	e.answered(token, codes, text)
}

// Unsubscribed ends an Unsubscribe.
func (e *events) Unsubscribed(token uint64, codes []packet.ReasonCode, text []byte) {
	e.answered(token, codes, text)
}

// Disconnected notes the server's reason as the connection's error.
func (e *events) Disconnected(p *packet.Disconnect) {
	e.said = &ReasonError{Op: "the server ended the connection", Code: p.Reason, Version: packet.V5,
		Text: string(p.Properties.ReasonString), Reference: string(p.Properties.ServerReference)}
}
