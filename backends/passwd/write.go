package passwd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Edit reads the file at path (an empty content if there is none), has change
// make the new content, and replaces the file: at every moment, and after a
// power cut too, either the old or the new file is there as a whole. The new
// file is synced before it takes the old one's place. A new file can be read by
// its owner only (0600); an old one keeps its owner and its group, and its
// group's right to read. If change fails, nothing is written and its error is
// returned, its Faults with the name of the file.
//
// Meanwhile the new file stands beside the old one as path.new, which also
// keeps two editors apart: the second one fails.
func Edit(path string, change func(content []byte) ([]byte, error)) error {
	target, err := filepath.EvalSymlinks(path) // replace the file, not a link to it
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return fmt.Errorf("passwd: edit: %w", err)
	}
	fresh, err := os.OpenFile(target+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("passwd: %s.new exists: the file is being edited, or an edit was interrupted; if nobody is at it, remove %s.new", target, target)
	}
	if err != nil {
		return fmt.Errorf("passwd: edit: %w", err)
	}
	err = errors.Join(rewrite(fresh, target, change), fresh.Close())
	if err == nil {
		err = os.Rename(fresh.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return syncFolder(filepath.Dir(target))
}

// rewrite fills the fresh file from the old one and syncs it.
func rewrite(fresh *os.File, target string, change func([]byte) ([]byte, error)) error {
	content, err := inherit(fresh, target)
	if err != nil {
		return err
	}
	if content, err = change(content); err != nil {
		return named(err, target)
	}
	if _, err := fresh.Write(content); err != nil {
		return err
	}
	return fresh.Sync()
}

// named puts the file's name into the faults of its content.
func named(err error, path string) error {
	var faults Faults
	if !errors.As(err, &faults) {
		return err
	}
	out := slices.Clone(faults)
	for i := range out {
		out[i].File = path
	}
	return out
}

// inherit reads the old file, if there is one, and gives its rights to fresh.
func inherit(fresh *os.File, target string) ([]byte, error) {
	old, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !old.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no ordinary file", target)
	}
	if err := keepOwner(fresh, old); err != nil {
		return nil, fmt.Errorf("the owner of %s cannot be kept, so that the gateway may be unable to read it; run the command as its owner: %w", target, err)
	}
	if err := fresh.Chmod(0o600 | old.Mode().Perm()&0o040); err != nil {
		return nil, err
	}
	return readFile(target)
}

// syncFolder makes the rename itself last; Windows has no such call.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("passwd: edit: %w", err)
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("passwd: edit: sync %s: %w", dir, err), f.Close())
	}
	return f.Close()
}

// readFile reads at most MaxFile bytes and one, which Parse refuses.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	return content, errors.Join(err, f.Close())
}
