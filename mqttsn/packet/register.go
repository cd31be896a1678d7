package packet

// Register tells the topic name that a topic id stands for, or asks for one.
// [SN-5.4.10-1]
type Register struct {
	TopicID   uint16 // NoTopicID from a client
	MessageID uint16
	Topic     []byte
}

// Decode reads the message.
func (p *Register) Decode(f Frame) error {
	c := read(f, TypeRegister)
	p.TopicID, p.MessageID, p.Topic = c.u16(), c.u16(), c.text(errTopicEmpty)
	return c.end()
}

// Append writes the message.
func (p *Register) Append(dst []byte) []byte {
	dst = appendHeader(dst, TypeRegister, 4+len(p.Topic))
	return append(appendU16(appendU16(dst, p.TopicID), p.MessageID), p.Topic...)
}

// Topicack answers a Register (TypeRegack) or a Publish (TypePuback).
// [SN-5.4.11-1] [SN-5.4.13-1]
type Topicack struct {
	Type      Type // one of the two
	TopicID   uint16
	MessageID uint16
	Code      ReturnCode
}

// Decode reads either message and sets Type.
func (p *Topicack) Decode(f Frame) error {
	if f.Type != TypeRegack && f.Type != TypePuback {
		return errWrongType
	}
	c := cursor{b: f.Body}
	p.Type, p.TopicID, p.MessageID, p.Code = f.Type, c.u16(), c.u16(), c.code()
	return c.end()
}

// Append writes the message.
func (p *Topicack) Append(dst []byte) []byte {
	dst = appendHeader(dst, p.Type, 5)
	return append(appendU16(appendU16(dst, p.TopicID), p.MessageID), byte(p.Code))
}
