package spool

import (
	"errors"
	"fmt"
	"syscall"
)

// What Append, Flushed, Next and Open may answer with, beside *DiskError and
// *FormatError.
var (
	ErrClosed  = errors.New("spool: closed")
	ErrLocked  = errors.New("spool: in use by another process; stop it, or give this one another directory")
	ErrFull    = errors.New("spool: the bound of bytes on disk is reached (max_bytes); let the consumer catch up, or raise it")
	ErrDropped = errors.New("spool: records were dropped from memory before they reached the disk (overflow = \"drop_oldest\")")
)

// DiskError is a failure of the spool's directory.
type DiskError struct {
	Dir string
	Op  string // what was tried: "write", "fsync", "read", …
	Err error
}

// Error says what failed, where, and what to do.
func (e *DiskError) Error() string {
	return fmt.Sprintf("spool %q: %s: %v; %s", e.Dir, e.Op, e.Err, e.advice())
}

func (e *DiskError) advice() string {
	switch {
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, syscall.EDQUOT):
		return "free space on that disk, or lower max_bytes"
	case errors.Is(e.Err, syscall.EROFS):
		return "the file system is read-only: look for disk errors in the system's log, then mount it for writing"
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM):
		return "give this process's user the right to write there"
	}
	return "look for disk errors in the system's log; it is tried again until it works"
}

// Unwrap gives the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// FormatError says that the directory is not a spool that this program can read.
// Nothing was changed in it.
type FormatError struct {
	Dir  string
	What string // what was found
}

// Error says what was found and what to do.
func (e *FormatError) Error() string {
	return fmt.Sprintf("spool %q: %s; this program reads format %d: drain the spool with the version that wrote it, or move the directory away to begin an empty one (nothing was changed)",
		e.Dir, e.What, formatVersion)
}

// state is why the writer does not write.
type state int32

const (
	writing state = iota
	full          // at MaxBytes
	failing       // the disk fails
)

// fail takes notice of an error of the writer: logs it when it is news, and sets
// when to try again.
func (s *Spool) fail(err error) {
	st := failing
	if errors.Is(err, ErrFull) {
		st = full
	}
	s.state.Store(int32(st))
	s.complain(&s.stats.fault, err)
}

// works takes notice that writing went well.
func (s *Spool) works() {
	s.state.Store(int32(writing))
	s.complain(&s.stats.fault, nil)
}

// complain keeps what is wrong, one of stats, and logs it when it is news.
func (s *Spool) complain(fault *error, err error) {
	s.stats.mu.Lock()
	before := *fault
	*fault = err
	s.stats.mu.Unlock()
	switch {
	case err == nil && before != nil:
		s.opts.Log.Info("the spool works again", "dir", s.opts.Dir, "was", before)
	case err != nil && (before == nil || !sameFault(before, err)):
		s.opts.Log.Error("the spool cannot write; records wait in memory", "dir", s.opts.Dir, "err", err)
	}
}

func sameFault(a, b error) bool {
	var x, y *DiskError
	if errors.As(a, &x) && errors.As(b, &y) {
		var m, n syscall.Errno
		if errors.As(x.Err, &m) && errors.As(y.Err, &n) {
			return m == n
		}
		return x.Err.Error() == y.Err.Error()
	}
	return errors.Is(a, b)
}

// Health gives what keeps the spool from writing or reading now, nil if nothing does.
func (s *Spool) Health() error {
	s.stats.mu.Lock()
	err := errors.Join(s.stats.fault, s.stats.positionFault, s.stats.removeFault)
	s.stats.mu.Unlock()
	for _, l := range s.lanes {
		l.mu.Lock()
		err = errors.Join(err, l.readFault)
		l.mu.Unlock()
	}
	return err
}

func (s *Spool) diskError(op string, err error) error {
	return &DiskError{Dir: s.opts.Dir, Op: op, Err: err}
}
