package spool

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	formatName    = "spool"
	lockName      = "lock"
	damagedSuffix = ".damaged"
)

// Open takes the directory for this process and recovers what is in it. It reads
// the head of every segment and the whole of each lane's last one. The caller
// must Close the spool. Errors: what Validate says, ErrLocked, *FormatError,
// *DiskError.
func Open(opts Options) (*Spool, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	opts.defaults()
	s := &Spool{opts: opts, kicked: make(chan struct{}, 1), ended: make(chan struct{})}
	if err := opts.FS.MkdirAll(opts.Dir); err != nil {
		return nil, s.diskError("make directory", err)
	}
	lock, err := opts.FS.Lock(s.path(lockName))
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("spool %q: %w", opts.Dir, err)
	}
	if err != nil {
		return nil, s.diskError("lock", err)
	}
	s.lock = lock
	w := &writer{s: s}
	if err := w.recover(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go w.run(ctx)
	return s, nil
}

// recover reads the directory.
func (w *writer) recover() error {
	s := w.s
	names, err := s.opts.FS.List(s.opts.Dir)
	if err != nil {
		return s.diskError("list", err)
	}
	if err := s.format(names); err != nil {
		return err
	}
	s.chunkSize, s.maxRecord = s.opts.chunkBytes(), s.opts.maxRecord()
	content, err := s.readFile(positionName)
	if err != nil {
		return err
	}
	w.position = decodePosition(content, s.opts.Lanes)
	if w.position == nil {
		if content != nil && slices.ContainsFunc(names, isSegment) {
			s.opts.Log.Warn("the positions of the spool are damaged; what is on disk is served from the beginning", "dir", s.opts.Dir)
		}
		w.position = make([]uint64, s.opts.Lanes)
	}
	w.open = make([]*openSegment, s.opts.Lanes)
	for i := range s.opts.Lanes {
		s.lanes = append(s.lanes, &Lane{s: s, id: i, wake: make(chan struct{}, 1)})
	}
	if err := w.segments(names); err != nil {
		return err
	}
	for i, l := range s.lanes {
		l.start(w.position[i])
	}
	return nil
}

// format checks the file that says what the directory is, or writes it.
func (s *Spool) format(names []string) error {
	content, err := s.readFile(formatName)
	if err != nil {
		return err
	}
	used := slices.ContainsFunc(names, isSegment)
	if content == nil && used {
		return &FormatError{s.opts.Dir, fmt.Sprintf("there are segments, but the file %q is missing", formatName)}
	}
	lanes := 0
	if content != nil {
		if lanes, err = s.parseFormat(content); err != nil {
			return err
		}
	}
	if used && lanes != s.opts.Lanes {
		s.opts.Log.Warn("the spool keeps its number of lanes until it is empty at a start", "dir", s.opts.Dir, "lanes", lanes, "wanted", s.opts.Lanes)
		s.opts.Lanes = lanes
	}
	if lanes == s.opts.Lanes {
		return nil
	}
	if err := s.replace(formatName, fmt.Appendf(nil, formatText, formatVersion, s.opts.Lanes)); err != nil {
		return err
	}
	if err := s.opts.FS.SyncDir(s.opts.Dir); err != nil {
		return s.diskError("fsync directory", err)
	}
	return nil
}

const formatText = "fairlead-spool %d\nlanes %d\n"

func (s *Spool) parseFormat(content []byte) (lanes int, err error) {
	version := 0
	n, _ := fmt.Sscanf(string(content), formatText, &version, &lanes)
	if n >= 1 && version != formatVersion {
		return 0, &FormatError{s.opts.Dir, fmt.Sprintf("it has format %d", version)}
	}
	if n != 2 || lanes < 1 || lanes > maxLanes || !bytes.Equal(content, fmt.Appendf(nil, formatText, version, lanes)) {
		return 0, &FormatError{s.opts.Dir, fmt.Sprintf("the file %q says %.60q instead of %q and, in a second line, %q", formatName, content, fmt.Sprintf("fairlead-spool %d", formatVersion), "lanes N")}
	}
	return lanes, nil
}

// segments takes the segments into their lanes.
func (w *writer) segments(names []string) error {
	for _, name := range names {
		lane, base, ok := parseSegmentName(name)
		if !ok || lane >= len(w.s.lanes) {
			continue
		}
		g, err := w.s.load(name, lane, base)
		if err != nil {
			return err
		}
		w.born = max(w.born, g.born+1)
		l := w.s.lanes[lane]
		l.segs = append(l.segs, g)
	}
	for _, l := range w.s.lanes {
		if err := w.order(l); err != nil {
			return err
		}
	}
	return nil
}

