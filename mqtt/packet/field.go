package packet

import "encoding/binary"

// cursor reads fields from a packet's body. The first fault sticks: later reads give zero values, and the caller looks
// at err once at the end of a group. Slices it gives alias the body and cannot be grown into it.
type cursor struct {
	b   []byte
	err *Error
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

func (c *cursor) u32() uint32 {
	if len(c.b) < 4 {
		c.fail(errShort)
		return 0
	}
	v := binary.BigEndian.Uint32(c.b)
	c.b = c.b[4:]
	return v
}

func (c *cursor) varint() uint32 {
	v, n, e := readVarint(c.b)
	if e == nil && n == 0 {
		e = errShort
	}
	if e != nil {
		c.fail(e)
		return 0
	}
	c.b = c.b[n:]
	return v
}

// take gives the next n bytes.
func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.fail(errShort)
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// binary reads Binary Data. [MQTT 5 section 1.5.6]
func (c *cursor) binary() []byte { return c.take(int(c.u16())) }

// str reads a UTF-8 Encoded String. [MQTT 5 section 1.5.4]
func (c *cursor) str() []byte {
	s := c.take(int(c.u16()))
	if e := checkUTF8(s); e != nil {
		c.fail(e)
	}
	return s
}

// packetID reads a Packet Identifier, which is never zero. [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT311-2.3.1-1]
func (c *cursor) packetID() uint16 {
	id := c.u16()
	if id == 0 {
		c.fail(errPacketID)
	}
	return id
}

// end gives the first fault, or that bytes are left over.
func (c *cursor) end() *Error {
	if c.err == nil && len(c.b) != 0 {
		return errTrailing
	}
	return c.err
}

// appendBytes writes a two-byte length and b. More than 65,535 bytes cannot be said and are a fault of the caller, who
// has Validate to ask.
func appendBytes(dst, b []byte) []byte {
	if len(b) > 0xFFFF {
		panic("packet: field longer than 65,535 bytes")
	}
	return append(append(dst, byte(len(b)>>8), byte(len(b))), b...)
}

func appendU16(dst []byte, v uint16) []byte { return append(dst, byte(v>>8), byte(v)) }

// bit is b as the flag f.
func bit(b bool, f byte) byte {
	if b {
		return f
	}
	return 0
}
