package packet

// Pingreq is the PINGREQ packet, a client's sign of life. [MQTT 5 section 3.12]
type Pingreq struct{}

// Pingresp is the PINGRESP packet, the server's answer to PINGREQ. [MQTT 5 section 3.13]
type Pingresp struct{}

// Decode checks that the packet is empty.
func (*Pingreq) Decode(_ Version, h Header, body []byte) error {
	return asError(decodeEmpty(TypePingreq, h, body))
}

// Decode checks that the packet is empty.
func (*Pingresp) Decode(_ Version, h Header, body []byte) error {
	return asError(decodeEmpty(TypePingresp, h, body))
}

func decodeEmpty(t Type, h Header, body []byte) *Error {
	switch {
	case h.Type != t:
		return errWrongType
	case h.Flags != 0:
		return errFlags // [MQTT-2.1.3-1]
	case len(body) != 0:
		return errTrailing
	}
	return nil
}

// Append writes the two bytes of the packet.
func (*Pingreq) Append(dst []byte, _ Version) []byte { return append(dst, byte(TypePingreq)<<4, 0) }

// Append writes the two bytes of the packet.
func (*Pingresp) Append(dst []byte, _ Version) []byte { return append(dst, byte(TypePingresp)<<4, 0) }

// Size is 2.
func (*Pingreq) Size(Version) int { return 2 }

// Size is 2.
func (*Pingresp) Size(Version) int { return 2 }
