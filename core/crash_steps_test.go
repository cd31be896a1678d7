package core_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// crashSteps are the steps between receiving and acknowledging, each as what a dead
// process leaves: an operation of the store, and who heard of it. What lies between
// two operations (decoded, authorised, matched, queued, woken) leaves the same as the
// end of the one before or the begin of the one after.
func crashSteps() []struct {
	step string
	op   string
	how  coretest.Failure
} {
	const (
		lost, kept, pub, recv, all = coretest.NotKept, coretest.KeptUntold, coretest.ToldPublisher, coretest.ToldReceivers, coretest.ToldAll
	)
	return []struct {
		step string
		op   string
		how  coretest.Failure
	}{
		{"CONNECT decoded and authorised, session not stored", "OpPutSession", lost},
		{"session stored, CONNACK not queued or not written", "OpPutSession", kept},
		{"CONNACK written", "OpPutSession", all},
		{"SUBSCRIBE decoded and authorised, in the table, not stored", "OpPutSubscription", lost},
		{"subscription stored, SUBACK not written", "OpPutSubscription", kept},
		{"SUBACK written", "OpPutSubscription", all},
		{"UNSUBSCRIBE done in the table, not in the store", "OpDeleteSubscription", lost},
		{"subscription forgotten, UNSUBACK not written", "OpDeleteSubscription", kept},
		{"UNSUBACK written", "OpDeleteSubscription", all},
		{"PUBLISH decoded, authorised, matched, in the batch, not handed over", "OpEnqueue", lost},
		{"message kept, PUBACK not queued or not written, receivers not woken", "OpEnqueue", kept},
		{"PUBACK written, receivers not woken", "OpEnqueue", pub},
		{"receivers woken, PUBACK queued and not written", "OpEnqueue", recv},
		{"PUBACK written, message sent", "OpEnqueue", all},
		{"QoS 2 PUBLISH matched, identifier not stored", "OpPutReceived", lost},
		{"identifier stored, PUBREC not written", "OpPutReceived", kept},
		{"PUBREC written", "OpPutReceived", pub},
		{"message sent, PUBREC not written", "OpPutReceived", recv},
		{"PUBREL received, identifier not freed", "OpDeleteReceived", lost},
		{"identifier freed, PUBCOMP not written", "OpDeleteReceived", kept},
		{"PUBCOMP written", "OpDeleteReceived", pub},
		{"PUBREC of the receiver, not stored", "OpReleased", lost},
		{"PUBREC of the receiver stored, PUBREL not written", "OpReleased", kept},
		{"PUBREL written", "OpReleased", recv},
		{"PUBACK or PUBCOMP of the receiver, entry not removed", "OpAck", lost},
		{"entry removed", "OpAck", kept},
		{"entry removed, the next message sent", "OpAck", recv},
		{"retained in memory, not stored", "OpPutRetained", lost},
		{"retained stored, PUBACK not written", "OpPutRetained", kept},
		{"retained stored, PUBACK written", "OpPutRetained", all},
		{"retained message deleted in memory, not in the store", "OpDeleteRetained", lost},
		{"retained message deleted, PUBACK not written", "OpDeleteRetained", kept},
		{"retained message deleted, PUBACK written", "OpDeleteRetained", all},
		{"delayed message accepted, not stored", "OpPutDelayed", lost},
		{"delayed message stored, PUBREC not written", "OpPutDelayed", kept},
		{"delayed message stored, PUBREC written", "OpPutDelayed", pub},
		{"delayed message due and matched, neither kept for its receivers nor removed", "OpDeleteDelayed", lost},
		{"delayed message kept for its receivers and removed, they are not woken", "OpDeleteDelayed", kept},
		{"receivers of a delayed message woken", "OpDeleteDelayed", recv},
		{"session over (expired, replaced), still stored", "OpDeleteSession", lost},
		{"session over and forgotten", "OpDeleteSession", kept},
	}
}

// opNames are the operations of the store, read from their declaration, so that a new
// one is asked for.
func opNames(t *testing.T) (names []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "seams_store.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST || fmt.Sprint(g.Specs[0].(*ast.ValueSpec).Type) != "OpKind" {
			continue
		}
		for _, s := range g.Specs {
			names = append(names, s.(*ast.ValueSpec).Names[0].Name)
		}
	}
	return names
}

