package mqttsn

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// sending is a message of ours that waits for the client's answer: a REGISTER, or a
// PUBLISH of QoS 1 or 2 through all its steps. There is at most one of each. [SN-6.5-5]
// [SN-6.10-4]
type sending struct {
	what      packet.Type // what was sent last: REGISTER, PUBLISH or PUBREL
	d         core.Delivery
	topicID   uint16
	messageID uint16
	name      string // of REGISTER
	tries     int
	begun     int64 // when it was first sent, Unix milliseconds
	renewed   int   // how often its tries began anew, as the client was heard of
	at        int64 // when it is sent again, Unix milliseconds; 0: it waits for core, or is parked
	parked    bool  // all tries went unanswered by a client that is there: it waits to be heard again
	short     bool  // it was not sent: there was no room to an address that is not proven
	corrected int   // how often the client was told again what the topic id stands for
}

// maxHeld bounds the QoS 0 messages that wait until the client knows their topic.
const maxHeld = 64

// deliver takes what core has for the client and sends what may be sent.
func (m *Machine) deliver(t *core.Turn, a *protocols.Actions) {
	s := scratchOf(t)
	for m.more && m.state != ended {
		var batch []core.Delivery
		batch, m.more = m.adapter.gw.Take(t, m.link, s.taken[:0], takeBatch)
		for i := range batch {
			m.take(t, a, batch[i])
		}
		clear(batch) // the scratch must not hold messages
	}
	m.hasten(t, a)
	m.correct(t, a)
	m.sendHeld(t, a)
}

// take sorts one item: answers go out at once, messages in their order.
func (m *Machine) take(t *core.Turn, a *protocols.Actions, d core.Delivery) {
	switch d.Kind {
	case core.DeliverMessage:
		if d.QoS == 0 && len(m.held) >= maxHeld {
			m.adapter.gw.Drop(t, m.link, d, core.OutgoingFull)
			return
		}
		m.held = append(m.held, d)
	case core.DeliverRelease:
		m.release(t, a, &d)
	case core.DeliverAsleep:
		m.drowsy = true
	default:
		m.answerPublish(t, a, &d)
	}
}

// sendHeld sends messages as far as their topics are known.
func (m *Machine) sendHeld(t *core.Turn, a *protocols.Actions) {
	n := 0
	for n < len(m.held) && m.reg == nil && m.send(t, a, &m.held[n]) {
		n++
	}
	if m.held = m.held[n:]; len(m.held) == 0 {
		m.held = nil
	}
	waits := len(m.held) > 0 && m.reg == nil && m.pub == nil
	for _, s := range []*sending{m.reg, m.pub} {
		waits = waits || s != nil && s.short
	}
	switch {
	case !waits:
		m.stalled = 0
	case m.stalled == 0:
		m.stalled = t.Now()
	}
}

// send sends one message, or what has to come before it; false: it waits.
func (m *Machine) send(t *core.Turn, a *protocols.Actions, d *core.Delivery) (done bool) {
	topic := d.Topic()
	if d.Msg.Expired(t.Now()) && !d.Dup {
		m.adapter.gw.Drop(t, m.link, *d, core.MessageExpired)
		return true
	}
	p := packet.Publish{Dup: d.Dup, QoS: d.QoS, Retain: d.Retain, Data: d.Msg.Payload}
	known := m.address(t.Now(), &p, topic)
	if p.Size() > m.adapter.cfg.MaxPacketSize || packet.Size(4+len(topic)) > m.adapter.cfg.MaxPacketSize && !known {
		m.adapter.gw.Drop(t, m.link, *d, core.TooLargeForReceiver) // [SN-6.10-6]
		return true
	}
	if d.QoS > 0 && m.pub != nil {
		return false // [SN-6.10-4]
	}
	if !known {
		return m.introduce(t, a, d)
	}
	if !m.afford(t, a, &p, topic) {
		return false
	}
	if d.QoS > 0 {
		p.MessageID = m.wireID(d)
		m.pub = &sending{what: packet.TypePublish, d: *d, topicID: p.TopicID, messageID: p.MessageID, begun: t.Now()}
		m.pub.at = t.Now() + m.adapter.cfg.RetryInterval.Milliseconds()
	}
	m.put(t, a, &p)
	return true
}

