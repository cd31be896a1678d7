package machine

import (
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Machine is one client, with its session and, at times, its connection. The zero value
// wants Init. Not safe for concurrent use, and not to be copied once it was connected.
type Machine struct {
	cfg       *Config
	session   *session          // nil while there is nothing in it
	aliases   map[uint16][]byte // inbound; nil while there are none
	lastRead  int64             // for the keep alive, as Turn.Now
	lastWrite int64
	askedAt   int64  // when the PINGREQ under way was sent
	maxPacket uint32 // what the server takes in bytes, 0: no limit
	keepAlive uint16 // seconds, as the server has it
	last      uint16 // packet identifier that was given out last
	window    uint16 // own QoS 1 and 2 messages that may be under way
	inflight  uint16 // of window
	unacked   uint16 // received QoS 1 and 2 messages, of the Receive Maximum
	phase     phase
	maxQoS    byte
	noRetain  bool
	asked     bool // a PINGREQ is under way
	hold      bool // messages wait until the session is settled
}

// phase is where a connection stands.
type phase uint8

const (
	off        phase = iota // there is no connection
	connecting              // CONNECT is out
	connected               // the server accepted
	quitting                // DISCONNECT is out
	ended                   // over by a fault or a word of the server
)

// Init makes m a client without a session that follows cfg, which m keeps.
func (m *Machine) Init(cfg *Config) { *m = Machine{cfg: cfg, maxQoS: 2} }

// Connect appends the CONNECT of a new connection. The error says why id cannot be said in
// one; there is no connection then. A connection that Lost was not told of is over.
func (m *Machine) Connect(t *Turn, id *Identity) error {
	m.Lost()
	p, v := &t.connect, m.cfg.version()
	m.cfg.connect(p, id)
	err := p.Validate(v)
	if err == nil {
		t.Out = p.Append(t.Out, v)
		m.phase, m.lastWrite = connecting, t.Now
	}
	*p = packet.Connect{} // it holds what is id's
	return err
}

// Disconnect appends a DISCONNECT with a code, which is not told before MQTT 5;
// ReasonDisconnectWithWill has the Will published. Nothing goes out after it; what still
// comes in is taken for its acknowledgements, and messages are passed over, to come again
// where the session lasts. [MQTT-3.14.4-1]
func (m *Machine) Disconnect(t *Turn, code packet.ReasonCode) error {
	if m.phase != connected {
		return ErrNotConnected
	}
	v := m.cfg.version()
	p := &packet.Disconnect{Reason: code}
	if err := p.Validate(v); err != nil {
		return err
	}
	t.Out = p.Append(t.Out, v)
	m.phase = quitting
	return nil
}

// Lost tells that the connection is over, however it ended. Without one it does nothing.
func (m *Machine) Lost() {
	m.phase, m.aliases = off, nil
	m.inflight, m.unacked, m.asked, m.hold = 0, 0, false, false
	m.maxPacket, m.maxQoS, m.noRetain = 0, 2, false // not known of the next server
	if s := m.session; s != nil {
		if s.offline(); s.empty() {
			m.session = nil
		}
	}
}

// Adopt takes over from's session, which is left without one and without its connection;
// what m itself held is forgotten. It may be called out of m's Handler.Connected, so that a
// new connection replaces the old at the very time at which the server does the same.
func (m *Machine) Adopt(from *Machine) {
	from.Lost()
	m.session, m.last = from.session, from.last
	from.session = nil
	if a, b := from.cfg.version(), m.cfg.version(); a != b && m.session != nil {
		m.session.convert(a, b)
	}
}

// Online reports whether the server accepted and the connection is not known to be over.
func (m *Machine) Online() bool { return m.phase == connected }

// KeepAlive is the keep alive of the present connection as the server has it.
func (m *Machine) KeepAlive() time.Duration { return time.Duration(m.keepAlive) * time.Second }

// Unacknowledged is how many own QoS 1 and 2 messages were published and are neither
// acknowledged nor dropped.
func (m *Machine) Unacknowledged() int {
	if m.session == nil {
		return 0
	}
	return m.session.messages
}

// Waiting is how many of them were never sent.
func (m *Machine) Waiting() int {
	if m.session == nil {
		return 0
	}
	return m.session.queued
}

// Room is how many QoS 1 and 2 messages Publish would send at once. [MQTT-4.9.0-2]
func (m *Machine) Room() int {
	if m.phase != connected || m.hold || m.session != nil && m.session.cursor != 0 {
		return 0
	}
	return int(m.window - m.inflight)
}

// Timer does what time asks for: it appends a PINGREQ [MQTT-3.1.2-20], or ends the
// connection with ErrNoAnswer. next is the Turn.Now at which it wants to be called again,
// earlier calls do no harm; 0: not before the next Connect or CONNACK.
func (m *Machine) Timer(t *Turn) (next int64, err error) {
	switch m.phase {
	case connecting:
		limit := int64(m.cfg.ConnackTimeout)
		if limit == 0 {
			return 0, nil
		}
		if t.Now-m.lastWrite >= limit {
			m.phase = ended
			return 0, ErrNoAnswer
		}
		return m.lastWrite + limit, nil
	case connected:
		if m.keepAlive != 0 {
			return m.ping(t)
		}
	}
	return 0, nil
}

// ping sees to the keep alive.
func (m *Machine) ping(t *Turn) (next int64, err error) {
	k := int64(m.KeepAlive())
	if m.asked {
		if limit := m.askedAt + k/2; t.Now < limit {
			return limit, nil
		}
		if m.lastRead < m.askedAt {
			m.phase = ended
			return 0, ErrNoAnswer
		}
		m.asked = false
	}
	if due := m.lastWrite + k; t.Now < due {
		return due, nil
	}
	t.Out = (&packet.Pingreq{}).Append(t.Out, m.cfg.version())
	m.lastWrite, m.askedAt, m.asked = t.Now, t.Now, true
	return t.Now + k/2, nil
}

// Heard tells that the server is not silent as far as anyone can know: the caller has not
// read for a while, by its own choice.
func (m *Machine) Heard(t *Turn) { m.lastRead = t.Now }

// need gives m's session.
func (m *Machine) need(t *Turn) *session {
	if m.session == nil {
		m.session = t.take()
	}
	return m.session
}

// tidy lets go of the session if nothing is in it.
func (m *Machine) tidy(t *Turn) {
	if s := m.session; s != nil && s.empty() {
		m.session = nil
		t.give(s)
	}
}
