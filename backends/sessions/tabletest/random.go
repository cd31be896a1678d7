package tabletest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// tryRandom writes groups of chance, and compares everything with Memory after each few.
func tryRandom(t *testing.T, s Site) {
	b, more := s.fresh(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	memory := &Memory{}
	oracle := table{memory.Open(), t}
	oracle.claim("oracle")
	for round := range 120 {
		ws := make([]sessions.Write, r.IntN(40))
		for i := range ws {
			ws[i] = chance(r)
		}
		nameLast(ws, memory.parts)
		b.write(ws...)
		oracle.write(ws...)
		if round%6 == 0 {
			b.want(oracle.all())
		}
		if round%20 == 0 { // another gateway takes over
			b = more()
			b.claim(fmt.Sprint("gateway ", round))
		}
		if t.Failed() {
			t.Fatalf("seed %d, after round %d: %q", seed, round, ws)
		}
	}
	b.want(oracle.all())
}

// chance is a write in a small world, so that writes meet.
func chance(r *rand.Rand) sessions.Write {
	w := sessions.Write{Part: []byte{byte(r.IntN(4)) * 85}}
	switch n := r.IntN(20); {
	case n == 0:
		w.Kind = sessions.DeletePart
		return w
	case n < 7:
		w.Kind = sessions.Delete
	}
	w.Key = fmt.Append(nil, "key ", r.IntN(12))
	if r.IntN(10) == 0 {
		w.Key = []byte(repeat(string(w.Key), 1100))
	}
	if w.Kind == sessions.Set {
		w.Value = []byte(noise(r.IntN(300)))
	}
	return w
}

// nameLast gives a DeletePart of a part that has one key before ws the name of that, as
// who knows it may. What ws itself puts there needs no name.
func nameLast(ws []sessions.Write, parts map[string]map[string][]byte) {
	for i := range ws {
		if w := &ws[i]; w.Kind == sessions.DeletePart && len(parts[string(w.Part)]) == 1 {
			for key := range parts[string(w.Part)] {
				w.Key = []byte(key)
			}
		}
	}
}
