package oracle

import "sync"

// Oracle takes the events of a run from its sources, merges them by time and judges
// them in a goroutine of its own, which Finish ends.
type Oracle struct {
	mu       sync.Mutex
	changed  sync.Cond // a source has more, or room, or the oracle ends
	queue    int       // events that a source may hold
	begun    int64
	sources  []*Source
	ending   bool // Finish was called: nothing is waited for any more
	stopped  chan struct{}
	verdict  *Verdict
	judging  sync.Mutex // held over the judge's steps and looks at it
	judge    *judge
	progress int64 // time of the last judged event; with judging held
}

// Snapshot is what a run has come to so far, for a display.
type Snapshot struct {
	At          int64              `json:"at_ns"` // judged up to here, since the begin of the run
	Total       Counts             `json:"total"` // Expected: of those that are decided
	Faults      [FaultCount]uint64 `json:"-"`
	ByFault     map[string]uint64  `json:"faults"`
	Connected   int                `json:"connected"`   // devices
	Outstanding int                `json:"outstanding"` // deliveries that have to come yet
	Queued      int                `json:"queued"`      // events not yet judged
	Latency     Quantiles          `json:"latency"`
}

// New makes an oracle for a run. Its goroutine lives until Finish.
func New(cfg Config) *Oracle {
	cfg = cfg.withDefaults()
	o := &Oracle{queue: cfg.Queue, begun: cfg.Begun, judge: newJudge(cfg), stopped: make(chan struct{})}
	o.changed.L = &o.mu
	go o.run()
	return o
}

// Source is one more source of events: an event loop or a child process, at most one
// for each goroutine that adds. The oracle judges no event before every source is
// past its time: a source that is silent holds up the others, and at last blocks them,
// until Add, Watermark or Close says more. Make the sources before the first event.
func (o *Oracle) Source() *Source {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := &Source{o: o, number: len(o.sources), closed: o.ending}
	o.sources = append(o.sources, s)
	return s
}

// Snapshot may be called at any time, also after Finish.
func (o *Oracle) Snapshot() Snapshot {
	o.mu.Lock()
	queued := 0
	for _, s := range o.sources {
		queued += len(s.in) + s.held
	}
	o.mu.Unlock()
	o.judging.Lock()
	defer o.judging.Unlock()
	snap := o.judge.snapshot()
	snap.Queued = queued
	if o.progress != 0 {
		snap.At = o.progress - o.begun
	}
	return snap
}

// Finish judges all that was added, decides what did not arrive, and ends the oracle's
// goroutine. It may be called again and gives the same verdict; the caller may change
// it, nobody else does.
func (o *Oracle) Finish() *Verdict {
	o.mu.Lock()
	o.ending = true
	o.changed.Broadcast()
	o.mu.Unlock()
	<-o.stopped
	return o.verdict
}

func (o *Oracle) run() {
	defer close(o.stopped)
	var m merger
	for o.collect(&m) {
		o.judging.Lock()
		m.each(o.judge.step)
		o.progress = max(o.progress, m.last)
		o.judging.Unlock()
	}
	o.judging.Lock()
	defer o.judging.Unlock()
	if m.late > 0 {
		o.judge.skipped["order: events that were earlier than one before them"] += m.late
	}
	o.verdict = o.judge.finish(m.last)
}

// collect waits until there is something to merge, and takes it; false at the end.
func (o *Oracle) collect(m *merger) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		m.take(o.sources, o.ending)
		o.changed.Broadcast() // there is room again
		if m.ready() {
			return true
		}
		if o.ending && m.empty() {
			return false
		}
		o.changed.Wait()
	}
}
