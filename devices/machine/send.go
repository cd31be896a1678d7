package machine

import (
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// flagDup is DUP in a first byte.
const flagDup = 0x08

// Publish sends p, or keeps it until it may be sent: QoS 1 and 2 wait for room in the
// window (the server's Receive Maximum and Config.MaxInflight) and for a connection, QoS
// 0 waits for nothing. token comes back in the Handler: Sent for all, then Acked or Dropped
// for QoS 1 and 2. p's PacketID and Dup are set here. After an error nothing is kept:
// ErrNotConnected (QoS 0), ErrQueueFull, ErrNoIdentifier, a *RefusalError for what the
// server does not take, or what is wrong with p.
func (m *Machine) Publish(t *Turn, p *packet.Publish, token uint64) error {
	if err := m.Check(p); err != nil {
		return err
	}
	p.PacketID, p.Dup = 0, false
	if p.QoS > 0 {
		return m.publish(t, p, token)
	}
	if m.phase != connected {
		return ErrNotConnected
	}
	t.Out = p.Append(t.Out, m.cfg.version())
	m.lastWrite = t.Now
	t.Handler.Sent(token)
	return nil
}

// publish is Publish for QoS 1 and 2.
func (m *Machine) publish(t *Turn, p *packet.Publish, token uint64) error {
	if m.Room() == 0 && m.Waiting() >= m.cfg.maxQueue() {
		return ErrQueueFull
	}
	s := m.need(t)
	e := s.reserve(&m.last, queued, token)
	if e == nil {
		return ErrNoIdentifier
	}
	p.PacketID = e.id
	s.write(e, p, m.cfg.version())
	s.append(e)
	m.pump(t)
	return nil
}

// pump sends what the window has room for. [MQTT-4.9.0-2] Handlers may change the session
// beneath it.
func (m *Machine) pump(t *Turn) {
	for m.phase == connected && !m.hold && m.inflight < m.window {
		s := m.session
		if s == nil || s.cursor == 0 {
			return
		}
		e := s.find(s.cursor)
		if e.state != released {
			if why := m.refuses(len(e.wire), e.wire[0]>>1&3, e.wire[0]&1 != 0); why != nil {
				m.drop(t, e, why)
				continue
			}
		}
		s.cursor = e.next
		m.send(t, s, e)
	}
}

// send appends what e stands for.
func (m *Machine) send(t *Turn, s *session, e *entry) {
	m.inflight++
	m.lastWrite = t.Now
	e.onWire = true
	at := len(t.Out)
	switch e.state {
	case released: // [MQTT-4.3.3-6]
		t.Out = packet.AppendAck(t.Out, m.cfg.version(), packet.TypePubrel, e.id, packet.ReasonSuccess)
		if m.cfg.version() == packet.V31 {
			t.Out[at] |= flagDup // 3.1 marks a repeated PUBREL, too
		}
	case sent:
		t.Out = append(t.Out, e.wire...)
		t.Out[at] |= flagDup // [MQTT-3.3.1-1]
	default:
		t.Out = append(t.Out, e.wire...)
		e.state = sent
		s.queued--
		t.Handler.Sent(e.token)
	}
}

// drop ends a message that no server will acknowledge.
func (m *Machine) drop(t *Turn, e *entry, why error) {
	token := e.token
	m.session.remove(e)
	m.tidy(t)
	t.Handler.Dropped(token, why)
}

// Withdraw takes back a QoS 1 or 2 message that was never sent; false when there is none of
// this token. No event follows.
func (m *Machine) Withdraw(t *Turn, token uint64) bool {
	s := m.session
	if s == nil {
		return false
	}
	for e := s.find(s.tail); e != nil && e.state == queued; e = s.find(e.prev) {
		if e.token == token {
			s.remove(e)
			m.tidy(t)
			return true
		}
	}
	return false
}

// Subscribe sends p, with a PacketID of the machine's. token comes back in
// Handler.Subscribed. After an error nothing was sent: ErrNotConnected, ErrNoIdentifier, a
// *RefusalError, or what is wrong with p.
func (m *Machine) Subscribe(t *Turn, p *packet.Subscribe, token uint64) error {
	id, err := m.ask(t, subscribing, token)
	if err != nil {
		return err
	}
	p.PacketID = id
	return m.asks(t, p, id)
}

// Unsubscribe is like Subscribe.
func (m *Machine) Unsubscribe(t *Turn, p *packet.Unsubscribe, token uint64) error {
	id, err := m.ask(t, unsubscribing, token)
	if err != nil {
		return err
	}
	p.PacketID = id
	return m.asks(t, p, id)
}

// ask takes an identifier for a SUBSCRIBE or UNSUBSCRIBE.
func (m *Machine) ask(t *Turn, st state, token uint64) (uint16, error) {
	if m.phase != connected {
		return 0, ErrNotConnected
	}
	e := m.need(t).reserve(&m.last, st, token)
	if e == nil {
		return 0, ErrNoIdentifier
	}
	return e.id, nil
}

// checked is a packet that can be checked before it is sent.
type checked interface {
	packet.Packet
	packet.Validator
}

// asks sends p, or gives its identifier back.
func (m *Machine) asks(t *Turn, p checked, id uint16) error {
	v := m.cfg.version()
	err := p.Validate(v)
	if size := p.Size(v); err == nil && m.maxPacket != 0 && uint64(size) > uint64(m.maxPacket) {
		err = tooLarge(size, m.maxPacket)
	}
	if err != nil {
		m.session.vacate(m.session.find(id))
		m.tidy(t)
		return err
	}
	t.Out = p.Append(t.Out, v)
	m.lastWrite = t.Now
	return nil
}

// Ack acknowledges a message that Handler.Message had, where Config.ManualAck leaves it to
// the caller: once, on the same connection, in the order in which they came
// [MQTT-4.6.0-2] [MQTT-4.6.0-3]. code may be a failure in MQTT 5. QoS 0 needs no answer. An
// error is ErrNotConnected: then nothing was recorded, and where the session lasts the
// message will come again. [MQTT-4.3.2-4] [MQTT-4.3.3-8]
func (m *Machine) Ack(t *Turn, qos byte, id uint16, code packet.ReasonCode) error {
	switch {
	case qos == 0:
		return nil
	case m.phase != connected:
		return ErrNotConnected
	case qos == 1:
		m.unacked = less(m.unacked)
		m.answer(t, packet.TypePuback, id, code)
		return nil
	case code.Failed(): // that is its end [MQTT 5 section 4.3.3]
		m.unacked = less(m.unacked)
	default: // counts until PUBREL came
		m.need(t).know(id)
	}
	m.answer(t, packet.TypePubrec, id, code)
	return nil
}

// less is n-1, and 0 for 0.
func less(n uint16) uint16 {
	if n == 0 {
		return 0
	}
	return n - 1
}

// answer appends an acknowledgement, unless nothing goes out any more.
func (m *Machine) answer(t *Turn, kind packet.Type, id uint16, code packet.ReasonCode) {
	if m.phase == connected {
		t.Out = packet.AppendAck(t.Out, m.cfg.version(), kind, id, code)
		m.lastWrite = t.Now
	}
}
