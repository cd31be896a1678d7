package spool

import (
	"bytes"
	"hash/crc32"
	"io"
)

// scanWindow is how much of a segment is read at once.
const scanWindow = 128 << 10

// scanner reads the records of one segment in order, and finds the way again
// behind what is damaged.
type scanner struct {
	src  io.ReaderAt
	salt uint32
	size int64 // read no further; may be raised between calls of record
	place

	buf []byte // what was read from at on
	at  int64
}

// place is where a scanner stands; it may be set back to an earlier one.
type place struct {
	next uint64 // the lowest number that may come
	off  int64  // of the next frame
	good int64  // end of the last good frame
	bad  bool   // damaged bytes lie between good and off
}

func newScanner(src io.ReaderAt, h head, size int64) *scanner {
	return &scanner{src: src, salt: h.salt, size: size, place: place{next: h.base, off: headBytes, good: headBytes}}
}

// found is a record and what was met before it.
type found struct {
	seq  uint64
	data []byte // the scanner's, until the next call of record
	lost bool   // damaged bytes before it
}

// record gives the next good record; io.EOF when none is left before size, any
// other error from reading.
func (sc *scanner) record() (found, error) {
	for {
		b, err := sc.window(frameBytes)
		if err != nil {
			return found{}, err
		}
		f, ok := parseFrame(b, sc.salt)
		if ok && f.seq >= sc.next && sc.off+frameBytes+int64(f.length) <= sc.size {
			data, err := sc.body(f)
			if err != nil {
				return found{}, err
			}
			if data != nil {
				return sc.take(f, data), nil
			}
			// The front part is good, so its length is: one record is damaged.
			sc.bad = true
			sc.off += frameBytes + int64(f.length)
			continue
		}
		sc.bad = true
		sc.off++
	}
}

// body gives the record of a frame, nil if it is damaged.
func (sc *scanner) body(f frame) ([]byte, error) {
	b, err := sc.window(frameBytes + f.length)
	if err != nil {
		return nil, err
	}
	data := b[frameBytes:]
	if crc32.Update(sc.salt, castagnoli(), data) != f.check {
		return nil, nil
	}
	return data, nil
}

func (sc *scanner) take(f frame, data []byte) found {
	out := found{seq: f.seq, data: data, lost: sc.bad}
	sc.off += frameBytes + int64(f.length)
	sc.good, sc.bad, sc.next = sc.off, false, f.seq+1
	return out
}

// window gives the n bytes from off on; io.EOF if the segment has fewer.
func (sc *scanner) window(n int) ([]byte, error) {
	if sc.off+int64(n) > sc.size {
		return nil, io.EOF
	}
	if from := sc.off - sc.at; from >= 0 && from+int64(n) <= int64(len(sc.buf)) {
		return sc.buf[from : from+int64(n) : from+int64(n)], nil
	}
	want := int(min(max(int64(n), scanWindow), sc.size-sc.off))
	if cap(sc.buf) < want || cap(sc.buf) > 4*scanWindow && want <= scanWindow {
		sc.buf = make([]byte, want)
	}
	sc.buf, sc.at = sc.buf[:want], sc.off
	got, err := sc.src.ReadAt(sc.buf, sc.off)
	if got < want {
		sc.buf = sc.buf[:got]
		if err == io.EOF && got >= n {
			err = nil
		}
	} else {
		err = nil
	}
	if err != nil {
		sc.buf = sc.buf[:0]
		return nil, err
	}
	return sc.buf[:n:n], nil
}

// torn tells whether bytes are left behind the last good record, to be asked
// after io.EOF.
func (sc *scanner) torn() bool { return sc.good < sc.size }

// readHead reads the head of a segment; false if it is damaged.
func readHead(src io.ReaderAt) (head, bool, error) {
	b := make([]byte, headBytes)
	n, err := src.ReadAt(b, 0)
	if n < headBytes {
		if err == io.EOF {
			return head{}, false, nil
		}
		return head{}, false, err
	}
	h, ok := parseHead(bytes.Clone(b))
	return h, ok, nil
}
