package pebble

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble takes a log that ends in something unreadable as one whose writing was
// cut off, and tells that from damage only across blocks of 32 KiB. Each group
// therefore carries, beside its own number, the number of the last group that
// was confirmed when it was written. A log in which such a number can be found
// beyond the point where reading stops has lost what was confirmed.

// DamageError says that changes that had been acknowledged cannot be read.
type DamageError struct {
	Dir    string
	Detail string
}

// Error says what is damaged and what to do.
func (e *DamageError) Error() string {
	return fmt.Sprintf("the store in %q is damaged: %s; restore it from a backup, or move it away to begin empty (nothing was changed)", e.Dir, e.Detail)
}

// stamp is what the record under groupKey says.
type stamp struct {
	number    uint64 // of the group that it was written with
	confirmed uint64 // of the last group that was confirmed by then
}

func appendStamp(dst []byte, s stamp) []byte {
	return appendUvarint(appendUvarint(dst, s.number), s.confirmed)
}

func readStamp(value []byte) (stamp, error) {
	value, err := unseal(groupKey(), value)
	if err != nil {
		return stamp{}, err
	}
	r := reader{rest: value}
	s := stamp{number: r.uvarint(), confirmed: r.uvarint()}
	return s, r.end()
}

// findStamp gives the first stamp in data and what follows it. A stamp in a log is
// a Set: length of the key, key, length of the value, value.
func findStamp(data []byte) (s stamp, rest []byte, ok bool) {
	const longest = envelope + 2*binary.MaxVarintLen64
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

// checkLogs looks at the logs of the database in dir, before pebble does.
func checkLogs(files vfs.FS, dir string) error {
	names, err := files.List(dir)
	if err != nil {
		return nil // there is none, or Open says it better
	}
	for _, name := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
		if !strings.HasSuffix(name, ".log") || err != nil {
			continue
		}
		if err := checkLog(files, files.PathJoin(dir, name), number); err != nil {
			return err
		}
	}
	return nil
}

// checkLog compares what can be read of a log with what it proves. A log is as
// large as a memtable, or as the largest batch; it is read whole.
func checkLog(files vfs.FS, path string, number uint64) error {
	file, err := files.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("read the log %q: %w", path, err)
	}
	last := lastReadable(text, number)
	if last == 0 {
		// Nothing to compare with: a fresh log, maybe made of an old one's file,
		// whose stamps say nothing about this one.
		return nil
	}
	proven := uint64(0)
	for s, rest, ok := findStamp(text); ok; s, rest, ok = findStamp(rest) {
		proven = max(proven, s.confirmed)
	}
	if proven > last {
		return &DamageError{Dir: path, Detail: fmt.Sprintf("the log can be read up to group %d of changes, but group %d had been confirmed", last, proven)}
	}
	return nil
}

// lastReadable gives the number of the last group that pebble will find in a log,
// 0 for none.
func lastReadable(text []byte, number uint64) uint64 {
	last := uint64(0)
	r := newLogReader(record.NewReader, bytes.NewReader(text), number)
	for {
		next, err := r.Next()
		if err != nil {
			return last
		}
		batch, err := io.ReadAll(next)
		if err != nil {
			return last
		}
		// One stamp a batch, at its end; payloads may look like anything.
		for s, rest, ok := findStamp(batch); ok; s, rest, ok = findStamp(rest) {
			last = max(last, s.number)
		}
	}
}

// newLogReader calls record.NewReader, the type of whose number has no name
// outside pebble.
func newLogReader[N ~uint64](open func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return open(r, N(number))
}