// wireID is the message identifier of a delivery. At QoS 2 it is core's own, so that the
// client knows a repetition on its next connection, too. At QoS 1 it is random: who answers
// it has read it, and is where the address says. [SN-0-1] But not that of the message before:
// a second PUBACK of that one, or a second copy, would be taken for this one's.
func (m *Machine) wireID(d *core.Delivery) uint16 {
	if d.QoS == 2 {
		return d.PacketID
	}
	id := max(1, m.adapter.random())
	if id == m.lastID {
		id = id%0xFFFF + 1
	}
	m.lastID = id
	return id
}

// address fills in the topic of p; false where the client has to learn it first.
// [SN-6.10-1] [SN-6.7-1]
func (m *Machine) address(now int64, p *packet.Publish, topic string) (known bool) {
	if e := m.topics.byName(topic); e != nil {
		p.TopicID = e.id
		if e.known {
			e.used = now
			return true
		}
	}
	if id, ok := m.adapter.ids[topic]; ok {
		p.IDType, p.TopicID = packet.PredefinedID, id
		return true
	}
	if len(topic) == 2 {
		p.IDType, p.TopicID = packet.ShortName, uint16(topic[0])<<8|uint16(topic[1])
		return true
	}
	return false
}

// introduce sends the REGISTER that a message needs. Its PUBLISH waits for the REGACK.
// [SN-6.10-2] [SN-6.10-3]
func (m *Machine) introduce(t *core.Turn, a *protocols.Actions, d *core.Delivery) (done bool) {
	topic := d.Topic()
	if !m.fits(packet.Size(4 + len(topic))) {
		return false // [SN-0-2]: the client's next datagram makes room
	}
	id, why := m.reserve(t, topic)
	if why != core.Success {
		m.adapter.gw.Drop(t, m.link, *d, why)
		return true
	}
	m.startRegister(t, a, id, topic)
	return false
}

// reserve gives a topic its id before the client is told: its own REGISTER may cross ours,
// and where our REGACK is lost it remembers the id all the same.
func (m *Machine) reserve(t *core.Turn, topic string) (uint16, core.Reason) {
	if e := m.topics.byName(topic); e != nil {
		return e.id, core.Success
	}
	id, why, _ := m.enrol(t, entry{told: true, name: topic, used: t.Now()}, 0)
	return id, why
}

func (m *Machine) startRegister(t *core.Turn, a *protocols.Actions, id uint16, topic string) {
	m.reg = &sending{what: packet.TypeRegister, topicID: id, messageID: max(1, m.adapter.random()), name: topic}
	m.resend(t, a, m.reg)
}

// afford says whether a PUBLISH may go out. To an address that nobody has proven yet it may
// if there is room left to ask for the proof, should it get lost; else that is asked for
// first. [SN-0-2]
func (m *Machine) afford(t *core.Turn, a *protocols.Actions, p *packet.Publish, topic string) bool {
	size, proof := p.Size(), packet.Size(4+len(topic))
	if m.fits(size + asked*proof) {
		return true
	}
	return (proof >= size || !m.challenge(t, a, topic)) && m.fits(size)
}

// asked is how often there must be room to ask for the proof of an address.
const asked = 2

// challenge asks for the proof of an address by a REGISTER of a topic, which is short and must
// be answered. False where that cannot be sent. [SN-0-2]
func (m *Machine) challenge(t *core.Turn, a *protocols.Actions, topic string) bool {
	if m.reg != nil || !m.fits(packet.Size(4+len(topic))) {
		return false
	}
	id, why := m.reserve(t, topic)
	if why != core.Success {
		return false
	}
	m.startRegister(t, a, id, topic)
	return true
}

// fits says whether size bytes may be sent now.
func (m *Machine) fits(size int) bool { return m.proven || m.info.Secure || size <= m.room() }

// resend sends what s last sent, again or for the first time. What an address that is not
// proven may not be sent waits for the client's next datagram. [SN-0-2]
func (m *Machine) resend(t *core.Turn, a *protocols.Actions, s *sending) {
	s.at = t.Now() + m.adapter.cfg.RetryInterval.Milliseconds()
	if s.begun == 0 {
		s.begun = t.Now()
	}
	var p packet.Packet
	size := 0
	switch s.what {
	case packet.TypeRegister:
		p, size = &packet.Register{TopicID: s.topicID, MessageID: s.messageID, Topic: []byte(s.name)}, packet.Size(4+len(s.name))
	case packet.TypePubrel:
		p, size = &packet.Ack{Type: packet.TypePubrel, MessageID: s.messageID}, packet.Size(2)
	default:
		again := &packet.Publish{Dup: true, QoS: s.d.QoS, Retain: s.d.Retain, MessageID: s.messageID, Data: s.d.Msg.Payload} // [SN-6.13-2]
		m.address(t.Now(), again, s.d.Topic())
		p, size = again, again.Size()
	}
	if s.short = !m.fits(size); !s.short {
		m.put(t, a, p)
	} else if s.what == packet.TypePublish {
		m.challenge(t, a, s.d.Topic())
	}
}

