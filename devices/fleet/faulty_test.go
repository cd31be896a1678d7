package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// village has everything that a broker can get wrong: all QoS, retained states, Wills,
// durable sessions that come and go, late subscribers.
const village = `
title = "A village"
broker = "mem://10.0.0.1:1883"
duration = "30s"
settle = "10s"

[groups.hub]
count = 2
warm_up = true
subscribe.all = { filter = "v/#", qos = 2 }

[groups.late]
count = 2
start = "10s"
subscribe.states = { filter = "v/+/state", qos = 1, every = "7s" }

[groups.lamp]
count = 6
ramp = 20
linger = true
will = { topic = "v/{id}/online", payload = "offline", qos = 1, retain = true, delay = "0s" }
publish.online = { topic = "v/{id}/online", qos = 1, retain = true, schedule = "once", count = 1, payload = { kind = "text", text = "online", mark = "none" } }
publish.state = { topic = "v/{id}/state", qos = 1, retain = true, every = "900ms", schedule = "poisson" }
publish.power = { topic = "v/{id}/power", qos_mix = [0.4, 0.3, 0.3], every = "250ms" }

[groups.sleeper]
count = 3
durable = true
session_expiry = "1h"
sleep = { awake = "4s", asleep = "3s", jitter = 0.5, abrupt = 0.3 }
subscribe.power = { filter = "v/lamp-1/power", qos = 2 }
`

// run plays a scenario against a broker in memory, in the bubble's time.
func run(t *testing.T, text string, f faults) *report.Run {
	t.Helper()
	path := filepath.Join(t.TempDir(), "village.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(path, []string{"seed=1"})
	if err != nil {
		t.Fatal(err)
	}
	n := simnet.New(1)
	ln, err := n.Listen("10.0.0.1:1883")
	if err != nil {
		t.Fatal(err)
	}
	b := startBroker(t, ln, f)
	defer b.stop()
	fl, err := New(Options{Scenario: s, Streams: Memory(n), Loops: 2, Portable: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := fl.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGoodBrokerPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, village, faults{})
		if !r.Passed || r.Verdict.Total.Expected < 1000 || len(r.Shortfalls) > 0 {
			t.Errorf("%s", report.Text(r))
		}
	})
}

func TestFaultyBrokerIsFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults faults
		finds  oracle.Fault
	}{
		{"loss", faults{lose: 50}, oracle.LostMessage},
		{"duplicate", faults{double: 50}, oracle.Duplicate},
		{"reorder", faults{swap: 50}, oracle.Reordered},
		{"corrupt", faults{corrupt: 50}, oracle.Corrupt},
		{"stale retained", faults{stale: 3}, oracle.WrongRetained},
		{"missing retained", faults{forgotten: 3}, oracle.WrongRetained},
		{"late will", faults{lateWill: 4 * time.Second}, oracle.WrongWill},
		{"missing will", faults{noWill: true}, oracle.WrongWill},
		{"misrouted", faults{misroute: 20}, oracle.Unwanted},
		{"forgotten sessions", faults{forget: true}, oracle.SessionLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, village, c.faults)
				if r.Passed || r.Verdict.Faults[c.finds] == 0 {
					t.Errorf("not found: %v\n%s", r.Verdict.ByFault, report.Text(r))
				}
			})
		})
	}
}
