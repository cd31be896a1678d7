package scenario

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"strings"
	"testing"
	"time"
)

// planOf loads a scenario's text and plans it.
func planOf(t *testing.T, text string, seed uint64) *Plan {
	t.Helper()
	s, err := parse("test.toml", []byte(text), nil)
	if err != nil {
		t.Fatalf("a valid scenario is refused:\n%v", err)
	}
	p, err := s.Plan(seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sampleOf gives so many devices, as many of each group as can be.
func sampleOf(p *Plan, devices int) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, g := range p.Groups {
			for n := range min(g.Count, uint32(devices/len(p.Groups))) {
				if !yield(g.First + n) {
					return
				}
			}
		}
	}
}

// actionsOf is all that some devices do, with every byte of their messages.
func actionsOf(p *Plan, devices, actions int) string {
	var b strings.Builder
	for i := range sampleOf(p, devices) {
		p.follow(i, actions, func(a *action) {
			fmt.Fprintf(&b, "%d %d %s %s %s", i, a.at, a.what, a.stream, a.detail)
			if m := a.m; m != nil {
				fmt.Fprintf(&b, " %s %d %d %x %s %d %v", m.Topic, m.Slot, m.Seq, m.Payload, m.Property, m.QoS, m.Retain)
			}
			b.WriteByte('\n')
		})
	}
	return b.String()
}

func TestTheSameSeedGivesTheSameSchedule(t *testing.T) {
	for _, info := range Profiles() {
		t.Run(info.Name, func(t *testing.T) {
			plan := func(seed uint64) string {
				s, err := Profile(info.Name, nil)
				if err != nil {
					t.Fatal(err)
				}
				p, err := s.Plan(seed)
				if err != nil {
					t.Fatal(err)
				}
				return actionsOf(p, 50, 1000)
			}
			first := plan(7)
			if first != plan(7) {
				t.Error("the same seed gave another schedule")
			}
			if first == plan(8) {
				t.Error("another seed gave the same schedule")
			}
		})
	}
}

func TestAnotherGroupChangesNothing(t *testing.T) {
	const group = "[groups.%s]\ncount = 3\n[groups.%s.publish.a]\ntopic = \"{id}\"\nschedule = \"poisson\"\nevery = \"1s\"\npayload.mark = \"none\"\n"
	alone := planOf(t, fmt.Sprintf(group, "m", "m"), 1)
	beside := planOf(t, fmt.Sprintf(group, "a", "a")+fmt.Sprintf(group, "m", "m"), 1)
	digest := func(p *Plan, i uint32) uint64 {
		h := fnv.New64()
		p.follow(i, 100, func(a *action) {
			fmt.Fprint(h, a.at, a.what)
			if a.m != nil {
				fmt.Fprintf(h, "%s %s", a.m.Topic, a.m.Payload)
			}
		})
		return h.Sum64()
	}
	for i := range uint32(3) {
		if digest(alone, i) != digest(beside, 3+i) {
			t.Errorf("device %d of group m does something else if there is a group a", i)
		}
	}
	if digest(beside, 0) == digest(beside, 3) {
		t.Error("the first devices of two groups do the same at the same times")
	}
}

// dues draws when the messages of one device are due.
func dues(p *Plan, device uint32, n int) []int64 {
	st := p.NewState(device)
	st.Begin(0)
	var m Message
	var out []int64
	for range n {
		at, stream, ok := st.Next()
		if !ok {
			break
		}
		st.Message(stream, at, &m)
		out = append(out, at)
	}
	return out
}

const oneStream = "duration = \"1h\"\n[groups.g]\ncount = 10\n[groups.g.publish.a]\ntopic = \"t/{id}\"\n"

func TestPoissonHasItsMean(t *testing.T) {
	p := planOf(t, oneStream+"schedule = \"poisson\"\nevery = \"100ms\"\n", 3)
	const n = 20_000
	at := dues(p, 0, n)
	mean := float64(at[n-1]-at[0]) / (n - 1) / 1e6
	if mean < 98 || mean > 102 {
		t.Errorf("mean wait %.2f ms, wanted 100", mean)
	}
	var square float64
	long := 0
	for i := 1; i < n; i++ {
		wait := float64(at[i]-at[i-1]) / 1e6
		square += (wait - mean) * (wait - mean)
		if wait > 100*math.Ln2 {
			long++
		}
	}
	if deviation := math.Sqrt(square / n); deviation < 95 || deviation > 105 {
		t.Errorf("standard deviation %.2f ms, of a Poisson process it is the mean, 100", deviation)
	}
	if share := float64(long) / n; share < 0.48 || share > 0.52 {
		t.Errorf("%.3f of the waits are longer than the median", share)
	}
}

