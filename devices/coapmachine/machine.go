package coapmachine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Machine is one client. Init it before all else; it must not be copied afterwards.
type Machine struct {
	cfg      *Config
	who      Identity
	login    string // the token that the gateway gave
	queue    []request
	observed []observation
	seen     []seen // notifications of late, so that each counts once
	sent     int64  // when the last request was answered, for the heartbeat
	nextID   uint16
	next     uint32 // token
	state    State
}

// observation is one filter that is observed, or was before the connection ended.
type observation struct {
	token  uint32
	filter string
}

// seen is a confirmable notification that came. [CoAP-4.5-1]
type seen struct {
	id    uint16
	acked bool
}

// maxSeen is how many are remembered: the gateway has one under way.
const maxSeen = 16

// State is what the client is doing.
type State uint8

// The states.
const (
	Offline State = iota
	Connecting
	Active
	Leaving
)

// Init makes m a client that is not connected. seed makes its message identifiers begin
// somewhere else than those of others. [CoAP-4.4-1]
func (m *Machine) Init(cfg *Config, who Identity, seed uint32) {
	*m = Machine{cfg: cfg, who: who, nextID: uint16(seed), next: seed << 8}
}

// Configure gives a client that is not connected another configuration.
func (m *Machine) Configure(cfg *Config) { m.cfg = cfg }

// State tells what the client is doing.
func (m *Machine) State() State { return m.state }

// Waiting is how many messages and requests wait for the gateway, the one under way
// included.
func (m *Machine) Waiting() int { return len(m.queue) }

// Connect logs in, from any state.
func (m *Machine) Connect(t *Turn) error {
	if len(m.who.ClientID)+2 > maxOption || len(m.who.Username)+2 > maxOption || len(m.who.Password)+2 > maxOption {
		return ErrTooLong
	}
	m.Lost()
	m.state, m.seen = Connecting, nil
	if m.cfg.Expiry == 0 {
		m.observed = nil
	}
	m.first(t, request{kind: login, method: codes.POST})
	return nil
}

// maxOption is the longest path segment and query parameter, in bytes.
const maxOption = 255

// Disconnect ends the session's connection; a session that lasts goes on.
func (m *Machine) Disconnect(t *Turn) {
	if m.state == Offline {
		return
	}
	m.rewind()
	m.state = Leaving
	m.first(t, request{kind: logout, method: codes.DELETE})
}

// Lost forgets the connection without a word. What waits goes on waiting.
func (m *Machine) Lost() {
	m.rewind()
	m.state = Offline
}

// rewind makes what was under way be sent again by the next connection.
func (m *Machine) rewind() {
	m.queue = slices.DeleteFunc(m.queue, func(r request) bool { return r.kind >= login })
	if len(m.queue) > 0 {
		m.queue[0].restart()
	}
}

// Input takes a datagram from the gateway. What is not well-formed is passed over.
func (m *Machine) Input(t *Turn, b []byte) {
	var msg message.Message
	if m.state == Offline || !decode(b, &msg) {
		return
	}
	id := uint16(msg.MessageID)
	r := m.current()
	switch {
	case msg.Code == codes.Empty && msg.Type == message.Confirmable: // a ping [CoAP-4.3-1]
		m.say(t, empty(t.out, message.Reset, id))
	case msg.Type == message.Reset:
		if r != nil && r.id == id {
			m.finish(t, codes.InternalServerError, "reset")
		}
	case msg.Code == codes.Empty: // an answer comes apart [CoAP-5.2.2-1]
		if r != nil && r.id == id && msg.Type == message.Acknowledgement {
			r.at = t.Now + int64(apart)
			r.acked, r.tries = true, m.cfg.retransmits()
		}
	case msg.Code < codes.Created: // a request: devices serve nothing
	default:
		m.response(t, &msg, r)
	}
	m.pump(t)
}

// apart is how long an acknowledged request waits for its answer.
const apart = time.Minute

// response takes an answer to the request under way, or a notification.
func (m *Machine) response(t *Turn, msg *message.Message, r *request) {
	id := uint16(msg.MessageID)
	if len(msg.Token) != tokenSize {
		m.reject(t, msg)
		return
	}
	token := binary.BigEndian.Uint32(msg.Token)
	own := r != nil && r.token == token && (msg.Type != message.Acknowledgement || r.id == id)
	if own && (r.kind != subscribe || msg.Type == message.Acknowledgement || r.acked || !m.observes(token)) {
		if msg.Type == message.Confirmable {
			m.say(t, empty(t.out, message.Acknowledgement, id))
		}
		m.answered(t, msg, r)
		return
	}
	if msg.Type == message.Acknowledgement {
		return // of a request that was given up
	}
	if !m.observes(token) { // [Observe-3.6-1]
		m.reject(t, msg)
		return
	}
	m.notified(t, msg, token)
}

