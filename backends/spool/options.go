package spool

import (
	"errors"
	"fmt"
	"log/slog"
)

// What Options.Overflow may say.
const (
	RefuseNewest = "refuse_newest" // Append takes less than it was given
	DropOldest   = "drop_oldest"   // the oldest records make room
)

// What Options.Sync may say.
const (
	SyncAlways = "always" // fsync before a record counts as safe; one for all that gathered
	SyncNever  = "never"  // leave it to the operating system: survives kill, not loss of power
)

// Options are the settings of a spool. A field that is zero gets its default.
type Options struct {
	Dir       string // directory of this spool alone; made when it does not exist
	Lanes     int    // queues that keep their order, 1 to 256; default 1
	MaxMemory int64  // bytes of memory; at least 1 KiB a lane; default 16 MiB
	MaxBytes  int64  // bytes of segment files; at least 2 segments; default 1 GiB
	Segment   int64  // bytes after which a segment is closed; at least 4 KiB; default 16 MiB, or less with a small MaxBytes
	Sync      string // SyncAlways (default) or SyncNever
	Overflow  string // RefuseNewest (default) or DropOldest

	Log *slog.Logger // failures and damage, each once; nil says nothing
	FS  FS           // replaces the operating system's files in tests; nil for the real ones
}

const (
	maxLanes     = 256
	minSegment   = 4 << 10
	minLane      = 1 << 10 // bytes of memory
	maxFrameData = 1 << 30 // a length above is damage
)

// defaults fills in what is zero.
func (o *Options) defaults() {
	set := func(v *int64, to int64) {
		if *v == 0 {
			*v = to
		}
	}
	if o.Lanes == 0 {
		o.Lanes = 1
	}
	set(&o.MaxMemory, max(16<<20, int64(o.Lanes)*minLane))
	set(&o.MaxBytes, 1<<30)
	set(&o.Segment, min(16<<20, max(minSegment, o.MaxBytes/16)))
	if o.Sync == "" {
		o.Sync = SyncAlways
	}
	if o.Overflow == "" {
		o.Overflow = RefuseNewest
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = systemFiles{}
	}
}

// Validate reports every setting that is out of its bounds; zero fields are good.
func (o Options) Validate() error {
	o.defaults()
	var errs []error
	in := func(name string, v, low, high int64) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s = %d: must be between %d and %d", name, v, low, high))
		}
	}
	if o.Dir == "" {
		errs = append(errs, errors.New("dir is empty: name a directory for the spool"))
	}
	in("lanes", int64(o.Lanes), 1, maxLanes)
	in("max_memory", o.MaxMemory, int64(o.Lanes)*minLane, 1<<40)
	in("segment", o.Segment, minSegment, maxFrameData)
	in("max_bytes", o.MaxBytes, 2*o.Segment, 1<<50)
	if o.Sync != SyncAlways && o.Sync != SyncNever {
		errs = append(errs, fmt.Errorf("sync = %q: must be %q or %q", o.Sync, SyncAlways, SyncNever))
	}
	if o.Overflow != RefuseNewest && o.Overflow != DropOldest {
		errs = append(errs, fmt.Errorf("overflow = %q: must be %q or %q", o.Overflow, RefuseNewest, DropOldest))
	}
	return errors.Join(errs...)
}

// maxRecord bounds a record: it must fit into memory beside others, and with its
// frame into a segment.
func (o *Options) maxRecord() int { return int(min(o.MaxMemory/4, o.Segment/2)) }

// chunkBytes is the size of a piece of a lane's memory: small enough that lanes
// that hardly hold anything leave room for one that holds much.
func (o *Options) chunkBytes() int {
	return int(min(64<<10, max(128, o.MaxMemory/int64(8*o.Lanes))))
}
