package coap

// block is a Block1 or Block2 option. [Block-2.2-1]
type block struct {
	there bool
	more  bool
	bad   bool // the reserved size exponent 7
	szx   uint8
	num   uint32
}

func readBlock(n int64) block {
	b := block{there: true, more: n&8 != 0, szx: uint8(n & 7), num: uint32(n >> 4)}
	if b.szx == 7 { // [Block-2.2-2]
		b.bad = true
	}
	return b
}

func (b block) value() uint32 {
	n := b.num<<4 | uint32(b.szx)
	if b.more {
		n |= 8
	}
	return n
}

// size is the block's length in bytes.
func (b block) size() int { return 16 << b.szx }

// offset is where the block begins.
func (b block) offset() int { return int(b.num) * b.size() }
