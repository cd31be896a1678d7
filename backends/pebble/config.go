package pebble

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config is the section of the embedded store.
type Config struct {
	Path             string        `toml:"path" doc:"directory of the store; made when it does not exist, used by one process at a time"`
	Sync             bool          `toml:"sync" doc:"fsync each group of commits before it is acknowledged; false loses what was acknowledged in the last moments when the process or the machine dies"`
	CommitDelay      time.Duration `toml:"commit_delay" doc:"longest time a group of commits gathers while an earlier one is being written; an idle store never waits"`
	CommitOperations int           `toml:"commit_operations" doc:"operations that close a group before commit_delay"`
	MaxPendingBytes  int64         `toml:"max_pending_bytes" unit:"bytes" doc:"bytes of batches not yet on disk; more are refused as busy"`
	MinFreeBytes     int64         `toml:"min_free_bytes" unit:"bytes" doc:"free space below which only batches that shrink the store are taken; the log, a flush and a compaction need room to go on"`
	MemtableSize     int64         `toml:"memtable_size" unit:"bytes" doc:"writes kept in memory before they are sorted to disk; also the size of a log file and of what a start replays"`
	CacheSize        int64         `toml:"cache_size" unit:"bytes" doc:"blocks of the database kept in memory for reading queues"`
	MaxOpenFiles     int           `toml:"max_open_files" doc:"files of the database open at once"`
	Repair           string        `toml:"repair" oneof:"refuse,discard" doc:"what a start does when changes that had been acknowledged cannot be read: refuse, or discard: set the damaged part aside in the folder damaged of the directory, count what was lost, and go on without it"`

	// Version is the program's version, noted in the directory so that an older
	// program can say who wrote it.
	Version string `toml:"-"`
	// FS replaces the operating system's files in tests; nil for the real ones.
	FS vfs.FS `toml:"-"`
}

// DefaultConfig gives the settings of a fresh start.
func DefaultConfig() Config {
	return Config{
		Path:             "fairlead-data",
		Sync:             true,
		CommitDelay:      time.Millisecond,
		CommitOperations: 256,
		MaxPendingBytes:  64 << 20,
		MinFreeBytes:     128 << 20,
		MemtableSize:     16 << 20,
		CacheSize:        32 << 20,
		MaxOpenFiles:     1000,
		Repair:           RepairRefuse,
	}
}

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	in := func(name string, v, low, high int64) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s = %d: must be between %d and %d", name, v, low, high))
		}
	}
	if c.Path == "" {
		errs = append(errs, errors.New("path is empty: name a directory for the store"))
	}
	if c.Repair != "" && c.Repair != RepairRefuse && c.Repair != RepairDiscard {
		errs = append(errs, fmt.Errorf("repair = %q: must be %q or %q", c.Repair, RepairRefuse, RepairDiscard))
	}
	if c.CommitDelay < 0 || c.CommitDelay > 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("commit_delay = %s: must be between 0s and 100ms", c.CommitDelay))
	}
	in("commit_operations", int64(c.CommitOperations), 1, 1<<20)
	in("max_pending_bytes", c.MaxPendingBytes, 64<<10, 1<<40)
	in("min_free_bytes", c.MinFreeBytes, 0, 1<<50)
	in("memtable_size", c.MemtableSize, 256<<10, 1<<30)
	in("cache_size", c.CacheSize, 0, 1<<40)
	in("max_open_files", int64(c.MaxOpenFiles), 64, 1<<20)
	return errors.Join(errs...)
}
