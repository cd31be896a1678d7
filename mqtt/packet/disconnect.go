package packet

// Disconnect is the DISCONNECT packet. Before version 5 only clients send it, and it says nothing but its name.
// [MQTT 5 section 3.14]
type Disconnect struct {
	Reason     ReasonCode // version 5 only
	Properties Properties // version 5 only

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads a DISCONNECT.
//
// Left to the caller, who knows the direction: that a server sends no Session Expiry Interval [MQTT-3.14.2-2], and that
// a client does not raise one that was 0.
func (p *Disconnect) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	p.Reason = ReasonNormalDisconnection
	if h.Type != TypeDisconnect {
		return errWrongType
	}
	if h.Flags != 0 {
		return errDisconnectFlags // [MQTT-3.14.1-1]
	}
	c := cursor{b: body}
	if v == V5 && len(c.b) > 0 {
		p.Reason = ReasonCode(c.u8())
		if !p.Reason.ValidIn(TypeDisconnect) {
			return errDisconnect // [MQTT-3.14.2-1]
		}
		if len(c.b) > 0 { // a Remaining Length under 2 has no Property Length [section 3.14.2.2.1]
			p.Properties.decode(&c, blockDisconnect, p.Limits)
		}
	}
	return asError(c.end())
}

// Append writes the packet in its shortest form.
func (p *Disconnect) Append(dst []byte, v Version) []byte {
	n := p.remaining(v)
	dst = appendHeader(dst, TypeDisconnect, 0, n)
	if n > 0 {
		dst = append(dst, byte(p.Reason))
	}
	if n > 1 {
		dst = p.Properties.append(dst, blockDisconnect)
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Disconnect) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Disconnect) remaining(v Version) int {
	if v != V5 {
		return 0
	}
	return codeAndProperties(p.Reason, &p.Properties, blockDisconnect)
}
