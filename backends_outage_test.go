package fairlead

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

var (
	outage     = flag.Duration("outage", 6*time.Second, "how long databases are away in TestServiceOutage")
	outageRate = flag.Int("outage-rate", 160, "messages a second of TestServiceOutage, to each database")
	outageFull = flag.Bool("outage-full", false, "TestServiceOutage with the store's memtable and cache as they are by default, filled before")
	kills      = flag.Int("kills", 2, "how often TestServiceGatewayKilled kills the gateway in each state of the database")
)

// The kinds of the load, which are the beginning of its topics: what acknowledgements
// wait for, and free for what no rule is about.
const free = "free"

func kinds() []string { return []string{rules.AckSync, rules.AckSpool, rules.AckNone, free} }

// publishRules store each kind as its name says.
func publishRules() (list []rules.Rule) {
	for _, ack := range kinds()[:3] {
		list = append(list, rules.Rule{Hook: rules.MessagePublish, Topic: ack + "/#", Function: rules.OnMessagePublish, Ack: ack})
	}
	return list
}

// outageRun is one database that goes away under load.
type outageRun struct {
	*process
	of     store
	load   *traffic
	stored func(topic string) []string
}

func startOutageRun(t *testing.T, of store, rate int) *outageRun {
	use, stored := of.open(t)
	c := testConfig("")
	c.Backends.SyncTime, c.Backends.Timeout = min(10*time.Second, *outage/2), min(30*time.Second, *outage*3/4)
	use(&c, publishRules())
	r := &outageRun{process: newProcess(t, c.Backends), of: of, stored: stored}
	r.start()
	const each = 8
	r.load = newTraffic(t, time.Second*each*4/time.Duration(rate))
	for _, kind := range kinds() {
		r.load.add(kind, each)
	}
	r.load.move(r.mqtt)
	return r
}

// A database is away under load: it answers nothing, then it is killed. With ack = "sync"
// nobody is told meanwhile that the database has a message, and afterwards it has all that
// were acknowledged; with the spool and without it has all messages; each topic is in
// order. No device is disconnected, those that no rule is about notice nothing, nor does
// memory, and the log says it once.
func TestServiceOutage(t *testing.T) {
	for _, of := range stores() {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			r := startOutageRun(t, of, *outageRate)
			r.subscriber()
			r.load.run()
			if *outageFull {
				r.fill()
			}
			for _, kind := range kinds() {
				r.load.more(kind, 20)
			}
			t.Log("| database | outage | messages a second | acknowledged meanwhile sync, spool, none, free | slowest free | sync refused | MiB before, most, after | lines logged |")
			r.outage("no answer", testservice.Pause, testservice.Resume)
			r.outage("killed", testservice.Kill, testservice.Start)
			r.load.end()
			r.settle(0, rules.AckSync, rules.AckSpool, rules.AckNone)
			r.process.stop()
		})
	}
}

