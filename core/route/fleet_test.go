package route

import (
	"fmt"
	"math/rand/v2"
)

// fleet writes filters and topics of the kind gateways of devices see. The i-th
// filter is always the same, so that none has to be kept.
type fleet struct{ exact, wild int }

// exactFilter has four shapes.
func (f fleet) exactFilter(i int) string {
	switch i % 4 {
	case 0:
		return fmt.Sprintf("fleet/tenant-%d/device-%07d/cmd", i%997, i)
	case 1:
		return fmt.Sprintf("homeassistant/switch/%08x/set", i)
	case 2:
		return fmt.Sprintf("devices/%012x/config", i)
	default:
		return fmt.Sprintf("v1/%d/things/%d/rpc/request", i%499, i)
	}
}

// wildFilter has four shapes.
func (f fleet) wildFilter(i int) string {
	switch i % 4 {
	case 0:
		return fmt.Sprintf("fleet/tenant-%d/device-%07d/+/up", i%997, i)
	case 1:
		return fmt.Sprintf("site/plant-%d/+/+/alarm", i)
	case 2:
		return fmt.Sprintf("user/%d/inbox/#", i)
	default:
		return fmt.Sprintf("homeassistant/+/%08x/state", i)
	}
}

// topics returns n topics of one kind, drawn at random.
func (f fleet) topics(kind string, n int) []string {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]string, n)
	for k := range list {
		e, w := rng.IntN(f.exact), rng.IntN(f.wild)
		switch kind {
		case "hit":
			list[k] = f.exactFilter(e)
		case "telemetry":
			w -= w % 4
			list[k] = fmt.Sprintf("fleet/tenant-%d/device-%07d/telemetry/up", w%997, w)
		case "HA":
			list[k] = fmt.Sprintf("homeassistant/sensor/%08x/state", w-w%4+3)
		case "miss":
			list[k] = fmt.Sprintf("lab/%d/bench/%d", w, e)
		case "hot":
			list[k] = f.exactFilter(e % 512)
		}
	}
	return list
}

// add gives each filter from..to of a kind one value, in batches of 64, and
// calls each around every single Add.
func (f fleet) add(t *Table, filter func(int) string, from, to int, each func(add func())) {
	for i := from; i < to; {
		batch := min(64, to-i)
		text := make([]string, batch)
		for k := range text {
			text[k] = filter(i + k)
		}
		t.Update(func(tx *Tx) {
			for k := range text {
				each(func() { tx.Add(text[k], uint32(i+k)) })
			}
		})
		i += batch
	}
}
