package snmachine

import (
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// Machine is one client. Init it before all else; it must not be copied afterwards.
type Machine struct {
	cfg      *Config
	id       string
	will     *Will
	names    []registered
	queue    []request // the first is under way while the client is active
	received []uint16  // QoS 2 messages whose PUBREL has not come

	asked asked // the CONNECT, DISCONNECT or PINGREQ under way
	sent  int64 // when the last datagram went out, for the keep alive
	next  uint16
	sleep uint16 // seconds
	state State
}

// registered is a topic id of this client.
type registered struct {
	id   uint16
	name string
}

// asked is a message about the connection that waits for its answer.
type asked struct {
	what  packet.Type
	tries uint8
	at    int64 // when it is sent again
}

const nothing packet.Type = 0xFF

// State is that of the client, as section 6.14 names them.
type State uint8

// The states.
const (
	Offline State = iota
	Connecting
	Active
	FallingAsleep // DISCONNECT with a duration waits for its answer
	Asleep
	Awake   // fetching what gathered
	Leaving // DISCONNECT waits for its answer
)

// Init makes m a client that is not connected.
func (m *Machine) Init(cfg *Config, id string) {
	*m = Machine{cfg: cfg, id: id, asked: asked{what: nothing}}
}

// Configure gives a client that is not connected another configuration.
func (m *Machine) Configure(cfg *Config) { m.cfg = cfg }

// State tells what the client is doing.
func (m *Machine) State() State { return m.state }

// Waiting is how many messages and requests wait for the gateway, the one under way
// included.
func (m *Machine) Waiting() int { return len(m.queue) }

// Connect begins a connection, from any state; will is nil for none, and kept.
// [SN-6.2-4]
func (m *Machine) Connect(t *Turn, will *Will) error {
	if will != nil && packet.Size(1+max(len(will.Topic), len(will.Message))) > maxDatagram || packet.Size(4+len(m.id)) > maxDatagram {
		return ErrTooLong
	}
	m.will, m.state = will, Connecting
	m.ask(t, packet.TypeConnect)
	return nil
}

// Sleep tells the gateway that the client sleeps for so many seconds. [SN-6.14-1]
func (m *Machine) Sleep(t *Turn, seconds uint16) error {
	if m.state != Active && m.state != Asleep && m.state != Awake || seconds == 0 {
		return ErrState
	}
	m.sleep, m.state = seconds, FallingAsleep
	m.ask(t, packet.TypeDisconnect)
	return nil
}

// Wake asks for what gathered; then the client sleeps on. [SN-6.14-4]
func (m *Machine) Wake(t *Turn) error {
	if m.state != Asleep {
		return ErrState
	}
	m.state = Awake
	m.ask(t, packet.TypePingreq)
	return nil
}

// Disconnect tells the gateway goodbye. [SN-6.12-1]
func (m *Machine) Disconnect(t *Turn) {
	if m.state == Offline {
		return
	}
	m.state = Leaving
	m.ask(t, packet.TypeDisconnect)
}

// Lost forgets the connection without a word, as when the device loses power over its
// radio. What waits goes on waiting.
func (m *Machine) Lost() { m.state, m.asked = Offline, asked{what: nothing} }

// Input takes a datagram from the gateway. What is not well-formed or has no place in
// the state is passed over: on a radio it may be anybody's.
func (m *Machine) Input(t *Turn, b []byte) {
	f, err := packet.Parse(b)
	if err != nil {
		return
	}
	p := packet.New(f.Type)
	if p == nil || p.Decode(f) != nil {
		return
	}
	switch p := p.(type) {
	case *packet.Bare:
		m.bare(t, p.Type)
	case *packet.Connack:
		m.connack(t, p.Code)
	case *packet.Disconnect:
		m.disconnected(t)
	case *packet.Pingreq: // [SN-6.11-2]
		m.put(t, &packet.Bare{Type: packet.TypePingresp})
	default:
		if m.state == Active || m.state == Awake || m.state == FallingAsleep {
			m.open(t, p)
		}
	}
	m.pump(t)
}

// open takes what only a connected client is sent.
func (m *Machine) open(t *Turn, p packet.Packet) {
	switch p := p.(type) {
	case *packet.Register: // [SN-6.10-2]
		m.learn(p.TopicID, string(p.Topic))
		m.put(t, &packet.Topicack{Type: packet.TypeRegack, TopicID: p.TopicID, MessageID: p.MessageID})
	case *packet.Publish:
		m.message(t, p)
	case *packet.Topicack:
		m.topicack(t, p)
	case *packet.Suback:
		m.suback(t, p)
	case *packet.Ack:
		m.ack(t, p)
	}
}

func (m *Machine) bare(t *Turn, what packet.Type) {
	switch {
	case what == packet.TypeWillTopicReq && m.state == Connecting && m.will != nil: // [SN-6.2-2]
		m.put(t, &packet.WillTopic{Type: packet.TypeWillTopic, QoS: m.will.QoS, Retain: m.will.Retain, Topic: []byte(m.will.Topic)})
	case what == packet.TypeWillMsgReq && m.state == Connecting && m.will != nil: // [SN-6.2-3]
		m.put(t, &packet.WillMsg{Type: packet.TypeWillMsg, Message: m.will.Message})
	case what == packet.TypePingresp && m.asked.what == packet.TypePingreq:
		m.asked.what = nothing
		if m.state == Awake { // all is fetched [SN-6.14-6]
			m.state = Asleep
			t.Handler.Asleep()
		}
	}
}

func (m *Machine) connack(t *Turn, code packet.ReturnCode) {
	switch {
	case m.state != Connecting:
	case code != packet.Accepted:
		m.end(t, &RefusedError{code})
	default:
		m.state, m.asked.what = Active, nothing
		if m.cfg.Clean {
			m.names, m.received = nil, nil
		}
		m.resume(t)
		t.Handler.Connected()
	}
}

func (m *Machine) disconnected(t *Turn) {
	switch m.state {
	case Offline:
	case Leaving:
		m.end(t, nil)
	case FallingAsleep:
		m.state, m.asked.what = Asleep, nothing
		t.Handler.Asleep()
	default: // [SN-6.12-4]
		m.end(t, ErrDisconnected)
	}
}

func (m *Machine) end(t *Turn, err error) {
	m.Lost()
	t.Handler.Ended(err)
}

// ask sends a message about the connection and waits for the answer.
func (m *Machine) ask(t *Turn, what packet.Type) {
	m.asked = asked{what: what, at: t.Now + m.cfg.retry(0)}
	m.say(t)
}

func (m *Machine) say(t *Turn) {
	switch m.asked.what {
	case packet.TypeConnect:
		m.put(t, &packet.Connect{Will: m.will != nil, CleanSession: m.cfg.Clean, Duration: m.cfg.KeepAlive, ClientID: []byte(m.id)})
	case packet.TypeDisconnect:
		m.put(t, &packet.Disconnect{Sleeps: m.state == FallingAsleep, Duration: m.sleep})
	case packet.TypePingreq:
		p := &packet.Pingreq{}
		if m.state == Awake {
			p.ClientID = []byte(m.id)
		}
		m.put(t, p)
	}
}

// Timer does what is due and tells when the next thing is; 0: nothing is.
func (m *Machine) Timer(t *Turn) (next int64) {
	if m.asked.what != nothing && t.Now >= m.asked.at {
		m.askAgain(t)
	}
	if m.state == Active && len(m.queue) > 0 && m.queue[0].at != 0 && t.Now >= m.queue[0].at {
		m.sendAgain(t)
	}
	if m.state == Active && m.asked.what == nothing && m.cfg.KeepAlive > 0 && t.Now >= m.pingAt() { // [SN-6.11-1]
		m.ask(t, packet.TypePingreq)
	}
	return m.due()
}

// askAgain sends a message about the connection again, or gives up. [SN-6.13-1]
func (m *Machine) askAgain(t *Turn) {
	if m.asked.tries >= m.cfg.retries() {
		if m.state == Leaving {
			m.end(t, nil) // it is gone as well as it can be
		} else {
			m.end(t, ErrNoAnswer)
		}
		return
	}
	m.asked.tries++
	m.asked.at = t.Now + m.cfg.retry(m.asked.tries)
	m.say(t)
}

func (m *Machine) pingAt() int64 { return m.sent + int64(m.cfg.KeepAlive)*int64(time.Second) }

// due is the earliest of the alarms, 0 for none.
func (m *Machine) due() (next int64) {
	earlier := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	if m.asked.what != nothing {
		earlier(m.asked.at)
	}
	if m.state == Active {
		if len(m.queue) > 0 {
			earlier(m.queue[0].at)
		}
		if m.cfg.KeepAlive > 0 && m.asked.what == nothing {
			earlier(m.pingAt())
		}
	}
	return next
}

// maxDatagram is what UDP carries, in bytes.
const maxDatagram = 65507

// put sends one message.
func (m *Machine) put(t *Turn, p packet.Packet) {
	m.sent = t.Now
	t.out = p.Append(t.out[:0])
	t.Handler.Send(t.out)
	if cap(t.out) > 4096 {
		t.out = nil
	}
}

// learn keeps a topic id, which may have meant another topic before.
func (m *Machine) learn(id uint16, name string) {
	m.names = slices.DeleteFunc(m.names, func(r registered) bool { return r.id == id || r.name == name })
	m.names = append(m.names, registered{id, name})
}

// forget drops the id of a topic that the gateway does not know.
func (m *Machine) forget(name string) {
	m.names = slices.DeleteFunc(m.names, func(r registered) bool { return r.name == name })
}

// idOf gives the topic field of a name; with NormalID id is NoTopicID where it is not
// registered.
func (m *Machine) idOf(name string) (kind packet.IDType, id uint16) {
	if id, ok := fixed(m.cfg, name); ok {
		return id.kind, id.id
	}
	for _, r := range m.names {
		if r.name == name {
			return packet.NormalID, r.id
		}
	}
	return packet.NormalID, packet.NoTopicID
}

// nameOf reads a topic field; "" where it means nothing here.
func (m *Machine) nameOf(kind packet.IDType, id uint16) string {
	switch kind {
	case packet.ShortName:
		return string([]byte{byte(id >> 8), byte(id)})
	case packet.PredefinedID:
		return m.cfg.Predefined[id]
	}
	for _, r := range m.names {
		if r.id == id {
			return r.name
		}
	}
	return ""
}
