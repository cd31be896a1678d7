package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Bits of the Flags field. [SN-5.3.4-1]
const (
	flagDup      = 0x80
	flagQoS      = 0x60
	flagQoSShift = 5
	flagRetain   = 0x10
	flagWill     = 0x08
	flagClean    = 0x04
	flagIDType   = 0x03
)

// cursor reads fields from a body. The first fault sticks; later reads give zero values.
type cursor struct {
	b   []byte
	err *Error
}

// read begins to read a frame that must be of type t.
func read(f Frame, t Type) cursor {
	if f.Type != t {
		return cursor{err: errWrongType}
	}
	return cursor{b: f.Body}
}

func (c *cursor) fail(e *Error) {
	if c.err == nil {
		c.err = e
	}
	c.b = nil
}

func (c *cursor) u8() byte {
	if len(c.b) < 1 {
		c.fail(errShort)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) u16() uint16 {
	if len(c.b) < 2 {
		c.fail(errShort)
		return 0
	}
	v := binary.BigEndian.Uint16(c.b)
	c.b = c.b[2:]
	return v
}

// rest takes all that is left.
func (c *cursor) rest() []byte {
	v := c.b
	c.b = nil
	return v
}

// text takes all that is left as text; empty is the fault of a field that must not be.
func (c *cursor) text(empty *Error) []byte {
	v := c.rest()
	switch {
	case c.err != nil:
	case len(v) == 0 && empty != nil:
		c.fail(empty)
	case !utf8.Valid(v) || bytes.IndexByte(v, 0) >= 0:
		c.fail(errText)
	}
	return v
}

// qos gives the QoS of flags that may not be −1.
func (c *cursor) qos(flags byte) uint8 {
	q := flags & flagQoS >> flagQoSShift
	if q == QoSMinusOne {
		c.fail(errQoS) // [SN-5.3.4-2]
	}
	return q
}

func (c *cursor) idType(flags byte) IDType {
	t := IDType(flags & flagIDType)
	if t > ShortName {
		c.fail(errIDType) // [SN-5.3.4-5]
	}
	return t
}

func (c *cursor) code() ReturnCode {
	r := ReturnCode(c.u8())
	if r > NotSupported {
		c.fail(errReturnCode) // [SN-5.3.10-1]
	}
	return r
}

// end gives the first fault, or that bytes are left over.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) != 0 {
		return errTrailing
	}
	return asError(c.err)
}

func appendU16(dst []byte, v uint16) []byte { return append(dst, byte(v>>8), byte(v)) }

// bit is b as the flag f.
func bit(b bool, f byte) byte {
	if b {
		return f
	}
	return 0
}
