package pebble

import (
	"errors"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lockForeign locks by the means of files: a file system of a test, or of a
// system without flock. Who holds the lock is not known then.
func lockForeign(files vfs.FS, dir string) (io.Closer, error) {
	lock, err := files.Lock(files.PathJoin(dir, lockName))
	if err == nil {
		return lock, nil
	}
	if errors.Is(err, fs.ErrPermission) || isFull(err) {
		return nil, err
	}
	return nil, errors.Join(&LockedError{Dir: dir}, err)
}
