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
			c := retainedCursor{filter: fmt.Sprint("f/", rnd.IntN(filters)), cur: new(route.Cursor)}
			p.begin(c)
			known := false
			for i := range naive {
				if naive[i].filter == c.filter {
					naive[i], known = c, true
				}
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