// TestCrashAtEveryStep lets a story of a publisher and its receivers die at each
// operation of the store, in each way, and goes on with it on what is left.
func TestCrashAtEveryStep(t *testing.T) {
	names := opNames(t)
	passed := tell(t, 0, "", 0)
	hit := map[string]bool{}
	points := 0
	die := func(n int, hows ...coretest.Failure) {
		for at := 1; at <= n; at++ {
			for _, how := range hows {
				points++
				t.Run(fmt.Sprintf("%d %s", at, how), func(t *testing.T) {
					for _, op := range tell(t, at, how, 0).ops {
						hit[names[op]+string(how)] = true
					}
				})
			}
		}
	}
	ways := []coretest.Failure{coretest.NotKept, coretest.KeptUntold, coretest.ToldPublisher, coretest.ToldReceivers, coretest.ToldAll}
	die(passed.commits, ways...)
	die(passed.fetches, coretest.NotFetched, coretest.FetchedUnsent)
	die(passed.sessions, coretest.NotLoaded)
	if !testing.Short() { // and dies once more soon after
		for again := 1; again <= 3; again++ {
			for at := 1; at <= passed.commits; at++ {
				points++
				t.Run(fmt.Sprintf("%d and %d later", at, again), func(t *testing.T) { tell(t, at, ways[at%2], again) })
			}
		}
	}
	for _, name := range names {
		for _, how := range ways {
			if !hit[name+string(how)] {
				t.Errorf("nothing in the story dies at %s: %s", name, how)
			}
		}
	}
	for _, s := range crashSteps() {
		if !hit[s.op+string(s.how)] {
			t.Errorf("step not covered: %s", s.step)
		}
	}
	t.Logf("failpoints: %d, at %d commits, %d fetches and %d loaded sessions; %d operations × %d ways, %d named steps covered",
		points, passed.commits, passed.fetches, passed.sessions, len(names), len(ways), len(crashSteps()))
}

// toldStory is what telling the story came by.
type toldStory struct {
	commits, fetches, sessions int
	ops                        []core.OpKind // of the commit at which it died
}

// tell tells the story with one death, or, with again, a second one that many commits
// later, and judges.
func tell(t *testing.T, at int, how coretest.Failure, again int) (end toldStory) {
	bubble(t, func(t *testing.T) {
		w := newCrashStory(t)
		w.again = again
		loading := how == coretest.NotLoaded
		if loading {
			w.start(0, "")
		} else {
			w.start(at, how)
		}
		first := w.fail
		for _, s := range w.steps() {
			w.step(s)
		}
		if at > 0 && !loading && !first.Dead() {
			t.Errorf("the gateway has not died at %d", at)
		}
		end.commits, end.fetches, _ = first.Passed()
		end.ops = first.Ops()
		if loading {
			w.dieLoading(at)
		}
		end.sessions = w.restartAndJudge()
	})
	return end
}

// step does one step until it is done: again after each death.
func (w *crashStory) step(s storyStep) {
	for tries := 0; ; tries++ {
		s.do()
		w.work()
		if w.fail.Dead() {
			w.recover()
			w.work()
			if w.fail.Dead() {
				w.recover()
				w.work()
			}
		}
		if s.done() {
			return
		}
		if tries == 5 {
			w.t.Fatalf("%s: not done", s.name)
		}
	}
}

// storyStep is a part of the story. It may be done again where a death came between.
type storyStep struct {
	name string
	do   func()
	done func() bool
}

