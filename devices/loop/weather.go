package loop

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"
)

// heldAtMost is how long a datagram waits for another one to overtake it.
const heldAtMost = 200 * time.Millisecond

// maxFlights bounds the datagrams of one port that are under way at once; what comes on
// top is lost, as in any router.
const maxFlights = 256

// weather is what a network does to the datagrams of one port.
type weather struct {
	p       *Port
	n       *Conditions
	random  *rand.Rand
	air     []flight // by their times
	arrival Timer
	rebinds Timer
}

// flight is a datagram under way.
type flight struct {
	at   int64
	b    []byte
	out  bool
	held bool // until another one of its direction overtakes it
}

func newWeather(p *Port, n *Conditions, seed uint64) *weather {
	w := &weather{p: p, n: n, random: rand.New(rand.NewPCG(seed, seed^0x9E3779B97F4A7C15))}
	w.arrival.fire, w.rebinds.fire = w.land, w.rebind
	w.nextRebind()
	return w
}

func (w *weather) end() {
	w.p.l.Stop(&w.arrival)
	w.p.l.Stop(&w.rebinds)
	w.air = nil
}

func (w *weather) nextRebind() {
	if w.n.Rebind > 0 {
		w.p.l.After(&w.rebinds, time.Duration(w.random.ExpFloat64()*float64(w.n.Rebind))+time.Millisecond, nil)
	}
}

func (w *weather) rebind(int64) {
	w.p.rebind()
	w.nextRebind()
}

// take decides what becomes of a datagram.
func (w *weather) take(b []byte, out bool) {
	if w.random.Float64() < w.n.Loss {
		return
	}
	copies := 1
	if w.random.Float64() < w.n.Duplicate {
		copies = 2
	}
	for range copies {
		w.launch(b, out)
	}
}

// launch sends one copy on its way.
func (w *weather) launch(b []byte, out bool) {
	now := w.p.l.Now()
	f := flight{at: now + int64(w.n.Latency) + int64(w.random.Float64()*float64(w.n.Jitter)), out: out}
	if f.held = w.random.Float64() < w.n.Reorder; f.held {
		f.at += int64(heldAtMost)
	}
	switch {
	case f.at <= now && len(w.air) == 0:
		w.deliver(b, out)
		return
	case len(w.air) >= maxFlights:
		return
	}
	f.b = bytes.Clone(b)
	w.overtake(f)
	w.p.l.At(&w.arrival, w.air[0].at, nil)
}

// overtake puts f among the flights, and those behind it that waited for it.
func (w *weather) overtake(f flight) {
	var freed []flight
	if !f.held {
		w.air = slices.DeleteFunc(w.air, func(o flight) bool {
			free := o.held && o.out == f.out
			if free {
				o.held, o.at = false, f.at
				freed = append(freed, o)
			}
			return free
		})
	}
	w.air = append(append(w.air, f), freed...)
	slices.SortStableFunc(w.air, func(a, b flight) int { return int(max(min(a.at-b.at, 1), -1)) })
}

// land delivers what is due.
func (w *weather) land(now int64) {
	for len(w.air) > 0 && w.air[0].at <= now {
		f := w.air[0]
		w.air = w.air[1:]
		if w.deliver(f.b, f.out); w.p.weather != w {
			return // the port was closed
		}
	}
	if len(w.air) == 0 {
		w.air = nil
		return
	}
	w.p.l.At(&w.arrival, w.air[0].at, nil)
}

func (w *weather) deliver(b []byte, out bool) {
	if out {
		w.p.put(b)
	} else {
		w.p.receive(b)
	}
}
