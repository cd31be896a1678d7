package packet

// Connack is the CONNACK packet, the server's answer to CONNECT. [MQTT 5 section 3.2]
type Connack struct {
	SessionPresent bool
	// Reason is an MQTT 5 code in every version: Append writes its ReturnCode before version 5, and Decode gives
	// ReturnCode.ReasonCode.
	Reason     ReasonCode
	Properties Properties

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads a CONNACK. MQTT 3.1 does not use the flags byte.
func (p *Connack) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	*p = Connack{Limits: p.Limits, Properties: p.Properties}
	if h.Type != TypeConnack {
		return errWrongType
	}
	if h.Flags != 0 {
		return errFlags // [MQTT-2.1.3-1]
	}
	c := cursor{b: body}
	flags, code := c.u8(), c.u8()
	if c.err == nil {
		p.decodeCode(&c, v, flags, code)
	}
	if v == V5 && c.err == nil {
		p.Properties.decode(&c, blockConnack, p.Limits)
	}
	return asError(c.end())
}

// decodeCode takes over the two bytes that all versions have.
func (p *Connack) decodeCode(c *cursor, v Version, flags, code byte) {
	if v == V31 {
		flags = 0
	}
	if flags&^1 != 0 {
		c.fail(errConnackFlags) // [MQTT-3.2.2-1]
		return
	}
	p.SessionPresent = flags == 1
	p.Reason = ReasonCode(code)
	if v != V5 {
		if code >= returnCodes {
			c.fail(errConnackCode)
			return
		}
		p.Reason = ReturnCode(code).ReasonCode()
	}
	switch {
	case !p.Reason.ValidIn(TypeConnack):
		c.fail(errConnackCode) // [MQTT-3.2.2-8]
	case p.SessionPresent && p.Reason != ReasonSuccess:
		c.fail(errSessionFlag) // [MQTT-3.2.2-6]
	}
}

// Append writes the packet. Session Present is written only with success [MQTT-3.2.2-6], and not in
// MQTT 3.1 [MQTT31-3.2-1].
func (p *Connack) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypeConnack, 0, p.remaining(v))
	present := bit(p.SessionPresent && p.Reason == ReasonSuccess && v != V31, 1)
	if v != V5 {
		return append(dst, present, byte(p.Reason.ReturnCode()))
	}
	return p.Properties.append(append(dst, present, byte(p.Reason)), blockConnack)
}

// Size is the length of what Append writes.
func (p *Connack) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Connack) remaining(v Version) int {
	if v != V5 {
		return 2
	}
	return 2 + p.Properties.size(blockConnack)
}
