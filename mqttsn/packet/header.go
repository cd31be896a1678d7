package packet

import "encoding/binary"

// Frame is a message cut out of its datagram.
type Frame struct {
	Type Type
	Body []byte // behind the header; borrowed
}

// MaxSize is the longest message that the Length field can express, in bytes.
const MaxSize = 0xFFFF

// longLength begins a Length of three octets. [SN-5.2.1-1]
const longLength = 0x01

// Parse takes a datagram, which holds one message and nothing else.
func Parse(b []byte) (Frame, error) {
	n, size, e := readLength(b)
	switch {
	case e != nil:
		return Frame{}, e
	case size != len(b):
		return Frame{}, errLength // [SN-5.2.1-2]
	}
	f := Frame{Type: Type(b[n]), Body: b[n+1:]}
	if typeNames[f.Type] == "" || f.Type == TypeForwarded {
		return f, errType // [SN-5.2.2-1]
	}
	return f, nil
}

// readLength reads a Length field: its own n bytes, and the size of the whole message
// with it, which leaves room for at least the type.
func readLength(b []byte) (n, size int, e *Error) {
	switch {
	case len(b) < 2:
		return 0, 0, errEmpty
	case b[0] != longLength:
		n, size = 1, int(b[0])
	case len(b) < 4:
		return 0, 0, errEmpty
	default:
		n, size = 3, int(binary.BigEndian.Uint16(b[1:]))
	}
	if size < n+1 {
		return 0, 0, errLength
	}
	return n, size, nil
}

// Size is the length of a message with body bytes behind its type.
func Size(body int) int {
	if body+2 <= 0xFF {
		return body + 2
	}
	return body + 4
}

// appendHeader writes Length and type in the shortest form. A body that the Length cannot
// express is a fault of the caller, who has Size to ask.
func appendHeader(dst []byte, t Type, body int) []byte {
	size := Size(body)
	switch {
	case size > MaxSize:
		panic("packet: message longer than 65,535 bytes")
	case size <= 0xFF:
		return append(dst, byte(size), byte(t))
	}
	return append(dst, longLength, byte(size>>8), byte(size), byte(t))
}
