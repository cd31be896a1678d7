package packet

// Forwarded is the capsule of a forwarder around a message of a wireless node.
// [SN-5.5-1]
type Forwarded struct {
	Control byte // its two lower bits are the radius of a broadcast
	Node    []byte
}

// SplitForwarded takes the capsule off b, a datagram. ok is false where b is no capsule;
// err is that of a capsule that is not well-formed. message is what was inside, and may be
// anything.
func SplitForwarded(b []byte) (p Forwarded, message []byte, ok bool, err error) {
	if len(b) < 2 || Type(b[1]) != TypeForwarded || b[0] == longLength {
		return p, b, false, nil
	}
	end := int(b[0]) // of the node id: the message's own Length follows
	switch {
	case end > len(b):
		return p, b, true, errLength
	case end < 4:
		return p, b, true, errNode
	}
	return Forwarded{Control: b[2], Node: b[3:end]}, b[end:], true, nil
}

// MaxNode is the longest wireless node id, in bytes: the capsule's Length has one octet.
const MaxNode = 0xFF - 3

// Append writes the capsule, behind which the message follows. A node id longer than
// MaxNode or empty is a fault of the caller.
func (p *Forwarded) Append(dst []byte) []byte {
	if len(p.Node) == 0 || len(p.Node) > MaxNode {
		panic("packet: wireless node id of no or more than 252 bytes")
	}
	return append(append(dst, byte(3+len(p.Node)), byte(TypeForwarded), p.Control), p.Node...)
}