func TestDiurnalFollowsTheDay(t *testing.T) {
	p := planOf(t, oneStream+"schedule = \"diurnal\"\nevery = \"10ms\"\nperiod = \"10s\"\nlow = 0.2\n", 3)
	var hours [10]int
	days := 0
	for _, at := range dues(p, 0, 40_000) {
		hours[at%int64(10*time.Second)/int64(time.Second)]++
		days = int(at/int64(10*time.Second)) + 1
	}
	total := 0
	for _, n := range hours {
		total += n
	}
	if mean := float64(days) * 1000; math.Abs(float64(total)-mean) > mean*0.03 {
		t.Errorf("%d messages in %d days, wanted about %.0f", total, days, mean)
	}
	night, noon := float64(hours[0]+hours[9]), float64(hours[4]+hours[5])
	if ratio := night / noon; ratio < 0.2 || ratio > 0.26 {
		t.Errorf("the two hours at midnight have %.3f of those at noon: %v", ratio, hours)
	}
	for i := 1; i < 5; i++ {
		if hours[i] <= hours[i-1] {
			t.Errorf("the morning's hour %d has fewer messages than the one before: %v", i, hours)
		}
	}
}

func TestBurstsComeTogether(t *testing.T) {
	p := planOf(t, oneStream+"schedule = \"burst\"\nevery = \"1s\"\ncount = 5\nlimit = 23\nafter = \"300ms\"\n", 3)
	at := dues(p, 0, 100)
	if len(at) != 23 {
		t.Fatalf("%d messages, limit is 23", len(at))
	}
	for i, got := range at {
		if want := int64(300*time.Millisecond) + int64(i/5)*int64(time.Second); got != want {
			t.Fatalf("message %d is due at %d, wanted %d", i, got, want)
		}
	}
}

func TestFixedIsSpreadOverTheDevices(t *testing.T) {
	p := planOf(t, oneStream+"every = \"1s\"\n", 3)
	firsts := map[int64]bool{}
	for i := range uint32(10) {
		at := dues(p, i, 3)
		if at[0] < 0 || at[0] >= int64(time.Second) || at[2]-at[0] != 2*int64(time.Second) {
			t.Errorf("device %d: due at %v", i, at)
		}
		firsts[at[0]] = true
	}
	if len(firsts) != 10 {
		t.Errorf("devices begin at the same time: %v", firsts)
	}
}

