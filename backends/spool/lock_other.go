//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package spool

import (
	"io"
	"os"
	"runtime"
)

// heldFile is removed when it is given back, so that the next may create it.
type heldFile struct{ *os.File }

func (f heldFile) Close() error {
	err := f.File.Close()
	if gone := os.Remove(f.Name()); err == nil {
		err = gone
	}
	return err
}

// lockFile creates the file, which must not exist. Where a file in use cannot be
// removed (Windows), one that a crash left behind is taken away first; elsewhere
// a person has to do that.
func lockFile(name string) (io.Closer, error) {
	if runtime.GOOS == "windows" {
		_ = os.Remove(name)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, err
	}
	return heldFile{f}, nil
}

// syncDir does nothing: these systems do not fsync a directory.
func syncDir(string) error { return nil }
