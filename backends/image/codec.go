package image

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// recordVersion is the version byte of every record's value. A change of a
// record's layout gets a new number; older ones stay readable.
const recordVersion = 1

// Envelope is what stands before a record's own bytes: version (1) and CRC-32C
// (4, little endian) over key, version and bytes.
const Envelope = 5

// What is wrong with a record.
var (
	ErrCorrupt = errors.New("checksum or layout does not agree")
	ErrVersion = errors.New("record of a version that this program does not know")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openRecord begins a value; sealRecord must follow once it is complete.
func openRecord(dst []byte) []byte { return append(dst[:0], recordVersion, 0, 0, 0, 0) }

// sealRecord puts the checksum into a value that openRecord began.
func sealRecord(key, value []byte) {
	binary.LittleEndian.PutUint32(value[1:], checksum(key, value))
}

func checksum(key, value []byte) uint32 {
	c := crc32.Update(0, castagnoli, key)
	c = crc32.Update(c, castagnoli, value[:1])
	return crc32.Update(c, castagnoli, value[Envelope:])
}

// Unseal checks a value against its key and gives its own bytes, which alias it.
func Unseal(key, value []byte) ([]byte, error) {
	if len(value) < Envelope || binary.LittleEndian.Uint32(value[1:]) != checksum(key, value) {
		return nil, ErrCorrupt
	}
	if value[0] != recordVersion {
		return nil, ErrVersion
	}
	return value[Envelope:], nil
}

// AppendUvarint appends v.
func AppendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// appendVarint is for times: Unix milliseconds, which may lie before 1970 where
// a clock is wrong.
func appendVarint(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

// AppendString appends s with its length.
func AppendString(dst []byte, s string) []byte {
	return append(AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte { return append(AppendUvarint(dst, uint64(len(b))), b...) }

// Reader takes a record apart. A fault makes it bad and every later value zero;
// lengths are checked against what is there before anything is allocated.
type Reader struct {
	rest []byte
	bad  bool
}

// NewReader reads what Unseal gave.
func NewReader(record []byte) *Reader { return &Reader{rest: record} }

func (r *Reader) fail() { r.bad, r.rest = true, nil }

func (r *Reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// Uvarint reads what AppendUvarint wrote.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *Reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *Reader) uint32() uint32 {
	v := r.Uvarint()
	if v > 1<<32-1 {
		r.fail()
		return 0
	}
	return uint32(v)
}

// Bytes gives a part that aliases the record.
func (r *Reader) Bytes() []byte {
	n := r.Uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// String reads what AppendString wrote.
func (r *Reader) String() string { return string(r.Bytes()) }

// End says whether the record was read to its end without a fault.
func (r *Reader) End() error {
	if r.bad || len(r.rest) != 0 {
		return ErrCorrupt
	}
	return nil
}