func TestAbsence(t *testing.T) {
	text := "[groups.g]\n" +
		"[groups.g.publish.kept]\ntopic = \"kept\"\nevery = \"1s\"\nafter = \"0s\"\naway = true\n" +
		"[groups.g.publish.lost]\ntopic = \"lost\"\nevery = \"1s\"\nafter = \"500ms\"\n" +
		"[groups.g.publish.once]\ntopic = \"once\"\nschedule = \"once\"\ncount = 2\n"
	st := planOf(t, text, 1).NewState(0)
	var m Message
	var got []string
	take := func(until int64) {
		for {
			at, stream, ok := st.Next()
			if !ok || at > until {
				return
			}
			st.Message(stream, max(at, 0), &m)
			got = append(got, fmt.Sprintf("%s#%d@%d", m.Topic, m.Seq, at/1e6))
		}
	}
	st.Begin(0)
	take(600e6)
	st.End()
	if _, _, ok := st.Next(); ok {
		t.Error("something is due while the device is away")
	}
	st.Begin(3200e6)
	take(3600e6)
	want := "kept#0@0 once#0@0 once#1@0 lost#0@500 " +
		"kept#1@1000 kept#2@2000 kept#3@3000 once#2@3200 once#3@3200 lost#1@3500"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestSleepAndFlap(t *testing.T) {
	p := planOf(t, "[groups.g]\ncount = 4\nsleep = {awake = \"10s\", asleep = \"5s\", jitter = 0.2, abrupt = 0.5}\n"+
		"misbehave = {share = 0.25, flap_every = \"1s\"}\n", 1)
	abrupt := 0
	st := p.NewState(0)
	for i := range 1000 {
		stay := st.Begin(int64(i))
		awake, asleep := stay.Leave-int64(i), stay.Back-stay.Leave
		if awake < 8e9 || awake > 12e9 || asleep < 4e9 || asleep > 6e9 {
			t.Fatalf("awake %d, asleep %d", awake, asleep)
		}
		if stay.Abrupt {
			abrupt++
		}
	}
	if abrupt < 450 || abrupt > 550 {
		t.Errorf("%d of 1000 departures are abrupt, wanted half", abrupt)
	}
	if p.Device(2).Misbehaves() || !p.Device(3).Misbehaves() {
		t.Error("the last quarter of the group misbehaves, and no other")
	}
	flapper, total := p.NewState(3), int64(0)
	for range 1000 {
		stay := flapper.Begin(0)
		if !stay.Abrupt && stay.Back == stay.Leave {
			t.Fatal("it comes back at once after a DISCONNECT")
		}
		total += stay.Leave
	}
	if mean := total / 1000; mean < 9e8 || mean > 11e8 {
		t.Errorf("it flaps every %d ns, wanted a second", mean)
	}
}

func TestBackoff(t *testing.T) {
	p := planOf(t, "[groups.g]\nreconnect = {min = \"1s\", max = \"5s\", jitter = 0.5, limit = 4}\n", 1)
	st := p.NewState(0)
	for tries, longest := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second} {
		for range 50 {
			wait, ok := st.Backoff(tries + 1)
			if !ok || wait > longest || wait < longest/2 {
				t.Fatalf("try %d: waits %v, %v", tries+1, wait, ok)
			}
		}
	}
	if _, ok := st.Backoff(5); ok {
		t.Error("it does not give up")
	}
}

func TestDump(t *testing.T) {
	p := planOf(t, "duration = \"2s\"\n[groups.lamp]\ncount = 2\nramp = 1\nwill = {topic = \"{id}\", payload = \"off\"}\n"+
		"[groups.lamp.publish.a]\ntopic = \"{id}\"\nevery = \"1s\"\nafter = \"0s\"\nretain = true\npayload = {text = \"{seq}\", mark = \"none\"}\n", 1)
	var b bytes.Buffer
	if err := p.Dump(&b, 2, 4); err != nil {
		t.Fatal(err)
	}
	want := `device 0: lamp-1, mqtt5 to mqtt://127.0.0.1:1883
      0.000s  connect  lamp-1
      0.000s  will     lamp-1 #0 QoS 0  off
      0.000s  publish  lamp-1 #1 QoS 0 retained  1
      1.000s  publish  lamp-1 #2 QoS 0 retained  2
device 1: lamp-2, mqtt5 to mqtt://127.0.0.1:1883
      1.000s  connect  lamp-2
      1.000s  will     lamp-2 #0 QoS 0  off
      1.000s  publish  lamp-2 #1 QoS 0 retained  1
      2.000s  publish  lamp-2 #2 QoS 0 retained  2
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestTextLoadsAgain(t *testing.T) {
	for _, name := range profileNames() {
		s, err := Profile(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(name, []byte(s.Text()), nil)
		if err != nil {
			t.Fatalf("%s: its own text is refused:\n%v", name, err)
		}
		p, err := s.Plan(1)
		if err != nil {
			t.Fatal(err)
		}
		q, err := again.Plan(1)
		if err != nil {
			t.Fatal(err)
		}
		if actionsOf(p, 20, 50) != actionsOf(q, 20, 50) || s.Text() != again.Text() {
			t.Errorf("%s: its text loaded again is another scenario", name)
		}
	}
}

func TestDumpTellsNoPassword(t *testing.T) {
	var b bytes.Buffer
	if err := planOf(t, "broker = \"mqtt://u:hidden@h\"\n[groups.g]\npassword = \"hidden\"\n", 1).Dump(&b, 9, 9); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "hidden") || !strings.Contains(b.String(), "u:xxxxx@h") {
		t.Errorf("the dump says %q", b.String())
	}
}
