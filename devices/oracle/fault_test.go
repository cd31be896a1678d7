package oracle

import (
	"slices"
	"testing"
)

// steadyArrivals are the events by which device 0, which stays connected and
// subscribed all the time, first got marked and acknowledged messages of device 1, with
// time enough left after them.
func (w *world) steadyArrivals(qos uint8) []int {
	var list []int
	seen := map[[2]any]bool{}
	for i, e := range w.events {
		key := [2]any{e.Topic, e.Seq}
		if e.Kind != Received || e.Device != 0 || !e.Marked || e.Publisher != 1 || e.Retain || e.Topic[0] != 'm' || seen[key] {
			continue
		}
		seen[key] = true
		if e.QoS == qos && e.At < 19*second {
			list = append(list, i)
		}
	}
	return list
}

func (w *world) insert(e Event, after int64) {
	e.At += after
	i, _ := slices.BinarySearchFunc(w.events, e.At, func(have Event, at int64) int { return int(have.At - at) })
	w.events = slices.Insert(w.events, i, e)
}

// spoilEvents are faults that are made in what the steady device saw. They tell what
// must be found, and false where they found nothing to spoil.
func spoilEvents() map[string]func(w *world) (Fault, bool) {
	pick := func(w *world, qos uint8) (int, bool) {
		list := w.steadyArrivals(qos)
		if len(list) < 4 {
			return 0, false
		}
		return list[1+w.r.IntN(len(list)-2)], true
	}
	drop := func(qos uint8) func(w *world) (Fault, bool) {
		return func(w *world) (Fault, bool) {
			i, ok := pick(w, qos)
			if ok {
				w.events = slices.Delete(w.events, i, i+1)
			}
			return LostMessage, ok
		}
	}
	double := func(qos uint8) func(w *world) (Fault, bool) {
		return func(w *world) (Fault, bool) {
			i, ok := pick(w, qos)
			if ok {
				w.insert(w.events[i], 1+w.r.Int64N(1500*ms))
			}
			return Duplicate, ok
		}
	}
	return map[string]func(w *world) (Fault, bool){
		"drop QoS 0": drop(0), "drop QoS 1": drop(1), "drop QoS 2": drop(2),
		"double QoS 0": double(0), "double QoS 1": double(1), "double QoS 2": double(2),
		"swap":    swapTwo,
		"corrupt": func(w *world) (Fault, bool) { return alter(w, Corrupt, func(e *Event) { e.Hash++ }) },
		"made up": func(w *world) (Fault, bool) {
			return addOne(w, Corrupt, func(e *Event) { e.Seq += 1000 })
		},
		"unmarked stranger": func(w *world) (Fault, bool) {
			for _, e := range w.events {
				if e.Kind == WillSet && e.Device%2 == 1 {
					w.insert(Event{At: 15 * second, Kind: Received, Device: 0, Topic: e.Topic, Hash: 77, QoS: 1}, 0)
					return Corrupt, true
				}
			}
			return Corrupt, false
		},
		"retain flag": func(w *world) (Fault, bool) { return alter(w, WrongRetained, func(e *Event) { e.Retain = true }) },
		"unwanted":    unwantedOne,
		"session present": func(w *world) (Fault, bool) {
			clean := map[uint32]bool{}
			for i, e := range w.events {
				switch {
				case e.Kind == Connecting:
					clean[e.Device] = e.Clean
				case e.Kind == Connected && clean[e.Device]:
					w.events[i].Present = true
					return SessionLost, true
				}
			}
			return SessionLost, false
		},
		"refused": func(w *world) (Fault, bool) {
			for i, e := range w.events {
				if e.Kind == Published && e.Device == 1 && e.Topic[0] == 'm' && i > len(w.events)/2 {
					w.events[i].Code = 0x87
					return RefusedAck, true
				}
			}
			return RefusedAck, false
		},
	}
}

func alter(w *world, f Fault, change func(e *Event)) (Fault, bool) {
	list := w.steadyArrivals(2)
	if len(list) == 0 {
		return f, false
	}
	change(&w.events[list[w.r.IntN(len(list))]])
	return f, true
}

func addOne(w *world, f Fault, change func(e *Event)) (Fault, bool) {
	list := w.steadyArrivals(2)
	if len(list) == 0 {
		return f, false
	}
	e := w.events[list[w.r.IntN(len(list))]]
	change(&e)
	w.insert(e, ms)
	return f, true
}

// swapTwo exchanges two messages of one topic and QoS that came one after the other.
func swapTwo(w *world) (Fault, bool) {
	list := w.steadyArrivals(uint8(w.r.IntN(3)))
	for k, i := range list {
		for _, n := range list[k+1:] {
			a, b := &w.events[i], &w.events[n]
			if a.Topic != b.Topic {
				continue
			}
			sent := slices.IndexFunc(w.events, func(e Event) bool {
				return e.Kind == Publishing && e.Device == 1 && e.Topic == b.Topic && e.Seq == b.Seq
			})
			if sent > i { // it cannot come before it was sent: the first comes late
				late := w.events[i]
				w.events = slices.Delete(w.events, i, i+1)
				late.At = w.events[n-1].At + 1
				w.insert(late, 0)
				return Reordered, true
			}
			a.Seq, b.Seq, a.Hash, b.Hash = b.Seq, a.Seq, b.Hash, a.Hash
			return Reordered, true
		}
	}
	return Reordered, false
}

