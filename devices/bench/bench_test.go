package bench

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

var update = flag.Bool("update", false, "rewrite testdata from what the code writes")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// sampleStep is the length of an interval of sample traces.
const sampleStep = 100 * time.Millisecond

// phases makes a trace of so many intervals of each phase; fill sets the rates.
func phases(counts map[string]int, fill func(phase string, i int, s *report.Sample)) *trace {
	t := &trace{}
	at := time.Duration(0)
	for _, phase := range []string{phaseWarmUp, phaseRunning, "settling", "leaving"} {
		for i := range counts[phase] {
			at += sampleStep
			s := report.Sample{At: at, BrokerRSS: 10 << 20}
			fill(phase, i, &s)
			t.add(&report.Status{Phase: phase, Now: s})
		}
	}
	return t
}

// sampleOutcome is a run of a measurement against a good broker.
func sampleOutcome(t *testing.T, name string, tr *trace) (*Measurement, *outcome) {
	t.Helper()
	m, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	p := m.Defaults
	v := &oracle.Verdict{Group: map[string]*oracle.Counts{"feeder": {Sent: uint64(p.Devices * p.Queued)}}}
	times := oracle.Quantiles{Count: 100, Min: 50_000, Mean: 100_000, P50: 90_000, P90: 150_000, P99: 400_000, P999: 800_000, Max: 1_200_000}
	v.Latency, v.Ack, v.Connect = times, times, times
	r := &report.Run{Verdict: v, Checks: []report.Check{{Name: "lost", What: "messages lost", Wanted: "none", Got: "none", OK: true}}}
	return m, &outcome{p: p, scenario: m.Scenario(p), run: r, trace: tr, cores: 2, watched: true}
}

// streaming is a trace of fan-in's defaults: 5,000 messages a second for 6 s, but for
// half as many while it warms up.
func streaming() *trace {
	return phases(map[string]int{phaseWarmUp: 2, phaseRunning: 60, "settling": 3}, func(phase string, i int, s *report.Sample) {
		if phase != phaseRunning {
			return
		}
		rate := 5000.0
		if i < 10 {
			rate /= 2
		}
		s.Sent, s.Received, s.BrokerCPU, s.FleetCPU, s.BrokerRSS = rate, rate, 25, 50, uint64(20+i)<<20
	})
}

// near compares a figure with what it should be.
func near(t *testing.T, m *Measurement, o *outcome, name string, want float64) {
	t.Helper()
	for i := range m.Figures {
		if f := &m.Figures[i]; f.Name == name {
			if got, ok := f.of(o); !ok || math.Abs(got-want) > 1e-6*max(want, 1) {
				t.Errorf("%s: %s is %v (%v), want %v", m.Name, name, got, ok, want)
			}
			return
		}
	}
	t.Errorf("%s has no figure %s", m.Name, name)
}

func TestStreamsAreMeasuredAfterTheWarmUp(t *testing.T) {
	m, o := sampleOutcome(t, "fan-in", streaming())
	near(t, m, o, "sent_per_s", 5000)
	near(t, m, o, "delivered_per_s", 5000)
	near(t, m, o, "broker_us_per_delivery", 50)
	near(t, m, o, "broker_cores", 0.25)
	near(t, m, o, "fleet_cores", 0.5)
	near(t, m, o, "broker_memory_mib", 79)
	near(t, m, o, "latency_p99_us", 400)
	if w := steady(o); w.from != 1200*time.Millisecond || w.to != 6200*time.Millisecond {
		t.Errorf("the window is from %v to %v", w.from, w.to)
	}
}

func TestUnwatchedBrokersHaveNoProcessorTime(t *testing.T) {
	m, o := sampleOutcome(t, "fan-in", streaming())
	o.watched = false
	for _, f := range m.Figures {
		_, ok := f.of(o)
		if strings.HasPrefix(f.Name, "broker_") && ok {
			t.Errorf("%s is known of a broker that nobody watched", f.Name)
		}
	}
}

