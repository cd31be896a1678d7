package spool

import (
	"io"
	"os"
	"path/filepath"
)

// FS is what a spool needs of a file system. Names are paths. Errors satisfy
// errors.Is with fs.ErrNotExist and the system's numbers.
type FS interface {
	MkdirAll(dir string) error              // mode 0700
	List(dir string) ([]string, error)      // names of the entries, in any order
	Create(name string) (File, error)       // empty, mode 0600, for writing
	Open(name string) (File, error)         // for reading
	Truncate(name string, size int64) error // and fsync
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error                       // makes names created, renamed, removed permanent
	Lock(name string) (unlock io.Closer, err error) // ErrLocked if another holds it
}

// File is an open file. Write appends.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	Size() (int64, error)
}

// systemFiles are the files of the operating system.
type systemFiles struct{}

type systemFile struct{ *os.File }

func (f systemFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return systemFile{f}, nil
}

func (systemFiles) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

func (systemFiles) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (systemFiles) Create(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600))
}

func (systemFiles) Open(name string) (File, error) { return wrap(os.Open(name)) }

func (systemFiles) Truncate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

func (systemFiles) Rename(from, to string) error { return os.Rename(from, to) }
func (systemFiles) Remove(name string) error     { return os.Remove(name) }
func (systemFiles) SyncDir(dir string) error     { return syncDir(filepath.Clean(dir)) }
func (systemFiles) Lock(name string) (io.Closer, error) {
	return lockFile(name)
}
