package core

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fairlead-iot/fairlead/core/route"
)

// TestReplays holds the list against a plain one, few and many.
func TestReplays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var p replays
	var naive []retainedCursor
	for step := range 20_000 {
		filters := 20 + 400*(step/5000%2)
		if rnd.IntN(5) < 3 {
			c := retainedCursor{filter: fmt.Sprint("f/", rnd.IntN(filters))}
			feeding := rnd.IntN(2) == 0
			p.begin(c, feeding)
			known := false
			for i := range naive {
				if naive[i].filter != c.filter {
					continue
				}
				// Whoever feeds the first one has its cursor, which nobody else may touch.
				if other := p.list[i].cur != naive[i].cur; other != (feeding && i == 0) {
					t.Fatalf("step %d: replay %d has another cursor: %v", step, i, other)
				}
				naive[i], known = p.list[i], true
			}
			if !known {
				c = p.list[len(p.list)-1]
			}
			if !known {
				naive = append(naive, c)
			}
		} else if len(naive) > 0 {
			p.done(new(route.Cursor)) // of a replay that was begun anew meanwhile
			p.done(naive[0].cur)
			naive = naive[1:]
		}
		if len(p.list) != len(naive) || p.any() != (len(naive) > 0) {
			t.Fatalf("step %d: %d replays, want %d", step, len(p.list), len(naive))
		}
		for i := range naive {
			if p.list[i].cur != naive[i].cur || p.find(naive[i].filter) != i {
				t.Fatalf("step %d: replay %d is another one", step, i)
			}
		}
	}
}
