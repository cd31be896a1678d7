package report

import (
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

func TestJudge(t *testing.T) {
	fault := func(f oracle.Fault) func(*scenario.Expect, *oracle.Verdict) {
		return func(_ *scenario.Expect, v *oracle.Verdict) { v.Faults[f] = 1 }
	}
	tests := []struct {
		name string
		bend func(*scenario.Expect, *oracle.Verdict)
		fail string // the one check that fails; "": none
	}{
		{"nothing wrong", func(*scenario.Expect, *oracle.Verdict) {}, ""},
		{"lost", fault(oracle.LostMessage), "lost"},
		{"duplicate", fault(oracle.Duplicate), "duplicates"},
		{"reordered", fault(oracle.Reordered), "reordered"},
		{"retained", fault(oracle.WrongRetained), "retained"},
		{"will", fault(oracle.WrongWill), "wills"},
		{"corrupt", fault(oracle.Corrupt), "corrupt"},
		{"unwanted", fault(oracle.Unwanted), "unwanted"},
		{"session", fault(oracle.SessionLost), "sessions"},
		{"refused", fault(oracle.RefusedAck), "refusals"},
		{"refused connect", func(_ *scenario.Expect, v *oracle.Verdict) { v.Refusals = map[string]uint64{"connect: busy": 1} }, "refusals"},
		{"refusals expected", func(e *scenario.Expect, v *oracle.Verdict) { e.Refusals, v.Faults[oracle.RefusedAck] = true, 9 }, ""},
		{"QoS 0 at the limit", func(e *scenario.Expect, v *oracle.Verdict) { v.QoS[0].LostQoS0 = 10 }, ""},
		{"QoS 0 over it", func(e *scenario.Expect, v *oracle.Verdict) { v.QoS[0].LostQoS0 = 11 }, "loss_qos0"},
		{"QoS 0 must be complete", func(e *scenario.Expect, v *oracle.Verdict) { e.LossQoS0, v.QoS[0].LostQoS0 = 0, 1 }, "loss_qos0"},
		{"too little sent", func(_ *scenario.Expect, v *oracle.Verdict) { v.Total.Sent = 99 }, "min_published"},
		{"slow in the middle", func(_ *scenario.Expect, v *oracle.Verdict) { v.Latency.P50 = 2e6 + 1 }, "latency_p50"},
		{"slow at the end", func(_ *scenario.Expect, v *oracle.Verdict) { v.Latency.P99 = 9e6 + 1 }, "latency_p99"},
		{"slow once", func(_ *scenario.Expect, v *oracle.Verdict) { v.Latency.Max = 1e9 }, "latency_max"},
		{"slow to connect", func(_ *scenario.Expect, v *oracle.Verdict) { v.Connect.P99 = 2e9 }, "connect_p99"},
		{"never connected", func(_ *scenario.Expect, v *oracle.Verdict) { v.Connect = oracle.Quantiles{} }, "connect_p99"},
		{"not asked", func(e *scenario.Expect, v *oracle.Verdict) {
			*e = scenario.Expect{}
			v.Latency.P99, v.Total.Sent = 1e18, 0
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := scenario.Expect{
				Connected: 0.999, LossQoS0: 0.01, MinPublished: 100, Connect99: time.Second,
				Latency50: 2 * time.Millisecond, Latency99: 9 * time.Millisecond, LatencyMax: 20 * time.Millisecond,
			}
			v := &oracle.Verdict{}
			v.Total.Sent, v.QoS[0].Expected = 100, 1000
			v.Latency = oracle.Quantiles{Count: 1, P50: 2e6, P99: 9e6, Max: 20e6}
			v.Connect = oracle.Quantiles{Count: 1, P99: 1e9}
			test.bend(&e, v)
			checks := Judge(e, v, 1000, 999)
			var failed []string
			for _, c := range checks {
				if !c.OK {
					failed = append(failed, c.Name)
				}
				if c.What == "" || c.Wanted == "" || c.Got == "" || !c.OK && c.Got == c.Wanted {
					t.Errorf("unclear: %+v", c)
				}
			}
			if test.fail == "" && len(failed) > 0 || test.fail != "" && (len(failed) != 1 || failed[0] != test.fail) {
				t.Errorf("failed: %q, want %q", failed, test.fail)
			}
			if Passes(checks) != (test.fail == "") {
				t.Errorf("Passes is %v", Passes(checks))
			}
		})
	}
}

func TestJudgeConnectedAndNothing(t *testing.T) {
	e := scenario.Expect{Connected: 1}
	for connected, want := range map[int]bool{9: false, 10: true} {
		if got := Passes(Judge(e, &oracle.Verdict{}, 10, connected)); got != want {
			t.Errorf("%d of 10 connected: passed is %v", connected, got)
		}
	}
	if Passes(Judge(e, &oracle.Verdict{}, 0, 0)) {
		t.Error("a run without devices passed")
	}
	if Passes(Judge(e, nil, 10, 10)) || Passes(nil) {
		t.Error("a run without a verdict passed")
	}
}