// hasten sends what waited for room.
func (m *Machine) hasten(t *core.Turn, a *protocols.Actions) {
	for _, s := range []*sending{m.reg, m.pub} {
		if s != nil && s.short {
			m.resend(t, a, s)
		}
	}
}

// repeatDue sends again what was not answered in time, or gives the client up.
// [SN-6.13-1] [SN-6.13-3]
func (m *Machine) repeatDue(t *core.Turn, a *protocols.Actions, now int64) {
	for _, s := range []*sending{m.reg, m.pub} {
		if s == nil || s.at == 0 || now < s.at {
			continue
		}
		if !s.short { // what was not sent cannot be answered
			s.tries++
		}
		switch {
		case s.tries <= m.adapter.cfg.Retries:
			m.resend(t, a, s)
		case m.mayRenew(s) && m.state == active && m.keepAlive != 0 && m.heard > s.begun:
			s.parked, s.at = true, 0
		default:
			m.lose(t, a, s.what)
			return
		}
	}
}

// renew sends again what a client has not answered that is there all the same, as it was
// just heard of: what is parked, and at its PINGREQ all that was repeated already. Who
// answers nothing but pings is lost in the end. [SN-6.13-6]
func (m *Machine) renew(t *core.Turn, a *protocols.Actions, pinged bool) {
	for _, s := range []*sending{m.reg, m.pub} {
		if s != nil && m.mayRenew(s) && (s.parked || pinged && s.tries > 0 && s.at != 0) {
			s.parked, s.tries = false, 0
			s.renewed++
			m.resend(t, a, s)
		}
	}
}

// mayRenew bounds how often the tries of a message begin anew.
func (m *Machine) mayRenew(s *sending) bool { return s.renewed < m.adapter.cfg.Retries }

// topicAck takes the client's REGACK or PUBACK.
func (m *Machine) topicAck(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.topicack
	if err := p.Decode(f); err != nil {
		return err
	}
	if p.Type == packet.TypeRegack {
		m.introduced(t, a, p)
		return nil
	}
	m.published(t, a, p)
	return nil
}

// introduced takes the answer to our REGISTER.
func (m *Machine) introduced(t *core.Turn, a *protocols.Actions, p *packet.Topicack) {
	r := m.reg
	if r == nil || p.MessageID != r.messageID || p.TopicID != r.topicID && p.TopicID != packet.NoTopicID {
		return // of one that was answered already
	}
	m.prove(a) // it read the identifier
	if p.Code == packet.Congestion {
		m.postpone(t, r)
		return
	}
	m.reg = nil
	if p.Code != packet.Accepted {
		m.rejected(t, r.name)
		return
	}
	if e := m.topics.byName(r.name); e != nil { // else the client subscribed to it meanwhile, and was refused
		e.known, e.anew = true, false
	}
}

// correct tells the client again what the topic id of our PUBLISH stands for, where it said
// that it does not know, and then sends the message again. [SN-6.10-5]
func (m *Machine) correct(t *core.Turn, a *protocols.Actions) {
	s := m.pub
	if s == nil || s.what != packet.TypePublish || s.at != 0 || s.parked || m.reg != nil {
		return
	}
	if e := m.topics.byName(s.d.Topic()); e != nil && !e.known {
		m.startRegister(t, a, e.id, e.name)
		return
	}
	m.resend(t, a, s)
}

// postpone repeats what a client refused for congestion when it had time. [SN-6.13-4]
func (m *Machine) postpone(t *core.Turn, s *sending) {
	s.tries, s.parked, s.at = 0, false, t.Now()+m.adapter.cfg.CongestionWait.Milliseconds()
}

