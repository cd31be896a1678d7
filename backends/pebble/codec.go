package pebble

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// recordVersion is the version byte of every record's value. A change of a
// record's layout gets a new number; older ones stay readable.
const recordVersion = 1

// envelope is what stands before a record's own bytes: version (1) and CRC-32C
// (4, little endian) over key, version and bytes.
const envelope = 5

var (
	errCorrupt = errors.New("checksum or layout does not agree")
	errVersion = errors.New("record of a version that this program does not know")
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
	return crc32.Update(c, castagnoli, value[envelope:])
}

// unseal checks a value against its key and gives its own bytes, which alias it.
func unseal(key, value []byte) ([]byte, error) {
	if len(value) < envelope || binary.LittleEndian.Uint32(value[1:]) != checksum(key, value) {
		return nil, errCorrupt
	}
	if value[0] != recordVersion {
		return nil, errVersion
	}
	return value[envelope:], nil
}

func appendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// appendVarint is for times: Unix milliseconds, which may lie before 1970 where
// a clock is wrong.
func appendVarint(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendString(dst []byte, s string) []byte {
	return append(appendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte { return append(appendUvarint(dst, uint64(len(b))), b...) }

// reader takes a record apart. A fault makes it bad and every later value zero;
// lengths are checked against what is there before anything is allocated.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.rest = true, nil }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail()
		return 0
	}
	return uint32(v)
}

// bytes gives a part that aliases the record.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes()) }

// end says whether the record was read to its end without a fault.
func (r *reader) end() error {
	if r.bad || len(r.rest) != 0 {
		return errCorrupt
	}
	return nil
}
