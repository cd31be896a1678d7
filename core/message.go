package core

import "sync/atomic"

// Message is one application message, free of any protocol. It is immutable
// once it was handed to [Gateway.Publish]; all receivers share it and its bytes.
type Message struct {
	Topic   string // a valid Topic Name, mount point and rewrites applied
	Payload []byte
	// Publisher is the ClientID of the publisher, "" for the gateway's own.
	Publisher string
	Username  string // of the publisher
	// ID identifies the message on this node: explain records, store and
	// bridges use it. Assigned by Publish; later ones are greater, ID>>8 is not less
	// than the time of publishing in microseconds, as the turn's clock has it.
	ID uint64
	// Published is when core took it, in Unix milliseconds.
	Published int64
	// Expires is when it lapses, in Unix milliseconds; 0 means never.
	// [MQTT-3.3.2-5] counts from here.
	Expires    int64
	QoS        uint8 // 0, 1 or 2, as published
	Retain     bool  // the RETAIN flag as published
	Properties *Properties
	// Stored names it where a data backend has it that offers it, see [Gateway.Offer]; nil
	// for all others. It lasts as long as the message waits for its client.
	Stored *StoredName

	// Encoded is a cache for adapters: wire bytes that are equal for every
	// receiver of one protocol (for MQTT 5 the property block). Whoever finds
	// it nil may store; the bytes are immutable afterwards.
	Encoded atomic.Pointer[[]byte]
}

// StoredName is what a message is called elsewhere.
type StoredName struct {
	Sink string // the Name of the Sink whose it is
	ID   string // its name there
}

// Properties are the optional parts of a Message that MQTT 5 knows and that
// other protocols map to (CoAP Content-Format, …). nil means none.
type Properties struct {
	PayloadFormat   byte // 1: UTF-8 text [MQTT 3.3.2.3.2]
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []UserProperty // order kept [MQTT-3.3.2-18]
}

// UserProperty is one name-value pair.
type UserProperty struct{ Name, Value string }

// Expired says whether the message has lapsed at now (Unix milliseconds).
func (m *Message) Expired(now int64) bool { return m.Expires != 0 && now >= m.Expires }

// RemainingExpiry gives the whole seconds left at now, rounded up; ok is false
// when the message never expires. [MQTT-3.3.2-6]
func (m *Message) RemainingExpiry(now int64) (seconds uint32, ok bool) {
	if m.Expires == 0 {
		return 0, false
	}
	left := m.Expires - now
	if left <= 0 {
		return 0, true
	}
	return uint32((left + 999) / 1000), true
}

// queueOverhead is what a message that waits holds beside its texts: the Message and
// its place in the queue, which doubles as it grows.
const queueOverhead = 256

// Size is what the message counts for in queue limits, in bytes.
func (m *Message) Size() int { return m.Length() + queueOverhead }

// Length is how many bytes its topic, payload and properties have: what a store keeps
// of it, but for a little.
func (m *Message) Length() int {
	return len(m.Topic) + len(m.Payload) + m.Properties.Size()
}

// DeliveryKind says what a Delivery asks the adapter to send.
type DeliveryKind uint8

// The kinds of Delivery. Acknowledgements travel in the same list as messages,
// so that one write carries both in the order that core decided.
const (
	DeliverMessage  DeliveryKind = iota // PUBLISH to the client
	DeliverRelease                      // PUBREL for PacketID, outbound QoS 2 part 2
	DeliverAck                          // PUBACK for the client's QoS 1 PUBLISH PacketID
	DeliverReceived                     // PUBREC for the client's QoS 2 PUBLISH PacketID
	DeliverComplete                     // PUBCOMP for the client's PUBREL PacketID
	DeliverAsleep                       // the client has fetched all and sleeps again, see Gateway.Sleep
)

// Delivery is one item on its way to one connection: a Message with what is
// granted to this receiver, or an acknowledgement. Values; copied freely.
type Delivery struct {
	Msg      *Message // nil unless Kind is DeliverMessage
	SubIDs   *[]uint32
	SubID    uint32 // the one Subscription Identifier, 0 for none; more are in SubIDs
	PacketID uint16 // 0 at QoS 0
	Kind     DeliveryKind
	QoS      uint8
	Dup      bool // [MQTT-3.3.1-1]
	Retain   bool // as this receiver shall see it [MQTT-3.3.1-8..13]
	Reason   Reason
	Skip     uint16 // bytes of Msg.Topic that are the receiver's mount point; see Topic
}

// Will is the Message that core publishes when a connection ends without a
// normal disconnect. [MQTT-3.1.2-7..10]
type Will struct {
	Topic      string
	Payload    []byte
	QoS        uint8
	Retain     bool
	Delay      uint32 // Will Delay Interval in seconds [MQTT-3.1.3-9]
	Expiry     uint32 // Message Expiry Interval in seconds, valid when HasExpiry
	HasExpiry  bool
	Properties *Properties

	spare bool // nothing but its session refers to Payload
}
