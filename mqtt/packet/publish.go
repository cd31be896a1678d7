package packet

// Publish is the PUBLISH packet, an Application Message on its way. [MQTT 5 section 3.3]
type Publish struct {
	Topic      []byte // empty only in version 5, together with a Topic Alias
	Payload    []byte
	PacketID   uint16 // with QoS 1 and 2
	QoS        byte   // 0, 1 or 2
	Dup        bool
	Retain     bool
	Properties Properties

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads a PUBLISH without allocating, but for Subscription Identifiers and for User Properties with others in
// between.
//
// Left to the caller, who knows the direction and the connection: that a client sends no Subscription Identifier
// [MQTT-3.3.4-6], the bounds of Topic Alias [MQTT-3.3.2-9], QoS and Retain that the server does not grant, and whether
// a payload marked as UTF-8 is (see ValidUTF8).
func (p *Publish) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	p.QoS = h.Flags >> 1 & 3
	p.Dup = h.Flags&flagDup != 0
	p.Retain = h.Flags&flagRetain != 0
	p.PacketID = 0
	if e := p.checkHeader(v, h); e != nil {
		return e
	}
	c := cursor{b: body}
	p.Topic = c.str() // [MQTT-3.3.2-1]
	if p.QoS > 0 {
		p.PacketID = c.packetID() // [MQTT-2.2.1-2]
	}
	if v == V5 && c.err == nil {
		p.Properties.decode(&c, blockPublish, p.Limits)
	}
	if c.err != nil {
		return c.err
	}
	p.Payload = c.b
	return asError(p.checkTopic(v))
}

func (p *Publish) checkHeader(v Version, h Header) *Error {
	switch {
	case h.Type != TypePublish:
		return errWrongType
	case p.QoS == 3:
		return errQoS3 // [MQTT-3.3.1-4]
	case p.Dup && p.QoS == 0 && v != V31:
		return errDupQoS0 // [MQTT-3.3.1-2]; MQTT 3.1 gives DUP no meaning here
	}
	return nil
}

// checkTopic allows an empty Topic Name only where an alias stands for it.
func (p *Publish) checkTopic(v Version) *Error {
	if len(p.Topic) != 0 || v != V5 {
		return checkTopicName(p.Topic)
	}
	if !p.Properties.Present.Has(PropTopicAlias) {
		return errTopicNoAlias
	}
	return nil
}

// publishFlags are the flags of a PUBLISH's first byte. QoS 0 is never a repetition. [MQTT-3.3.1-2]
func publishFlags(qos byte, dup, retain bool) byte {
	return qos<<1&6 | bit(dup && qos > 0, flagDup) | bit(retain, flagRetain)
}

// Append writes the packet.
func (p *Publish) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypePublish, publishFlags(p.QoS, p.Dup, p.Retain), p.remaining(v))
	dst = appendBytes(dst, p.Topic)
	if p.QoS > 0 {
		dst = appendU16(dst, p.PacketID)
	}
	if v == V5 {
		dst = p.Properties.append(dst, blockPublish)
	}
	return append(dst, p.Payload...)
}

// Size is the length of what Append writes.
func (p *Publish) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Publish) remaining(v Version) int {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if v == V5 {
		n += p.Properties.size(blockPublish)
	}
	return n
}
