package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Events that are split over sources and added at random give the verdict that one
// source gives, each time.
func TestSourcesMakeOneOrder(t *testing.T) {
	w := newWorld(3)
	w.play()
	want := w.judge()
	for seed := range uint64(20) {
		o := New(w.config())
		var adding sync.WaitGroup
		sources := []*Source{o.Source(), o.Source(), o.Source(), o.Source()}
		for i, part := range split(w.events, 4) {
			s := sources[i]
			adding.Go(func() { addInPieces(s, part, seed*4+uint64(i)) })
		}
		adding.Wait()
		o.Snapshot()
		if got := o.Finish(); !reflect.DeepEqual(got.Total, want.Total) || !reflect.DeepEqual(got.ByFault, want.ByFault) {
			t.Fatalf("seed %d:\ngot  %+v %v\nwant %+v %v", seed, got.Total, got.ByFault, want.Total, want.ByFault)
		}
	}
}

func split(events []Event, n int) [][]Event {
	parts := make([][]Event, n)
	for _, e := range events {
		i := int(e.Device) % n
		parts[i] = append(parts[i], e)
	}
	return parts
}

func addInPieces(s *Source, events []Event, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 5))
	for len(events) > 0 {
		n := min(1+r.IntN(200), len(events))
		s.Add(events[:n])
		events = events[n:]
		if r.IntN(3) == 0 {
			runtime.Gosched()
		}
	}
	s.Close()
}

// A silent source holds up the others until its watermark; a full queue blocks Add and
// loses nothing; one time of more events than the queue holds passes.
func TestQueueBlocksAndLosesNothing(t *testing.T) {
	o := New(Config{Devices: []Device{{Name: "a"}}, Queue: 8})
	silent, busy := o.Source(), o.Source()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range int64(100) {
			busy.Add(slices.Repeat([]Event{{At: i / 50 * 1000, Kind: Publishing, Topic: "a", Seq: uint64(i)}}, 1))
		}
	}()
	for {
		silent.Watermark(1 << 40)
		busyQueued := o.Snapshot().Queued
		select {
		case <-done:
		default:
			if busyQueued < 1<<20 {
				runtime.Gosched()
				continue
			}
		}
		break
	}
	<-done
	if v := o.Finish(); v.Total.Sent != 100 {
		t.Fatalf("%d of 100 events were judged: %v", v.Total.Sent, v.Skipped)
	}
	busy.Add([]Event{{At: 1 << 50, Kind: Publishing, Topic: "a"}}) // after the end: dropped, no blocking
	if again := o.Finish(); again.Total.Sent != 100 {
		t.Fatal("an event after Finish counted")
	}
}

func TestLateEventsAreToldOf(t *testing.T) {
	o := New(Config{Devices: []Device{{Name: "a"}}})
	s := o.Source()
	s.Add([]Event{{At: 10, Kind: Connecting}, {At: 5, Kind: Connected}})
	if v := o.Finish(); v.Skipped["order: events that were earlier than one before them"] != 1 || v.Connect.Count != 1 {
		t.Fatalf("%+v", v)
	}
}

func TestVerdictIsTheSameAgainAndJSON(t *testing.T) {
	w := newWorld(11)
	w.play()
	if _, ok := spoilEvents()["drop QoS 2"](w); !ok {
		t.Skip("nothing to drop")
	}
	a, err := json.Marshal(w.judge())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(w.judge())
	if err != nil || string(a) != string(b) {
		t.Fatalf("%v\n%s\n%s", err, a, b)
	}
}

// Limits of memory are kept and told, and make no faults.
func TestLimitsOfMemory(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(seed)
		w.play()
		cfg := w.config().withDefaults()
		cfg.MaxMessages, cfg.MaxDeliveries, cfg.MaxRows = 50, 30, 20
		j := newJudge(cfg)
		for i := range w.events {
			j.step(&w.events[i])
			if j.messages.used() > 50 || j.deliveries.used() > 30 || j.rows.used() > 20 {
				t.Fatal("a limit was exceeded")
			}
		}
		v := j.finish(w.now)
		if v.Faults[LostMessage]+v.Faults[Corrupt]+v.Faults[Duplicate] > 0 {
			t.Errorf("seed %d: %v\n%s", seed, v.ByFault, describe(v))
		}
		if len(v.Skipped) == 0 {
			t.Error("nothing was skipped")
		}
	}
}

func TestQoS0LossWithinTheShareIsNoFault(t *testing.T) {
	w := newWorld(5)
	w.play()
	if _, ok := spoilEvents()["drop QoS 0"](w); !ok {
		t.Fatal("nothing to drop")
	}
	cfg := w.config()
	cfg.LossQoS0 = 0.5
	j := newJudge(cfg.withDefaults())
	for i := range w.events {
		j.step(&w.events[i])
	}
	if v := j.finish(w.now); v.Total.LostQoS0 != 1 || len(v.ByFault) > 0 {
		t.Fatalf("%+v %v", v.Total, v.ByFault)
	}
}

