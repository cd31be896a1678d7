package loop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Opcodes of WebSocket frames. [RFC 6455 section 5.2]
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const maxControl = 125 // bytes of a control frame's payload

// What a server does wrong in a WebSocket.
var (
	errFrameText   = errors.New("the server sent a WebSocket frame that is not binary [MQTT-6.0.0-1]")
	errFrameMasked = errors.New("the server sent a masked WebSocket frame [RFC 6455 section 5.1]")
	errFrameBits   = errors.New("the server sent a WebSocket frame with reserved bits or an unknown opcode [RFC 6455 section 5.2]")
	errFrameOrder  = errors.New("the server sent fragments of a WebSocket message out of order [RFC 6455 section 5.4]")
	errFrameLength = errors.New("the server sent a WebSocket frame with an impossible length [RFC 6455 section 5.2]")
)

// frames decodes what a WebSocket server sends, split however it comes. Messages
// are one stream of bytes, as MQTT wants it. [MQTT-6.0.0-2]
type frames struct {
	head    [10]byte
	have    uint8 // bytes of head
	fin     bool
	within  bool // a message has begun and not ended
	op      byte
	payload bool   // the head is read
	left    uint64 // of the payload
	control []byte // payload of a control frame that is not complete
}

// decode moves the messages' bytes in b to its front and gives their number.
// control is called for each complete ping, pong and close; its payload is void
// after the return.
func (f *frames) decode(b []byte, control func(op byte, payload []byte)) (n int, err error) {
	for i := 0; i < len(b) || f.payload && f.left == 0; {
		if !f.payload {
			f.head[f.have] = b[i]
			f.have++
			i++
			if int(f.have) < f.headLength() {
				continue
			}
			if err := f.begin(); err != nil {
				return n, err
			}
			continue
		}
		part := b[i : i+int(min(f.left, uint64(len(b)-i)))]
		i += len(part)
		f.left -= uint64(len(part))
		if f.op >= opClose {
			f.control = append(f.control, part...)
		} else {
			n += copy(b[n:], part)
		}
		if f.left == 0 {
			f.end(control)
		}
	}
	return n, nil
}

// headLength is how long the head is, as far as that is known.
func (f *frames) headLength() int {
	if f.have < 2 {
		return 2
	}
	switch f.head[1] & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// begin reads a complete head.
func (f *frames) begin() error {
	first, second := f.head[0], f.head[1]
	f.fin, f.op, f.left = first&0x80 != 0, first&0x0f, uint64(second&0x7f)
	switch f.left {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	}
	f.have, f.payload = 0, true
	switch {
	case first&0x70 != 0 || f.op > opPong || f.op > opBinary && f.op < opClose:
		return errFrameBits
	case second&0x80 != 0:
		return errFrameMasked
	case f.op == opText:
		return errFrameText
	case f.left > 1<<62, f.op >= opClose && (f.left > maxControl || !f.fin), f.op == opClose && f.left == 1:
		return errFrameLength
	case f.op < opClose && f.within != (f.op == opContinuation):
		return errFrameOrder
	}
	if f.op < opClose {
		f.within = !f.fin
	}
	return nil
}

// end is a frame's end.
func (f *frames) end(control func(byte, []byte)) {
	f.payload = false
	if f.op >= opClose {
		payload := f.control
		f.control = nil
		control(f.op, payload)
	}
}

// closeError is a server's goodbye, as an error; nil when it is in order.
func closeError(payload []byte) error {
	if len(payload) < 2 {
		return nil
	}
	code := binary.BigEndian.Uint16(payload)
	if code == 1000 || code == 1001 {
		return nil
	}
	return fmt.Errorf("the server closed the WebSocket with code %d %q", code, payload[2:])
}

// appendFrame appends one masked frame. The mask is random, as proxies want it, but
// need not come from a seed: nobody sees it.
func appendFrame(to []byte, op byte, b []byte) []byte {
	to = append(to, 0x80|op)
	switch n := len(b); {
	case n < 126:
		to = append(to, 0x80|byte(n))
	case n < 1<<16:
		to = append(to, 0x80|126)
		to = binary.BigEndian.AppendUint16(to, uint16(n))
	default:
		to = append(to, 0x80|127)
		to = binary.BigEndian.AppendUint64(to, uint64(n))
	}
	key := rand.Uint32()
	to = binary.LittleEndian.AppendUint32(to, key)
	start := len(to)
	to = append(to, b...)
	mask(to[start:], key)
	return to
}

func mask(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b { // fewer than 8
		b[i] ^= byte(wide >> (8 * i))
	}
}
