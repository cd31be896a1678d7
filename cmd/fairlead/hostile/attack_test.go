package hostile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// target is what one hostile client may cost in resident memory (the promise),
// ceiling what a test tolerates where a row names nothing else: a collector may
// hold as much garbage as there is live, and the machine is shared.
const (
	target  = 32 << 20
	ceiling = 80 << 20
)

// attack is one row of the table of hostile clients.
type attack struct {
	name     string   // of the test and of its row in the table
	does     string   // what the attacker does, for the table
	holds    string   // what must hold, for the table
	settings []string // of the gateway, section.key=value
	wage     func(*testing.T, *arena)
	after    func(*testing.T, *arena) // what to look at once it is over, unless nil
	reasons  []string                 // whose counters must grow and that must have an explain record
	ceiling  int64                    // bytes; 0: the usual one
	full     bool                     // new clients may be refused meanwhile
	once     bool                     // cannot be waged again on the same gateway
	many     bool                     // an attack of many clients: the promise for one does not count
	needs    string                   // a fault that is known, and in which file it is to be mended
}

// arena is where an attack takes place.
type arena struct {
	*gateway
	mqtt      string // address of the plain listener
	innocents *innocents
	meter     *meter // of the gateway's memory, while it is attacked
	tolerant  bool   // the attack is known to succeed: its faults are told, not failed for
}

// fail tells what a known fault does; without one it fails.
func (at *arena) fail(t *testing.T, format string, a ...any) {
	t.Helper()
	if at.tolerant {
		t.Logf("known: "+format, a...)
		return
	}
	t.Errorf(format, a...)
}

// span is how long an attack goes on that would never end.
func span() time.Duration {
	if *full {
		return *lasting
	}
	return 500 * time.Millisecond
}

// size gives the quick size of an attack, or the full one.
func size(quick, whole int) int {
	if *full {
		return whole
	}
	return quick
}

// run wages the attacks, each against a gateway of its own.
func run(t *testing.T, all []attack) {
	for _, a := range all {
		t.Run(a.name, a.run)
	}
}

func (a attack) run(t *testing.T) {
	if !*full && !*updateFigures {
		t.Parallel() // their times mean nothing then
	}
	settings := append([]string{"listeners.mqtt.max_unauthenticated_per_address=16384"}, a.settings...)
	settings = append(settings, shares()...)
	g := startGateway(t, settings)
	at := &arena{gateway: g, mqtt: g.ready.Listeners["mqtt"], tolerant: a.needs != "" && !*faults}
	if at.tolerant {
		defer func() {
			if !t.Failed() {
				t.Skip("known fault: " + a.needs)
			}
		}()
	}
	at.innocents = startInnocents(t, at.mqtt)
	at.innocents.await(t, 50) // what it costs to serve them at all
	at.innocents.mark(t)
	at.innocents.await(t, size(100, int(min(*lasting/2, 4*time.Second)/pace)))
	before, counted := at.innocents.mark(t), at.metrics(t)
	elsewhere, during, grown := a.wageBoth(t, at, settings)
	at.innocents.finish(t)
	if during.Refused > 0 && !a.full {
		at.fail(t, "%d clients were refused meanwhile", during.Refused)
	}
	a.judge(t, at, counted, grown)
	note(t, figure{Name: a.name + sharesNote(), Does: a.does, Holds: a.holds, Grown: grown, Before: before, Elsewhere: elsewhere, During: during, Many: a.many, Fault: a.needs})
}

// shares are the settings of -share.
func shares() (settings []string) {
	for _, listener := range []string{"mqtt", "ws"} {
		if *share > 0 {
			settings = append(settings, fmt.Sprintf("listeners.%s.client_processor_share=%d", listener, *share))
		}
	}
	return settings
}

// sharesNote tells them in the name of a row.
func sharesNote() string {
	if *share == 0 {
		return ""
	}
	return fmt.Sprintf(" (`client_processor_share = %d`)", *share)
}

