package bench

import (
	"time"

	"github.com/fairlead-iot/fairlead/devices/report"
)

// interval is how often a run is looked at; the fleet does so no more often than every
// 50 ms, which is how exact the times of storms are.
const interval = 20 * time.Millisecond

// trace is a run's timeline with its phases.
type trace struct {
	points []point
}

// point is one interval of a run.
type point struct {
	phase string
	from  time.Duration // its begin; its end is At
	report.Sample
}

// add takes the next interval. It is a fleet.Options.Progress.
func (t *trace) add(s *report.Status) {
	var from time.Duration
	if n := len(t.points); n > 0 {
		from = t.points[n-1].At
	}
	t.points = append(t.points, point{phase: s.Phase, from: from, Sample: s.Now})
}

// The phases of a run, as fleet calls them.
const (
	phaseWarmUp  = "warm-up"
	phaseRunning = "running"
)

// running is when the groups without warm-up began, and when the last interval of that
// phase ended.
func (t *trace) running() (from, to time.Duration) {
	for i := range t.points {
		switch p := &t.points[i]; p.phase {
		case phaseWarmUp:
			from, to = p.At, p.At
		case phaseRunning:
			to = p.At
		}
	}
	return from, to
}

// span is what happened in a part of a run.
type span struct {
	from, to  time.Duration
	connects  float64
	sent      float64
	received  float64
	brokerCPU float64 // seconds
	fleetCPU  float64
	brokerRSS uint64 // at most
}

func (s *span) seconds() float64 { return (s.to - s.from).Seconds() }

func (s *span) add(p *point) {
	past := (p.At - p.from).Seconds()
	s.to = p.At
	s.connects += p.Connects * past
	s.sent += p.Sent * past
	s.received += p.Received * past
	s.brokerCPU += p.BrokerCPU / 100 * past
	s.fleetCPU += p.FleetCPU / 100 * past
	s.brokerRSS = max(s.brokerRSS, p.BrokerRSS)
}

// between adds up the intervals that begin at from or later and end at to or earlier.
func (t *trace) between(from, to time.Duration) (s span) {
	for i := range t.points {
		p := &t.points[i]
		if p.from < from || p.At > to {
			continue
		}
		if s.to == 0 {
			s.from = p.from
		}
		s.add(p)
	}
	return s
}

// until adds up all from the interval in which from lies until done; the span begins at
// from. It ends with the run if done never comes; false then.
func (t *trace) until(from time.Duration, done func(s *span) bool) (span, bool) {
	s := span{from: from, to: from}
	for i := range t.points {
		p := &t.points[i]
		if p.At <= from {
			continue
		}
		s.add(p)
		if done(&s) {
			return s, true
		}
	}
	return s, false
}

// last is the end of the last interval after from in which there was something to count.
func (t *trace) last(from time.Duration, rate func(p *point) float64) (at time.Duration) {
	for i := range t.points {
		if p := &t.points[i]; p.At > from && rate(p) > 0 {
			at = p.At
		}
	}
	return at
}

func receivedRate(p *point) float64 { return p.Received }
