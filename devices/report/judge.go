package report

import (
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// Judge says which expectations of a scenario hold. Of its devices, connected were
// connected at least once. Expectations that the scenario left out (0) have no Check,
// and neither has loss at QoS 0 where none was to be delivered. A missing verdict is a
// Check that fails.
func Judge(expect scenario.Expect, v *oracle.Verdict, devices, connected int) []Check {
	if v == nil {
		return []Check{{Name: "verdict", What: "a verdict", Wanted: "one", Got: "none", OK: false}}
	}
	checks := judgeConnected(expect, devices, connected)
	if least := expect.MinPublished; least > 0 {
		checks = append(checks, Check{
			Name: "min_published", What: "messages sent",
			Wanted: "at least " + count(least), Got: count(v.Total.Sent), OK: v.Total.Sent >= least,
		})
	}
	checks = append(checks, judgeUnanswered(expect, v)...)
	checks = append(checks, judgeFaults(expect, v)...)
	checks = append(checks, judgeRefusals(expect, v))
	checks = append(checks, judgeTimes(expect, v)...)
	return checks
}

// Passes tells whether a run with these checks passed: there is one, and all hold.
func Passes(checks []Check) bool {
	for _, c := range checks {
		if !c.OK {
			return false
		}
	}
	return len(checks) > 0
}

func judgeConnected(expect scenario.Expect, devices, connected int) []Check {
	if expect.Connected <= 0 {
		return nil
	}
	all, got := uint64(max(devices, 0)), uint64(max(connected, 0))
	// Compared by multiplying: 0.999 of 1,000 devices is 999, whatever rounding says.
	ok := float64(got) >= expect.Connected*float64(all)-1e-9*float64(all)
	return []Check{{
		Name: "connected", What: "devices connected", Wanted: wantedShare(expect.Connected),
		Got: fmt.Sprintf("%s of %s (%s)", count(got), count(all), share(got, all)), OK: ok && all > 0,
	}}
}

// atMost is the Check that n of all are no more than the share of them that is allowed.
func atMost(name, what string, allowed float64, n, all uint64) Check {
	wanted := "none"
	if allowed > 0 {
		wanted = "at most " + ofHundred(allowed)
	}
	return Check{
		Name: name, What: what, Wanted: wanted,
		Got: fmt.Sprintf("%s of %s (%s)", count(n), count(all), share(n, all)),
		OK:  float64(n) <= finite(allowed)*float64(all)*(1+1e-9),
	}
}

// judgeUnanswered counts the connects that nobody answered apart from refusals: a device
// tries again, and on a network that loses datagrams that is nobody's fault. Where there
// are none, and none are expected, there is no Check.
func judgeUnanswered(expect scenario.Expect, v *oracle.Verdict) []Check {
	n, all := v.Unanswered, max(v.Asked, v.Unanswered)
	if n == 0 && expect.Unanswered <= 0 {
		return nil
	}
	return []Check{atMost("unanswered", "connects given up unanswered", expect.Unanswered, n, all)}
}

func wantedShare(f float64) string {
	if f >= 1 {
		return "all"
	}
	return "at least " + ofHundred(f)
}

// faultCheck is a fault that no run may show, in words.
type faultCheck struct {
	fault oracle.Fault
	name  string
	what  string
}

func faultChecks(expect scenario.Expect) []faultCheck {
	lost, twice := "messages lost", "duplicates"
	if expect.LossQoS0 > 0 {
		lost = "messages lost at QoS 1 and 2"
	}
	if expect.Duplicates {
		twice = "duplicates at QoS 2"
	}
	return []faultCheck{
		{oracle.LostMessage, "lost", lost},
		{oracle.Duplicate, "duplicates", twice},
		{oracle.Reordered, "reordered", "messages out of order"},
		{oracle.WrongRetained, "retained", "wrong retained messages"},
		{oracle.WrongWill, "wills", "wrong Wills"},
		{oracle.Corrupt, "corrupt", "corrupt messages"},
		{oracle.Unwanted, "unwanted", "messages nobody subscribed to"},
		{oracle.SessionLost, "sessions", "sessions lost or made up"},
	}
}

func judgeFaults(expect scenario.Expect, v *oracle.Verdict) []Check {
	var checks []Check
	for _, f := range faultChecks(expect) {
		n := v.Faults[f.fault]
		checks = append(checks, Check{Name: f.name, What: f.what, Wanted: "none", Got: none(n), OK: n == 0})
		if f.fault == oracle.LostMessage {
			checks = append(checks, judgeLossQoS0(expect, v)...)
		}
	}
	return checks
}

func none(n uint64) string {
	if n == 0 {
		return "none"
	}
	return count(n)
}

func judgeLossQoS0(expect scenario.Expect, v *oracle.Verdict) []Check {
	lost := v.QoS[0].LostQoS0
	if lost == 0 {
		lost = v.Total.LostQoS0
	}
	due := max(v.QoS[0].Expected, lost)
	if due == 0 {
		return nil
	}
	return []Check{atMost("loss_qos0", "deliveries missing at QoS 0", expect.LossQoS0, lost, due)}
}

func judgeRefusals(expect scenario.Expect, v *oracle.Verdict) Check {
	n := v.Faults[oracle.RefusedAck]
	var listed uint64
	for _, times := range v.Refusals {
		listed += times
	}
	n = max(n, listed)
	c := Check{Name: "refusals", What: "refused connects, subscriptions, messages", Wanted: "none", Got: none(n), OK: n == 0}
	if expect.Refusals {
		c.Wanted, c.OK = "any", true
	}
	return c
}

func judgeTimes(expect scenario.Expect, v *oracle.Verdict) []Check {
	var checks []Check
	add := func(name, what string, most time.Duration, q oracle.Quantiles, got int64) {
		if most <= 0 {
			return
		}
		c := Check{Name: name, What: what, Wanted: "at most " + span(most), Got: "nothing measured"}
		if q.Count > 0 {
			c.Got, c.OK = span(time.Duration(got)), got <= int64(most)
		}
		if !c.OK && c.Got == span(most) { // the rounded figures must not contradict the mark
			c.Got = time.Duration(got).String()
		}
		checks = append(checks, c)
	}
	add("latency_p50", "latency, median", expect.Latency50, v.Latency, v.Latency.P50)
	add("latency_p99", "latency, 99 of 100", expect.Latency99, v.Latency, v.Latency.P99)
	add("latency_max", "latency, longest", expect.LatencyMax, v.Latency, v.Latency.Max)
	add("connect_p99", "time to connect, 99 of 100", expect.Connect99, v.Connect, v.Connect.P99)
	return checks
}
