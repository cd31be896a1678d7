package pebble

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/core"
)

// formatVersion is the layout of the data directory and its records. Raise it
// when an older program could not read what this one writes.
//
//   - 2: delayed messages, proxy subscriptions, mount points of sessions
//   - 3: the names of messages in the data backends that offered them
const formatVersion = 3

const (
	identityName = "fairlead.json" // what the directory is
	lockName     = "fairlead.lock" // held while a process uses it
	databaseName = "store"         // the database below it
)

// identity is the content of fairlead.json.
type identity struct {
	Format    int    `json:"format"`     // formatVersion of the last writer
	NodeID    string `json:"node_id"`    // random, for good; says nothing about the machine
	WrittenBy string `json:"written_by"` // version of the program that set Format
}

// LockedError says that another process uses the data directory.
type LockedError struct {
	Dir string
	PID int // of the process that holds it; 0 if unknown
}

// Error says who holds the directory and what to do.
func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("the process with pid %d", e.PID)
	}
	return fmt.Sprintf("the data directory %q is in use by %s; stop it, or give this one another directory (store.path)", e.Dir, who)
}

// FormatError says that the data directory was written by a newer program.
type FormatError struct {
	Dir       string
	Format    int
	WrittenBy string
}

// Error says which version wrote the directory and what to do.
func (e *FormatError) Error() string {
	return fmt.Sprintf("the data directory %q has format %d, written by fairlead %s; this program knows formats up to %d: use that version or a newer one, or an empty directory (nothing was changed)",
		e.Dir, e.Format, e.WrittenBy, formatVersion)
}

// directory is a data directory that this process holds.
type directory struct {
	fs   vfs.FS
	path string
	id   identity
	lock io.Closer
}

func (d *directory) database() string { return d.fs.PathJoin(d.path, databaseName) }

// openDirectory makes the directory where it does not exist, locks it, and
// checks or writes its identity.
func openDirectory(cfg *Config, files vfs.FS) (*directory, error) {
	path := cfg.Path
	if files == vfs.Default {
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
	}
	d := &directory{fs: files, path: path}
	if err := makeDirectory(files, path); err != nil {
		return nil, explainPath(path, err)
	}
	lock, err := lockDirectory(files, path)
	if err != nil {
		return nil, explainPath(path, err)
	}
	d.lock = lock
	if err := d.identify(cfg); err != nil {
		lock.Close()
		return nil, explainPath(path, err)
	}
	return d, nil
}

// makeDirectory makes path and what is missing above it, each name synced into
// the directory that holds it.
func makeDirectory(files vfs.FS, path string) error {
	info, err := files.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := files.PathDir(path)
	if parent != path {
		if err := makeDirectory(files, parent); err != nil {
			return err
		}
	}
	if err := files.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDirectory(files, parent)
}

func syncDirectory(files vfs.FS, path string) error {
	dir, err := files.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// identify reads who the directory is, or says it for the first time.
func (d *directory) identify(cfg *Config) error {
	name := d.fs.PathJoin(d.path, identityName)
	file, err := d.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.found(cfg)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	const limit = 64 << 10 // it has a hundred bytes; a larger file is not ours
	text, err := io.ReadAll(io.LimitReader(file, limit))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &d.id); err != nil || d.id.Format < 1 {
		if cfg.Repair == RepairDiscard {
			return d.identifyAnew(cfg, name)
		}
		return fmt.Errorf("%q is damaged, so what the directory holds is unknown; restore the file from a backup, set store.repair = %q once to give the directory a new identity, or use an empty directory (nothing was changed)", name, RepairDiscard)
	}
	if d.id.Format > formatVersion {
		return &FormatError{Dir: d.path, Format: d.id.Format, WrittenBy: d.id.WrittenBy}
	}
	if d.id.Format < formatVersion {
		// All older records stay readable; from here on an older program must keep out.
		d.id.Format, d.id.WrittenBy = formatVersion, version(cfg)
		return d.writeIdentity()
	}
	return nil
}

// found writes the identity of a new directory. A directory that holds other
// things is left alone.
func (d *directory) found(cfg *Config) error {
	names, err := d.fs.List(d.path)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n == databaseName {
			return fmt.Errorf("%q lacks %s but holds a database; restore the file from a backup, or use an empty directory (nothing was changed)", d.path, identityName)
		}
	}
	return d.name(cfg)
}

// identifyAnew sets a damaged identity aside. The records tell their own versions,
// so those of a newer program are still not taken for ours.
func (d *directory) identifyAnew(cfg *Config, name string) error {
	aside := d.asideFolder()
	if err := makeDirectory(d.fs, aside); err != nil {
		return err
	}
	if err := d.copyFile(name, d.fs.PathJoin(aside, identityName), -1); err != nil {
		return err
	}
	return d.name(cfg)
}

// name gives the directory a random identity.
func (d *directory) name(cfg *Config) error {
	var node [16]byte
	rand.Read(node[:]) // never fails
	d.id = identity{Format: formatVersion, NodeID: hex.EncodeToString(node[:]), WrittenBy: version(cfg)}
	return d.writeIdentity()
}

func (d *directory) writeIdentity() error {
	text, err := json.MarshalIndent(d.id, "", "  ")
	if err != nil {
		return err
	}
	return d.write(identityName, append(text, '\n'))
}

// write puts a file into the directory so that a crash leaves all of it or none.
func (d *directory) write(name string, content []byte) error {
	path := d.fs.PathJoin(d.path, name)
	file, err := d.fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		file.Close()
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := d.fs.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDirectory(d.fs, d.path)
}

func (d *directory) close() error { return d.lock.Close() }

func version(cfg *Config) string {
	if cfg.Version != "" {
		return cfg.Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// explainPath says in words of the operator what is wrong with the directory.
func explainPath(path string, err error) error {
	var locked *LockedError
	var format *FormatError
	switch {
	case errors.As(err, &locked), errors.As(err, &format):
		return fmt.Errorf("pebble: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("pebble: no permission for the data directory %q: make it owned and writable by the user that runs fairlead, or set store.path to another: %w", path, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("pebble: the data directory %q cannot be used, because it or a part of its path is a file: move that away, or set store.path to another: %w", path, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("pebble: the data directory %q lies on a read-only file system: mount it writable, or set store.path to another: %w", path, err)
	case isFull(err):
		return fmt.Errorf("pebble: no space for the data directory %q: free some on its file system, or set store.path to another: %w: %w", path, core.ErrStoreFull, err)
	}
	return fmt.Errorf("pebble: open the data directory %q: %w", path, err)
}

// isFull says whether err means that no space is left for this user.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, core.ErrStoreFull)
}
