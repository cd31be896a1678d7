package oracle

// judge is the pure core: events in one order in, a verdict out. No goroutine, lock or
// clock.
type judge struct {
	cfg Config
	now int64
}

func newJudge(cfg Config) *judge { return &judge{cfg: cfg} }

func (j *judge) step(e *Event) { j.now = e.At }

func (j *judge) snapshot() Snapshot { return Snapshot{} }

func (j *judge) finish(at int64) *Verdict { return &Verdict{} }
