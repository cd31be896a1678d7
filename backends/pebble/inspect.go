package pebble

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// inspect looks for damage of the database of dir that pebble would pass over or
// build upon, without changing anything.
func inspect(cfg *Config, dir *directory, l *logger) error {
	found, err := checkLogs(dir)
	if err != nil {
		return err
	}
	names, err := dir.fs.List(dir.database())
	if err != nil || !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "MANIFEST-") }) {
		return nil // a fresh one, or Open says it better
	}
	tables, err := tablesOnly(cfg, dir, l)
	if err != nil {
		return err
	}
	// The logs go on where the tables end. A manifest whose last entry is damaged
	// looks like one that was cut off: then tables are missing between the two.
	if found.first > tables+1 {
		return &DamageError{
			Dir: dir.path, File: dir.database(), Groups: found.first - tables - 1,
			Detail: fmt.Sprintf("the tables end with group %d of changes, the logs begin with group %d: the manifest is damaged, or logs are missing", tables, found.first),
		}
	}
	return nil
}

// tablesOnly opens the database without its logs, to read only, and gives the
// number of the last group that lies in its tables.
func tablesOnly(cfg *Config, dir *directory, l *logger) (last uint64, err error) {
	cache := pebble.NewCache(0)
	defer cache.Unref()
	o := options(cfg, newFence(dir.fs, l.log, nil), cache, l)
	o.FS, o.ReadOnly, o.EventListener = withoutLogs{dir.fs}, true, nil
	o.Experimental.CompactionScheduler = newScheduler()
	db, err := pebble.Open(dir.database(), o)
	if err != nil {
		if pebble.IsCorruptionError(err) {
			return 0, &DamageError{Dir: dir.path, File: dir.database(), Detail: err.Error()}
		}
		return 0, fmt.Errorf("open the tables in %q: %w", dir.database(), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	value, closer, err := db.Get(groupKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	const unknown = 1<<64 - 2 // nothing can be compared with it
	if pebble.IsCorruptionError(err) {
		return unknown, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	s, err := readStamp(value)
	if err != nil {
		return unknown, nil
	}
	return s.number, nil
}

// withoutLogs is a file system as if there were no logs in it.
type withoutLogs struct{ vfs.FS }

// List implements vfs.FS.
func (w withoutLogs) List(dir string) ([]string, error) {
	names, err := w.FS.List(dir)
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, ".log") }), err
}

// Lock implements vfs.FS. The data directory is locked already.
func (w withoutLogs) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap implements vfs.FS.
func (w withoutLogs) Unwrap() vfs.FS { return w.FS }
