package pebble

import "github.com/cockroachdb/pebble/v2/vfs"

// fencedFile is a file opened for writing below a fence. void stands for a file
// that does not exist: what is written to it is forgotten.
type fencedFile struct {
	vfs.File
	f    *fence
	name string
	void bool
}

// enter begins an operation; false says that it must not reach the file.
func (w *fencedFile) enter() bool { return !w.void && w.f.enter(w.name) }

// Write implements vfs.File.
func (w *fencedFile) Write(p []byte) (int, error) {
	if !w.enter() {
		return len(p), nil
	}
	n, err := w.File.Write(p)
	void, err := w.f.leave(w.name, err)
	if void {
		return len(p), nil
	}
	return n, err
}

// WriteAt implements vfs.File.
func (w *fencedFile) WriteAt(p []byte, at int64) (int, error) {
	if !w.enter() {
		return len(p), nil
	}
	n, err := w.File.WriteAt(p, at)
	void, err := w.f.leave(w.name, err)
	if void {
		return len(p), nil
	}
	return n, err
}

// Sync implements vfs.File.
func (w *fencedFile) Sync() error { return w.do(w.File.Sync) }

// SyncData implements vfs.File.
func (w *fencedFile) SyncData() error { return w.do(w.File.SyncData) }

// SyncTo implements vfs.File.
func (w *fencedFile) SyncTo(length int64) (full bool, err error) {
	err = w.do(func() error {
		full, err = w.File.SyncTo(length)
		return err
	})
	return full, err
}

// Preallocate implements vfs.File. It is an optimisation: nothing is lost when
// it fails.
func (w *fencedFile) Preallocate(offset, length int64) error {
	if w.void {
		return nil
	}
	return w.f.optional(func() error { return w.File.Preallocate(offset, length) })
}

// Close implements vfs.File. The descriptor is given back in any phase.
func (w *fencedFile) Close() error {
	_, err := w.f.settle(w.name, w.File.Close())
	return err
}

// Stat implements vfs.File.
func (w *fencedFile) Stat() (vfs.FileInfo, error) {
	info, err := w.File.Stat()
	if err != nil && w.f.cut() {
		return vfs.NewMemFile(nil).Stat()
	}
	return info, err
}

func (w *fencedFile) do(op func() error) error {
	if !w.enter() {
		return nil
	}
	_, err := w.f.leave(w.name, op())
	return err
}
