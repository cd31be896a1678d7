package spool

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

var errDead = errors.New("the machine is off")

// disk is a file system in memory that forgets what was not synced when the
// power fails, and fails on demand.
type disk struct {
	mu     sync.Mutex
	now    map[string]*inode
	synced map[string]*inode // what the directory holds after a crash at the least
	locked map[string]bool
	ops    int // that change something
	dieAt  int // the operation that does not happen any more; 0 never
	dead   bool
	fail   func(op, name string) error // nil: works
}

type inode struct {
	data, synced []byte
}

func newDisk() *disk {
	return &disk{now: map[string]*inode{}, synced: map[string]*inode{}, locked: map[string]bool{}}
}

// do is asked before every operation; change tells whether it writes.
func (d *disk) do(op, name string, change bool) error {
	if change {
		d.ops++
		if d.ops == d.dieAt {
			d.dead = true
		}
	}
	if d.dead {
		return errDead
	}
	if d.fail != nil {
		return d.fail(op, name)
	}
	return nil
}

func (d *disk) setFail(f func(op, name string) error) {
	d.mu.Lock()
	d.fail = f
	d.mu.Unlock()
}

// crash gives the disk as it may look after a loss of power.
func (d *disk) crash(rng *rand.Rand) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := newDisk()
	all := maps.Clone(d.synced)
	maps.Copy(all, d.now)
	mode := rng.IntN(3) // nothing, everything, or anything that was not synced is there
	for _, name := range slices.Sorted(maps.Keys(all)) {
		node := d.synced[name]
		if mode == 1 || mode == 2 && rng.IntN(2) == 0 {
			node = d.now[name]
		}
		if node != nil {
			data := node.after(rng, mode)
			copied := &inode{data: data, synced: slices.Clone(data)}
			after.now[name], after.synced[name] = copied, copied
		}
	}
	return after
}

// after is the content that a crash leaves.
func (n *inode) after(rng *rand.Rand, mode int) []byte {
	switch {
	case mode == 0:
		return slices.Clone(n.synced)
	case mode == 1:
		return slices.Clone(n.data)
	case len(n.data) < len(n.synced) || string(n.data[:len(n.synced)]) != string(n.synced):
		return slices.Clone([][]byte{n.data, n.synced}[rng.IntN(2)])
	}
	more := len(n.data) - len(n.synced)
	data := slices.Clone(n.data[:len(n.synced)+rng.IntN(more+1)])
	if written := len(data) - len(n.synced); written > 0 && rng.IntN(2) == 0 {
		from := len(n.synced) + rng.IntN(written) // blocks that were not written yet
		clear(data[from : from+rng.IntN(len(data)-from+1)])
	}
	return data
}

func (d *disk) MkdirAll(string) error { return nil }

func (d *disk) List(string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name := range d.now {
		names = append(names, filepath.Base(name))
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names, d.do("list", "", false)
}

func (d *disk) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("create", name, true); err != nil {
		return nil, err
	}
	node := d.now[name]
	if node == nil {
		node = &inode{}
		d.now[name] = node
	}
	node.data = nil
	return &memFile{d, name, node}, nil
}

func (d *disk) Open(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("open", name, false); err != nil {
		return nil, err
	}
	if d.now[name] == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{d, name, d.now[name]}, nil
}

func (d *disk) Truncate(name string, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("truncate", name, true); err != nil {
		return err
	}
	node := d.now[name]
	node.data = slices.Clone(node.data[:size])
	node.synced = slices.Clone(node.data)
	return nil
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("rename", from, true); err != nil {
		return err
	}
	d.now[to] = d.now[from]
	delete(d.now, from)
	return nil
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("remove", name, true); err != nil {
		return err
	}
	if d.now[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.now, name)
	return nil
}

func (d *disk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("syncdir", "", true); err != nil {
		return err
	}
	d.synced = maps.Clone(d.now)
	return nil
}

func (d *disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("lock", name, false); err != nil {
		return nil, err
	}
	if d.locked[name] {
		return nil, ErrLocked
	}
	d.locked[name] = true
	return unlocker(func() {
		d.mu.Lock()
		delete(d.locked, name)
		d.mu.Unlock()
	}), nil
}

type unlocker func()

func (u unlocker) Close() error { u(); return nil }

// files gives the names with a suffix.
func (d *disk) files(suffix string) (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.now {
		if strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

type memFile struct {
	d    *disk
	name string
	node *inode
}

func (f *memFile) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	before := f.d.dead
	if err := f.d.do("write", f.name, true); err != nil {
		n := len(b) / 2 // a part may arrive
		if before {
			n = 0
		}
		f.node.data = append(f.node.data, b[:n]...)
		return n, err
	}
	f.node.data = append(f.node.data, b...)
	return len(b), nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do("read", f.name, false); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do("sync", f.name, true); err != nil {
		return err
	}
	f.node.synced = slices.Clone(f.node.data)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.node.data)), f.d.do("size", f.name, false)
}

func (f *memFile) Close() error { return nil }
