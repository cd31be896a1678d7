package interop

import (
	"testing"
)

// TestLedger shows that the judge of the kill test sees each fault.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name    string
		numbers []int
		want    totals
	}{
		{"in order", []int{0, 1, 2, 3}, totals{sent: 4, received: 4}},
		{"one lost", []int{0, 1, 3}, totals{sent: 4, received: 3, lost: 1, swapped: 1}},
		{"the last lost", []int{0, 1, 2}, totals{sent: 4, received: 3, lost: 1}},
		{"two swapped", []int{0, 2, 1, 3}, totals{sent: 4, received: 4, swapped: 1}},
		{"one doubled", []int{0, 1, 1, 2, 3}, totals{sent: 4, received: 5, doubled2: 1}},
		{"two sent again", []int{0, 1, 0, 1, 2, 3}, totals{sent: 4, received: 6, doubled2: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger([]string{"a/q2"}, []*subscription{{durable: durable{name: "s"}, exactlyOnce: true}})
			for range 4 {
				l.number("a/q2")
			}
			for _, n := range c.numbers {
				if !l.note("s", "a/q2", n) {
					t.Errorf("number %d was taken for a stray", n)
				}
			}
			if got := l.totals(); got != c.want {
				t.Errorf("judged %+v, wanted %+v", got, c.want)
			}
			if clean := c.want.lost+c.want.swapped+c.want.doubled2 == 0; clean != (len(l.faults()) == 0) {
				t.Errorf("faults %q", l.faults())
			}
			if l.note("s", "a/q2", 4) || l.note("s", "b/q2", 0) {
				t.Error("a stray was taken")
			}
		})
	}
}
