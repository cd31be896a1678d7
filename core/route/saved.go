package route

import (
	"encoding/binary"
	"errors"
)

// ErrCursor says that bytes are no cursor of this filter.
var ErrCursor = errors.New("no cursor of this filter")

// Append appends where the scan stands: with Restore another cursor goes on there, as
// long as the tree lives. It names places by their numbers, which another tree gives to
// other names.
func (c *Cursor) Append(dst []byte) []byte {
	down := uint64(0)
	if c.down {
		down = 1
	}
	dst = binary.AppendUvarint(dst, down)
	dst = binary.AppendUvarint(dst, uint64(c.limit))
	for _, id := range c.path {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	return dst
}

// Restore makes the cursor stand where Append's did in a scan of filter. Whatever the
// bytes are, the scan that goes on from there ends, and gives names that filter matches.
func (c *Cursor) Restore(filter string, from []byte) error {
	head := [2]uint64{}
	for i := range head {
		n, size := binary.Uvarint(from)
		if size <= 0 || n > 1<<32-1 {
			return ErrCursor
		}
		head[i], from = n, from[size:]
	}
	c.begin(filter, uint32(head[1]))
	for len(from) > 0 {
		id, size := binary.Uvarint(from)
		if size <= 0 || id == 0 || id >= head[1] || !c.deeper() {
			return ErrCursor
		}
		c.path, from = append(c.path, uint32(id)), from[size:]
	}
	c.down = head[0] != 0 && c.deeper()
	return nil
}
