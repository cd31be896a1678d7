package report

import (
	"fmt"
	"time"
)

// plotsOf are the plots that say something about a run. Those without a figure above 0
// are left out, but for connections and messages, where nothing is news.
func plotsOf(r *Run, samples []Sample) []drawing {
	if len(samples) == 0 {
		return nil
	}
	messages := func(_, most float64) axis { return linearAxis(most, 1, shortCount) }
	rates := plot{title: "Messages a second", write: perSecond, axis: messages, curves: []curve{
		{"sent", always(sentRate), 1}, {"received", always(receivedRate), 2}, {"acknowledged", always(func(s *Sample) float64 { return s.Acked }), 3},
	}}
	connected := plot{
		title: "Devices connected", write: whole, area: true, limit: float64(max(r.Devices, 0)), mark: "all " + count(r.Devices),
		axis:   func(_, most float64) axis { return countAxis(most) },
		curves: []curve{{"connected", always(func(s *Sample) float64 { return float64(s.Connected) }), 1}},
	}
	plots := []plot{connected, rates}
	for _, p := range []plot{latencyPlot(), connectPlot(), cpuPlot(), memoryPlot(), faultPlot()} {
		p.dropSilent(samples)
		if len(p.curves) > 0 {
			plots = append(plots, p)
		}
	}
	var drawings []drawing
	for i := range plots {
		drawings = append(drawings, plots[i].draw(fmt.Sprintf("plot%d", i+1), samples))
	}
	return drawings
}

// dropSilent removes the curves that never leave 0.
func (p *plot) dropSilent(samples []Sample) {
	var kept []curve
	for _, c := range p.curves {
		one := plot{curves: []curve{c}}
		if _, most := one.reach(samples); most > 0 {
			kept = append(kept, c)
		}
	}
	p.curves = kept
}

func always(f func(*Sample) float64) func(*Sample) (float64, bool) {
	return func(s *Sample) (float64, bool) { return f(s), true }
}

func whole(f float64) string { return count(uint64(finite(f))) }

func latencyPlot() plot {
	latency := func(of func(*Sample) time.Duration) func(*Sample) (float64, bool) {
		return func(s *Sample) (float64, bool) { return float64(of(s)), s.Measured > 0 }
	}
	return plot{
		title: "Latency, PUBLISH to receipt", axis: logAxis,
		write: func(f float64) string { return span(time.Duration(f)) },
		curves: []curve{
			{"p50", latency(func(s *Sample) time.Duration { return s.P50 }), 1},
			{"p90", latency(func(s *Sample) time.Duration { return s.P90 }), 2},
			{"p99", latency(func(s *Sample) time.Duration { return s.P99 }), 3},
		},
	}
}

func connectPlot() plot {
	return plot{
		title: "Connections a second", write: perSecond,
		axis: func(_, most float64) axis { return linearAxis(most, 1, shortCount) },
		curves: []curve{
			{"accepted", always(func(s *Sample) float64 { return s.Connects }), 1},
			{"dropped", always(func(s *Sample) float64 { return s.Dropped }), 2},
			{"refused", always(func(s *Sample) float64 { return s.Refused }), 3},
		},
	}
}

func cpuPlot() plot {
	return plot{
		title: "Processor, % of one core", write: percent,
		axis: func(_, most float64) axis { return linearAxis(most, 1, shortCount) },
		curves: []curve{
			{"broker", always(func(s *Sample) float64 { return s.BrokerCPU }), 1},
			{"fleet", always(func(s *Sample) float64 { return s.FleetCPU }), 2},
		},
	}
}

func memoryPlot() plot {
	bytes := func(f float64) string { return size(uint64(finite(f))) }
	return plot{
		title: "Resident memory", write: bytes,
		axis: func(_, most float64) axis { return linearAxis(most, byteUnit(most), bytes) },
		curves: []curve{
			{"broker", always(func(s *Sample) float64 { return float64(s.BrokerRSS) }), 1},
			{"fleet", always(func(s *Sample) float64 { return float64(s.FleetRSS) }), 2},
		},
	}
}

func faultPlot() plot {
	return plot{
		title: "Faults found so far", write: whole,
		axis:   func(_, most float64) axis { return countAxis(most) },
		curves: []curve{{"faults", always(func(s *Sample) float64 { return float64(s.Faults) }), 1}},
	}
}