func TestConnectionsAreMeasuredUntilAllStand(t *testing.T) {
	m, o := sampleOutcome(t, "connections", phases(map[string]int{phaseWarmUp: 10, phaseRunning: 50}, func(phase string, i int, s *report.Sample) {
		s.BrokerRSS = 10 << 20
		switch {
		case phase == phaseRunning:
			s.BrokerCPU, s.BrokerRSS = 2, 30<<20
		case i >= 5 && i < 9: // 2,000 devices within 0.4 s
			s.Connects, s.BrokerCPU = 5000, 80
		}
	}))
	near(t, m, o, "connects_per_s", 5000)
	near(t, m, o, "broker_us_per_connect", 160)
	near(t, m, o, "broker_bytes_per_connection", 20<<20/2000.0)
	near(t, m, o, "idle_cores", 0.02)
	near(t, m, o, "connect_p99_us", 400)
}

func TestRetainedStormEndsWithTheLastMessage(t *testing.T) {
	m, o := sampleOutcome(t, "retained-storm", phases(map[string]int{phaseWarmUp: 1, phaseRunning: 60, "settling": 2}, func(phase string, i int, s *report.Sample) {
		// The subscribers come 1.5 s after the begin: 25 with all and 25 with a tenth.
		if phase == phaseRunning && i >= 15 && i < 20 {
			s.Received, s.BrokerCPU = 27500/0.5, 50
		}
		if phase == phaseRunning && i < 3 {
			s.Sent, s.BrokerCPU = 1000/0.3, 90
		}
	}))
	near(t, m, o, "seconds", 0.5)
	near(t, m, o, "delivered_per_s", 55_000)
	near(t, m, o, "broker_us_per_delivery", 0.25e6/27500)
	if got := m.remarks(o, nil); len(got) > 0 {
		t.Errorf("a good round has remarks: %+v", got)
	}
}

func TestReconnectStormBeginsAtTheSilence(t *testing.T) {
	// The run lasts 6.5 s, and then all come back.
	m, o := sampleOutcome(t, "reconnect-storm", phases(map[string]int{phaseWarmUp: 3, phaseRunning: 65, "settling": 20}, func(phase string, i int, s *report.Sample) {
		if phase == "settling" && i < 4 {
			s.Connects = 500 / 0.4
		}
		if phase == "settling" && i < 10 {
			s.Received, s.BrokerCPU = 5000, 20
		}
	}))
	near(t, m, o, "half_back_s", 0.2)
	near(t, m, o, "all_back_s", 0.4)
	near(t, m, o, "all_served_s", 1)
	near(t, m, o, "broker_us_per_device", 0.2e6/500)
}

func TestRemarks(t *testing.T) {
	for _, c := range []struct {
		name   string // of the remark
		change func(o *outcome)
		fault  bool
		pids   []int
	}{
		{"", func(*outcome) {}, false, nil},
		{"lost", func(o *outcome) { o.run.Checks[0].OK, o.run.Checks[0].Got = false, "7" }, true, nil},
		{"load saturated", func(o *outcome) {
			for i := range o.trace.points {
				o.trace.points[i].FleetCPU = 181
			}
		}, false, nil},
		{"fewer sent", func(o *outcome) { o.p.Rate = 5200 }, false, nil},
		{"nothing measured", func(o *outcome) { o.trace = &trace{} }, false, nil},
		{"not watched", func(o *outcome) { o.watched = false }, false, []int{1 << 30}},
		{"coarse CPU", func(o *outcome) {
			for i := range o.trace.points {
				o.trace.points[i].BrokerCPU = 3
			}
		}, false, []int{1 << 30}},
		{"shortfall", func(o *outcome) {
			o.run.Shortfalls = []report.Shortfall{{Reason: "behind", Count: 3, Advice: "raise groups.NAME.inflight"}}
		}, false, nil},
		{"loss qos0", func(o *outcome) {
			o.p.Rate, o.p.QoS = 0, 0
			o.run.Verdict.Total.LostQoS0, o.run.Verdict.QoS[0].Expected = 5, 100
		}, false, nil},
	} {
		m, o := sampleOutcome(t, "fan-in", streaming())
		c.change(o)
		got := m.remarks(o, c.pids)
		if c.name == "" {
			if len(got) > 0 {
				t.Errorf("a good round has remarks: %+v", got)
			}
			continue
		}
		if len(got) != 1 || got[0].Name != c.name || got[0].Fault != c.fault || got[0].Text == "" {
			t.Errorf("%s: the remarks are %+v", c.name, got)
		}
		if strings.Contains(got[0].Text, "groups.") {
			t.Errorf("%s speaks of a scenario's keys: %s", c.name, got[0].Text)
		}
	}
}

func TestProcessorsOfProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells on which processors a process may run")
	}
	if !sharedProcessors(os.Getpid()) {
		t.Error("a process shares no processor with itself")
	}
	if sharedProcessors(1 << 30) {
		t.Error("a process that does not exist shares processors")
	}
}

// sampleResult compares two brokers in three rounds; the second loses a message in one.
func sampleResult(t *testing.T) *Result {
	t.Helper()
	m, err := Find("fan-in")
	if err != nil {
		t.Fatal(err)
	}
	r := newResult(m, &Options{Parameters: m.Defaults, Rounds: 3, Seed: 7, Version: "1.0.0", Targets: []Target{
		{Name: "ours", URL: "mqtt://127.0.0.1:1883"}, {URL: "mqtt://user:secret@127.0.0.1:1884"}}})
	r.Begun, r.Machine = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), "linux/amd64, 2 processors for the load"
	for round := range 3 {
		for target := range r.Targets {
			_, o := sampleOutcome(t, "fan-in", streaming())
			for i := range o.trace.points {
				o.trace.points[i].BrokerCPU *= 1 + float64(target) + 0.2*float64(round)
			}
			if target == 1 && round == 1 {
				o.run.Checks[0].OK, o.run.Checks[0].Got = false, "1"
			}
			if target == 0 {
				o.p.Rate = 6000 // which was not reached
			}
			r.note(m, o, target, round, nil, nil)
		}
	}
	r.sum(m)
	return r
}

func TestResultAsText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteText(&b, sampleResult(t)); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", b.String())
	if strings.Contains(b.String(), "secret") {
		t.Error("the text holds a password")
	}
}

func TestResultAsJSON(t *testing.T) {
	var b bytes.Buffer
	r := sampleResult(t)
	if err := WriteJSON(&b, []*Result{r}); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.json", b.String())
	if !r.Faulty() {
		t.Error("a broker that lost a message is not faulty")
	}
}

func TestStats(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Stats
	}{
		{[]float64{3}, Stats{3, 3, 3, 1}},
		{[]float64{3, 1}, Stats{2, 1, 3, 2}},
		{[]float64{9, 1, 2}, Stats{2, 1, 9, 3}},
		{[]float64{4, 3, 2, 1}, Stats{2.5, 1, 4, 4}},
	} {
		if got := statsOf(c.values); got != c.want {
			t.Errorf("%v: %+v", c.values, got)
		}
	}
}

func TestBetterNeedsRoundsThatDoNotOverlap(t *testing.T) {
	less, most := &Figure{Name: "f", Less: true}, &Figure{Name: "f"}
	for _, c := range []struct {
		f    *Figure
		a, b []float64
		want string
	}{
		{less, []float64{1, 2, 2}, []float64{3, 4, 4}, "A"},
		{most, []float64{1, 2, 2}, []float64{3, 4, 4}, "B"},
		{less, []float64{5, 6, 6}, []float64{3, 4, 4}, "B"},
		{less, []float64{1, 3, 3}, []float64{2, 4, 4}, ""},
		{less, []float64{1, 1}, []float64{3, 3}, ""},
		{less, []float64{100, 101, 101}, []float64{102, 103, 103}, ""},
		{&Figure{Name: "f", neutral: true}, []float64{1, 2, 2}, []float64{3, 4, 4}, ""},
	} {
		a, b := statsOf(c.a), statsOf(c.b)
		r := &Result{Targets: []Measured{{Figures: map[string]Stats{"f": a}}, {Figures: map[string]Stats{"f": b}}},
			Ratios: map[string]float64{"f": a.Median / b.Median}}
		if got := r.ratioCells(c.f); got[1] != c.want {
			t.Errorf("%v and %v: better is %q, want %q", c.a, c.b, got[1], c.want)
		}
		r.Remarks = []Remark{{Fault: true, Target: 1}}
		if got := r.ratioCells(c.f); got[1] != "" {
			t.Errorf("%q is better than a broker that broke a promise", got[1])
		}
	}
}

