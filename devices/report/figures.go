package report

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
)

// These turn a Run into words and cells, for the text and for the web page alike.

// grid is a table in words: a head and rows of equal length. The first column is
// text, the others are figures unless text says otherwise.
type grid struct {
	head []string
	rows [][]string
	text []bool // by column: aligned left
}

// headline is the verdict in one word.
func (r *Run) headline() string {
	switch {
	case r.Verdict == nil:
		return "NO VERDICT"
	case r.Passed:
		return "PASSED"
	}
	return "FAILED"
}

// reasons say in a few words why the headline is what it is, and what weakens it.
func (r *Run) reasons() []string {
	held := 0
	for _, c := range r.Checks {
		if c.OK {
			held++
		}
	}
	words := []string{fmt.Sprintf("%d of %d expectations hold", held, len(r.Checks))}
	if held == len(r.Checks) {
		words[0] = fmt.Sprintf("all %d expectations hold", held)
	}
	if len(r.Checks) == 0 {
		words[0] = "no expectation was judged"
	}
	if r.Stopped != "" {
		words = append(words, "stopped early: "+clean(r.Stopped))
	}
	if r.Verdict != nil {
		if n := sum(r.Verdict.Skipped); n > 0 {
			words = append(words, plural(n, "event")+" could not be judged")
		}
	}
	if n := len(r.Shortfalls); n > 0 {
		words = append(words, plural(uint64(n), "shortfall")+" of the fleet")
	}
	return words
}

func sum(counts map[string]uint64) uint64 {
	var n uint64
	for _, c := range counts {
		n += c
	}
	return n
}

// name is what comparisons call the run's broker.
func (r *Run) name() string {
	if r.Name != "" {
		return clean(r.Name)
	}
	return clean(r.Broker)
}

// tally is a name and how often.
type tally struct {
	name  string
	count uint64
}

// tallies lists counts, the largest first.
func tallies(counts map[string]uint64) []tally {
	var list []tally
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[name]; n > 0 {
			list = append(list, tally{clean(name), n})
		}
	}
	slices.SortStableFunc(list, func(a, b tally) int {
		switch {
		case a.count > b.count:
			return -1
		case a.count < b.count:
			return 1
		}
		return 0
	})
	return list
}

func (r *Run) messageGrid() grid {
	g := grid{head: []string{"Messages", "sent", "acked", "expected", "delivered", "missing", "repeated", "extra", "unfinished"}}
	for qos, c := range r.Verdict.QoS {
		if c == (oracle.Counts{}) {
			continue
		}
		g.rows = append(g.rows, countCells(fmt.Sprintf("QoS %d", qos), c, qos == 0))
	}
	if len(g.rows) != 1 {
		g.rows = append(g.rows, countCells("all", r.Verdict.Total, false))
	}
	return g
}

func countCells(name string, c oracle.Counts, unacked bool) []string {
	acked, unfinished := count(c.Acked), count(c.Unfinished)
	if unacked {
		acked, unfinished = "–", "–"
	}
	return []string{
		name, count(c.Sent), acked, count(c.Expected), count(c.Delivered), count(minus(c.Expected, c.Delivered)),
		count(c.Repeated), count(c.Optional), unfinished,
	}
}

func (r *Run) groupGrid() grid {
	g := grid{
		head: []string{"Groups", "speaks", "devices", "connected", "sent", "acked", "received", "missing"},
		text: []bool{true, true},
	}
	for _, group := range r.Groups {
		row := []string{clean(group.Name), clean(group.Protocol), count(group.Devices), count(group.Connected)}
		var c oracle.Counts
		if r.Verdict != nil && r.Verdict.Group[group.Name] != nil {
			c = *r.Verdict.Group[group.Name]
		}
		row = append(row, count(c.Sent), count(c.Acked), count(c.Received), count(minus(c.Expected, c.Delivered)))
		g.rows = append(g.rows, row)
	}
	return g
}

// times are the durations of a verdict that were measured.
func (r *Run) times() []namedTimes {
	v := r.Verdict
	all := []namedTimes{{"delivery", v.Latency}, {"acknowledge", v.Ack}, {"connect", v.Connect}, {"reconnect", v.Resume}}
	return slices.DeleteFunc(all, func(t namedTimes) bool { return t.q.Count == 0 })
}

type namedTimes struct {
	name string
	q    oracle.Quantiles
}

func (r *Run) timeGrid() grid {
	g := grid{head: []string{"Time to", "min", "mean", "p50", "p90", "p99", "p99.9", "max", "measured"}}
	for _, t := range r.times() {
		row := []string{t.name}
		for _, ns := range []int64{t.q.Min, t.q.Mean, t.q.P50, t.q.P90, t.q.P99, t.q.P999, t.q.Max} {
			row = append(row, span(time.Duration(ns)))
		}
		g.rows = append(g.rows, append(row, count(t.q.Count)))
	}
	return g
}

func (r *Run) usageGrid() grid {
	g := grid{head: []string{"Needed", "CPU", "of a core", "peak memory", "per device", "to warm up", "per delivery"}}
	add := func(name string, u *Usage) {
		if u == nil || *u == (Usage{}) {
			return
		}
		row := []string{name, figure(u.CPU) + " s", "–", size(u.PeakRSS), "–", "–", "–"}
		if s := r.Took.Seconds(); s > 0 {
			row[2] = percent(u.CPU / s * 100)
		}
		if u.PerDevice > 0 {
			row[4] = size(u.PerDevice)
		}
		if u.Warm > 0 {
			row[5] = figure(u.Warm) + " s"
		}
		if u.Played > 0 && r.Played > 0 {
			row[6] = span(time.Duration(u.Played / float64(r.Played) * float64(time.Second)))
		}
		g.rows = append(g.rows, row)
	}
	add("fleet", &r.Fleet)
	add("broker", r.BrokerUsage)
	return g
}

// activeRate is the mean of a rate over the time in which it was not 0. Intervals are
// weighed by their length.
func activeRate(timeline []Sample, rate func(*Sample) float64) float64 {
	var total, seconds float64
	var before time.Duration
	for i := range timeline {
		s := &timeline[i]
		length := (s.At - before).Seconds()
		before = s.At
		if f := finite(rate(s)); f > 0 && length > 0 {
			total += f * length
			seconds += length
		}
	}
	if seconds == 0 {
		return 0
	}
	return total / seconds
}