func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var values []int64
	var all, odd, even Histogram
	for i := range 20000 {
		v := int64(r.ExpFloat64() * float64(int64(1)<<r.IntN(40)))
		values = append(values, v)
		all.Record(v)
		if i%2 == 0 {
			even.Record(v)
		} else {
			odd.Record(v)
		}
	}
	slices.Sort(values)
	odd.Merge(&even)
	odd.Merge(&Histogram{})
	if odd.Quantiles() != all.Quantiles() {
		t.Errorf("merged %+v, at once %+v", odd.Quantiles(), all.Quantiles())
	}
	for _, q := range []float64{0, .1, .5, .9, .99, .999, 1} {
		want := values[max(int(q*float64(len(values))+0.999999), 1)-1]
		if got := all.Quantile(q); got < want-want/100-1 || got > want+want/100+1 {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	for _, v := range []int64{0, 1, 63, 64, 127, 128, 1<<62 + 5, 1<<63 - 1, -7} {
		var h Histogram
		h.Record(v)
		if got := h.Quantile(.5); got != max(v, 0) {
			t.Errorf("one of %d: %d", v, got)
		}
	}
}

func TestFilters(t *testing.T) {
	filters := []string{"#", "+", "a", "a/#", "a/+", "+/b", "a/b/#", "/", "+/+", "/+", "$SYS/#", "+/x", "$share/g/a/#", "a//b", "a/+/b"}
	names := []string{"a", "a/b", "a/b/c", "/", "/a", "$SYS", "$SYS/x", "b", "a//b", "x/b", ""}
	ts := topics{limit: 100, byName: map[string]*topic{}, byFilter: map[string]*filter{}}
	for _, name := range names {
		ts.keep(ts.topic(name))
	}
	for _, written := range filters {
		f, _ := ts.filter(written)
		found := map[*topic]bool{}
		ts.retained.below(f.levels, true, func(t *topic) { found[t] = true })
		for _, name := range names {
			want := naive(written, name) || written == "a/#" && name == "a"
			if got := ts.matches(f, ts.topic(name)); got != want {
				t.Errorf("%q matches %q: %v", written, name, got)
			}
			if got := found[ts.topic(name)]; got != want {
				t.Errorf("%q finds %q: %v", written, name, got)
			}
		}
	}
}

// fanIn is publishers with a topic each and one subscriber, as events of a run.
func fanIn(publishers, rounds int) (Config, []Event) {
	cfg := Config{Devices: []Device{{Name: "sub", Group: "sub"}}}
	events := []Event{{At: 1, Kind: Connecting, Clean: true, Code: 5}, {At: 2, Kind: Connected},
		{At: 3, Kind: Subscribing, Topic: "site/+/up", QoS: 1}, {At: 4, Kind: Subscribed, Topic: "site/+/up", Code: 1}}
	var names []string
	for i := range publishers {
		cfg.Devices = append(cfg.Devices, Device{Name: fmt.Sprint("p", i), Group: "pub"})
		names = append(names, fmt.Sprintf("site/%d/up", i))
		events = append(events, Event{At: 5, Kind: Connecting, Device: uint32(i + 1), Clean: true, Code: 5}, Event{At: 6, Kind: Connected, Device: uint32(i + 1)})
	}
	at := int64(1000)
	for n := range rounds {
		for i, name := range names {
			at += 50_000 // 20,000 a second
			e := Event{At: at, Kind: Publishing, Device: uint32(i + 1), Topic: name, Seq: uint64(n), Hash: uint32(n*31 + i), Size: 60, QoS: 1}
			events = append(events, e)
			e.Kind, e.At = Published, at+20_000
			ack := e
			e.Kind, e.At, e.Device, e.Marked, e.Publisher, e.Sent = Received, at+30_000, 0, true, uint32(i+1), at
			events = append(events, ack, e)
		}
	}
	return cfg, events
}

func TestFanInIsWholeAndSmall(t *testing.T) {
	cfg, events := fanIn(2000, 10)
	cfg.Keep = 1e8
	j := newJudge(cfg.withDefaults())
	for i := range events {
		j.step(&events[i])
	}
	if n := j.messages.used(); n > 2500 {
		t.Errorf("%d messages are remembered", n)
	}
	if v := j.finish(events[len(events)-1].At); v.Total.Delivered != 20000 || len(v.ByFault) > 0 {
		t.Fatalf("%+v %v", v.Total, v.ByFault)
	}
}

func BenchmarkFanIn(b *testing.B) {
	cfg, events := fanIn(20000, 5)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		j := newJudge(cfg.withDefaults())
		for i := range events {
			j.step(&events[i])
		}
		j.finish(events[len(events)-1].At)
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkFanOut(b *testing.B) {
	const subscribers = 20000
	cfg := Config{Devices: []Device{{Name: "pub"}}}
	events := []Event{{At: 1, Kind: Connecting, Clean: true, Code: 5}, {At: 2, Kind: Connected}}
	for i := range uint32(subscribers) {
		cfg.Devices = append(cfg.Devices, Device{Name: fmt.Sprint("s", i)})
		for k, kind := range []Kind{Connecting, Connected, Subscribing, Subscribed} {
			events = append(events, Event{At: 3 + int64(k), Kind: kind, Device: i + 1, Topic: "news", Clean: kind == Connecting, Code: 0})
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.At - b.At) })
	for n := range 10 {
		at := 1000 + int64(n)*1e9
		events = append(events, Event{At: at, Kind: Publishing, Topic: "news", Seq: uint64(n), Size: 9})
		for i := range uint32(subscribers) {
			events = append(events, Event{At: at + int64(i)*1000, Kind: Received, Device: i + 1, Topic: "news", Seq: uint64(n), Marked: true, Size: 9})
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		j := newJudge(cfg.withDefaults())
		for i := range events {
			j.step(&events[i])
		}
		if v := j.finish(20e9); v.Total.Delivered != 10*subscribers {
			b.Fatalf("%+v", v.Total)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkBatch(b *testing.B) {
	_, events := fanIn(1000, 10)
	b.ReportAllocs()
	var enc Encoder
	var wire []byte
	n := 0
	for b.Loop() {
		for part := range slices.Chunk(events, 1000) {
			wire = enc.AppendBatch(wire[:0], part, 0)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
