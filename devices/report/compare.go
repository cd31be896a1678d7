package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteComparison writes runs of the same scenario side by side, for instance against
// two brokers. The first is the measure of the others: their figures have a ratio to its
// figures behind them. Runs that are not alike are compared all the same, and it is said
// in what they differ.
func WriteComparison(w io.Writer, runs []*Run) error {
	_, err := io.WriteString(w, Comparison(runs))
	return err
}

// Comparison is what WriteComparison writes; "" for no runs.
func Comparison(runs []*Run) string {
	if len(runs) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", clean(runs[0].Title))
	for _, note := range differences(runs) {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	writeGrid(&b, verdictComparison(runs))
	writeGrid(&b, figureComparison(runs))
	if len(runs) > 1 {
		fmt.Fprintf(&b, "\n(…×) is to %s. CPU and memory are the broker's, where it could be watched.\n", runs[0].name())
	}
	return b.String()
}

// differences says why the runs may not be comparable.
func differences(runs []*Run) []string {
	var notes []string
	differ := func(what string, of func(*Run) string) {
		for _, r := range runs[1:] {
			if of(r) != of(runs[0]) {
				notes = append(notes, fmt.Sprintf("%s differ: %q with %s, %q with %s", what, of(runs[0]), runs[0].name(), of(r), r.name()))
				return
			}
		}
	}
	differ("titles", func(r *Run) string { return clean(r.Title) })
	differ("seeds", func(r *Run) string { return fmt.Sprint(r.Seed) })
	differ("numbers of devices", func(r *Run) string { return count(r.Devices) })
	differ("planned durations", func(r *Run) string { return span(r.Planned) })
	differ("machines", func(r *Run) string { return clean(r.Machine) })
	for _, r := range runs {
		if r.Stopped != "" {
			notes = append(notes, r.name()+" was stopped early: "+clean(r.Stopped))
		}
		if len(r.Shortfalls) > 0 {
			notes = append(notes, "with "+r.name()+" not all of the scenario could be played: "+clean(r.Shortfalls[0].Reason))
		}
	}
	return notes
}

func heads(title string, runs []*Run) []string {
	head := []string{title}
	for _, r := range runs {
		head = append(head, fit(r.name(), 28))
	}
	return head
}

// verdictComparison has a row for each check that any of the runs has.
func verdictComparison(runs []*Run) grid {
	g := grid{head: heads("Verdict", runs)}
	row := []string{"verdict"}
	for _, r := range runs {
		row = append(row, r.headline())
	}
	g.rows = append(g.rows, row)
	seen := map[string]bool{}
	for _, r := range runs {
		for _, c := range r.Checks {
			if !seen[c.Name] {
				seen[c.Name] = true
				g.rows = append(g.rows, checkRow(runs, c))
			}
		}
	}
	return g
}

func checkRow(runs []*Run, like Check) []string {
	row := []string{clean(like.What)}
	for _, r := range runs {
		cell := "–"
		for _, c := range r.Checks {
			if c.Name == like.Name && c.OK {
				cell = clean(c.Got)
			} else if c.Name == like.Name {
				cell = "FAILS " + clean(c.Got)
			}
		}
		row = append(row, cell)
	}
	return row
}

// compared is a figure of a run: its name, its value (0: unknown) and how to write it.
type compared struct {
	name  string
	value func(*Run) float64
	write func(float64) string
}

func figureComparison(runs []*Run) grid {
	g := grid{head: heads("Figures", runs)}
	for _, c := range comparedFigures() {
		row, known := []string{c.name}, false
		base := finite(c.value(runs[0]))
		for i, r := range runs {
			f := finite(c.value(r))
			known = known || f > 0
			cell := "–"
			if f > 0 {
				cell = c.write(f)
			}
			if times := ratio(f, base); i > 0 && times != "" {
				cell += fmt.Sprintf(" (%s)", times)
			}
			row = append(row, cell)
		}
		if known {
			g.rows = append(g.rows, row)
		}
	}
	return g
}

func comparedFigures() []compared {
	duration := func(f float64) string { return span(time.Duration(f)) }
	whole := func(f float64) string { return count(uint64(f)) }
	bytes := func(f float64) string { return size(uint64(f)) }
	judged := func(of func(*Run) float64) func(*Run) float64 {
		return func(r *Run) float64 {
			if r.Verdict == nil {
				return 0
			}
			return of(r)
		}
	}
	watched := func(of func(*Run, *Usage) float64) func(*Run) float64 {
		return func(r *Run) float64 {
			if r.BrokerUsage == nil {
				return 0
			}
			return of(r, r.BrokerUsage)
		}
	}
	return []compared{
		{"devices connected", func(r *Run) float64 { return float64(r.Connected) }, whole},
		{"messages sent", judged(func(r *Run) float64 { return float64(r.Verdict.Total.Sent) }), whole},
		{"messages received", judged(func(r *Run) float64 { return float64(r.Verdict.Total.Received) }), whole},
		{"sent a second", func(r *Run) float64 { return activeRate(r.Timeline, sentRate) }, figure},
		{"received a second", func(r *Run) float64 { return activeRate(r.Timeline, receivedRate) }, figure},
		{"latency, mean", judged(func(r *Run) float64 { return float64(r.Verdict.Latency.Mean) }), duration},
		{"latency, p50", judged(func(r *Run) float64 { return float64(r.Verdict.Latency.P50) }), duration},
		{"latency, p99", judged(func(r *Run) float64 { return float64(r.Verdict.Latency.P99) }), duration},
		{"latency, p99.9", judged(func(r *Run) float64 { return float64(r.Verdict.Latency.P999) }), duration},
		{"latency, longest", judged(func(r *Run) float64 { return float64(r.Verdict.Latency.Max) }), duration},
		{"acknowledge, p99", judged(func(r *Run) float64 { return float64(r.Verdict.Ack.P99) }), duration},
		{"connect, p99", judged(func(r *Run) float64 { return float64(r.Verdict.Connect.P99) }), duration},
		{"reconnect, p99", judged(func(r *Run) float64 { return float64(r.Verdict.Resume.P99) }), duration},
		{"broker CPU, seconds", watched(func(_ *Run, u *Usage) float64 { return u.CPU }), figure},
		{"broker CPU a message", watched(cpuPerMessage), duration},
		{"broker memory, peak", watched(func(_ *Run, u *Usage) float64 { return float64(u.PeakRSS) }), bytes},
		{"broker memory a device", watched(func(_ *Run, u *Usage) float64 { return float64(u.PerDevice) }), bytes},
	}
}

func sentRate(s *Sample) float64     { return s.Sent }
func receivedRate(s *Sample) float64 { return s.Received }

// cpuPerMessage is nanoseconds of the broker's processors for each message that it took
// or gave.
func cpuPerMessage(r *Run, u *Usage) float64 {
	if r.Verdict == nil {
		return 0
	}
	n := float64(r.Verdict.Total.Sent) + float64(r.Verdict.Total.Received)
	if n == 0 {
		return 0
	}
	return u.CPU * 1e9 / n
}