func TestOrderTurnsRound(t *testing.T) {
	if !slices.Equal(order(0, 2), []int{0, 1}) || !slices.Equal(order(1, 2), []int{1, 0}) || !slices.Equal(order(2, 2), []int{0, 1}) {
		t.Errorf("the order is %v, %v, %v", order(0, 2), order(1, 2), order(2, 2))
	}
}

// TestScenariosAreValid plans every measurement at its ends.
func TestScenariosAreValid(t *testing.T) {
	for _, m := range All() {
		for _, change := range []func(*Parameters){
			func(*Parameters) {},
			func(p *Parameters) { p.Devices, p.Window, p.Topics, p.Queued = m.least, 1, 1, 1 },
			func(p *Parameters) { p.Devices, p.Queued, p.Rate = min(m.most, 60_000), 7, maxRate },
			func(p *Parameters) { p.QoS, p.Rate, p.Payload = 2, 0, minPayload },
			func(p *Parameters) { p.QoS, p.Rate = 0, 0 },
			func(p *Parameters) { p.Protocol, p.Topics = "mqtt3.1.1", 2345 },
		} {
			p := m.Defaults
			change(&p)
			if p.QoS == 0 && m.acknowledged {
				continue
			}
			if err := m.CheckParameters(p); err != nil {
				t.Errorf("%+v: %v", p, err)
				continue
			}
			for _, build := range []func(Parameters) *scenario.Scenario{m.Scenario, m.Cleanup} {
				if build == nil {
					continue
				}
				s := build(p)
				s.Broker, s.Title = "mqtt://127.0.0.1:1883", m.Name
				if _, err := s.Plan(1); err != nil {
					t.Errorf("%s, %+v: %v", m.Name, p, err)
				}
			}
		}
	}
}

func TestFeedersServeAllAlike(t *testing.T) {
	for queued := 1; queued <= maxQueued; queued++ {
		if n := feedersOf(queued); n < 1 || n > 10 || queued%n != 0 {
			t.Fatalf("%d feeders for %d messages each", n, queued)
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Parameters){
		"--devices": func(p *Parameters) { p.Devices = 0 }, "--rate": func(p *Parameters) { p.Rate = math.NaN() },
		"--qos": func(p *Parameters) { p.QoS = 3 }, "--payload": func(p *Parameters) { p.Payload = 34 },
		"--seconds": func(p *Parameters) { p.Seconds = math.NaN() }, "--window": func(p *Parameters) { p.Window = 0 },
		"--topics": func(p *Parameters) { p.Topics = 0 }, "--queued": func(p *Parameters) { p.Queued = 1001 },
		"--protocol": func(p *Parameters) { p.Protocol = "mqtt" },
	} {
		for _, m := range All() {
			p := m.Defaults
			change(&p)
			if err := m.CheckParameters(p); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %s: the error is %v", m.Name, name, err)
			}
		}
	}
	m, _ := Find("reconnect-storm")
	p := m.Defaults
	if p.QoS = 0; m.CheckParameters(p) == nil {
		t.Error("reconnect-storm takes QoS 0, at which nothing waits")
	}
	if _, err := Find("fanin"); err == nil || !strings.Contains(err.Error(), "fan-in") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 0.0123: "0.012", 0.5: "0.50", 9.99: "9.99", 9.996: "10.0", 99.94: "99.9", 1234567: "1,234,567", 999: "999"} {
		if got := number(f); got != want {
			t.Errorf("%v is written %q, want %q", f, got, want)
		}
	}
}
