package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// naive matches as the specification says it, level by level.
func naive(written, name string) bool {
	f, n := strings.Split(unshared(written), "/"), strings.Split(name, "/")
	if strings.HasPrefix(name, "$") && (f[0] == "#" || f[0] == "+") {
		return false
	}
	for i, level := range f {
		if level == "#" {
			return true
		}
		if i >= len(n) || level != "+" && level != n[i] {
			return false
		}
	}
	return len(f) == len(n)
}

func newWorld(seed uint64) *world {
	w := &world{
		r: rand.New(rand.NewPCG(seed, 99)), now: second, held: map[string]*simSession{},
		kept: map[string]*simMessage{}, old: map[string]*simMessage{}, acked: map[*simMessage]bool{},
	}
	w.copies, w.queue0 = w.r.IntN(2) == 0, w.r.IntN(2) == 0
	for i := range uint32(7) {
		d := &simDevice{w: w, number: i, name: fmt.Sprint("d", i), seqs: map[string]uint64{}, got2: map[int]bool{}, subs: map[string]bool{}}
		d.v5, d.durable, d.keep = w.r.IntN(3) > 0, w.r.IntN(2) == 0, 1
		if d.v5 && d.durable {
			d.expiry = uint32(1 + w.r.IntN(4)*3)
		}
		d.withWill = i >= 2 && w.r.IntN(3) > 0
		d.delay = []uint32{0, 0, 2, 4}[w.r.IntN(4)]
		d.steady = i < 2
		w.devs = append(w.devs, d)
	}
	return w
}

func (w *world) config() Config {
	cfg := Config{Begun: second, WillWithin: 300e6, Flight: 300e6, Slack: 50e6, Keep: 2e9}
	for _, d := range w.devs {
		cfg.Devices = append(cfg.Devices, Device{Name: d.name, Group: "g" + d.name[1:]})
	}
	return cfg
}
