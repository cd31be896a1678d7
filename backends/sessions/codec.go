package sessions

import (
	"encoding/binary"
	"errors"
)

// AppendChanges adds changes to dst as one text of bytes, for databases that note first
// what they are about to do.
func AppendChanges(dst []byte, changes []Change) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(changes)))
	for i := range changes {
		c := &changes[i]
		clear := byte(0)
		if c.Clear {
			clear = 1
		}
		dst = appendBytes(append(dst, clear), c.Part)
		dst = binary.AppendUvarint(dst, uint64(len(c.Deletes)))
		for _, key := range c.Deletes {
			dst = appendBytes(dst, key)
		}
		dst = binary.AppendUvarint(dst, uint64(len(c.Sets)))
		for _, p := range c.Sets {
			dst = appendBytes(appendBytes(dst, p.Key), p.Value)
		}
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// errDamaged: what was noted cannot be read.
var errDamaged = errors.New("the note of the last write is damaged")

// ReadChanges gives what AppendChanges has made a text of; it refers to the bytes of b.
func ReadChanges(b []byte) ([]Change, error) {
	r := changeReader{b: b}
	changes := make([]Change, r.count())
	for i := range changes {
		c := &changes[i]
		c.Clear = r.byte() == 1
		c.Part = r.bytes()
		c.Deletes = make([][]byte, r.count())
		for k := range c.Deletes {
			c.Deletes[k] = r.bytes()
		}
		c.Sets = make([]Pair, r.count())
		for k := range c.Sets {
			c.Sets[k] = Pair{r.bytes(), r.bytes()}
		}
	}
	if r.bad || len(r.b) > 0 {
		return nil, errDamaged
	}
	return changes, nil
}

// changeReader reads from the front of b; once bad, it gives nothing more.
type changeReader struct {
	b   []byte
	bad bool
}

// count is a number of things that are a byte long at least.
func (r *changeReader) count() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)-size) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

func (r *changeReader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *changeReader) bytes() []byte {
	n := r.count()
	b := r.b[:n:n]
	r.b = r.b[n:]
	return filled(b)
}