// load reads the head of a segment; one that is damaged gets size 0 or, if there
// is something to set aside, a negative one.
func (s *Spool) load(name string, lane int, base uint64) (*segment, error) {
	g := &segment{name: name, head: head{lane: lane, base: base}, end: base}
	file, err := s.opts.FS.Open(s.path(name))
	if err != nil {
		return nil, s.diskError("open "+name, err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, s.diskError("read "+name, err)
	}
	h, ok, err := readHead(file)
	switch {
	case err != nil:
		return nil, s.diskError("read "+name, err)
	case ok && h.lane == lane && h.base == base:
		g.head, g.size = h, size
	case !blank(file, size):
		g.size = -size
	}
	return g, nil
}

// blank tells whether a file holds nothing: a crash came between its creation and
// the first fsync.
func blank(src io.ReaderAt, size int64) bool {
	if size < headBytes {
		return true
	}
	b := make([]byte, headBytes)
	if _, err := src.ReadAt(b, 0); err != nil {
		return false
	}
	return bytes.Equal(b, make([]byte, headBytes))
}

// order finds out where each segment of the lane ends.
func (w *writer) order(l *Lane) error {
	slices.SortFunc(l.segs, func(a, b *segment) int { return cmp.Compare(a.base, b.base) })
	kept := l.segs[:0]
	for i, g := range l.segs {
		last := i == len(l.segs)-1
		if !last {
			g.end = l.segs[i+1].base
		}
		if g.size <= 0 {
			if err := w.setAside(l, g, last); err != nil {
				return err
			}
			continue
		}
		w.s.disk.Add(g.size)
		kept = append(kept, g)
	}
	l.segs = kept
	if len(kept) == 0 {
		return nil
	}
	return w.s.cut(l, kept[len(kept)-1])
}

// setAside takes a segment whose head is damaged out of use. In the last one of a
// lane that is what a crash during its first fsync leaves.
func (w *writer) setAside(l *Lane, g *segment, last bool) error {
	if g.size == 0 {
		if err := w.s.opts.FS.Remove(w.s.path(g.name)); err != nil {
			return w.s.diskError("remove "+g.name, err)
		}
		return nil
	}
	if last {
		l.counts.TornBytes += uint64(-g.size)
	} else {
		l.counts.Damaged += g.end - g.base
	}
	w.s.opts.Log.Error("a segment of the spool cannot be read and is set aside", "dir", w.s.opts.Dir, "file", g.name+damagedSuffix, "bytes", -g.size, "records", g.end-g.base)
	if err := w.s.opts.FS.Rename(w.s.path(g.name), w.s.path(g.name+damagedSuffix)); err != nil {
		return w.s.diskError("rename "+g.name, err)
	}
	return nil
}

// cut takes the unfinished end off the last segment, and finds its last record.
func (s *Spool) cut(l *Lane, g *segment) error {
	file, err := s.opts.FS.Open(s.path(g.name))
	if err != nil {
		return s.diskError("open "+g.name, err)
	}
	defer file.Close()
	scan := newScanner(file, g.head, g.size)
	for err == nil {
		_, err = scan.record()
	}
	if !errors.Is(err, io.EOF) {
		return s.diskError("read "+g.name, err)
	}
	g.end = scan.next
	if !scan.torn() {
		return nil
	}
	torn := g.size - scan.good
	if err := s.opts.FS.Truncate(s.path(g.name), scan.good); err != nil {
		return s.diskError("truncate "+g.name, err)
	}
	s.opts.Log.Warn("the unfinished end of a segment was cut", "dir", s.opts.Dir, "file", g.name, "bytes", torn)
	g.size = scan.good
	s.disk.Add(-torn)
	l.counts.TornBytes += uint64(torn)
	return nil
}

// start sets the lane to its first record that is not committed.
func (l *Lane) start(position uint64) {
	l.tail, l.read = position, position
	if n := len(l.segs); n > 0 {
		l.tail = max(position, l.segs[n-1].end)
		l.read = min(max(position, l.segs[0].base), l.tail)
	}
	l.durable, l.encoded = l.tail, l.tail
	l.counts.Recovered = l.onDisk()
}
