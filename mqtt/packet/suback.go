package packet

// Suback is the SUBACK packet: one code for each filter of the SUBSCRIBE, in its order. [MQTT 5 section 3.9]
type Suback struct {
	PacketID uint16
	// Codes are MQTT 5 reason codes in all versions. Before version 5 Append writes every failure as 0x80, the only one
	// those clients know. [MQTT-3.9.3-1]
	Codes      []ReasonCode
	Properties Properties

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads a SUBACK. The list of codes keeps its memory between packets.
func (p *Suback) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	*p = Suback{Limits: p.Limits, Codes: p.Codes[:0], Properties: p.Properties}
	if h.Type != TypeSuback {
		return errWrongType
	}
	if h.Flags != 0 {
		return errFlags // [MQTT-2.1.3-1]
	}
	c := cursor{b: body}
	p.PacketID = c.packetID()
	if v == V5 && c.err == nil {
		p.Properties.decode(&c, blockAck, p.Limits)
	}
	if c.err != nil {
		return c.err
	}
	if len(c.b) == 0 {
		return errNoCodes // [MQTT-3.8.4-6]
	}
	if len(c.b) > p.Limits.filters() {
		return errFilterLimit
	}
	for _, b := range c.b {
		r := ReasonCode(b)
		if !r.ValidIn(TypeSuback) || v != V5 && r > ReasonUnspecifiedError {
			return errSubackCode // [MQTT-3.9.3-2]
		}
		p.Codes = append(p.Codes, r)
	}
	return nil
}

// Append writes the packet.
func (p *Suback) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypeSuback, 0, p.remaining(v))
	dst = appendU16(dst, p.PacketID)
	if v == V5 {
		dst = p.Properties.append(dst, blockAck)
	}
	for _, r := range p.Codes {
		if v != V5 && r.Failed() { // [MQTT311-3.9.3-2] [MQTT31-3.9-1]
			r = ReasonUnspecifiedError
		}
		dst = append(dst, byte(r))
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Suback) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Suback) remaining(v Version) int {
	n := 2 + len(p.Codes)
	if v == V5 {
		n += p.Properties.size(blockAck)
	}
	return n
}
