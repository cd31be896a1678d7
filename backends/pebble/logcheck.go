package pebble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// Pebble takes a log that ends in something unreadable as one whose writing was
// cut off, and tells that from damage only across blocks of 32 KiB. Each group
// therefore carries, beside its own number, the number of the last group that
// was confirmed when it was written. A log in which such a number can be found
// beyond the point where reading stops has lost what was confirmed.

// DamageError says that changes that had been acknowledged cannot be read.
type DamageError struct {
	Dir    string // the data directory
	File   string // the damaged file, "" where pebble does not name one
	Offset int64  // in File: the first byte that cannot be read
	Groups uint64 // groups of changes that are lost at least, 0 if unknown
	Detail string
}

// Error says what is damaged and what to do.
func (e *DamageError) Error() string {
	where := ""
	if e.File != "" {
		where = fmt.Sprintf("the file %q is unreadable from byte %d on: ", e.File, e.Offset)
	}
	return fmt.Sprintf("the store in %q is damaged: %s%s; restore it from a backup, or set store.repair = %q once to set the damaged part aside and go on without it (nothing was changed)", e.Dir, where, e.Detail, RepairDiscard)
}

// stamp is what the record under groupKey says.
type stamp struct {
	number    uint64 // of the group that it was written with
	confirmed uint64 // of the last group that was confirmed by then
}

// groupKey holds the number of the last group that was stored.
func groupKey() []byte { return []byte{image.FamilyMeta, 'g'} }

func appendStamp(dst []byte, s stamp) []byte {
	return image.AppendUvarint(image.AppendUvarint(dst, s.number), s.confirmed)
}

func readStamp(value []byte) (stamp, error) {
	value, err := image.Unseal(groupKey(), value)
	if err != nil {
		return stamp{}, err
	}
	r := image.NewReader(value)
	s := stamp{number: r.Uvarint(), confirmed: r.Uvarint()}
	return s, r.End()
}

// findStamp gives the first stamp in data and what follows it. A stamp in a log is
// a Set: length of the key, key, length of the value, value.
func findStamp(data []byte) (s stamp, rest []byte, ok bool) {
	const longest = image.Envelope + 2*binary.MaxVarintLen64
	key := groupKey()
	mark := append([]byte{byte(len(key))}, key...)
	for {
		i := bytes.Index(data, mark)
		if i < 0 {
			return s, nil, false
		}
		data = data[i+len(mark):]
		n, width := binary.Uvarint(data)
		if width <= 0 || n > longest || uint64(len(data)-width) < n {
			continue
		}
		if s, err := readStamp(data[width : uint64(width)+n]); err == nil {
			return s, data[width:], true
		}
	}
}

// logs is what can be read of all logs together.
type logs struct{ first uint64 } // number of the first group, 0 for none

// checkLogs looks at the logs of the database of dir, before pebble does.
func checkLogs(dir *directory) (logs, error) {
	var all logs
	names, err := dir.fs.List(dir.database())
	if err != nil {
		return all, nil // there is none, or Open says it better
	}
	for _, name := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
		if !strings.HasSuffix(name, ".log") || err != nil {
			continue
		}
		path := dir.fs.PathJoin(dir.database(), name)
		l, err := readLog(dir.fs, path, number)
		if err != nil {
			return all, err
		}
		if l.first != 0 && (all.first == 0 || l.first < all.first) {
			all.first = l.first
		}
		if l.proven > l.last {
			return all, &DamageError{
				Dir: dir.path, File: path, Offset: l.end, Groups: l.lost(),
				Detail: fmt.Sprintf("the log can be read up to group %d of changes, but group %d had been confirmed", l.last, l.proven),
			}
		}
	}
	return all, nil
}

// logFacts is what a log tells.
type logFacts struct {
	first, last uint64 // groups that pebble will find, 0 for none
	end         int64  // where it stops reading
	proven      uint64 // the last group that was confirmed
	seen        uint64 // the last group that lies behind end
	before      uint64 // a group before all that lie behind end
}

// readLog compares what can be read of a log with what it proves. A log is as
// large as a memtable, or as the largest batch; it is read whole.
func readLog(files vfs.FS, path string, number uint64) (logFacts, error) {
	var l logFacts
	file, err := files.Open(path)
	if err != nil {
		return l, nil
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return l, fmt.Errorf("read the log %q: %w", path, err)
	}
	l.readable(text, number)
	for i := int(l.end); i+walHeader <= len(text); i++ {
		chunk := chunkAt(text[i:], uint32(number), walBlock-i%walBlock)
		for s, rest, ok := findStamp(chunk); ok; s, rest, ok = findStamp(rest) {
			if l.seen == 0 {
				l.before = max(s.number, 2) - 2 // what cannot be read is one at least
			}
			l.seen = max(l.seen, s.number)
			l.proven = max(l.proven, s.confirmed)
		}
	}
	return l, nil
}

// lost is how many groups cannot be read, as far as that is known.
func (l *logFacts) lost() uint64 {
	if l.last != 0 {
		return max(l.seen, l.proven) - l.last
	}
	return max(l.seen, l.proven) - l.before
}

// readable reads as far as pebble will.
func (l *logFacts) readable(text []byte, number uint64) {
	r := newLogReader(record.NewReader, bytes.NewReader(text), number)
	for {
		l.end = r.Offset()
		next, err := r.Next()
		if err != nil {
			return
		}
		batch, err := io.ReadAll(next)
		if err != nil {
			return
		}
		// One stamp a batch, at its end; payloads may look like anything.
		for s, rest, ok := findStamp(batch); ok; s, rest, ok = findStamp(rest) {
			if l.first == 0 {
				l.first = s.number
			}
			l.last = max(l.last, s.number)
			l.proven = max(l.proven, s.confirmed)
		}
	}
}

// Pebble's log is made of blocks, and they of chunks that do not cross them:
// CRC-32C, masked (4 bytes), length (2), type (1), the low half of the log's
// number (4), for the later types an offset (8), payload. A file is used again
// for a later log; the number tells whose a chunk is.
const (
	walBlock      = 32 << 10
	walHeader     = 11
	walSyncHeader = 19
	walFirstType  = 5
	walFirstSync  = 9
	walLastType   = 12
	walMask       = 0xa282ead8
)

// chunkAt gives the payload of the chunk of log number that begins with text and
// ends within most bytes; nil where none does.
func chunkAt(text []byte, number uint32, most int) []byte {
	if text[6] < walFirstType || text[6] > walLastType || binary.LittleEndian.Uint32(text[7:]) != number {
		return nil
	}
	header := walHeader
	if text[6] >= walFirstSync {
		header = walSyncHeader
	}
	end := header + int(binary.LittleEndian.Uint16(text[4:]))
	if end > most || end > len(text) {
		return nil
	}
	c := crc32.Checksum(text[6:end], crc32.MakeTable(crc32.Castagnoli))
	if (c>>15|c<<17)+walMask == binary.LittleEndian.Uint32(text) {
		return text[header:end]
	}
	return nil
}

// newLogReader calls record.NewReader, the type of whose number has no name
// outside pebble.
func newLogReader[N ~uint64](open func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return open(r, N(number))
}
