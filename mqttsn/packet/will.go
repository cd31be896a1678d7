package packet

// WillTopic is the answer to WILLTOPICREQ (TypeWillTopic) or an update of the Will's topic
// (TypeWillTopicUpd). [SN-5.4.7-1] [SN-5.4.22-1]
type WillTopic struct {
	Type   Type // one of the two
	QoS    uint8
	Retain bool
	Topic  []byte // empty: the client wants its Will, topic and message, deleted
}

// Decode reads either message and sets Type.
func (p *WillTopic) Decode(f Frame) error {
	*p = WillTopic{Type: f.Type}
	if f.Type != TypeWillTopic && f.Type != TypeWillTopicUpd {
		return errWrongType
	}
	if len(f.Body) == 0 {
		return nil // [SN-5.4.7-2]
	}
	c := cursor{b: f.Body}
	flags := c.u8()
	p.QoS, p.Retain, p.Topic = c.qos(flags), flags&flagRetain != 0, c.text(errTopicEmpty)
	return c.end()
}

// Append writes the message.
func (p *WillTopic) Append(dst []byte) []byte {
	if len(p.Topic) == 0 {
		return appendHeader(dst, p.Type, 0)
	}
	dst = appendHeader(dst, p.Type, 1+len(p.Topic))
	return append(append(dst, p.QoS<<flagQoSShift|bit(p.Retain, flagRetain)), p.Topic...)
}

// WillMsg is the answer to WILLMSGREQ (TypeWillMsg) or an update of the Will's message
// (TypeWillMsgUpd). [SN-5.4.9-1] [SN-5.4.23-1]
type WillMsg struct {
	Type    Type // one of the two
	Message []byte
}

// Decode reads either message and sets Type.
func (p *WillMsg) Decode(f Frame) error {
	if f.Type != TypeWillMsg && f.Type != TypeWillMsgUpd {
		return errWrongType
	}
	p.Type, p.Message = f.Type, f.Body
	return nil
}

// Append writes the message.
func (p *WillMsg) Append(dst []byte) []byte {
	return append(appendHeader(dst, p.Type, len(p.Message)), p.Message...)
}

// WillResp answers an update of the Will's topic (TypeWillTopicResp) or message
// (TypeWillMsgResp). [SN-5.4.24-1] [SN-5.4.25-1]
type WillResp struct {
	Type Type // one of the two
	Code ReturnCode
}

// Decode reads either message and sets Type.
func (p *WillResp) Decode(f Frame) error {
	if f.Type != TypeWillTopicResp && f.Type != TypeWillMsgResp {
		return errWrongType
	}
	c := cursor{b: f.Body}
	p.Type, p.Code = f.Type, c.code()
	return c.end()
}

// Append writes the message.
func (p *WillResp) Append(dst []byte) []byte {
	return append(appendHeader(dst, p.Type, 1), byte(p.Code))
}
