package spool

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
)

// segmentFor gives the segment that the record from goes to. A hole of dropped
// records begins a new one, so that the numbers within a segment are all that it holds.
func (w *writer) segmentFor(l *Lane, from uint64, hole bool) (*openSegment, error) {
	seg := w.open[l.id]
	if seg != nil && seg.size < w.s.opts.Segment && !hole {
		return seg, nil
	}
	if seg != nil {
		if err := w.seal(l); err != nil {
			return nil, err
		}
	}
	if err := w.makeRoom(headBytes); err != nil {
		return nil, err
	}
	return w.create(l, from)
}

// seal ends the segment that the lane writes to. All of it is safe before the
// next one exists, name included, so that a crash never leaves a hole.
func (w *writer) seal(l *Lane) error {
	seg := w.open[l.id]
	if seg.dirty && w.s.opts.Sync != SyncNever {
		if err := seg.file.Sync(); err != nil {
			return w.s.diskError("fsync "+seg.name, err)
		}
	}
	if err := w.syncNames(); err != nil {
		return err
	}
	w.open[l.id] = nil
	if err := seg.file.Close(); err != nil {
		return w.s.diskError("close "+seg.name, err)
	}
	return nil
}

// create begins a segment whose first record is from.
func (w *writer) create(l *Lane, from uint64) (*openSegment, error) {
	name := segmentName(l.id, from)
	// A file of that name holds nothing that counts: it was abandoned.
	for _, g := range l.unlink(func(g *segment) bool { return g.name != name }) {
		w.s.disk.Add(-g.size)
	}
	w.garbage = slices.DeleteFunc(w.garbage, func(g *segment) bool {
		if g.name == name {
			w.s.disk.Add(-g.size)
		}
		return g.name == name
	})
	var salt [4]byte
	rand.Read(salt[:]) // does not fail
	h := head{lane: l.id, base: from, born: w.born, salt: binary.LittleEndian.Uint32(salt[:])}
	file, err := w.s.opts.FS.Create(w.s.path(name))
	if err != nil {
		return nil, w.s.diskError("create "+name, err)
	}
	w.born++
	w.dirDirty = true
	seg := &openSegment{segment: &segment{head: h, name: name, size: headBytes, end: from}, file: file, dirty: true}
	w.open[l.id] = seg // abandoned if the next step fails
	w.s.disk.Add(headBytes)
	l.mu.Lock()
	l.segs = append(l.segs, seg.segment)
	l.mu.Unlock()
	if _, err := file.Write(h.append(nil)); err != nil {
		return nil, w.s.diskError("write "+name, err)
	}
	return seg, nil
}

// reclaim removes the segments that are consumed; with idle also those being
// written to that hold nothing yet. The positions go to disk before, so that a crash does not serve a
// whole segment again.
func (w *writer) reclaim(idle bool) {
	saved := false
	for _, l := range w.s.lanes {
		l.mu.Lock()
		low := l.low()
		l.mu.Unlock()
		current := w.open[l.id]
		needless := func(g *segment) bool {
			if current != nil && g == current.segment && g.end == g.base {
				return idle
			}
			return g.end <= low || g.end == g.base
		}
		gone := l.unlink(func(g *segment) bool { return !needless(g) })
		for _, g := range gone {
			if !saved {
				_ = w.savePosition() // a failure costs repetition only
				saved = true
			}
			if current != nil && g == current.segment {
				current.file.Close()
				w.open[l.id] = nil
			}
			w.discard(g)
		}
	}
}

// makeRoom sees to it that n bytes more are within the bound of the disk.
func (w *writer) makeRoom(n int64) error {
	fits := func() bool { return w.s.disk.Load()+n <= w.s.opts.MaxBytes }
	if fits() {
		return nil
	}
	w.reclaim(false)
	for !fits() {
		if w.s.opts.Overflow != DropOldest || !w.dropSegment() {
			return ErrFull
		}
	}
	return nil
}

// dropSegment gives up the oldest segment of all lanes.
func (w *writer) dropSegment() bool {
	var oldest *segment
	var lane *Lane
	for _, l := range w.s.lanes {
		l.mu.Lock()
		if len(l.segs) > 0 && l.segs[0].end > l.segs[0].base && (oldest == nil || l.segs[0].born < oldest.born) {
			oldest, lane = l.segs[0], l
		}
		l.mu.Unlock()
	}
	if oldest == nil {
		return false
	}
	lane.mu.Lock()
	if from := max(lane.read, oldest.base); from < oldest.end {
		lane.counts.DroppedDisk += oldest.end - from
		lane.read = oldest.end
		lane.release()
	}
	lane.mu.Unlock()
	lane.unlink(func(g *segment) bool { return g != oldest })
	if seg := w.open[lane.id]; seg != nil && seg.segment == oldest {
		seg.file.Close()
		w.open[lane.id] = nil
	}
	w.discard(oldest)
	return true
}
