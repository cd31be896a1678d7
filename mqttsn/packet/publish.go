package packet

// Publish carries an application message. [SN-5.4.12-1]
type Publish struct {
	Dup       bool
	QoS       uint8 // 0, 1, 2 or QoSMinusOne
	Retain    bool
	IDType    IDType
	TopicID   uint16 // for ShortName the two octets of the name
	MessageID uint16 // of no meaning at QoS 0 and −1
	Data      []byte
}

// Decode reads the message.
func (p *Publish) Decode(f Frame) error {
	c := read(f, TypePublish)
	flags := c.u8()
	p.Dup, p.Retain = flags&flagDup != 0, flags&flagRetain != 0
	p.QoS, p.IDType = flags&flagQoS>>flagQoSShift, c.idType(flags)
	p.TopicID, p.MessageID, p.Data = c.u16(), c.u16(), c.rest()
	switch {
	case c.err != nil:
	case p.QoS == QoSMinusOne && p.IDType == NormalID:
		c.fail(errQoSNormal) // [SN-6.8-2]
	case p.MessageID == 0 && (p.QoS == 1 || p.QoS == 2):
		c.fail(errMessageID) // [SN-5.3.7-1]
	}
	return c.end()
}

// Append writes the message.
func (p *Publish) Append(dst []byte) []byte {
	dst = appendHeader(dst, TypePublish, publishHead+len(p.Data))
	dst = append(dst, bit(p.Dup, flagDup)|p.QoS<<flagQoSShift|bit(p.Retain, flagRetain)|byte(p.IDType))
	return append(appendU16(appendU16(dst, p.TopicID), p.MessageID), p.Data...)
}

// publishHead is the length of a PUBLISH between its header and its data.
const publishHead = 5

// Size is the length of the message in bytes.
func (p *Publish) Size() int { return Size(publishHead + len(p.Data)) }

// Ack is one of the messages of QoS 2 that carry an identifier alone: PUBREC, PUBREL,
// PUBCOMP; and UNSUBACK. [SN-5.4.14-1] [SN-5.4.18-1]
type Ack struct {
	Type      Type
	MessageID uint16
}

// Decode reads any of the four and sets Type.
func (p *Ack) Decode(f Frame) error {
	switch f.Type {
	case TypePubrec, TypePubrel, TypePubcomp, TypeUnsuback:
	default:
		return errWrongType
	}
	c := cursor{b: f.Body}
	p.Type, p.MessageID = f.Type, c.u16()
	return c.end()
}

// Append writes the message.
func (p *Ack) Append(dst []byte) []byte {
	return appendU16(appendHeader(dst, p.Type, 2), p.MessageID)
}
