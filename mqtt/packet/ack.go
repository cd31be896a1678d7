package packet

// Ack is one of the four packets that answer a PUBLISH with QoS 1 or 2: PUBACK, PUBREC, PUBREL, PUBCOMP. They have
// the same form and differ in Type. [MQTT 5 sections 3.4 to 3.7]
type Ack struct {
	Type       Type
	PacketID   uint16
	Reason     ReasonCode // version 5 only; earlier versions know no failure here
	Properties Properties // version 5 only

	Limits *Limits // kept by Decode; nil: the defaults
}

// Decode reads any of the four without allocating (User Properties with a Reason String in between excepted) and sets Type.
func (p *Ack) Decode(v Version, h Header, body []byte) error {
	p.Properties.Reset()
	p.Type, p.PacketID, p.Reason = h.Type, 0, ReasonSuccess
	if e := checkAckHeader(v, h); e != nil {
		return e
	}
	c := cursor{b: body}
	p.PacketID = c.packetID()
	if v == V5 && len(c.b) > 0 {
		p.Reason = ReasonCode(c.u8())
		if !p.Reason.ValidIn(p.Type) {
			return ackCodeError(p.Type)
		}
		if len(c.b) > 0 { // a Remaining Length under 4 has no Property Length [section 3.4.2.2.1]
			p.Properties.decode(&c, blockAck, p.Limits)
		}
	}
	return asError(c.end())
}

func checkAckHeader(v Version, h Header) *Error {
	switch h.Type {
	case TypePuback, TypePubrec, TypePubcomp:
		if h.Flags != 0 {
			return errFlags // [MQTT-2.1.3-1]
		}
		return nil
	case TypePubrel:
		return h.checkRedelivery(v, errPubrelFlags) // [MQTT-3.6.1-1]
	}
	return errWrongType
}

// ackCodeError names the statement about the type's reason codes.
func ackCodeError(t Type) *Error {
	switch t {
	case TypePuback:
		return errPubackCode // [MQTT-3.4.2-1]
	case TypePubrec:
		return errPubrecCode // [MQTT-3.5.2-1]
	case TypePubrel:
		return errPubrelCode // [MQTT-3.6.2-1]
	}
	return errPubcompCode // [MQTT-3.7.2-1]
}

// ackFlags are the fixed flags of the type.
func ackFlags(t Type) byte {
	if t == TypePubrel {
		return flagsReserved // [MQTT-3.6.1-1]
	}
	return 0
}

// Append writes the packet in its shortest form: without Reason Code where it says success and there are no
// properties, without Property Length where there are none.
func (p *Ack) Append(dst []byte, v Version) []byte {
	n := p.remaining(v)
	dst = appendHeader(dst, p.Type, ackFlags(p.Type), n)
	dst = appendU16(dst, p.PacketID)
	if n > 2 {
		dst = append(dst, byte(p.Reason))
	}
	if n > 3 {
		dst = p.Properties.append(dst, blockAck)
	}
	return dst
}

// Size is the length of what Append writes.
func (p *Ack) Size(v Version) int { return packetSize(p.remaining(v)) }

func (p *Ack) remaining(v Version) int {
	if v != V5 {
		return 2
	}
	return 2 + codeAndProperties(p.Reason, &p.Properties, blockAck)
}

// codeAndProperties is the length of the tail that PUBACK and its like, DISCONNECT and AUTH may leave out from behind.
func codeAndProperties(r ReasonCode, p *Properties, b block) int {
	n := p.size(b)
	if n > 1 {
		return 1 + n
	}
	if r != ReasonSuccess {
		return 1
	}
	return 0
}

// AppendAck writes an acknowledgement without properties, the usual case, straight from its values.
func AppendAck(dst []byte, v Version, t Type, id uint16, r ReasonCode) []byte {
	first := byte(t)<<4 | ackFlags(t)
	if v != V5 || r == ReasonSuccess {
		return append(dst, first, 2, byte(id>>8), byte(id))
	}
	return append(dst, first, 3, byte(id>>8), byte(id), byte(r))
}