// steps is the story: everything that touches the store, at least once.
func (w *crashStory) steps() []storyStep {
	always := func() bool { return true }
	say := func(topic, payload string, qos uint8, retain bool) storyStep {
		return storyStep{"publish " + payload, func() { w.publish(topic, payload, qos, retain) }, func() bool { return w.acked[payload] > 0 }}
	}
	on := func(id string) storyStep {
		return storyStep{"connect " + id, func() { w.on(id) }, func() bool { return w.live[id] != nil }}
	}
	off := func(id string) storyStep { return storyStep{"lose " + id, func() { w.off(id) }, always} }
	sub := func(filter string) storyStep {
		return storyStep{"subscribe " + filter, func() { w.subscribe(filter) }, func() bool { return w.subscribed[filter] }}
	}
	return []storyStep{
		on("s"), sub("t"), sub("x"), sub("w"), sub("$exclusive/e"), on("p"),
		{"number x", w.number, func() bool { return w.numbered }},
		say("t", "1", 1, false), say("t", "2", 2, false),
		off("s"), say("t", "3", 1, false), say("t", "4", 2, false), say("x", "5", 1, false), on("s"),
		{"publish several", func() {
			for _, p := range []string{"6", "7", "8"} {
				w.publish("t", p, 1+p[0]%2, false)
			}
		}, func() bool { return w.acked["6"] > 0 && w.acked["7"] > 0 && w.acked["8"] > 0 }},
		{"half of QoS 2", func() { w.keepReleases = true; w.publish("t", "9", 2, false) }, func() bool { return w.half("9") }},
		off("p"), {"and the rest", func() { w.keepReleases = false; w.on("p") }, func() bool { return w.acked["9"] > 0 }},
		{"half a delivery", func() { w.keepCompletes = true; w.publish("t", "10", 2, false) }, func() bool { return w.acked["10"] > 0 }},
		off("s"), {"and its rest", func() { w.keepCompletes = false; w.on("s") }, func() bool { return w.live["s"] != nil && len(w.holding) == 0 }},
		say("r", "r1", 1, true), {"look", func() {}, func() bool { return w.look("r") == "r1" }},
		say("r", "r2", 2, true), {"look", func() {}, func() bool { return w.look("r") == "r2" }},
		{"delete", func() { w.publish("r", "", 1, true) }, func() bool { return w.acked[""] > 0 }}, {"look", func() {}, func() bool { return w.look("r") == "" }},
		on("d"), off("d"), {"the Will", func() {}, func() bool { return w.received["bye"] > 0 }},
		{"expiry", func() { w.pass() }, func() bool { _, there := w.g.Client("d"); return !there }},
		{"unsubscribe x", w.unsubscribe, func() bool { return !w.subscribed["x"] }}, say("x", "unwanted", 1, false),
		{"replace", func() { w.clean = true; w.off("p"); w.on("p") }, func() bool { return w.live["p"] != nil && w.fresh }},
		say("t", "11", 2, false), say("$delayed/5/t", "12", 2, false),
		{"its time", func() { w.pass() }, func() bool { return w.received["12"] > 0 }},
	}
}

// dieLoading dies as the store is read, then starts.
func (w *crashStory) dieLoading(at int) {
	w.g.Cut(func(string) bool { return true })
	f := &coretest.FailPoint{Store: w.mem, At: at, How: coretest.NotLoaded, Kill: func(coretest.Failure) {}}
	g := core.New(core.Options{Config: core.DefaultConfig(), Store: f})
	if err := g.Restore(w.t.Context()); err == nil {
		w.t.Error("a store that cannot be read is taken for one")
	}
}

// restartAndJudge starts once more, lets everything come through, and judges.
func (w *crashStory) restartAndJudge() (sessions int) {
	w.recover()
	_, _, sessions = w.fail.Passed()
	w.work()
	for payload, qos := range w.acked {
		n := w.received[payload]
		switch {
		case payload == "" || strings.HasPrefix(payload, "r"):
		case payload == "unwanted":
			if n != 0 {
				w.t.Error("a message came for a subscription whose end was acknowledged")
			}
		case n == 0:
			w.t.Errorf("message %s (QoS %d) was acknowledged and lost", payload, qos)
		case qos == 2 && n != 1:
			w.t.Errorf("message %s (QoS 2) came %d times", payload, n)
		}
	}
	if !slices.IsSortedFunc(w.order, func(a, b string) int { return len(a)*100 + int(a[len(a)-1]) - len(b)*100 - int(b[len(b)-1]) }) {
		w.t.Errorf("the order is %v", w.order)
	}
	if why := w.live["p"].Subscribe(0, "$exclusive/e"); why != core.ExclusiveTaken {
		w.t.Errorf("the holder lost its exclusive filter: another's subscription got %s", why)
	}
	synctest.Wait()
	st := w.g.Stats()
	if len(w.open) != 0 || w.mem.Queued("s") != 0 || st.Pending() != 0 {
		w.t.Errorf("%d messages never acknowledged, %d in the store, %d pending by the ledger", len(w.open), w.mem.Queued("s"), st.Pending())
	}
	return sessions
}
