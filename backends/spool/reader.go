package spool

import (
	"errors"
	"io"
	"io/fs"
)

// reader is where the consumer of a lane stands on disk.
type reader struct {
	seg  *segment
	file File
	scan *scanner
}

func (r *reader) close() {
	if r != nil && r.file != nil {
		r.file.Close()
		r.file, r.scan, r.seg = nil, nil, nil
	}
}

// readJob is what the consumer reads from disk, without the lane's lock.
type readJob struct {
	*reader
	want       *segment
	size       int64
	from, to   uint64 // numbers: from, below to
	records    int    // at most
	bytes      int    // at most, but one record
	got        []held
	upto       uint64 // everything below was looked at
	lost       uint64
	lostReason string
}

// diskJob finds where the next record lies on disk, nil if it is nowhere.
func (l *Lane) diskJob(maxRecords, maxBytes int) *readJob {
	for _, g := range l.segs {
		// One without records was abandoned, and those after it may begin below it.
		if g.end <= l.read || g.end == g.base {
			continue
		}
		to := min(g.end, l.memoryFrom())
		if g.base >= to {
			return nil
		}
		r := l.reader
		if r == nil {
			r = &reader{}
		}
		l.reader = nil
		return &readJob{reader: r, want: g, size: g.size, from: max(l.read, g.base), to: to, records: maxRecords, bytes: maxBytes}
	}
	return nil
}

// readDisk does the job and takes its result over; false if reading failed and
// is worth trying again.
func (l *Lane) readDisk(job *readJob) bool {
	err := job.run(l.s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || err != nil {
		job.close()
	} else {
		l.reader = job.reader
	}
	if err != nil {
		return l.readFailed(job, err)
	}
	if l.readFault != nil {
		l.readFault = nil
		l.s.opts.Log.Info("the spool can be read again", "dir", l.s.opts.Dir, "lane", l.id)
	}
	if l.read <= job.from { // else dropped meanwhile, and counted as that
		l.damaged(job)
	}
	for _, h := range job.got {
		if h.seq >= l.read {
			l.out = append(l.out, h)
			l.counts.ReadDisk++
		}
	}
	l.read = max(l.read, job.upto)
	return true
}

func (l *Lane) readFailed(job *readJob, err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		// Dropped meanwhile, or taken away by somebody.
		if job.to > l.read {
			job.lost, job.lostReason = job.to-max(l.read, job.from), "the file is gone"
		}
		l.damaged(job)
		l.read = max(l.read, job.to)
		return true
	}
	if l.readFault == nil {
		l.readFault = l.s.diskError("read "+job.want.name, err)
		l.s.opts.Log.Error("the spool cannot be read; this lane stands still. If the disk is sound but for this file, move the file away: its records are then counted as damaged",
			"dir", l.s.opts.Dir, "lane", l.id, "file", job.want.name, "err", err)
	}
	return false
}

func (l *Lane) damaged(job *readJob) {
	if job.lost == 0 {
		return
	}
	l.counts.Damaged += job.lost
	l.s.opts.Log.Error("records of the spool are damaged and left out", "dir", l.s.opts.Dir,
		"lane", l.id, "file", job.want.name, "records", job.lost, "why", job.lostReason)
}

// run reads records until one of the limits.
func (j *readJob) run(s *Spool) error {
	if err := j.open(s); err != nil {
		return err
	}
	var block []byte
	next := j.from
	for size := 0; len(j.got) < j.records && next < j.to; {
		mark := j.scan.place
		f, err := j.scan.record()
		if errors.Is(err, io.EOF) || err == nil && f.seq >= j.to {
			// The end is damaged, or the segment is ended by a later one.
			if err != nil && j.scan.torn() || err == nil && f.lost {
				j.lose(j.to - next)
			}
			j.scan.place = mark
			next = j.to
			break
		}
		if err != nil {
			return err
		}
		if f.seq < next {
			continue
		}
		if size += len(f.data); size > j.bytes && len(j.got) > 0 {
			j.scan.place = mark
			break
		}
		if f.lost {
			j.lose(f.seq - next)
		}
		start := len(block)
		if cap(block)-start < len(f.data) { // what was cut from the old block stays with it
			block, start = make([]byte, 0, max(len(f.data), min(j.bytes, scanWindow))), 0
		}
		block = append(block, f.data...)
		j.got = append(j.got, held{f.seq, block[start:len(block):len(block)]})
		next = f.seq + 1
	}
	j.upto = next
	return nil
}

func (j *readJob) lose(n uint64) {
	j.lost += n
	j.lostReason = "checksum"
}

// open makes the reader stand in the wanted segment.
func (j *readJob) open(s *Spool) error {
	if j.seg == j.want {
		j.scan.size = j.size
		return nil
	}
	j.close()
	file, err := s.opts.FS.Open(s.path(j.want.name))
	if err != nil {
		return err
	}
	j.seg, j.file = j.want, file
	j.scan = newScanner(file, j.want.head, j.size)
	return nil
}