// reject answers what is for nobody here. [CoAP-4.2-2]
func (m *Machine) reject(t *Turn, msg *message.Message) {
	if msg.Type == message.Confirmable && !m.repeated(t, uint16(msg.MessageID)) {
		m.say(t, empty(t.out, message.Reset, uint16(msg.MessageID)))
	}
}

// observes says that token is an observation's.
func (m *Machine) observes(token uint32) bool {
	return slices.ContainsFunc(m.observed, func(o observation) bool { return o.token == token })
}

// filterOf is what the observation of token is of.
func (m *Machine) filterOf(token uint32) string {
	i := slices.IndexFunc(m.observed, func(o observation) bool { return o.token == token })
	return m.observed[i].filter
}

// notified takes a notification, each once.
func (m *Machine) notified(t *Turn, msg *message.Message, token uint32) {
	id := uint16(msg.MessageID)
	confirm := msg.Type == message.Confirmable
	if confirm && m.repeated(t, id) {
		return
	}
	if confirm {
		m.seen = append(m.seen, seen{id: id})
		if len(m.seen) > maxSeen {
			m.seen = slices.Delete(m.seen, 0, 1)
		}
	}
	n := Notification{Filter: m.filterOf(token), Topic: topicOf(msg), Payload: msg.Payload, ID: id}
	if confirm {
		n.QoS = 1
	}
	switch b := blockOf(msg, message.Block2); {
	case msg.Code != codes.Content: // the observation is over [Observe-4.2-2]
		m.observed = slices.DeleteFunc(m.observed, func(o observation) bool { return o.token == token })
		if confirm {
			m.Ack(t, id)
		}
	case b.there && b.more: // [Block-2.6-1]
		m.fetch(t, &n, b)
	default:
		m.give(t, &n)
	}
}

// give hands a notification over.
func (m *Machine) give(t *Turn, n *Notification) {
	t.Handler.Message(n)
	if n.QoS > 0 && !m.cfg.ManualAck {
		m.Ack(t, n.ID)
	}
}

// repeated says that a notification came before; it is acknowledged again if it was.
func (m *Machine) repeated(t *Turn, id uint16) bool {
	for _, s := range m.seen {
		if s.id == id {
			if s.acked {
				m.say(t, empty(t.out, message.Acknowledgement, id))
			}
			return true
		}
	}
	return false
}

// Ack acknowledges a notification of QoS 1.
func (m *Machine) Ack(t *Turn, id uint16) {
	for i := range m.seen {
		if m.seen[i].id == id {
			m.seen[i].acked = true
			m.say(t, empty(t.out, message.Acknowledgement, id))
		}
	}
}

func (m *Machine) end(t *Turn, err error) {
	m.Lost()
	t.Handler.Ended(err)
}

// say sends one datagram.
func (m *Machine) say(t *Turn, b []byte) {
	t.out = b[:0]
	if len(b) > 0 {
		t.Handler.Send(b)
	}
}

// Timer does what is due and tells when the next thing is; 0: nothing is.
func (m *Machine) Timer(t *Turn) (next int64) {
	if m.state == Offline {
		return 0
	}
	if r := m.current(); r != nil && t.Now >= r.at {
		m.again(t, r)
		m.pump(t)
	}
	if m.state == Active && len(m.queue) == 0 && m.cfg.KeepAlive > 0 && t.Now >= m.beatAt() {
		m.first(t, request{kind: heartbeat, method: codes.PUT})
	}
	switch r := m.current(); {
	case r != nil:
		return r.at
	case m.state == Active && m.cfg.KeepAlive > 0:
		return m.beatAt()
	}
	return 0
}

func (m *Machine) beatAt() int64 { return m.sent + int64(m.cfg.KeepAlive)*int64(time.Second) }

// fetch gets the further blocks of a notification, before anything else is asked for.
func (m *Machine) fetch(t *Turn, n *Notification, b block) {
	if len(m.queue) >= m.cfg.maxQueue() {
		return // the gateway tells it again
	}
	r := request{kind: fetchBlocks, method: codes.GET, topic: n.Filter, body: bytes.Clone(n.Payload), block: block{there: true, num: b.num + 1, szx: b.szx}, notification: &Notification{Filter: n.Filter, Topic: n.Topic, QoS: n.QoS, ID: n.ID, Retained: n.Retained}}
	at := 0
	if m.current() != nil {
		at = 1
	}
	m.queue = slices.Insert(m.queue, at, r)
	m.pump(t)
}
