package packet

// Subscribe asks for a subscription (TypeSubscribe) or for its end (TypeUnsubscribe).
// [SN-5.4.15-1] [SN-5.4.17-1]
type Subscribe struct {
	Type      Type // one of the two
	Dup       bool
	QoS       uint8 // of no meaning in UNSUBSCRIBE
	IDType    IDType
	MessageID uint16
	Topic     []byte // with NormalID the Topic Filter, else the two octets
}

// TopicID gives the two octets of a predefined id or a short name; call it only where
// IDType is not NormalID.
func (p *Subscribe) TopicID() uint16 { return uint16(p.Topic[0])<<8 | uint16(p.Topic[1]) }

// Decode reads either message and sets Type.
func (p *Subscribe) Decode(f Frame) error {
	if f.Type != TypeSubscribe && f.Type != TypeUnsubscribe {
		return errWrongType
	}
	c := cursor{b: f.Body}
	flags := c.u8()
	p.Type, p.Dup, p.IDType, p.QoS = f.Type, flags&flagDup != 0, c.idType(flags), 0
	if f.Type == TypeSubscribe {
		p.QoS = c.qos(flags)
	}
	p.MessageID = c.u16()
	if p.IDType == NormalID {
		p.Topic = c.text(errTopicEmpty)
	} else if p.Topic = c.rest(); c.err == nil && len(p.Topic) != 2 {
		c.fail(errTopicLength) // [SN-5.4.15-2]
	}
	return c.end()
}

// Append writes the message.
func (p *Subscribe) Append(dst []byte) []byte {
	dst = appendHeader(dst, p.Type, 3+len(p.Topic))
	dst = append(dst, bit(p.Dup, flagDup)|p.QoS<<flagQoSShift|byte(p.IDType))
	return append(appendU16(dst, p.MessageID), p.Topic...)
}

// Suback answers a SUBSCRIBE. [SN-5.4.16-1]
type Suback struct {
	QoS       uint8  // granted
	TopicID   uint16 // NoTopicID where the filter has wildcards
	MessageID uint16
	Code      ReturnCode
}

// Decode reads the message.
func (p *Suback) Decode(f Frame) error {
	c := read(f, TypeSuback)
	p.QoS = c.qos(c.u8())
	p.TopicID, p.MessageID, p.Code = c.u16(), c.u16(), c.code()
	return c.end()
}

// Append writes the message.
func (p *Suback) Append(dst []byte) []byte {
	dst = append(appendHeader(dst, TypeSuback, 6), p.QoS<<flagQoSShift)
	return append(appendU16(appendU16(dst, p.TopicID), p.MessageID), byte(p.Code))
}
