package snmachine

import (
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// request is a message or request that waits for the gateway.
type request struct {
	what  packet.Type // PUBLISH, SUBSCRIBE, UNSUBSCRIBE
	step  step
	token uint64
	topic string
	data  []byte

	at        int64 // when it is sent again, 0 while it is not under way
	messageID uint16
	qos       uint8
	tries     uint8
	retain    bool
	dup       bool
	corrected bool // registered anew, because the gateway did not know the id
}

// step is how far a request has come.
type step uint8

const (
	waits       step = iota
	registering      // REGISTER waits for REGACK
	underWay         // it waits for its own answer
	releasing        // PUBREL waits for PUBCOMP
)

// Publish sends a message of QoS 0, 1 or 2, whose payload is copied; the topic is
// registered where it needs an id. Done follows, at QoS 0 once it was sent. While the
// client is not active the message waits.
func (m *Machine) Publish(t *Turn, topic string, data []byte, qos uint8, retain bool, token uint64) error {
	if qos > 2 || topic == "" {
		return ErrState
	}
	if packet.Size(max(5+len(data), 4+len(topic))) > maxDatagram {
		return ErrTooLong
	}
	return m.add(t, request{what: packet.TypePublish, topic: topic, data: slices.Clone(data), qos: qos, retain: retain, token: token})
}

// PublishUnconnected sends a message of QoS −1, in any state and without an answer.
// [SN-6.8-1]
func (m *Machine) PublishUnconnected(t *Turn, topic string, data []byte, retain bool) error {
	id, ok := fixed(m.cfg, topic)
	switch {
	case !ok:
		return ErrNeedsID // [SN-6.8-2]
	case packet.Size(5+len(data)) > maxDatagram:
		return ErrTooLong
	}
	m.put(t, &packet.Publish{QoS: packet.QoSMinusOne, Retain: retain, IDType: id.kind, TopicID: id.id, Data: data})
	return nil
}

// Subscribe asks for a subscription; Done follows.
func (m *Machine) Subscribe(t *Turn, filter string, qos uint8, token uint64) error {
	if qos > 2 || filter == "" {
		return ErrState
	}
	return m.add(t, request{what: packet.TypeSubscribe, topic: filter, qos: qos, token: token})
}

// Unsubscribe ends a subscription; Done follows.
func (m *Machine) Unsubscribe(t *Turn, filter string, token uint64) error {
	if filter == "" {
		return ErrState
	}
	return m.add(t, request{what: packet.TypeUnsubscribe, topic: filter, token: token})
}

func (m *Machine) add(t *Turn, r request) error {
	switch {
	case len(m.queue) >= m.cfg.maxQueue():
		return ErrFull
	case packet.Size(4+len(r.topic)) > maxDatagram:
		return ErrTooLong
	}
	m.queue = append(m.queue, r)
	m.pump(t)
	return nil
}

// pump begins the next request while none is under way.
func (m *Machine) pump(t *Turn) {
	for m.state == Active && len(m.queue) > 0 && m.queue[0].at == 0 {
		m.push(t, &m.queue[0])
	}
}

// push sends what the request's step asks for; a QoS 0 message is done with that.
func (m *Machine) push(t *Turn, r *request) {
	r.at = t.Now + m.cfg.retry(r.tries)
	if r.step == waits {
		if r.messageID == 0 {
			r.messageID = m.newID()
		}
		r.step = underWay
	}
	switch {
	case r.step == releasing:
		m.put(t, &packet.Ack{Type: packet.TypePubrel, MessageID: r.messageID})
	case r.what == packet.TypePublish:
		m.pushPublish(t, r)
	default:
		p := &packet.Subscribe{Type: r.what, Dup: r.dup, QoS: r.qos, MessageID: r.messageID, Topic: []byte(r.topic)}
		if id, ok := fixed(m.cfg, r.topic); ok { // [SN-6.9-5]
			p.IDType, p.Topic = id.kind, []byte{byte(id.id >> 8), byte(id.id)}
		}
		if r.what == packet.TypeUnsubscribe {
			p.Dup = false
		}
		m.put(t, p)
	}
}

// pushPublish sends a PUBLISH, or first the REGISTER that it needs. [SN-6.5-1]
func (m *Machine) pushPublish(t *Turn, r *request) {
	kind, id := m.idOf(r.topic)
	if kind == packet.NormalID && id == packet.NoTopicID {
		r.step = registering
		m.put(t, &packet.Register{MessageID: r.messageID, Topic: []byte(r.topic)})
		return
	}
	r.step = underWay
	p := &packet.Publish{Dup: r.dup && r.qos > 0, QoS: r.qos, Retain: r.retain, IDType: kind, TopicID: id, Data: r.data}
	if r.qos > 0 {
		p.MessageID = r.messageID
	}
	m.put(t, p)
	if r.qos == 0 {
		m.finish(t, Result{})
	}
}

// sendAgain repeats the request under way, or gives the gateway up. [SN-6.13-1]
func (m *Machine) sendAgain(t *Turn) {
	r := &m.queue[0]
	if r.tries >= m.cfg.retries() {
		m.end(t, ErrNoAnswer)
		return
	}
	r.tries++
	r.dup = r.step == underWay // [SN-6.13-2]
	m.push(t, r)
	m.pump(t)
}

// resume makes what was under way be sent again by the new connection.
func (m *Machine) resume(t *Turn) {
	if len(m.queue) == 0 || m.queue[0].at == 0 {
		return
	}
	r := &m.queue[0]
	r.at, r.tries = 0, 0
	switch {
	case m.cfg.Clean && r.step == releasing: // the gateway has it
		m.finish(t, Result{})
	case m.cfg.Clean:
		r.step, r.dup = waits, false
	case r.step == registering:
		r.step = waits
	case r.step == underWay:
		r.dup = true
	}
}

// finish takes the request under way off the queue and tells how it ended.
func (m *Machine) finish(t *Turn, result Result) {
	token := m.queue[0].token
	m.queue[0] = request{}
	if m.queue = m.queue[1:]; len(m.queue) == 0 {
		m.queue = nil
	}
	t.Handler.Done(token, result)
}

// current is the request under way if the answer belongs to it.
func (m *Machine) current(messageID uint16, what ...packet.Type) *request {
	if len(m.queue) == 0 || m.queue[0].at == 0 || m.queue[0].messageID != messageID || !slices.Contains(what, m.queue[0].what) {
		return nil
	}
	return &m.queue[0]
}

// topicack takes REGACK and PUBACK.
func (m *Machine) topicack(t *Turn, p *packet.Topicack) {
	r := m.current(p.MessageID, packet.TypePublish)
	if r == nil || (p.Type == packet.TypeRegack) != (r.step == registering) {
		return
	}
	switch {
	case p.Code == packet.Congestion: // [SN-6.13-4]
		r.at, r.tries = t.Now+m.cfg.congestionWait(), 0
	case p.Code == packet.InvalidTopicID && p.Type == packet.TypePuback && !r.corrected: // [SN-6.6-4]
		m.forget(r.topic)
		r.corrected, r.tries, r.dup = true, 0, false
		m.push(t, r)
	case p.Code != packet.Accepted || p.Type == packet.TypePuback:
		m.finish(t, Result{Code: p.Code})
	default:
		m.learn(p.TopicID, r.topic)
		r.tries = 0
		m.push(t, r)
	}
}

func (m *Machine) suback(t *Turn, p *packet.Suback) {
	r := m.current(p.MessageID, packet.TypeSubscribe)
	switch {
	case r == nil:
		return
	case p.Code == packet.Congestion:
		r.at, r.tries = t.Now+m.cfg.congestionWait(), 0
		return
	case p.Code == packet.Accepted && p.TopicID != packet.NoTopicID: // [SN-6.9-2]
		if name := plain(r.topic); name != "" {
			m.learn(p.TopicID, name)
		}
	}
	m.finish(t, Result{Code: p.Code, QoS: p.QoS})
}

// ack takes PUBREC and PUBCOMP of an own message, PUBREL of a received one, UNSUBACK.
func (m *Machine) ack(t *Turn, p *packet.Ack) {
	switch p.Type {
	case packet.TypePubrel:
		m.received = slices.DeleteFunc(m.received, func(id uint16) bool { return id == p.MessageID })
		m.put(t, &packet.Ack{Type: packet.TypePubcomp, MessageID: p.MessageID})
	case packet.TypePubrec:
		if r := m.current(p.MessageID, packet.TypePublish); r != nil && r.qos == 2 && r.step != registering {
			r.step, r.tries, r.data = releasing, 0, nil
			m.push(t, r)
		}
	case packet.TypePubcomp:
		if r := m.current(p.MessageID, packet.TypePublish); r != nil && r.step == releasing {
			m.finish(t, Result{})
		}
	case packet.TypeUnsuback:
		if m.current(p.MessageID, packet.TypeUnsubscribe) != nil {
			m.finish(t, Result{})
		}
	}
}

// message takes a PUBLISH.
func (m *Machine) message(t *Turn, p *packet.Publish) {
	name := m.nameOf(p.IDType, p.TopicID)
	switch {
	case name == "": // the gateway tells the id again [SN-6.10-5]
		m.put(t, &packet.Topicack{Type: packet.TypePuback, TopicID: p.TopicID, MessageID: p.MessageID, Code: packet.InvalidTopicID})
		return
	case p.QoS == 2 && slices.Contains(m.received, p.MessageID): // [SN-6.10-8]
		m.put(t, &packet.Ack{Type: packet.TypePubrec, MessageID: p.MessageID})
		return
	}
	t.Handler.Message(p, name)
	if !m.cfg.ManualAck {
		m.Ack(t, p.QoS, p.TopicID, p.MessageID)
	}
}

// Ack acknowledges a received message; at QoS 0 there is nothing to say.
func (m *Machine) Ack(t *Turn, qos uint8, topicID, messageID uint16) {
	switch {
	case m.state == Offline || m.state == Connecting || m.state == Asleep:
		return // the gateway sends it again
	case qos == 1:
		m.put(t, &packet.Topicack{Type: packet.TypePuback, TopicID: topicID, MessageID: messageID})
	case qos == 2:
		if !slices.Contains(m.received, messageID) {
			m.received = append(m.received, messageID)
		}
		if len(m.received) > maxReceived {
			m.received = slices.Delete(m.received, 0, 1)
		}
		m.put(t, &packet.Ack{Type: packet.TypePubrec, MessageID: messageID})
	}
}

// maxReceived bounds them: a gateway that obeys has one under way. [SN-6.10-8]
const maxReceived = 32

// newID gives a message identifier; one request is under way at a time.
func (m *Machine) newID() uint16 {
	if m.next++; m.next == 0 {
		m.next = 1
	}
	return m.next
}

// topicID is a topic field that needs no registration.
type topicID struct {
	kind packet.IDType
	id   uint16
}

// fixed gives the predefined id or short name of a topic, if it has one. [SN-6.7-1]
func fixed(cfg *Config, name string) (topicID, bool) {
	for id, of := range cfg.Predefined {
		if of == name {
			return topicID{packet.PredefinedID, id}, true
		}
	}
	if len(name) == 2 && !strings.ContainsAny(name, "#+") {
		return topicID{packet.ShortName, uint16(name[0])<<8 | uint16(name[1])}, true
	}
	return topicID{}, false
}

// plain is the topic that a filter without wildcards selects: without the prefix of a
// shared subscription; "" where a prefix means something else, which REGISTER then tells.
func plain(filter string) string {
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		_, filter, _ = strings.Cut(rest, "/")
	}
	if strings.HasPrefix(filter, "$") && !strings.HasPrefix(filter, "$SYS/") {
		return ""
	}
	return filter
}
