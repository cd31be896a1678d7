package report

import (
	"fmt"
	"strings"
	"time"
)

// Status is how a run stands while it goes on.
type Status struct {
	Title   string
	Phase   string // what the fleet does now, one word: "connecting", "publishing", "settling"
	Elapsed time.Duration
	Planned time.Duration // 0: the run has no end of its own
	Devices int

	Now Sample // the interval that ended last

	// Sent, Received and Lost count messages from the begin of the run on.
	Sent, Received, Lost uint64

	Faults   map[string]uint64 // by name, so far
	Refused  uint64            // connects, subscriptions and messages, so far
	Watched  bool              // the broker's CPU and memory are known
	Shortage string            // the last shortfall, in words; empty if there was none
}

const barWidth = 20

// StatusLines draws a Status in lines of at most width columns, without line ends. A
// width that is too small to hold anything gives lines that are cut.
func StatusLines(s *Status, width int) []string {
	width = max(width, 1)
	lines := []string{fit(clean(s.Title), width)}
	lines = append(lines, pack(s.headItems(), width)...)
	lines = append(lines, pack(s.messageItems(), width)...)
	lines = append(lines, pack(s.latencyItems(), width)...)
	lines = append(lines, pack(s.usageItems(), width)...)
	lines = append(lines, pack(s.faultItems(), width)...)
	if s.Shortage != "" {
		lines = append(lines, fit("short: "+clean(s.Shortage), width))
	}
	return lines
}

// StatusLine draws a Status in one line for a log.
func StatusLine(s *Status) string {
	n := &s.Now
	words := []string{
		span(s.Elapsed) + " " + clean(s.Phase),
		fmt.Sprintf("connected %s of %s", count(n.Connected), count(s.Devices)),
		"sent " + perSecond(n.Sent), "received " + perSecond(n.Received),
	}
	if n.Measured > 0 {
		words = append(words, "p50 "+span(n.P50), "p99 "+span(n.P99))
	}
	return strings.Join(append(words, s.faultItems()...), ", ")
}

func (s *Status) headItems() []string {
	when := clock(s.Elapsed)
	if s.Planned > 0 {
		when = bar(s.Elapsed, s.Planned) + " " + when + " of " + clock(s.Planned)
	}
	items := []string{when, clean(s.Phase), fmt.Sprintf("%s of %s connected", count(s.Now.Connected), count(s.Devices))}
	if s.Now.Connects > 0 {
		items = append(items, "connects "+perSecond(s.Now.Connects))
	}
	if s.Now.Dropped > 0 {
		items = append(items, "dropped "+perSecond(s.Now.Dropped))
	}
	if s.Now.Refused > 0 {
		items = append(items, "refused "+perSecond(s.Now.Refused))
	}
	return items
}

func (s *Status) messageItems() []string {
	return []string{
		"sent " + perSecond(s.Now.Sent), "acked " + perSecond(s.Now.Acked), "received " + perSecond(s.Now.Received),
		fmt.Sprintf("in all %s sent, %s received", count(s.Sent), count(s.Received)),
	}
}

func (s *Status) latencyItems() []string {
	n := &s.Now
	if n.Measured == 0 {
		return []string{"latency –"}
	}
	return []string{"latency p50 " + span(n.P50), "p90 " + span(n.P90), "p99 " + span(n.P99)}
}

func (s *Status) usageItems() []string {
	n := &s.Now
	items := []string{"fleet " + percent(n.FleetCPU) + " CPU, " + size(n.FleetRSS)}
	if s.Watched {
		items = append(items, "broker "+percent(n.BrokerCPU)+" CPU, "+size(n.BrokerRSS))
	}
	return items
}

func (s *Status) faultItems() []string {
	var items []string
	for _, t := range tallies(s.Faults) {
		items = append(items, fmt.Sprintf("%s× %s", count(t.count), t.name))
	}
	if s.Lost > 0 {
		items = append(items, count(s.Lost)+" lost")
	}
	if s.Refused > 0 {
		items = append(items, count(s.Refused)+" refused")
	}
	if len(items) == 0 {
		return []string{"no faults so far"}
	}
	return items
}

// pack sets items side by side, as many as the width holds, and the rest below.
func pack(items []string, width int) []string {
	const gap = "   "
	var lines []string
	line := ""
	for _, item := range items {
		switch {
		case item == "":
			continue
		case line == "":
			line = item
		case cells(line)+len(gap)+cells(item) <= width:
			line += gap + item
		default:
			lines = append(lines, fit(line, width))
			line = item
		}
	}
	return append(lines, fit(line, width))
}

// bar draws how much of a whole is done.
func bar(done, whole time.Duration) string {
	full := int(float64(barWidth) * min(max(float64(done)/float64(whole), 0), 1))
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "]"
}

// clock writes a duration as 1:05 or 2:03:09.
func clock(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
