package packet

// Connect begins a connection. [SN-5.4.4-1]
type Connect struct {
	Will         bool // the client has a Will and wants to be asked for it
	CleanSession bool
	Duration     uint16 // keep alive, seconds
	ClientID     []byte
}

// Decode reads the message. How long a client id may be is left to the caller.
func (p *Connect) Decode(f Frame) error {
	c := read(f, TypeConnect)
	flags := c.u8()
	p.Will, p.CleanSession = flags&flagWill != 0, flags&flagClean != 0
	if id := c.u8(); c.err == nil && id != ProtocolID {
		c.fail(errProtocolID) // [SN-5.3.8-1]
	}
	p.Duration, p.ClientID = c.u16(), c.text(errClientID)
	return c.end()
}

// Append writes the message.
func (p *Connect) Append(dst []byte) []byte {
	dst = appendHeader(dst, TypeConnect, 4+len(p.ClientID))
	dst = append(dst, bit(p.Will, flagWill)|bit(p.CleanSession, flagClean), ProtocolID)
	return append(appendU16(dst, p.Duration), p.ClientID...)
}

// Connack answers a Connect. [SN-5.4.5-1]
type Connack struct{ Code ReturnCode }

// Decode reads the message.
func (p *Connack) Decode(f Frame) error {
	c := read(f, TypeConnack)
	p.Code = c.code()
	return c.end()
}

// Append writes the message.
func (p *Connack) Append(dst []byte) []byte {
	return append(appendHeader(dst, TypeConnack, 1), byte(p.Code))
}
