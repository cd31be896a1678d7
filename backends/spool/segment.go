package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
)

// formatVersion is the layout of the directory and its files. Raise it when an
// older program could not read what this one writes.
const formatVersion = 1

const (
	segmentMagic = "FLSP"
	headBytes    = 40
	frameBytes   = 20 // before the record
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once, by the library

// head is what a segment begins with.
type head struct {
	lane int
	base uint64 // no record of the segment has a lower number
	born uint64 // counts the segments of the spool
	salt uint32 // begins every checksum of the frames
}

func (h head) append(b []byte) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint16(b, formatVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.lane))
	b = binary.LittleEndian.AppendUint64(b, h.base)
	b = binary.LittleEndian.AppendUint64(b, h.born)
	b = binary.LittleEndian.AppendUint32(b, h.salt)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // for later
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli()))
}

// parseHead reads a head; false for one that is damaged or of another layout.
func parseHead(b []byte) (head, bool) {
	if len(b) < headBytes || string(b[:4]) != segmentMagic || binary.LittleEndian.Uint16(b[4:]) != formatVersion {
		return head{}, false
	}
	if binary.LittleEndian.Uint32(b[headBytes-4:]) != crc32.Checksum(b[:headBytes-4], castagnoli()) {
		return head{}, false
	}
	return head{
		lane: int(binary.LittleEndian.Uint16(b[6:])),
		base: binary.LittleEndian.Uint64(b[8:]),
		born: binary.LittleEndian.Uint64(b[16:]),
		salt: binary.LittleEndian.Uint32(b[24:]),
	}, true
}

// appendFrame puts a record in its frame behind b.
func appendFrame(b []byte, salt uint32, seq uint64, data []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(salt, castagnoli(), b[start:]))
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(salt, castagnoli(), data))
	return append(b, data...)
}

// frame is the front part of a frame.
type frame struct {
	length int
	seq    uint64
	check  uint32 // of the record
}

// parseFrame reads the front part from b, which holds at least frameBytes; false
// if it does not agree with its checksum.
func parseFrame(b []byte, salt uint32) (frame, bool) {
	length := binary.LittleEndian.Uint32(b)
	if length > maxFrameData || binary.LittleEndian.Uint32(b[12:]) != crc32.Update(salt, castagnoli(), b[:12]) {
		return frame{}, false
	}
	return frame{
		length: int(length),
		seq:    binary.LittleEndian.Uint64(b[4:]),
		check:  binary.LittleEndian.Uint32(b[16:]),
	}, true
}

// segment is a file of records. The lane's lock guards it, but for name, head.
type segment struct {
	head
	name string // of the file, within the directory
	size int64
	end  uint64 // every record that counts is below
}

const segmentSuffix = ".seg"

func segmentName(lane int, base uint64) string {
	return fmt.Sprintf("%02x-%016x%s", lane, base, segmentSuffix)
}

// parseSegmentName gives lane and base; false for a file of another kind.
func parseSegmentName(name string) (lane int, base uint64, ok bool) {
	if !strings.HasSuffix(name, segmentSuffix) {
		return 0, 0, false
	}
	n, err := fmt.Sscanf(name, "%02x-%016x", &lane, &base)
	return lane, base, err == nil && n == 2 && name == segmentName(lane, base)
}

func isSegment(name string) bool { return strings.HasSuffix(name, segmentSuffix) }

func (s *Spool) path(name string) string { return filepath.Join(s.opts.Dir, name) }
