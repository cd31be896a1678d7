package pebble

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Phases of a fence, in this order.
const (
	fenceOpening   int32 = iota // any failing write condemns, and drains at once
	fenceLive                   // failures of the log and the manifest condemn
	fenceCondemned              // nothing reaches the disk any more; reading goes on
	fenceDraining               // as condemned, and what waits is let go: the handle closes
)

// fencePatience is how long a failing write of a table waits before pebble hears
// of it: pebble tries again at once, and would spin on a full disk.
const fencePatience = 200 * time.Millisecond

// fence is the file system below one handle. Pebble panics, with locks held that
// nobody can release, when its log fails, and wants the process to end when the
// manifest does. The fence answers such a failure with success, remembers it,
// and from then on keeps everything the handle does away from the disk: its
// files are as a crash at that moment would have left them, and another handle
// can be opened on them. Nothing that the condemned handle says counts. The same
// holds while a handle is being opened, where pebble would try a failing flush
// for ever.
type fence struct {
	vfs.FS
	phase    atomic.Int32
	inside   atomic.Int64 // operations that change the disk and are under way
	mu       sync.Mutex
	why      error // of condemnation
	trouble  error // of the last background work that failed; nil once it succeeds
	log      *slog.Logger
	onFault  func(error)
	draining chan struct{}
}

func newFence(fs vfs.FS, log *slog.Logger, onFault func(error)) *fence {
	return &fence{FS: fs, log: log, onFault: onFault, draining: make(chan struct{})}
}

// live ends the phase of opening.
func (f *fence) live() { f.phase.CompareAndSwap(fenceOpening, fenceLive) }

// condemn shuts the handle off from the disk. The first reason is kept.
func (f *fence) condemn(why error) {
	f.mu.Lock()
	if f.why == nil {
		f.why = why
	}
	f.mu.Unlock()
	for !f.cut() { // live may come between the two attempts
		if f.phase.CompareAndSwap(fenceLive, fenceCondemned) {
			f.onFault(why)
		} else if f.phase.CompareAndSwap(fenceOpening, fenceDraining) {
			close(f.draining)
		}
	}
}

// drain lets go of whatever waits in a fence that was condemned.
func (f *fence) drain() {
	if f.phase.CompareAndSwap(fenceCondemned, fenceDraining) {
		close(f.draining)
	}
}

// reason is why the handle was condemned, nil for a good one.
func (f *fence) reason() error {
	if !f.cut() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why
}

func (f *fence) cut() bool { return f.phase.Load() >= fenceCondemned }

// background notes that a flush or compaction failed (err), or went well again.
func (f *fence) background(err error) {
	f.mu.Lock()
	was := f.trouble
	f.trouble = err
	f.mu.Unlock()
	switch {
	case f.cut():
	case was == nil && err != nil:
		f.log.Error("the store cannot flush or compact; it is tried again and again", "err", err)
	case was != nil && err == nil:
		f.log.Info("the store flushes and compacts again")
	}
}

// troubled is why background work fails at present, nil if it does not.
func (f *fence) troubled() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trouble
}

// vital says whether pebble cannot live with a failure at this file: the log,
// the manifest and their markers.
func vital(name string) bool {
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.")
}

// settle decides what pebble hears of an operation that ended with err. void
// says that the caller shall go on with the void in place of the file.
func (f *fence) settle(name string, err error) (void bool, out error) {
	if err == nil {
		return false, nil
	}
	if vital(name) || f.phase.Load() == fenceOpening {
		f.condemn(err)
		return true, nil
	}
	if f.phase.Load() == fenceLive {
		f.background(err)
		f.wait(fencePatience)
		return false, err
	}
	return true, nil
}

// wait pauses background work, at most for d and not beyond draining.
func (f *fence) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.draining:
	}
}

// enter begins an operation that changes name; false says that it must not reach
// the disk. Work on tables waits here until the handle is closed: were it
// answered at once, pebble would go on building on what is not there, and
// readers would miss it. After true, leave must follow.
func (f *fence) enter(name string) bool {
	f.inside.Add(1)
	if !f.cut() {
		return true
	}
	f.inside.Add(-1)
	if !vital(name) {
		<-f.draining
	}
	return false
}

// leave ends an operation that enter let through, and decides what pebble hears
// of it.
func (f *fence) leave(name string, err error) (void bool, out error) {
	f.inside.Add(-1)
	return f.settle(name, err)
}

// quiet waits until no operation is under way any more in a condemned fence: what
// passed before it was condemned may still be changing the disk. False if one
// hangs beyond patience.
func (f *fence) quiet(patience time.Duration) bool {
	const step = time.Millisecond
	for range patience / step {
		if f.inside.Load() == 0 {
			return true
		}
		timer := time.NewTimer(step)
		<-timer.C
	}
	return f.inside.Load() == 0
}

// Create implements vfs.FS.
func (f *fence) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.enter(name) {
		return f.void(name), nil
	}
	file, err := f.FS.Create(name, category)
	return f.wrap(name, file, err)
}

// OpenReadWrite implements vfs.FS.
func (f *fence) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if !f.enter(name) {
		return f.void(name), nil
	}
	file, err := f.FS.OpenReadWrite(name, category, opts...)
	return f.wrap(name, file, err)
}

// ReuseForWrite implements vfs.FS.
func (f *fence) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.enter(newname) {
		return f.void(newname), nil
	}
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.wrap(newname, file, err)
}

// OpenDir implements vfs.FS. A directory is synced on the log's behalf: that
// failing is vital.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fencedFile{File: dir, f: f, name: name + "/marker.directory"}, nil
}

// Remove implements vfs.FS.
func (f *fence) Remove(name string) error {
	return f.optional(func() error { return f.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (f *fence) RemoveAll(name string) error {
	return f.optional(func() error { return f.FS.RemoveAll(name) })
}

// optional runs an operation that pebble can live without.
func (f *fence) optional(op func() error) error {
	f.inside.Add(1)
	defer f.inside.Add(-1)
	if f.cut() {
		return nil
	}
	return op()
}

// Rename implements vfs.FS.
func (f *fence) Rename(oldname, newname string) error {
	if !f.enter(newname) {
		return nil
	}
	_, err := f.leave(newname, f.FS.Rename(oldname, newname))
	return err
}

// Link implements vfs.FS.
func (f *fence) Link(oldname, newname string) error {
	if !f.enter(newname) {
		return nil
	}
	_, err := f.leave(newname, f.FS.Link(oldname, newname))
	return err
}

// MkdirAll implements vfs.FS.
func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	if f.cut() {
		return nil
	}
	return f.FS.MkdirAll(dir, perm) // only Open makes directories, before all else
}

// Lock implements vfs.FS. The data directory is locked already, once for all its
// handles.
func (f *fence) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap implements vfs.FS.
func (f *fence) Unwrap() vfs.FS { return f.FS }

func (f *fence) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	void, err := f.leave(name, err)
	switch {
	case err != nil:
		return nil, err
	case void:
		return f.void(name), nil
	}
	return &fencedFile{File: file, f: f, name: name}, nil
}

func (f *fence) void(name string) vfs.File {
	return &fencedFile{File: vfs.NewMemFile(nil), f: f, name: name, void: true}
}