// subscriber keeps a session that takes what is free, so that its acknowledgements wait
// for the gateway's own store.
func (r *outageRun) subscriber() {
	r.t.Helper()
	c, err := devices.Dial(r.t.Context(), "mqtt://"+r.mqtt, devices.Options{ClientID: "subscriber", Resume: true, SessionExpiry: 3600})
	if err == nil {
		_, err = c.Subscribe(r.t.Context(), 0, devices.Subscription{Filter: free + "/#", QoS: 1})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	go func() {
		for range c.Messages() {
		}
	}()
}

// fill has the gateway's store hold in memory what it may: sessions that are away get more
// than that, and read it.
func (r *outageRun) fill() {
	const sessions, messages = 16, 100
	r.t.Logf("%d MiB before the store's memory is full", r.memory()>>20)
	sender, err := devices.Dial(r.t.Context(), "mqtt://"+r.mqtt, devices.Options{ClientID: "filler"})
	if err != nil {
		r.t.Fatal(err)
	}
	defer sender.Close()
	for i := range sessions {
		r.sleeper(i).Close()
	}
	for i := range sessions * messages {
		if _, err := sender.Publish(r.t.Context(), &devices.Message{Topic: fmt.Sprint("fill/", i%sessions), QoS: 1, Payload: make([]byte, 64<<10)}); err != nil {
			r.t.Fatal(err)
		}
	}
	for i := range sessions {
		c := r.sleeper(i)
		for range messages {
			if _, more := <-c.Messages(); !more {
				r.t.Fatal(c.Err())
			}
		}
		c.Close()
	}
}

// sleeper connects a session of fill.
func (r *outageRun) sleeper(i int) *devices.Client {
	c, err := devices.Dial(r.t.Context(), "mqtt://"+r.mqtt, devices.Options{ClientID: fmt.Sprint("sleeper", i), Resume: true, SessionExpiry: 3600})
	if err == nil {
		_, err = c.Subscribe(r.t.Context(), 0, devices.Subscription{Filter: fmt.Sprint("fill/", i), QoS: 1})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// outage has the database go away and come back.
func (r *outageRun) outage(what string, begin, end func(testing.TB, string)) {
	t, before, lines := r.t, r.memory(), r.lines()
	began := r.sums()
	begin(t, r.of.name)
	pause(*outage / 4) // what the database has done by then comes yet
	first, most := r.sums(), 0
	for since := time.Now(); time.Since(since) < *outage*3/4; most = max(most, r.memory()) {
		pause(*outage / 30)
	}
	last := r.sums()
	if away := r.figures("fairlead_rule_away_seconds")["sync/#"]; away <= 0 {
		t.Errorf("%s: the metrics say that it is away for %v s", what, away)
	}
	end(t, r.of.name)
	r.load.more(rules.AckSync, 20)
	r.load.await("what waits", func() string {
		if n := r.figures("fairlead_rule_waiting")["spool/#"]; n > 100 {
			return fmt.Sprint(n)
		}
		return ""
	})
	meanwhile := func(kind string) int { return last[kind].acked - first[kind].acked }
	told := r.lines() - lines
	t.Logf("| %s | %s %s | %d | %d, %d, %d, %d | %s | %d | %d, %d, %d | %d |", r.of.name, what, *outage, *outageRate,
		meanwhile(rules.AckSync), meanwhile(rules.AckSpool), meanwhile(rules.AckNone), meanwhile(free), last[free].worst.Round(time.Millisecond),
		last[rules.AckSync].refused-began[rules.AckSync].refused, before>>20, most>>20, r.memory()>>20, told)
	if n := meanwhile(rules.AckSync); n > 0 {
		t.Errorf("%s: %d are acknowledged with sync", what, n)
	}
	for _, kind := range kinds()[1:] {
		if meanwhile(kind) == 0 {
			t.Errorf("%s: nothing is acknowledged with %s", what, kind)
		}
	}
	// Whoever waited for the database, and began with the outage, would wait for all of it.
	if last[free].worst > *outage*9/10 {
		t.Errorf("%s: what no rule is about took %s", what, last[free].worst)
	}
	if all := r.load.sum(""); all.redials > 0 {
		t.Errorf("%s: devices had to connect again %d times: %q\n%s", what, all.redials, all.why, r.log())
	}
	if told > 6 {
		t.Errorf("%s: the log has %d lines about it:\n%s", what, told, r.log())
	}
}

func (r *outageRun) sums() map[string]sum {
	all := map[string]sum{}
	for _, kind := range kinds() {
		all[kind] = r.load.sum(kind)
	}
	return all
}

// pause waits for what other processes do meanwhile.
func pause(d time.Duration) { <-time.After(d) }

// settle waits until the database has what waited, and compares; twice is how often each
// device may have had to send a message again without knowing that it was there. Of kinds
// nothing may be missing.
func (r *outageRun) settle(twice int, kinds ...string) {
	t := r.t
	t.Helper()
	r.load.await("what waits", func() string {
		waiting := r.figures("fairlead_rule_waiting")
		if n := waiting["sync/#"] + waiting["spool/#"] + waiting["none/#"]; n > 0 {
			return fmt.Sprint(n)
		}
		return ""
	})
	acked, stored := 0, 0
	for _, s := range r.load.all {
		if !slices.Contains(kinds, s.kind) {
			continue
		}
		there := numbers(t, r.stored(s.topic))
		if problem := compare(s.acked, there, twice); problem != "" {
			t.Errorf("%s: %s", s.topic, problem)
		}
		acked, stored = acked+len(s.acked), stored+len(there)
	}
	dropped := r.figures("fairlead_rule_dropped_total")
	for _, topic := range slices.Sorted(maps.Keys(dropped)) {
		if dropped[topic] > 0 {
			t.Errorf("%v are dropped of %s", dropped[topic], topic)
		}
	}
	t.Logf("%s: %d acknowledged, %d in the database", r.of.name, acked, stored)
}

// The gateway is killed under load, while the database is there and while it is away, and
// comes again. What was acknowledged with "sync" and "spool" is in the database in the
// end, each topic in order; a message stands there twice only where its device had no
// acknowledgement of it when the gateway was killed, and so sent it again.
func TestServiceGatewayKilled(t *testing.T) {
	for _, name := range []string{"redis", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startOutageRun(t, storeNamed(name), *outageRate)
			r.load.run()
			r.load.more(rules.AckSync, 20)
			r.killed()
			testservice.Kill(t, name)
			r.killed()
			testservice.Start(t, name)
			r.load.more(rules.AckSync, 20)
			r.killed()
			r.load.more(rules.AckSync, 20)
			r.load.end()
			r.settle(3**kills, rules.AckSync, rules.AckSpool)
			r.process.stop()
		})
	}
}

// killed kills the gateway at random moments.
func (r *outageRun) killed() {
	r.t.Helper()
	for range *kills {
		r.load.more(rules.AckSpool, 1+rand.IntN(100))
		pause(rand.N(50 * time.Millisecond))
		r.kill()
		r.process.start()
		r.load.move(r.mqtt)
	}
}
