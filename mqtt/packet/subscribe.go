package packet

// Subscribe is the SUBSCRIBE packet. [MQTT 5 section 3.8]
type Subscribe struct {
	PacketID   uint16
	Filters    []Subscription
	Properties Properties

	Limits *Limits // kept by Decode; nil: the defaults
}

// Subscription is one Topic Filter of a SUBSCRIBE with its options. [MQTT 5 section 3.8.3.1]
type Subscription struct {
	Filter            []byte // UTF-8, else not looked at: its syntax is answered filter by filter in the SUBACK
	QoS               byte   // the Maximum QoS wished for
	NoLocal           bool   // the rest: version 5 only
	RetainAsPublished bool
	RetainHandling    byte // 0: send retained messages, 1: only to a new subscription, 2: never
}

// The subscription options.
const (
	optionQoS               = 0x03
	optionNoLocal           = 0x04
	optionRetainAsPublished = 0x08
	optionRetainHandling    = 0x30
	optionReserved          = 0xC0
)

// Decode reads a SUBSCRIBE. The list of filters is bounded by Limits.Filters and keeps its memory between packets.
//
// Left to the caller: the syntax of the filters, and No Local on a shared subscription [MQTT-3.8.3-4].
func (p *Subscribe) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	*p = Subscribe{Limits: p.Limits, Filters: p.Filters[:0], Properties: p.Properties}
	if h.Type != TypeSubscribe {
		return errWrongType
	}
	if e := h.checkRedelivery(v, errSubscribeFlags); e != nil {
		return e // [MQTT-3.8.1-1]
	}
	c := cursor{b: body}
	p.PacketID = c.packetID()
	if v == V5 && c.err == nil {
		p.Properties.decode(&c, blockSubscribe, p.Limits)
	}
	if c.err != nil {
		return c.err
	}
	if len(c.b) == 0 {
		return errNoFilters // [MQTT-3.8.3-2]
	}
	for left := p.Limits.filters(); len(c.b) > 0; left-- {
		if left == 0 {
			return errFilterLimit
		}
		p.decodeFilter(&c, v)
	}
	return asError(c.err)
}

func (p *Subscribe) decodeFilter(c *cursor, v Version) {
	filter, options := c.str(), c.u8() // [MQTT-3.8.3-1]
	if c.err != nil {
		return
	}
	s := Subscription{Filter: filter}
	if e := s.setOptions(options, v); e != nil {
		c.fail(e)
		return
	}
	p.Filters = append(p.Filters, s)
}

// setOptions takes the options byte apart. MQTT 3.1 does not use the upper six bits, 3.1.1 reserves them.
func (s *Subscription) setOptions(o byte, v Version) *Error {
	s.QoS = o & optionQoS
	switch {
	case s.QoS == 3:
		return errOptionQoS
	case v == V31:
		return nil
	case v == V311 && o&^optionQoS != 0, o&optionReserved != 0:
		return errOptionBits // [MQTT-3.8.3-5] [MQTT311-3.8.3-4]
	case o&optionRetainHandling == optionRetainHandling:
		return errRetain3
	}
	s.NoLocal = o&optionNoLocal != 0
	s.RetainAsPublished = o&optionRetainAsPublished != 0
	s.RetainHandling = o & optionRetainHandling >> 4
	return nil
}

// options puts the options byte together.
func (s *Subscription) options(v Version) byte {
	o := s.QoS & optionQoS
	if v == V5 {
		o |= bit(s.NoLocal, optionNoLocal) | bit(s.RetainAsPublished, optionRetainAsPublished) |
			s.RetainHandling<<4&optionRetainHandling
	}
	return o
}

// Append writes the packet.
func (p *Subscribe) Append(dst []byte, v Version) []byte {
	dst = appendHeader(dst, TypeSubscribe, flagsReserved, p.remaining(v)) // [MQTT-3.8.1-1]
	dst = appendU16(dst, p.PacketID)
	if v == V5 {
		dst = p.Properties.append(dst, blockSubscribe)
	}
	for i := range p.Filters {
		dst = append(appendBytes(dst, p.Filters[i].Filter), p.Filters[i].options(v))
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Subscribe) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Subscribe) remaining(v Version) int {
	n := 2
	if v == V5 {
		n += p.Properties.size(blockSubscribe)
	}
	for i := range p.Filters {
		n += 3 + len(p.Filters[i].Filter)
	}
	return n
}
