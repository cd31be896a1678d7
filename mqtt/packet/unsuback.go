package packet

// Unsuback is the UNSUBACK packet. [MQTT 5 section 3.11]
type Unsuback struct {
	PacketID   uint16
	Codes      []ReasonCode // version 5 only: one for each filter, in its order [MQTT-3.11.3-1]
	Properties Properties   // version 5 only

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads an UNSUBACK. The list of codes keeps its memory between packets.
func (p *Unsuback) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	*p = Unsuback{Limits: p.Limits, Codes: p.Codes[:0], Properties: p.Properties}
	if h.Type != TypeUnsuback {
		return errWrongType
	}
	if h.Flags != 0 {
		return errFlags // [MQTT-2.1.3-1]
	}
	c := cursor{b: body}
	p.PacketID = c.packetID()
	if v != V5 {
		return asError(c.end())
	}
	if c.err == nil {
		p.Properties.decode(&c, blockAck, p.Limits)
	}
	if c.err != nil {
		return c.err
	}
	return asError(p.decodeCodes(c.b))
}

func (p *Unsuback) decodeCodes(b []byte) *Error {
	if len(b) == 0 {
		return errNoUncodes
	}
	if len(b) > p.Limits.filters() {
		return errFilterLimit
	}
	for _, r := range b {
		if !ReasonCode(r).ValidIn(TypeUnsuback) {
			return errUnsubackCode // [MQTT-3.11.3-2]
		}
		p.Codes = append(p.Codes, ReasonCode(r))
	}
	return nil
}

// Append writes the packet.
func (p *Unsuback) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypeUnsuback, 0, p.remaining(v))
	dst = appendU16(dst, p.PacketID)
	if v == V5 {
		dst = p.Properties.append(dst, blockAck)
		for _, r := range p.Codes {
			dst = append(dst, byte(r))
		}
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Unsuback) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Unsuback) remaining(v Version) int {
	if v != V5 {
		return 2
	}
	return 2 + p.Properties.size(blockAck) + len(p.Codes)
}
