package protocols

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core"
)

// Opcodes and bits of a frame's first two bytes. RFC 6455 section 5.2.
const (
	wsContinuation = 0x0
	wsText         = 0x1
	wsBinary       = 0x2
	wsClose        = 0x8 // from here on control frames
	wsPing         = 0x9
	wsPong         = 0xa

	wsFinal    = 0x80
	wsReserved = 0x70
	wsOpcode   = 0x0f
	wsMasked   = 0x80
	wsLength   = 0x7f

	wsControl = 125 // bytes, the most of a control frame
	wsHead    = 14  // bytes, the most in front of a payload
)

// Codes of a Close that the edge gives. RFC 6455 section 7.4.1.
const (
	wsNormal      = 1000
	wsGoingAway   = 1001
	wsBroken      = 1002
	wsUnsupported = 1003
	wsNoCode      = 1005 // stands for a Close without one
	wsTooBig      = 1009
)

// wsFrames takes the frames of a client apart. It holds what a frame has of its head and a
// control frame of its payload; the payload of messages goes through.
type wsFrames struct {
	limit int64 // bytes of a message

	left    int64 // bytes that the present frame still has
	size    int64 // of the present message, as announced
	mask    uint32
	head    [wsHead]byte
	got     uint8 // bytes of head
	op      uint8 // of the present frame
	open    bool  // a message is under way that its last frame has not ended
	due     bool  // pong is to be sent
	control []byte
	pong    []byte // what the last ping had
	frames  int    // since worked was asked
}

// wsFault is why nothing more is read: a Close of the client if there is no reason.
type wsFault struct {
	code   int // of our Close
	reason core.Reason
	detail string
}

func (f *wsFault) Error() string { return f.detail }

func wsProtocolFault(detail string) *wsFault {
	return &wsFault{wsBroken, core.ProtocolError, "WebSocket: " + detail}
}

// decode takes what came apart in place: the payload of messages moves to the front of b.
// It gives its length, with a fault that of what came before.
func (f *wsFrames) decode(b []byte) (n int, fault *wsFault) {
	for in := b; len(in) > 0; {
		if f.left == 0 {
			begun := false
			if in, begun, fault = f.begin(in); fault != nil || !begun {
				return n, fault
			}
		}
		part := in[:min(int64(len(in)), f.left)]
		in = in[len(part):]
		f.left -= int64(len(part))
		f.unmask(part)
		if f.op < wsClose {
			n += copy(b[n:], part)
		} else if fault = f.controls(part); fault != nil {
			return n, fault
		}
	}
	return n, nil
}

// begin reads the head of a frame, and gives what is behind it and whether it is whole.
func (f *wsFrames) begin(in []byte) (rest []byte, begun bool, fault *wsFault) {
	for f.got < 2 || f.got < f.headSize() {
		want := uint8(2)
		if f.got >= 2 {
			want = f.headSize()
		}
		n := copy(f.head[f.got:want], in)
		in = in[n:]
		f.got += uint8(n)
		if f.got < want {
			return in, false, nil
		}
		if want == 2 {
			if fault := f.allowed(); fault != nil {
				return in, false, fault
			}
		}
	}
	return in, true, f.opened()
}

// headSize is that of a head of which two bytes are there.
func (f *wsFrames) headSize() uint8 {
	switch f.head[1] & wsLength {
	case 126:
		return 8
	case 127:
		return wsHead
	}
	return 6
}

