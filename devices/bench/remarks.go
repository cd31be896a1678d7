package bench

import (
	"fmt"
	"math/big"
	"os"
	"strings"
)

// Remark says what makes figures worth less than they seem.
type Remark struct {
	Name   string `json:"name"`   // stable, for programs: "loss", "load saturated"
	Target int    `json:"target"` // which broker; -1: all
	Round  int    `json:"round"`  // from 1; 0: all
	// Fault: the broker broke a promise, and its figures are of no worth.
	Fault bool   `json:"fault"`
	Text  string `json:"text"` // for people
}

// Limits of what a load generator can be trusted with.
const (
	saturated  = 0.9  // of its processors
	offered    = 0.98 // of the messages that were to be sent in the window
	coarseCPU  = 0.2  // seconds of processor time, which the system counts in hundredths
	coarseSpan = 0.5  // seconds of a storm, which is looked at every twentieth
	spread     = 1.3  // largest to smallest of a figure
	few        = 1000 // connections, for memory each
)

// remarks judges one round.
func (m *Measurement) remarks(o *outcome, pids []int) (all []Remark) {
	add := func(name, format string, values ...any) {
		all = append(all, Remark{Name: name, Text: fmt.Sprintf(format, values...)})
	}
	for _, c := range o.run.Checks {
		if !c.OK {
			all = append(all, Remark{Name: c.Name, Fault: true, Text: fmt.Sprintf("%s: %s, wanted: %s", c.What, c.Got, c.Wanted)})
		}
	}
	if v := o.run.Verdict; o.p.flood() && v.Total.LostQoS0 > 0 {
		share, _ := over(100*float64(v.Total.LostQoS0), float64(v.QoS[0].Expected))
		add("loss qos0", "%s %% of the deliveries at QoS 0 are missing: with --rate 0 nothing holds the publishers back; give a --rate that the broker keeps up with", number(share))
	}
	for _, s := range o.run.Shortfalls {
		text := fmt.Sprintf("%s: %d times", s.Reason, s.Count)
		if advice := s.Advice; strings.Contains(advice, "groups.") {
			text += "; take a larger --window or a lower --rate"
		} else if advice != "" {
			text += "; " + advice
		}
		add("shortfall", "%s", text)
	}
	w := m.window(o)
	all = append(all, m.loadRemarks(o, &w)...)
	all = append(all, m.brokerRemarks(o, &w, pids)...)
	return all
}

// loadRemarks judge whether the load generator did what it was to do.
func (m *Measurement) loadRemarks(o *outcome, w *span) (all []Remark) {
	add := func(name, format string, values ...any) {
		all = append(all, Remark{Name: name, Text: fmt.Sprintf(format, values...)})
	}
	if w.seconds() <= 0 || w.received+w.connects == 0 {
		add("nothing measured", "nothing arrived in the measured time; take more --seconds or a higher --rate")
		return all
	}
	if used, n := w.fleetCPU/w.seconds(), o.cores; used >= saturated*float64(n) {
		add("load saturated", "the load generator used %s of its %s: rates and latencies may be its own and not the broker's; CPU a delivery holds",
			number(used), counted(n, "processor"))
	}
	if sent := w.sent / w.seconds(); m.paced && o.p.Rate > 0 && sent < offered*o.p.Rate {
		add("fewer sent", "%s messages a second were to be sent, and %s were: the load or the broker held them back", number(o.p.Rate), number(sent))
	}
	if m.Name == "retained-storm" {
		all = append(all, retainedRemarks(o, w)...)
	}
	if m.Name == "reconnect-storm" {
		if c := o.run.Verdict.Group["feeder"]; c != nil && c.Sent < uint64(o.p.Devices*o.p.Queued) {
			add("not all queued", "%d of %d messages could be published while the devices were away; take more --seconds", c.Sent, o.p.Devices*o.p.Queued)
		}
	}
	if !m.paced && w.seconds() < coarseSpan {
		add("coarse time", "it took %s s only, and is looked at every 0.05 s: take more --devices%s for exact times", number(w.seconds()), more(m))
	}
	return all
}

func more(m *Measurement) string {
	for _, flag := range m.Uses {
		if flag == "topics" || flag == "queued" {
			return " or --" + flag
		}
	}
	return ""
}

func retainedRemarks(o *outcome, w *span) (all []Remark) {
	if w.sent >= 1 {
		all = append(all, Remark{Name: "still storing", Text: "retained messages were still being published when the subscribers came; take fewer --topics"})
	}
	if want := retainedExpected(&o.p); w.received < want-0.5 && !reached(w.received, int(want)) {
		all = append(all, Remark{Name: "not all retained", Text: fmt.Sprintf("%.0f of %.0f retained messages came within the time; take more --seconds", w.received, want)})
	}
	return all
}

// brokerRemarks judge what could be seen of the broker's processes.
func (m *Measurement) brokerRemarks(o *outcome, w *span, pids []int) (all []Remark) {
	add := func(name, format string, values ...any) {
		all = append(all, Remark{Name: name, Text: fmt.Sprintf(format, values...)})
	}
	switch {
	case len(pids) == 0:
	case !o.watched:
		add("not watched", "nothing is known of process %d: its processor time can be read on Linux only, on the same machine", pids[0])
	case w.brokerCPU < coarseCPU && w.seconds() > 0:
		add("coarse CPU", "the broker used %s s of processor time in the measured time, which is counted in steps of 0.01 s; take more --seconds, --rate or --devices", number(w.brokerCPU))
	}
	if len(pids) > 0 && o.watched && sharedProcessors(pids[0]) {
		add("shared processors", "the broker and the load may run on the same processors and take them from each other; pin them apart with taskset")
	}
	if m.Name == "connections" && o.watched && o.p.Devices < few {
		add("few connections", "memory a connection says little with fewer than %d --devices", few)
	}
	return all
}

// sharedProcessors tells whether a process may run where this one may.
func sharedProcessors(pid int) bool {
	ours, theirs := processors("self"), processors(fmt.Sprint(pid))
	return ours != nil && theirs != nil && new(big.Int).And(ours, theirs).Sign() != 0
}

// processors is the set on which a process may run, by Linux; nil: unknown.
func processors(pid string) *big.Int {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return nil
	}
	_, rest, ok := strings.Cut(string(text), "\nCpus_allowed:")
	if !ok {
		return nil
	}
	line, _, _ := strings.Cut(rest, "\n")
	set, ok := new(big.Int).SetString(strings.ReplaceAll(strings.TrimSpace(line), ",", ""), 16)
	if !ok {
		return nil
	}
	return set
}

// spreadRemarks find figures that differ much from round to round.
func (r *Result) spreadRemarks() {
	for i := range r.Targets {
		for _, name := range []string{"broker_us_per_delivery", "broker_us_per_connect", "broker_us_per_device"} {
			s, ok := r.Targets[i].Figures[name]
			if ok && s.N > 1 && s.Max > spread*s.Min {
				r.Remarks = append(r.Remarks, Remark{Name: "spread", Target: i, Text: fmt.Sprintf(
					"the broker's CPU time differs between rounds by %s×: the machine does other work, or the rounds are too short", number(s.Max/max(s.Min, 1e-9)))})
			}
		}
	}
}
