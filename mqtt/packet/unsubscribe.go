package packet

// Unsubscribe is the UNSUBSCRIBE packet. [MQTT 5 section 3.10]
type Unsubscribe struct {
	PacketID   uint16
	Filters    [][]byte
	Properties Properties

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads an UNSUBSCRIBE. The list of filters is bounded by Limits.Filters and keeps its memory between packets.
func (p *Unsubscribe) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	*p = Unsubscribe{Limits: p.Limits, Filters: p.Filters[:0], Properties: p.Properties}
	if h.Type != TypeUnsubscribe {
		return errWrongType
	}
	if e := h.checkRedelivery(v, errUnsubscribeFlags); e != nil {
		return e // [MQTT-3.10.1-1]
	}
	c := cursor{b: body}
	p.PacketID = c.packetID()
	if v == V5 && c.err == nil {
		p.Properties.decode(&c, blockUnsubscribe, p.Limits)
	}
	if c.err != nil {
		return c.err
	}
	if len(c.b) == 0 {
		return errNoUnfilters // [MQTT-3.10.3-2]
	}
	for left := p.Limits.filters(); len(c.b) > 0; left-- {
		if left == 0 {
			return errFilterLimit
		}
		if f := c.str(); c.err == nil { // [MQTT-3.10.3-1]
			p.Filters = append(p.Filters, f)
		}
	}
	return asError(c.err)
}

// Append writes the packet.
func (p *Unsubscribe) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypeUnsubscribe, flagsReserved, p.remaining(v)) // [MQTT-3.10.1-1]
	dst = appendU16(dst, p.PacketID)
	if v == V5 {
		dst = p.Properties.append(dst, blockUnsubscribe)
	}
	for _, f := range p.Filters {
		dst = appendBytes(dst, f)
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Unsubscribe) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Unsubscribe) remaining(v Version) int {
	n := 2
	if v == V5 {
		n += p.Properties.size(blockUnsubscribe)
	}
	for _, f := range p.Filters {
		n += 2 + len(f)
	}
	return n
}
