package devices

import (
	"bytes"
	"errors"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Message is an application message, to be published or received.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool

	// The rest is told to and by MQTT 5 only.
	UTF8            bool   // Payload Format Indicator
	Expiry          uint32 // seconds, valid when HasExpiry
	HasExpiry       bool
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte // nil: none
	User            []UserProperty

	// Dup and SubscriptionIDs are set on received messages.
	Dup             bool
	SubscriptionIDs []uint32

	client   acknowledger // nil once there is nothing to acknowledge
	packetID uint16
	topicID  uint16 // of MQTT-SN
}

// acknowledger is the client that a message came by.
type acknowledger interface{ ack(m *Message) error }

// UserProperty is one name-value pair.
type UserProperty struct{ Name, Value string }

// Ack acknowledges a received message of QoS 1 or 2 where Options.ManualAck left it
// to the caller; for others it does nothing. Messages are to be acknowledged in the
// order in which they came. [MQTT-4.6.0-2] [MQTT-4.6.0-3]
func (m *Message) Ack() error {
	if m.client == nil {
		return nil
	}
	c := m.client
	m.client = nil
	return c.ack(m)
}

// ack does what Message.Ack says.
func (c *Client) ack(m *Message) error {
	if !c.opt.ManualAck || m.packetID == 0 {
		return nil
	}
	return c.acknowledge(m.QoS, m.packetID)
}

// publish gives the packet that carries m.
func (m *Message) publish() packet.Publish {
	p := packet.Publish{Topic: []byte(m.Topic), Payload: m.Payload, QoS: m.QoS, Retain: m.Retain}
	m.properties(&p.Properties)
	return p
}

// properties fills in what MQTT 5 says beside topic and payload.
func (m *Message) properties(p *packet.Properties) {
	if m.UTF8 {
		p.SetPayloadFormat(true)
	}
	if m.HasExpiry {
		p.SetMessageExpiry(m.Expiry)
	}
	if m.ContentType != "" {
		p.SetContentType([]byte(m.ContentType))
	}
	if m.ResponseTopic != "" {
		p.SetResponseTopic([]byte(m.ResponseTopic))
	}
	if m.CorrelationData != nil {
		p.SetCorrelationData(m.CorrelationData)
	}
	addUser(p, m.User)
}

// addUser appends the pairs that MQTT can say; others were refused by Validate.
func addUser(p *packet.Properties, pairs []UserProperty) {
	for _, u := range pairs {
		p.AddUser([]byte(u.Name), []byte(u.Value))
	}
}

// errLongProperty is what the codec could not even write down to check.
var errLongProperty = errors.New("a user property has more than 65,535 bytes")

func checkUser(pairs []UserProperty) error {
	for _, u := range pairs {
		if len(u.Name) > 65535 || len(u.Value) > 65535 {
			return errLongProperty
		}
	}
	return nil
}

// received copies a PUBLISH out of the reader's buffer.
func (c *Client) received(p *packet.Publish, topic string) *Message {
	f := &p.Properties
	m := &Message{
		Topic: topic, Payload: bytes.Clone(p.Payload), QoS: p.QoS, Retain: p.Retain, Dup: p.Dup,
		UTF8: f.PayloadFormat == 1, Expiry: f.MessageExpiry, HasExpiry: f.Present.Has(packet.PropMessageExpiry),
		ContentType: string(f.ContentType), ResponseTopic: string(f.ResponseTopic), CorrelationData: bytes.Clone(f.CorrelationData),
		User: userProperties(f), client: c, packetID: p.PacketID,
	}
	m.SubscriptionIDs = append(m.SubscriptionIDs, f.SubscriptionIDs...)
	return m
}

func userProperties(p *packet.Properties) (out []UserProperty) {
	for name, value := range p.User.All() {
		out = append(out, UserProperty{string(name), string(value)})
	}
	return out
}
