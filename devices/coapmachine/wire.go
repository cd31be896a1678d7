package coapmachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	udp "github.com/plgd-dev/go-coap/v3/udp/coder"
)

// block is a Block1 or Block2 option. [Block-2.2-1]
type block struct {
	there bool
	more  bool
	szx   uint8
	num   uint32
}

func (b block) size() int { return 16 << b.szx }

func (b block) bytes() []byte {
	n := b.num<<4 | uint32(b.szx)
	if b.more {
		n |= 8
	}
	return uintBytes(n)
}

// blockOf reads a block option; one with the reserved size is none. [Block-2.2-2]
func blockOf(m *message.Message, id message.OptionID) block {
	n, err := m.Options.GetUint32(id)
	if err != nil || n&7 == 7 {
		return block{}
	}
	return block{there: true, more: n&8 != 0, szx: uint8(n & 7), num: n >> 4}
}

// topicOf is the topic that a notification of the connection tells, "" for none.
func topicOf(m *message.Message) string {
	var levels []string
	for _, o := range m.Options {
		if o.ID == message.LocationPath {
			levels = append(levels, string(o.Value))
		}
	}
	if len(levels) == 0 {
		return ""
	}
	return strings.Join(levels[1:], "/")
}

// uintBytes is the shortest form of a uint option; 0 is empty. [CoAP-3.2-1]
func uintBytes(n uint32) []byte {
	return bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, n), "\x00")
}

// maxOptions is how many options of one message are read.
const maxOptions = 300 // the gateway tells topics of 256 bytes, each of which may end a level

// fewOptions is how many most messages have at most.
const fewOptions = 32

// decode reads a datagram; false where it is no CoAP.
func decode(b []byte, m *message.Message) bool {
	m.Options = make(message.Options, 0, fewOptions)
	_, err := udp.DefaultCoder.Decode(b, m)
	if errors.Is(err, message.ErrOptionsTooSmall) {
		m.Options = make(message.Options, 0, maxOptions)
		_, err = udp.DefaultCoder.Decode(b, m)
	}
	return err == nil && (m.Code != codes.Empty || len(b) == 4)
}

// encode writes a message, its options in order.
func encode(dst []byte, m *message.Message) []byte {
	slices.SortStableFunc(m.Options, func(a, b message.Option) int { return int(a.ID) - int(b.ID) })
	size, err := udp.DefaultCoder.Size(*m)
	if err != nil {
		return dst[:0]
	}
	dst = slices.Grow(dst[:0], size)[:size]
	n, err := udp.DefaultCoder.Encode(*m, dst)
	if err != nil {
		return dst[:0]
	}
	return dst[:n]
}

// empty writes an acknowledgement or a reset.
func empty(dst []byte, kind message.Type, id uint16) []byte {
	return append(dst[:0], 1<<6|byte(kind)<<4, 0, byte(id>>8), byte(id))
}
