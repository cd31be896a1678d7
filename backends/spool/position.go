package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
)

const (
	positionName  = "position"
	positionMagic = "FLPS"
	newSuffix     = ".new" // of a file that replaces another once it is whole
)

// encodePosition writes the first number of each lane that is not committed.
func encodePosition(low []uint64) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(positionMagic), uint32(len(low)))
	for _, n := range low {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

// decodePosition gives nil for what is damaged or has another number of lanes.
func decodePosition(b []byte, lanes int) []uint64 {
	if len(b) != 12+8*lanes || string(b[:4]) != positionMagic || int(binary.LittleEndian.Uint32(b[4:])) != lanes {
		return nil
	}
	if binary.LittleEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], castagnoli()) {
		return nil
	}
	low := make([]uint64, lanes)
	for i := range low {
		low[i] = binary.LittleEndian.Uint64(b[8+8*i:])
	}
	return low
}

// savePosition writes the positions if they changed and there are files that
// they speak of.
func (w *writer) savePosition() error {
	low, files := make([]uint64, len(w.s.lanes)), false
	for i, l := range w.s.lanes {
		l.mu.Lock()
		low[i] = l.low()
		files = files || len(l.segs) > 0
		l.mu.Unlock()
	}
	if !files || slices.Equal(low, w.position) {
		return nil
	}
	err := w.s.replace(positionName, encodePosition(low))
	if err == nil {
		w.position = low
	}
	w.s.complain(&w.s.stats.positionFault, err)
	return err
}

// replace puts a whole file in the place of another, or leaves that as it is.
func (s *Spool) replace(name string, content []byte) error {
	f, err := s.opts.FS.Create(s.path(name + newSuffix))
	if err != nil {
		return s.diskError("create "+name, err)
	}
	_, err = f.Write(content)
	if err == nil && s.opts.Sync != SyncNever {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return s.diskError("write "+name, err)
	}
	if err := s.opts.FS.Rename(s.path(name+newSuffix), s.path(name)); err != nil {
		return s.diskError("rename "+name, err)
	}
	return nil
}

// readFile gives a small file's content, nil if there is none.
func (s *Spool) readFile(name string) ([]byte, error) {
	f, err := s.opts.FS.Open(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.diskError("open "+name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, s.diskError("read "+name, err)
	}
	b := make([]byte, min(size, 64<<10))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, s.diskError("read "+name, err)
	}
	return b, nil
}