// unwantedOne gives the steady device a message of a topic to which it did not subscribe.
func unwantedOne(w *world) (Fault, bool) {
	for _, e := range w.events {
		if e.Kind == Publishing && e.Topic == "$x/a" && e.At > 3*second && e.Size > 0 {
			w.insert(Event{At: e.At, Kind: Received, Device: 0, Topic: e.Topic, Marked: true, Publisher: e.Device, Seq: e.Seq, Hash: e.Hash, QoS: 0}, 5*ms)
			return Unwanted, true
		}
	}
	return Unwanted, false
}

func TestFaultsInEventsAreFound(t *testing.T) {
	for name, spoil := range spoilEvents() {
		t.Run(name, func(t *testing.T) {
			made := 0
			for seed := range runs(t)/10 + 3 {
				w := newWorld(seed)
				w.play()
				want, ok := spoil(w)
				if !ok {
					continue
				}
				made++
				v := w.judge()
				if v.Faults[want] != 1 || len(v.ByFault) != 1 {
					t.Errorf("seed %d: want one %v, got %v\n%s", seed, want, v.ByFault, describe(v))
				}
			}
			if made == 0 {
				t.Error("the fault was never made")
			}
		})
	}
}

// once spoils the nth chance, if it is for device 0 or said otherwise.
func once(what string, n int, change func(w *world, x *simDelivery) bool) func(w *world) *int {
	return func(w *world) *int {
		seen, done := 0, new(int)
		w.spoil = func(kind string, x *simDelivery) bool {
			if kind != what || *done > 0 {
				return false
			}
			if seen++; seen < n {
				return false
			}
			if change(w, x) {
				*done++
				return true
			}
			return false
		}
		return done
	}
}

type brokerFault struct {
	make  func(w *world) *int
	fault Fault
	also  []Fault // that may come of it too
	many  bool    // found once for each receiver
}

// settledForSteady: device 0 asks for a value that stands, or was cleared, for long.
func (w *world) settledForSteady(x *simDelivery) bool {
	return x.to.name == "d0" && (x.m.topic == "q/1" || x.m.topic == "q/2") && w.now > 12*second
}

func toSteady(x *simDelivery) bool { return x.to.name == "d0" }

func brokerFaults() map[string]brokerFault {
	return map[string]brokerFault{
		"session lost": {fault: SessionLost, also: []Fault{LostMessage, WrongWill}, make: once("session", 1, func(w *world, x *simDelivery) bool {
			return x.to.conn == nil && len(x.to.inflight) == 0
		})},
		"retained missing": {fault: WrongRetained, make: once("retained", 2, (*world).settledForSteady)},
		"retained stale": {fault: WrongRetained, make: once("retained", 2, func(w *world, x *simDelivery) bool {
			if !w.settledForSteady(x) || w.older == nil || x.m.topic != "q/1" {
				return false
			}
			old := *w.older
			y := *x
			y.m, y.qos = &old, 0
			w.after(1, func() { w.push(&y) })
			return true
		})},
		"retained cleared": {fault: WrongRetained, make: once("cleared", 1, func(w *world, x *simDelivery) bool {
			return x.m != nil && w.settledForSteady(x)
		})},
		"will missing": {fault: WrongWill, make: once("will", 2, func(_ *world, x *simDelivery) bool { return toSteady(x) })},
		"will twice": {fault: WrongWill, make: once("will", 2, func(w *world, x *simDelivery) bool {
			if !toSteady(x) {
				return false
			}
			again := *x
			again.content = x.m.hash
			to := x.to
			to.ids++
			again.id = to.ids
			to.inflight = append(to.inflight, &again)
			w.after(5*ms, func() { w.send(to, &again) })
			first := again
			to.ids++
			first.id = to.ids
			w.send(to, &first)
			return true
		})},
		"will late": {fault: WrongWill, many: true, make: once("timing", 2, func(_ *world, x *simDelivery) bool {
			x.late = 20 * second
			return x.to.keeps && !x.m.from.v5
		})},
		"will early": {fault: WrongWill, many: true, make: once("timing", 1, func(_ *world, x *simDelivery) bool {
			x.late = -20 * second
			d := x.m.from
			return d.v5 && min(d.delay, d.expiry) > 1
		})},
		"will after DISCONNECT": {fault: WrongWill, also: []Fault{WrongRetained}, many: true, make: once("after", 1, func(_ *world, x *simDelivery) bool { return x.m != nil })},
	}
}

func TestFaultsOfABrokerAreFound(t *testing.T) {
	for name, f := range brokerFaults() {
		t.Run(name, func(t *testing.T) {
			made, found := 0, 0
			for seed := range runs(t)/5 + 5 {
				w := newWorld(seed)
				done := f.make(w)
				w.play()
				v := w.judge()
				if *done == 0 {
					continue
				}
				made++
				if n := v.Faults[f.fault]; n == 1 || f.many && n > 1 {
					found++
				} else {
					t.Logf("seed %d: %v %v\n%s", seed, v.ByFault, v.Skipped, describe(v))
				}
				for other, n := range v.Faults {
					if n > 0 && Fault(other) != f.fault && !slices.Contains(f.also, Fault(other)) {
						t.Errorf("seed %d: also %v\n%s", seed, Fault(other), describe(v))
					}
				}
			}
			if t.Logf("made %d, found %d", made, found); made == 0 || found < made*2/3 {
				t.Errorf("of %d only %d were found", made, found)
			}
		})
	}
}