// allowed says what the first two bytes break: a client that sends nothing more is told.
func (f *wsFrames) allowed() *wsFault {
	first, second := f.head[0], f.head[1]
	op, final := first&wsOpcode, first&wsFinal != 0
	switch {
	case first&wsReserved != 0:
		return wsProtocolFault("a reserved bit is set") // 5.2, no extension was negotiated
	case second&wsMasked == 0:
		return wsProtocolFault("a frame that is not masked") // 5.1
	case op > wsBinary && op < wsClose, op > wsPong:
		return wsProtocolFault("an unknown opcode") // 5.2
	case op >= wsClose && !final:
		return wsProtocolFault("a control frame in fragments") // 5.5
	case op >= wsClose && second&wsLength > wsControl:
		return wsProtocolFault("a control frame of more than 125 bytes") // 5.5
	case op == wsContinuation && !f.open:
		return wsProtocolFault("a continuation of nothing") // 5.4
	case (op == wsText || op == wsBinary) && f.open:
		return wsProtocolFault("a message inside of another") // 5.4
	case op == wsText:
		return &wsFault{wsUnsupported, core.ProtocolError, "a WebSocket message that is not binary"} // [MQTT-6.0.0-1]
	}
	return nil
}

// opened begins a frame whose head is whole.
func (f *wsFrames) opened() *wsFault {
	f.op = f.head[0] & wsOpcode
	f.frames++
	length, size := uint64(f.head[1]&wsLength), f.got
	switch size {
	case 8:
		length = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case wsHead:
		length = binary.BigEndian.Uint64(f.head[2:])
	}
	f.mask = binary.LittleEndian.Uint32(f.head[size-4:])
	f.got = 0
	if f.op >= wsClose {
		f.left = int64(length)
		f.control = slices.Grow(f.control[:0], int(length))
		return nil
	}
	if f.op == wsBinary {
		f.size = 0
	}
	f.open = f.head[0]&wsFinal == 0
	if length > math.MaxInt64 || int64(length) > f.limit-f.size {
		return &wsFault{wsTooBig, core.PacketTooLarge, "a WebSocket message larger than max_packet_size"}
	}
	f.left = int64(length)
	f.size += f.left
	return nil
}

// unmask undoes the client's mask (section 5.3), which goes on where it was.
func (f *wsFrames) unmask(b []byte) {
	mask := f.mask
	f.mask = bits.RotateLeft32(mask, -8*(len(b)&3))
	wide := uint64(mask)<<32 | uint64(mask)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(wide >> (8 * i))
	}
}

// controls takes a part of a control frame's payload, and answers when it is whole. Of
// several pings only the last is remembered (section 5.5.3); what a pong says is nothing
// that was asked for.
func (f *wsFrames) controls(part []byte) *wsFault {
	if f.op != wsPong {
		f.control = append(f.control, part...)
	}
	switch {
	case f.left > 0:
	case f.op == wsPing:
		f.control, f.pong, f.due = f.pong, f.control, true
	case f.op == wsClose:
		return f.closed()
	}
	return nil
}

// closed is the client's Close, which is answered in kind. Section 5.5.1.
func (f *wsFrames) closed() *wsFault {
	switch b := f.control; {
	case len(b) == 0:
		return &wsFault{code: wsNoCode}
	case len(b) == 1:
		return wsProtocolFault("half a code in a Close")
	case !wsMayClose(int(binary.BigEndian.Uint16(b))):
		return wsProtocolFault("a code in a Close that is none")
	case !utf8.Valid(b[2:]):
		return wsProtocolFault("a Close whose words are not UTF-8")
	default:
		return &wsFault{code: int(binary.BigEndian.Uint16(b))}
	}
}

// wsMayClose are the codes that a client may give: those that are defined and not only
// stand for something, and those of others. Sections 7.4.1 and 7.4.2.
func wsMayClose(code int) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1013 || code >= 3000 && code < 5000
}

// appendFrame begins a frame of a server with n bytes of payload, which follow.
func appendFrame(b []byte, op byte, n int) []byte {
	b = append(b, wsFinal|op)
	switch {
	case n <= wsControl:
		return append(b, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}

// closeBody is the payload of a Close.
func closeBody(code int, words string) []byte {
	if code == wsNoCode {
		return nil
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(code))
	return append(b, words[:min(len(words), wsControl-len(b))]...)
}
