package pebble

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// scheduler grants compactions to one handle, as many as pebble asks for, but
// none before the handle is open for good: a compaction that runs while Open
// gives up panics in a goroutine of its own. Pebble's own scheduler also leaves
// its goroutine behind then.
type scheduler struct {
	db pebble.DBForCompaction // set by Register, before any other call

	mu      sync.Mutex
	on      bool
	running int

	poked chan struct{}
	stop  chan struct{}
	ended chan struct{}
}

var (
	_ pebble.CompactionScheduler   = (*scheduler)(nil)
	_ pebble.CompactionGrantHandle = (*scheduler)(nil)
)

func newScheduler() *scheduler {
	return &scheduler{poked: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
}

// start begins to grant.
func (c *scheduler) start() {
	c.mu.Lock()
	c.on = true
	c.mu.Unlock()
	go c.run()
}

// Register implements pebble.CompactionScheduler.
func (c *scheduler) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister implements pebble.CompactionScheduler. The database's Close calls
// it; from here on nothing is granted.
func (c *scheduler) Unregister() {
	c.mu.Lock()
	running := c.on
	c.on = false
	c.mu.Unlock()
	close(c.stop)
	if running {
		<-c.ended
	}
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !c.reserve() {
		return false, nil
	}
	return true, c
}

func (c *scheduler) reserve() bool {
	allowed := c.db.GetAllowedWithoutPermission()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on || c.running >= allowed {
		return false
	}
	c.running++
	return true
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (c *scheduler) UpdateGetAllowedWithoutPermission() { image.Poke(c.poked) }

// Started implements pebble.CompactionGrantHandle.
func (c *scheduler) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (c *scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (c *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done implements pebble.CompactionGrantHandle.
func (c *scheduler) Done() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	image.Poke(c.poked)
}

// run grants what waits when something changed, and now and then: how much is
// allowed depends on the backlog, which nobody announces.
func (c *scheduler) run() {
	defer close(c.ended)
	const interval = time.Second
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.poked:
		case <-c.stop:
			return
		}
		c.grant()
	}
}

func (c *scheduler) grant() {
	for {
		if waiting, _ := c.db.GetWaitingCompaction(); !waiting || !c.reserve() {
			return
		}
		if !c.db.Schedule(c) {
			c.mu.Lock()
			c.running--
			c.mu.Unlock()
			return
		}
	}
}
