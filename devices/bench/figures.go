package bench

import (
	"math"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// outcome is one run and what it was of.
type outcome struct {
	p        Parameters
	scenario *scenario.Scenario
	run      *report.Run // with a verdict
	trace    *trace
	cores    int  // on which the load may run
	watched  bool // the broker's processor time and memory could be read
}

// steady is the window of streams: after the warm-up, until the publishers stop.
func steady(o *outcome) span {
	from, to := o.trace.running()
	publishers := o.scenario.Groups["pub"].Count
	return o.trace.between(from+o.p.warmUp(publishers), to)
}

// connecting is from the first connect until all devices stand.
func connecting(o *outcome) span {
	s, _ := o.trace.until(idleStart, func(s *span) bool { return reached(s.connects, o.p.Devices) })
	return s
}

// retainedFlow is from the subscribers' connect until nothing more comes.
func retainedFlow(o *outcome) span {
	from, _ := o.trace.running()
	from += storing(&o.p)
	last := o.trace.last(from, receivedRate)
	s, _ := o.trace.until(from, func(s *span) bool { return s.to >= last })
	return s
}

// returning is from the moment at which all come back until nothing more comes.
func returning(o *outcome) span {
	from := o.hushed()
	last := max(o.trace.last(from, receivedRate), o.trace.last(from, connectRate))
	s, _ := o.trace.until(from, func(s *span) bool { return s.to >= last })
	return s
}

func connectRate(p *point) float64 { return p.Connects }

// hushed is when the run fell silent, which brings back who is away.
func (o *outcome) hushed() time.Duration {
	from, _ := o.trace.running()
	return from + o.scenario.Duration
}

// back is the time until this share of the devices was back.
func (o *outcome) back(share float64) (float64, bool) {
	want := int(math.Ceil(share * float64(o.p.Devices)))
	s, ok := o.trace.until(o.hushed(), func(s *span) bool { return reached(s.connects, want) })
	return s.seconds(), ok
}

// reached compares a sum of rates with a count.
func reached(sum float64, count int) bool { return sum > float64(count)-0.5 }

// over is a quotient, where there is something to divide by.
func over(a, b float64) (float64, bool) {
	if b <= 0 || math.IsNaN(a) || math.IsInf(a, 0) {
		return 0, false
	}
	return a / b, true
}

// micros gives a duration in microseconds, where it was measured.
func micros(of func(v *oracle.Verdict) (oracle.Quantiles, int64)) func(o *outcome) (float64, bool) {
	return func(o *outcome) (float64, bool) {
		q, ns := of(o.run.Verdict)
		return float64(ns) / 1e3, q.Count > 0
	}
}

// cpu gives the broker's microseconds for each thing that count tells.
func (m *Measurement) cpu(count func(o *outcome, s *span) float64) func(o *outcome) (float64, bool) {
	return func(o *outcome) (float64, bool) {
		s := m.window(o)
		if !o.watched {
			return 0, false
		}
		return over(s.brokerCPU*1e6, count(o, &s))
	}
}

// memory is the broker's largest in the window.
func memory(window func(o *outcome) span) Figure {
	return Figure{Name: "broker_memory_mib", What: "broker's memory", Unit: "MiB", Less: true, of: func(o *outcome) (float64, bool) {
		s := window(o)
		return float64(s.brokerRSS) / (1 << 20), o.watched && s.brokerRSS > 0
	}}
}

// brokerCores is how many processors the broker kept busy in the window.
func brokerCores(name, what string, window func(o *outcome) span) Figure {
	return Figure{Name: name, What: what, Unit: "cores", Less: true, of: func(o *outcome) (float64, bool) {
		s := window(o)
		f, ok := over(s.brokerCPU, s.seconds())
		return f, ok && o.watched
	}}
}

// loadCores is the same for the load generator.
func loadCores(window func(o *outcome) span) Figure {
	return Figure{Name: "fleet_cores", What: "load's CPU", Unit: "cores", Less: true, neutral: true, of: func(o *outcome) (float64, bool) {
		s := window(o)
		return over(s.fleetCPU, s.seconds())
	}}
}

// received and devices are what processor time is divided by.
func received(_ *outcome, s *span) float64 { return s.received }
func devices(o *outcome, _ *span) float64  { return float64(o.p.Devices) }

func streamFigures() []Figure {
	m := &Measurement{window: steady}
	return []Figure{
		{Name: "sent_per_s", What: "sent", Unit: "/s", of: func(o *outcome) (float64, bool) { s := steady(o); return over(s.sent, s.seconds()) }},
		{Name: "delivered_per_s", What: "delivered", Unit: "/s", of: func(o *outcome) (float64, bool) { s := steady(o); return over(s.received, s.seconds()) }},
		{Name: "broker_us_per_delivery", What: "broker's CPU a delivery", Unit: "µs", Less: true, of: m.cpu(received)},
		brokerCores("broker_cores", "broker's CPU", steady),
		{Name: "latency_p50_us", What: "latency, p50", Unit: "µs", Less: true, of: micros(func(v *oracle.Verdict) (oracle.Quantiles, int64) { return v.Latency, v.Latency.P50 })},
		{Name: "latency_p99_us", What: "latency, p99", Unit: "µs", Less: true, of: micros(func(v *oracle.Verdict) (oracle.Quantiles, int64) { return v.Latency, v.Latency.P99 })},
		{Name: "latency_max_us", What: "latency, longest", Unit: "µs", Less: true, of: micros(func(v *oracle.Verdict) (oracle.Quantiles, int64) { return v.Latency, v.Latency.Max })},
		{Name: "ack_p99_us", What: "acknowledge, p99", Unit: "µs", Less: true, of: micros(func(v *oracle.Verdict) (oracle.Quantiles, int64) { return v.Ack, v.Ack.P99 })},
		memory(steady),
		loadCores(steady),
	}
}

func connectFigures() []Figure {
	m := &Measurement{window: connecting}
	return []Figure{
		{Name: "connects_per_s", What: "connects", Unit: "/s", of: func(o *outcome) (float64, bool) {
			s := connecting(o)
			return over(s.connects, s.seconds())
		}},
		{Name: "connect_p50_us", What: "connect, p50", Unit: "µs", Less: true, of: micros(func(v *oracle.Verdict) (oracle.Quantiles, int64) { return v.Connect, v.Connect.P50 })},
		{Name: "connect_p99_us", What: "connect, p99", Unit: "µs", Less: true, of: micros(func(v *oracle.Verdict) (oracle.Quantiles, int64) { return v.Connect, v.Connect.P99 })},
		{Name: "broker_us_per_connect", What: "broker's CPU a connect", Unit: "µs", Less: true, of: m.cpu(devices)},
		{Name: "broker_bytes_per_connection", What: "broker's memory a connection", Unit: "bytes", Less: true, Fresh: true, of: eachConnection},
		brokerCores("idle_cores", "broker's CPU when idle", holding),
		loadCores(connecting),
	}
}

// holding is the time in which all stand and nothing happens.
func holding(o *outcome) span { return o.trace.between(o.trace.running()) }

// eachConnection compares the broker's memory at the end with that before the first
// connect.
func eachConnection(o *outcome) (float64, bool) {
	before, after := uint64(0), uint64(0)
	for i := range o.trace.points {
		switch p := &o.trace.points[i]; {
		case p.At <= idleStart:
			before = p.BrokerRSS
		case p.phase == phaseRunning:
			after = p.BrokerRSS
		}
	}
	return float64(after-min(before, after)) / float64(o.p.Devices), o.watched && before > 0 && after > 0
}

func retainedFigures() []Figure {
	m := &Measurement{window: retainedFlow}
	return []Figure{
		{Name: "seconds", What: "until all had all", Unit: "s", Less: true, of: func(o *outcome) (float64, bool) {
			s := retainedFlow(o)
			return s.seconds(), s.received > 0
		}},
		{Name: "delivered_per_s", What: "retained messages delivered", Unit: "/s", of: func(o *outcome) (float64, bool) {
			s := retainedFlow(o)
			return over(s.received, s.seconds())
		}},
		{Name: "broker_us_per_delivery", What: "broker's CPU a delivery", Unit: "µs", Less: true, of: m.cpu(received)},
		memory(retainedFlow),
		loadCores(retainedFlow),
	}
}

func stormFigures() []Figure {
	m := &Measurement{window: returning}
	return []Figure{
		{Name: "half_back_s", What: "until half of them are back", Unit: "s", Less: true, of: func(o *outcome) (float64, bool) { return o.back(0.5) }},
		{Name: "all_back_s", What: "until all are back", Unit: "s", Less: true, of: func(o *outcome) (float64, bool) { return o.back(1) }},
		{Name: "all_served_s", What: "until all that waited is delivered", Unit: "s", Less: true, of: func(o *outcome) (float64, bool) {
			s := returning(o)
			return s.seconds(), s.received > 0
		}},
		{Name: "broker_us_per_device", What: "broker's CPU a device", Unit: "µs", Less: true, of: m.cpu(devices)},
		memory(returning),
		loadCores(returning),
	}
}
