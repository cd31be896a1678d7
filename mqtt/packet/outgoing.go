package packet

import "encoding/binary"

// Outgoing is one PUBLISH for one receiver, put together from parts that all its receivers share (Topic, Shared,
// Payload) and a few that are the receiver's own. It is the hot path's way to write: nothing is decoded, looked up or
// allocated, and the shared properties are one copy.
type Outgoing struct {
	Topic   []byte // empty where TopicAlias already stands for it
	Shared  []byte // from Properties.AppendShared; not written before version 5
	Payload []byte

	QoS      byte
	Dup      bool
	Retain   bool
	PacketID uint16 // with QoS 1 and 2

	TopicAlias      uint16   // 0: none; version 5 only, like the rest
	HasExpiry       bool     // whether there is a Message Expiry Interval
	Expiry          uint32   // seconds that are left of it [MQTT-3.3.2-6]
	SubscriptionIDs []uint32 // of the receiver's matching subscriptions [MQTT-3.3.4-3]
}

// shared are the properties that a server passes on as they are. [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16]
// [MQTT-3.3.2-17] [MQTT-3.3.2-20]
const shared PropertySet = 1<<PropPayloadFormat | 1<<PropContentType | 1<<PropResponseTopic | 1<<PropCorrelationData |
	1<<PropUserProperty

// AppendShared writes those properties of a PUBLISH or Will that go to every receiver unaltered, as Outgoing.Shared wants
// them: Payload Format Indicator, Content Type, Response Topic, Correlation Data and User Properties in their order.
func (p *Properties) AppendShared(dst []byte) []byte { return p.appendSet(dst, p.present()&shared) }

// SharedSize is the number of bytes that AppendShared writes.
func (p *Properties) SharedSize() int { return p.setSize(p.present() & shared) }

// Append writes the whole packet. It does not allocate if dst has room for Size(v) bytes.
func (o *Outgoing) Append(dst []byte, v Version) []byte {
	return append(o.AppendHead(dst, v), o.Payload...)
}

// AppendHead writes everything in front of the payload, whose length it takes into account, for a caller that sends a large
// payload by reference.
func (o *Outgoing) AppendHead(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypePublish, publishFlags(o.QoS, o.Dup, o.Retain), o.remaining(v))
	dst = appendBytes(dst, o.Topic)
	if o.QoS > 0 {
		dst = appendU16(dst, o.PacketID)
	}
	if v == V5 {
		dst = o.appendProperties(dst)
	}
	return dst
}

func (o *Outgoing) appendProperties(dst []byte) []byte {
	dst = appendVarint(dst, uint32(o.propertySize()))
	dst = append(dst, o.Shared...)
	if o.HasExpiry {
		dst = binary.BigEndian.AppendUint32(append(dst, byte(PropMessageExpiry)), o.Expiry)
	}
	for _, id := range o.SubscriptionIDs {
		dst = appendVarint(append(dst, byte(PropSubscriptionID)), id)
	}
	if o.TopicAlias != 0 {
		dst = appendU16(append(dst, byte(PropTopicAlias)), o.TopicAlias)
	}
	return dst
}

// Size is the length of what Append writes.
func (o *Outgoing) Size(v Version) int { return packetSize(o.remaining(v)) }

func (o *Outgoing) remaining(v Version) int {
	n := 2 + len(o.Topic) + len(o.Payload)
	if o.QoS > 0 {
		n += 2
	}
	if v == V5 {
		p := o.propertySize()
		n += varintSize(uint32(p)) + p
	}
	return n
}

func (o *Outgoing) propertySize() int {
	n := len(o.Shared)
	if o.HasExpiry {
		n += 5
	}
	for _, id := range o.SubscriptionIDs {
		n += 1 + varintSize(id)
	}
	if o.TopicAlias != 0 {
		n += 3
	}
	return n
}

// Readdress changes Packet Identifier and DUP of a PUBLISH with QoS 1 or 2 that Append wrote, in place: a frame whose
// other parts suit several receivers is encoded once, copied, and readdressed in each copy. frame starts at the packet's
// first byte and holds at least all that AppendHead writes. It panics if the frame ends before the identifier.
func Readdress(frame []byte, id uint16, dup bool) {
	frame[0] = frame[0]&^flagDup | bit(dup, flagDup)
	at := 2
	for frame[at-1] >= 0x80 {
		at++
	}
	at += 2 + int(binary.BigEndian.Uint16(frame[at:]))
	binary.BigEndian.PutUint16(frame[at:], id)
}
