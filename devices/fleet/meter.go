package fleet

import (
	"sync"

	"github.com/fairlead-iot/fairlead/devices/oracle"
)

// meter counts the events of all workers for the timeline.
type meter struct {
	mu      sync.Mutex
	counts  [oracle.Ends + 1]uint64
	latency oracle.Histogram
}

// reading is what a meter counted since the last one.
type reading struct {
	counts  [oracle.Ends + 1]uint64
	latency oracle.Histogram
}

func (m *meter) add(batch []oracle.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range batch {
		e := &batch[i]
		m.counts[e.Kind]++
		if e.Kind == oracle.Received && e.Sent != 0 && !e.Retain {
			m.latency.Record(e.At - e.Sent)
		}
	}
}

func (m *meter) take() (r reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.counts, r.latency = m.counts, m.latency
	m.counts = [oracle.Ends + 1]uint64{}
	m.latency = oracle.Histogram{}
	return r
}

// judged is the sink of a worker in the process that judges.
type judged struct {
	source *oracle.Source
	meter  *meter
}

func (j *judged) add(batch []oracle.Event) {
	j.meter.add(batch)
	j.source.Add(batch)
}

func (j *judged) watermark(before int64) { j.source.Watermark(before) }
func (j *judged) close()                 { j.source.Close() }
