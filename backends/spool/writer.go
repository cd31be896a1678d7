package spool

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"
)

const (
	writeBlock = 256 << 10 // bytes written at once
	tick       = time.Second
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// writer is the goroutine that owns the files being written.
type writer struct {
	s        *Spool
	open     []*openSegment // by lane; nil while there is none
	born     uint64         // of the next segment
	buf      []byte
	dirDirty bool   // names were made since the last SyncDir
	holes    uint64 // of Spool.holes, when waiters were last answered
	calling  []func(error)
	garbage  []*segment // to be removed, which failed
	position []uint64   // as written last
}

// openSegment is the segment a lane writes to.
type openSegment struct {
	*segment
	file  File
	dirty bool // not fsynced
}

// run works until ctx ends: when kicked, and once a second while there are files.
func (w *writer) run(ctx context.Context) {
	defer w.s.finish(w)
	retry := firstRetry
	for {
		wait := time.Duration(0)
		switch state(w.s.state.Load()) {
		case failing:
			wait = retry
			retry = min(2*retry, lastRetry)
		case full:
			wait = tick
		default:
			retry = firstRetry
			if w.hasFiles() {
				wait = tick
			}
		}
		if ticked, ok := w.wait(ctx, wait); !ok {
			return
		} else if ticked {
			w.upkeep()
		}
		_ = w.round(false) // what went wrong is noted
	}
}

// wait waits for work: a kick (not while the disk fails), or the time if it is
// not zero. False when ctx ended.
func (w *writer) wait(ctx context.Context, d time.Duration) (ticked, ok bool) {
	kicked := w.s.kicked
	if state(w.s.state.Load()) == failing {
		kicked = nil
	}
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-ctx.Done():
		return false, false
	case <-kicked:
		return false, true
	case <-after:
		return true, true
	}
}

func (w *writer) hasFiles() bool {
	return w.s.disk.Load() > 0 || len(w.garbage) > 0
}

// round writes what should be on disk and answers those who wait.
func (w *writer) round(last bool) error {
	w.calling = w.s.waiters(w.calling)
	holes := w.s.holes.Load() // after the waiters were taken: what they wait for came before
	var err error
	if last || len(w.calling) > 0 || w.s.spill.Load() || w.s.pressed() || state(w.s.state.Load()) != writing {
		err = w.write()
		if err != nil {
			w.s.fail(err)
		} else {
			w.s.works()
		}
		w.relieve()
	}
	if err == nil && holes != w.holes && len(w.calling) > 0 {
		err = ErrDropped
	}
	if len(w.calling) > 0 {
		w.holes = holes
	}
	for i, done := range w.calling {
		done(err)
		w.calling[i] = nil
	}
	if errors.Is(err, ErrDropped) {
		return nil
	}
	return err
}

// write brings the lanes' records to disk: all that are there when it begins.
func (w *writer) write() error {
	var err error
	for _, l := range w.s.lanes {
		if err = w.writeLane(l); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, ErrFull) { // what was written before counts
		if failed := w.sync(); failed != nil {
			err = failed
		}
	}
	if err != nil && !errors.Is(err, ErrFull) {
		w.abandon()
	}
	return err
}

func (w *writer) writeLane(l *Lane) error {
	l.mu.Lock()
	target := l.tail
	l.mu.Unlock()
	for {
		from, hole, ok := l.toWrite(target)
		if !ok {
			return nil
		}
		seg, err := w.segmentFor(l, from, hole)
		if err != nil {
			return err
		}
		w.buf = w.buf[:0]
		next, n := l.encode(&w.buf, seg.salt, from, target)
		if n == 0 {
			continue // consumed or dropped meanwhile
		}
		if err := w.put(l, seg, next, n); err != nil {
			return err
		}
		if cap(w.buf) > 2*writeBlock {
			w.buf = nil
		}
	}
}

// toWrite gives the number of the first record below target that should be
// written, and whether records before it were dropped.
func (l *Lane) toWrite(target uint64) (from uint64, hole, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start := max(l.encoded, l.low())
	_, from, ok = l.inMemory(start)
	if !ok || from >= target {
		l.encoded = max(l.encoded, min(target, start))
		return 0, false, false
	}
	return from, from > start, true
}

// encode appends the frames of n consecutive records from the number from on to
// buf, a block of them at most, and gives the number behind the last one. None if
// from is not what comes next any more.
func (l *Lane) encode(buf *[]byte, salt uint32, from, target uint64) (next uint64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.low() > from {
		return from, 0
	}
	block := int(min(writeBlock, l.s.opts.Segment))
	for next = from; len(*buf) < block && next < target; n++ {
		c, seq, ok := l.inMemory(next)
		if !ok || seq != next {
			break
		}
		*buf = appendFrame(*buf, salt, seq, c.record(seq))
		next++
	}
	if n > 0 {
		l.encoded = next // dropChunk keeps away from these from now on
	}
	return next, n
}