// wageOn wages the attack; with -full again and again, as the 99th percentile of a few
// messages says nothing. What a wave opened is closed before the next one.
func (a attack) wageOn(t *testing.T, at *arena) {
	t.Helper()
	if !*full || a.once {
		a.wage(t, at)
		return
	}
	began := time.Now()
	for n := 1; n == 1 || time.Since(began) < span(); n++ {
		if !t.Run(fmt.Sprint("wave ", n), func(t *testing.T) { a.wage(t, at) }) {
			return
		}
	}
}

// wageBoth wages the attack, with -full against another gateway first, while the innocent
// are served as before: attackers, gateways and innocents share one machine, and what the
// attack takes of its processors would otherwise be told of the gateway. By turns, as often
// as -rounds says: what the machine's host takes meanwhile meets both. It tells how the
// innocent were served during either, the median of the rounds, and by how many bytes the
// gateway grew.
func (a attack) wageBoth(t *testing.T, at *arena, settings []string) (elsewhere, during service, grown int64) {
	t.Helper()
	var other *arena
	if *full {
		decoy := startGatewayAt(t, ofDecoy, settings)
		defer decoy.stop(t)
		other = &arena{gateway: decoy, mqtt: decoy.ready.Listeners["mqtt"], innocents: at.innocents, tolerant: at.tolerant}
	}
	var there, here []service
	for range a.rounds() {
		if other != nil {
			took, _ := a.served(t, other)
			there = append(there, took)
			at.innocents.await(t, 200) // what the attack left in the kernel is over
		}
		took, bytes := a.served(t, at)
		here, grown = append(here, took), max(grown, bytes)
	}
	return middle(there), middle(here), grown
}

// rounds is how often the attack is waged by turns.
func (a attack) rounds() int {
	if a.once || !*full {
		return 1
	}
	return max(*rounds, 1)
}

// served wages the attack and tells how the innocent were served meanwhile, and by how many
// bytes the attacked gateway grew.
func (a attack) served(t *testing.T, at *arena) (took service, grown int64) {
	t.Helper()
	at.innocents.mark(t)
	at.meter = startMeter(at.ready.PID)
	a.wageOn(t, at)
	grown = at.meter.done()
	return at.innocents.mark(t), grown
}

// judge looks at what must hold after every attack.
func (a attack) judge(t *testing.T, at *arena, counted map[string]float64, grown int64) {
	t.Helper()
	select {
	case <-at.exited:
		t.Fatal("the gateway died")
	default:
	}
	if code := dial(t, at.mqtt).hello(t, "afterwards"); code != packet.ReasonSuccess {
		at.fail(t, "a new client is refused afterwards: %#x", byte(code))
	}
	if a.after != nil {
		a.after(t, at)
	}
	for _, r := range a.reasons {
		name := `fairlead_reason_total{reason="` + r + `"}`
		if !soon(func() bool { return at.metrics(t)[name] > counted[name] }) {
			t.Errorf("the counter of %s did not grow; what grew: %v", r, grew(counted, at.metrics(t)))
		}
		if !soon(func() bool { return len(at.explain(t, r)) > 0 }) {
			t.Errorf("no explain record of %s", r)
		}
	}
	limit := a.ceiling
	if limit == 0 {
		limit = ceiling
	}
	if !*full && !*updateFigures {
		limit += limit / 4 // beside other attacks the collector comes late
	}
	t.Logf("grew by %.1f MiB", float64(grown)/(1<<20))
	if grown > limit {
		at.fail(t, "the process grew by %d MiB, at most %d are tolerated", grown>>20, limit>>20)
	}
}

// grew lists the counters of reasons that are higher than before.
func grew(before, after map[string]float64) (names []string) {
	for name, v := range after {
		if strings.HasPrefix(name, "fairlead_reason_total") && v > before[name] {
			names = append(names, fmt.Sprintf("%s by %v", name, v-before[name]))
		}
	}
	slices.Sort(names)
	return names
}

// wantCode fails unless the gateway answered with the code.
func wantCode(t *testing.T, what string, got, want packet.ReasonCode) {
	t.Helper()
	if got != want {
		t.Errorf("%s: code %#x, wanted %#x", what, byte(got), byte(want))
	}
}
