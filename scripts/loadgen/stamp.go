package main

import "encoding/binary"

// stamp is what each payload begins with; the rest of the payload is filling.
type stamp struct {
	run       uint32 // names the run
	publisher uint32
	sequence  uint64 // counts the publisher's messages from 0
	sent      int64  // ns on the run's clock
	slot      uint32 // the publisher's window slot that the message holds
}

const stampSize = 28

// noSlot stands in messages that hold no place in a window.
const noSlot = ^uint32(0)

// put writes the stamp to the start of payload, which must have room for it.
func (s *stamp) put(payload []byte) {
	b := payload[:stampSize]
	binary.LittleEndian.PutUint32(b, s.run)
	binary.LittleEndian.PutUint32(b[4:], s.publisher)
	binary.LittleEndian.PutUint64(b[8:], s.sequence)
	binary.LittleEndian.PutUint64(b[16:], uint64(s.sent))
	binary.LittleEndian.PutUint32(b[24:], s.slot)
}

// read is put's inverse; it fails on a payload of another run or program.
func (s *stamp) read(payload []byte, run uint32) bool {
	if len(payload) < stampSize || binary.LittleEndian.Uint32(payload) != run {
		return false
	}
	s.run = run
	s.publisher = binary.LittleEndian.Uint32(payload[4:])
	s.sequence = binary.LittleEndian.Uint64(payload[8:])
	s.sent = int64(binary.LittleEndian.Uint64(payload[16:]))
	s.slot = binary.LittleEndian.Uint32(payload[24:])
	return true
}