// put writes the block into the segment.
func (w *writer) put(l *Lane, seg *openSegment, next uint64, records int) error {
	n := int64(len(w.buf))
	if err := w.makeRoom(n); err != nil {
		l.mu.Lock()
		l.encoded = l.writtenTo()
		l.mu.Unlock()
		return err
	}
	if w.open[l.id] != seg { // made room by dropping this very segment
		l.mu.Lock()
		l.encoded = max(l.durable, seg.end)
		l.mu.Unlock()
		return nil
	}
	seg.dirty = true
	if _, err := seg.file.Write(w.buf); err != nil {
		return w.s.diskError("write "+seg.name, err)
	}
	l.mu.Lock()
	l.counts.Spilled += uint64(records)
	seg.size += n
	seg.end = next
	l.mu.Unlock()
	w.s.disk.Add(n)
	return nil
}

// writtenTo is the number behind the last record that is in a segment. Called
// with the lock held.
func (l *Lane) writtenTo() uint64 {
	to := l.durable
	if n := len(l.segs); n > 0 {
		to = max(to, l.segs[n-1].end)
	}
	return to
}

// sync makes permanent what was written.
func (w *writer) sync() error {
	never := w.s.opts.Sync == SyncNever
	for _, seg := range w.open {
		if seg == nil || !seg.dirty {
			continue
		}
		if !never {
			if err := seg.file.Sync(); err != nil {
				return w.s.diskError("fsync "+seg.name, err)
			}
		}
		seg.dirty = false
	}
	if err := w.syncNames(); err != nil {
		return err
	}
	for _, l := range w.s.lanes {
		l.mu.Lock()
		l.durable = max(l.durable, l.encoded)
		l.mu.Unlock()
	}
	return nil
}

// syncNames makes permanent that files were created.
func (w *writer) syncNames() error {
	if w.dirDirty && w.s.opts.Sync != SyncNever {
		if err := w.s.opts.FS.SyncDir(w.s.opts.Dir); err != nil {
			return w.s.diskError("fsync directory", err)
		}
	}
	w.dirDirty = false
	return nil
}

// abandon gives up, after a failure, every file that holds something not known
// to be safe; it is written again to another.
func (w *writer) abandon() {
	for _, l := range w.s.lanes {
		seg := w.open[l.id]
		l.mu.Lock()
		leave := seg != nil && (seg.dirty || seg.end > l.durable)
		l.encoded = l.durable
		for _, g := range l.segs {
			g.end = min(g.end, max(g.base, l.durable))
		}
		l.mu.Unlock()
		if leave {
			seg.file.Close()
			w.open[l.id] = nil
		}
	}
}

// relieve takes records out of memory that are safe on disk, while it is more
// than half used.
func (w *writer) relieve() {
	for freed := true; freed && w.s.pressed(); {
		freed = false
		for _, l := range w.s.lanes {
			l.mu.Lock()
			freed = l.evict() || freed
			l.mu.Unlock()
		}
	}
}

// upkeep is what is done once a second: positions, and files nobody needs.
func (w *writer) upkeep() {
	w.reclaim(true)
	left := w.garbage[:0]
	for _, g := range w.garbage {
		if w.remove(g) {
			continue
		}
		left = append(left, g)
	}
	w.garbage = left
	_ = w.savePosition() // a failure is noted
}

// discard removes a segment's file, later if it must be.
func (w *writer) discard(g *segment) {
	if !w.remove(g) {
		w.garbage = append(w.garbage, g)
	}
}

func (w *writer) remove(g *segment) bool {
	err := w.s.opts.FS.Remove(w.s.path(g.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.s.complain(&w.s.stats.removeFault, w.s.diskError("remove "+g.name, err))
		return false
	}
	w.s.complain(&w.s.stats.removeFault, nil)
	w.s.disk.Add(-g.size)
	return true
}

// end closes the files.
func (w *writer) end() {
	w.reclaim(true)
	_ = w.savePosition() // a failure costs repetition only
	for i, seg := range w.open {
		if seg != nil {
			seg.file.Close()
			w.open[i] = nil
		}
	}
}

// unlink takes segments out of the lane's list.
func (l *Lane) unlink(keep func(*segment) bool) (gone []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segs = slices.DeleteFunc(l.segs, func(g *segment) bool {
		if keep(g) {
			return false
		}
		gone = append(gone, g)
		return true
	})
	return gone
}
