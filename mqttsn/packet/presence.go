package packet

// Bare is one of the messages without a field: WILLTOPICREQ, WILLMSGREQ, PINGRESP.
// [SN-5.4.6-1] [SN-5.4.8-1] [SN-5.4.20-1]
type Bare struct{ Type Type }

// Decode reads any of the three and sets Type.
func (p *Bare) Decode(f Frame) error {
	switch f.Type {
	case TypeWillTopicReq, TypeWillMsgReq, TypePingresp:
	default:
		return errWrongType
	}
	p.Type = f.Type
	c := cursor{b: f.Body}
	return c.end()
}

// Append writes the message.
func (p *Bare) Append(dst []byte) []byte { return appendHeader(dst, p.Type, 0) }

// Pingreq asks whether the other end lives; with a client id it is a sleeping client that
// asks for its messages. [SN-5.4.19-1]
type Pingreq struct {
	ClientID []byte // empty for none
}

// Decode reads the message.
func (p *Pingreq) Decode(f Frame) error {
	c := read(f, TypePingreq)
	p.ClientID = c.text(nil)
	return c.end()
}

// Append writes the message.
func (p *Pingreq) Append(dst []byte) []byte {
	return append(appendHeader(dst, TypePingreq, len(p.ClientID)), p.ClientID...)
}

// Disconnect ends a connection; with a duration the client goes to sleep for so long.
// [SN-5.4.21-1]
type Disconnect struct {
	Sleeps   bool   // there is a Duration
	Duration uint16 // seconds
}

// Decode reads the message.
func (p *Disconnect) Decode(f Frame) error {
	c := read(f, TypeDisconnect)
	p.Sleeps, p.Duration = len(c.b) > 0, 0
	if p.Sleeps {
		p.Duration = c.u16()
	}
	return c.end()
}

// Append writes the message.
func (p *Disconnect) Append(dst []byte) []byte {
	if !p.Sleeps {
		return appendHeader(dst, TypeDisconnect, 0)
	}
	return appendU16(appendHeader(dst, TypeDisconnect, 2), p.Duration)
}
