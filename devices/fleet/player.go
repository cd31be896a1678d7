package fleet

import (
	"context"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/report"
)

// player waits through the phases of a run and takes samples meanwhile.
type player struct {
	f       *Fleet
	ctx     context.Context
	tick    *time.Ticker
	sampled int64 // when the last sample was taken
}

// until waits until done, for at most so long, or until the run is interrupted.
func (p *player) until(most time.Duration, done func() bool) {
	limit := time.NewTimer(most)
	defer limit.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-limit.C:
			return
		case <-p.tick.C:
			if p.f.clock.Now()-p.sampled >= int64(p.f.opt.Interval) {
				p.sample()
			}
			if done() {
				return
			}
		}
	}
}

// sample takes one, and tells it.
func (p *player) sample() {
	f := p.f
	now := f.clock.Now()
	past := time.Duration(now - p.sampled).Seconds()
	if past <= 0 {
		return
	}
	p.sampled = now
	r, snap, crew := f.meter.take(), f.oracle.Snapshot(), f.crew.status()
	rate := func(k oracle.Kind) float64 { return float64(r.counts[k]) / past }
	q := r.latency.Quantiles()
	lost := snap.Faults[oracle.LostMessage] - min(snap.Faults[oracle.LostMessage], f.last.Faults[oracle.LostMessage])
	s := report.Sample{
		At: time.Duration(now - f.begun), Connected: crew.Connected,
		Connects: rate(oracle.Connected), Refused: rate(oracle.Refused), Dropped: rate(oracle.Lost),
		Sent: rate(oracle.Publishing), Acked: rate(oracle.Published), Received: rate(oracle.Received),
		Lost: float64(lost) / past, Measured: q.Count,
		P50: time.Duration(q.P50), P90: time.Duration(q.P90), P99: time.Duration(q.P99),
	}
	for _, n := range snap.Faults {
		s.Faults += n
	}
	s.FleetCPU, s.FleetRSS = f.self.look(crew.Open)
	s.BrokerCPU, s.BrokerRSS = f.broker.look(0)
	f.last = snap
	f.samples = append(f.samples, s)
	if f.opt.Progress != nil {
		f.refused += r.counts[oracle.Refused]
		f.opt.Progress(f.standing(&s, &snap))
	}
}

// standing is how the run stands, for people.
func (f *Fleet) standing(s *report.Sample, snap *oracle.Snapshot) *report.Status {
	sc := f.opt.Scenario
	return &report.Status{
		Title: sc.Title, Phase: f.phase, Elapsed: s.At, Planned: sc.Duration + sc.Settle, Devices: f.plan.Len(), Now: *s,
		Sent: snap.Total.Sent, Received: snap.Total.Received, Lost: snap.Faults[oracle.LostMessage] + snap.Total.LostQoS0,
		Faults: snap.ByFault, Refused: f.refused, Watched: len(f.opt.BrokerPIDs) > 0,
	}
}
