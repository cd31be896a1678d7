package packet

// Type is a control packet type, the upper half of a packet's first byte. [MQTT 5 section 2.1.2]
type Type byte

// The control packet types. TypeAuth exists in version 5 only.
const (
	TypeConnect     Type = 1
	TypeConnack     Type = 2
	TypePublish     Type = 3
	TypePuback      Type = 4
	TypePubrec      Type = 5
	TypePubrel      Type = 6
	TypePubcomp     Type = 7
	TypeSubscribe   Type = 8
	TypeSuback      Type = 9
	TypeUnsubscribe Type = 10
	TypeUnsuback    Type = 11
	TypePingreq     Type = 12
	TypePingresp    Type = 13
	TypeDisconnect  Type = 14
	TypeAuth        Type = 15
)

// typeNames are the types in the specification's spelling.
var typeNames = [16]string{"RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

// String gives the type in the specification's spelling, "PUBLISH".
func (t Type) String() string { return typeNames[t&15] }

// MaxRemaining is the largest Remaining Length that the encoding can express: 268,435,455 bytes.
const MaxRemaining = 268_435_455

// Bits of the lower half of a first byte.
const (
	flagRetain    = 0x01
	flagsReserved = 0x02 // the fixed pattern of PUBREL, SUBSCRIBE and UNSUBSCRIBE
	flagDup       = 0x08
)

// Header is a packet's fixed header.
type Header struct {
	Type      Type
	Flags     byte   // the lower four bits of the first byte
	Remaining uint32 // bytes that follow the fixed header
}

// Size is the whole packet's length in bytes, the fixed header included.
func (h Header) Size() int { return 1 + varintSize(h.Remaining) + int(h.Remaining) }

// ReadHeader reads a fixed header from the start of b. It returns the header's own length n, or n == 0
// without an error when b does not hold all of it yet; a first byte that no version allows is refused
// as soon as it is there. Flags that only MQTT 3.1 allows (DUP in PUBREL, SUBSCRIBE, UNSUBSCRIBE) pass here
// and are left to Decode, which knows the version.
func ReadHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, nil
	}
	h.Type, h.Flags = Type(b[0]>>4), b[0]&0x0F
	if e := h.checkFlags(); e != nil {
		return Header{}, 0, e
	}
	rem, k, e := readVarint(b[1:])
	if e != nil {
		return Header{}, 0, e
	}
	if k == 0 {
		return Header{}, 0, nil
	}
	h.Remaining = rem
	return h, 1 + k, nil
}

// checkFlags refuses what is wrong in every version. [MQTT311-2.2.2-2]
func (h Header) checkFlags() *Error {
	switch h.Type {
	case 0:
		return errTypeZero
	case TypePublish:
		if h.Flags>>1&3 == 3 {
			return errQoS3 // [MQTT-3.3.1-4]
		}
	case TypePubrel:
		return reservedTwo(h.Flags&^flagDup, errPubrelFlags)
	case TypeSubscribe:
		return reservedTwo(h.Flags&^flagDup, errSubscribeFlags)
	case TypeUnsubscribe:
		return reservedTwo(h.Flags&^flagDup, errUnsubscribeFlags)
	case TypeAuth:
		if h.Flags != 0 {
			return errAuthFlags // [MQTT-3.15.1-1]
		}
	case TypeDisconnect:
		if h.Flags != 0 {
			return errDisconnectFlags // [MQTT-3.14.1-1]
		}
	default:
		if h.Flags != 0 {
			return errFlags // [MQTT-2.1.3-1]
		}
	}
	return nil
}

// reservedTwo demands the pattern 0010. [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]
func reservedTwo(flags byte, e *Error) *Error {
	if flags != flagsReserved {
		return e
	}
	return nil
}

// checkRedelivery is the second half of reservedTwo: only MQTT 3.1 marks a repeated PUBREL, SUBSCRIBE or
// UNSUBSCRIBE with DUP. [MQTT31-2.1-1]
func (h Header) checkRedelivery(v Version, e *Error) *Error {
	if v == V31 {
		return reservedTwo(h.Flags&^flagDup, e)
	}
	return reservedTwo(h.Flags, e)
}

// Frame is one whole packet as it lies in the caller's bytes.
type Frame struct {
	Header
	Body []byte // what follows the fixed header; aliases the bytes given to Next
}

// Next cuts the first packet from b. It returns the packet and the n bytes it takes, header included.
// With n == 0 and no error b does not hold it whole: the caller reads more and asks again with the same
// start; the frame's Header is then already filled if its bytes are there, so that the caller can size its
// buffer by Header.Size. A packet of more than max bytes (header included; 0 means no limit) is refused with
// ErrTooLarge as soon as its header is there, before its body arrives. [MQTT-3.1.2-24] [MQTT-3.2.2-15]
func Next(b []byte, max uint32) (f Frame, n int, err error) {
	h, k, err := ReadHeader(b)
	if err != nil || k == 0 {
		return Frame{}, 0, err
	}
	total := k + int(h.Remaining)
	if max != 0 && uint64(total) > uint64(max) {
		return Frame{Header: h}, 0, errTooLarge
	}
	if len(b) < total {
		return Frame{Header: h}, 0, nil
	}
	return Frame{Header: h, Body: b[k:total:total]}, total, nil
}

// appendHeader writes a fixed header. A body over MaxRemaining is the caller's fault and panics: no receiver
// could find the next packet again.
func appendHeader(dst []byte, t Type, flags byte, remaining int) []byte {
	if remaining > MaxRemaining {
		panic("packet: body longer than a Remaining Length can say")
	}
	return appendVarint(append(dst, byte(t)<<4|flags), uint32(remaining))
}