// rejected ends what the client wants of a topic whose REGISTER it rejected: its
// subscription to that name, though not one with wildcards, and the message. [SN-6.10-7]
func (m *Machine) rejected(t *core.Turn, name string) {
	m.adapter.gw.Unsubscribe(t, m.link, &core.UnsubscribeRequest{Token: noToken, Filters: []string{name}})
	m.dropTopic(t, name, core.ReceiverRefused)
}

// noToken is of operations whose completion nobody waits for.
const noToken = 1 << 31

// dropTopic drops the messages that wait for a topic.
func (m *Machine) dropTopic(t *core.Turn, name string, r core.Reason) {
	kept := m.held[:0]
	for _, d := range m.held {
		if d.Topic() == name {
			m.adapter.gw.Drop(t, m.link, d, r)
			continue
		}
		kept = append(kept, d)
	}
	clear(m.held[len(kept):])
	m.held = kept
	if s := m.pub; s != nil && s.what == packet.TypePublish && s.d.Topic() == name {
		m.pub = nil
		m.adapter.gw.Acknowledge(t, m.link, ackOf(s.d.QoS), s.d.PacketID, core.ReceiverRefused)
		m.more = true
	}
}

// ackOf is the acknowledgement that ends a PUBLISH of a QoS, or its first half.
func ackOf(qos uint8) core.AckKind {
	if qos == 2 {
		return core.AckReceived2
	}
	return core.AckReceived1
}

// published takes a PUBACK: it ends a QoS 1 message, or refuses one of any QoS.
func (m *Machine) published(t *core.Turn, a *protocols.Actions, p *packet.Topicack) {
	s := m.pub
	if s == nil || s.what != packet.TypePublish || p.MessageID != s.messageID {
		if e := m.topics.byID(p.TopicID); e != nil && p.Code == packet.InvalidTopicID {
			e.known = false // of a message at QoS 0: the next one is introduced again
		}
		return
	}
	if s.d.QoS == 1 {
		m.prove(a)
	}
	switch e := m.topics.byName(s.d.Topic()); {
	case p.Code == packet.Accepted && s.d.QoS == 2:
		return // PUBREC is what it should be
	case p.Code == packet.Congestion:
		m.postpone(t, s)
		return
	case p.Code == packet.InvalidTopicID && e != nil && !e.known && (s.at == 0 || m.reg != nil):
		return // the answer to a repetition: the client is being told
	case p.Code == packet.InvalidTopicID && e != nil && s.corrected < max(1, m.adapter.cfg.Retries):
		// [SN-6.10-5]; it may be of before the client was told, and so comes more than once.
		e.known, s.at, s.parked = false, 0, false
		s.corrected++
		return
	}
	m.pub = nil
	r := core.Success
	if p.Code != packet.Accepted {
		r = core.ReceiverRefused
	}
	m.adapter.gw.Acknowledge(t, m.link, ackOf(s.d.QoS), s.d.PacketID, r)
	m.more = true
}

// acknowledge takes PUBREC and PUBCOMP for our message of QoS 2, PUBREL for the client's.
// [SN-6.10-8] [SN-6.6-6]
func (m *Machine) acknowledge(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.ack
	if err := p.Decode(f); err != nil {
		return err
	}
	kind := core.AckRelease
	own := m.pub != nil && m.pub.d.QoS == 2 && m.pub.messageID == p.MessageID
	switch p.Type {
	case packet.TypePubrec:
		kind = core.AckReceived2
		if own && m.pub.what == packet.TypePublish {
			m.pub.at, m.pub.parked = 0, false // received: core says when to release
			m.pub.d.Msg = nil
			m.pub.what = packet.TypePubrel
		}
	case packet.TypePubcomp:
		kind = core.AckComplete
		if own {
			m.pub = nil
		}
	}
	m.adapter.gw.Acknowledge(t, m.link, kind, p.MessageID, core.Success)
	m.more = true
	return nil
}

// release sends the PUBREL that core asks for, and again until PUBCOMP comes.
func (m *Machine) release(t *core.Turn, a *protocols.Actions, d *core.Delivery) {
	if d.Reason == core.PacketIDNotFound {
		m.put(t, a, &packet.Ack{Type: packet.TypePubrel, MessageID: d.PacketID})
		return
	}
	m.pub = &sending{what: packet.TypePubrel, d: core.Delivery{QoS: 2}, messageID: d.PacketID}
	m.resend(t, a, m.pub)
}
