//go:build !unix

package pebble

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func lockDirectory(files vfs.FS, dir string) (io.Closer, error) { return lockForeign(files, dir) }
