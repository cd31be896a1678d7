package core

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestPoolTakesTurns: one address that asks for much waits behind itself, in the
// order that it asked.
func TestPoolTakesTurns(t *testing.T) {
	var p pool
	p.init(10, 4)
	var done []string
	ask := func(from string, n int) (taken int) {
		for range n {
			name := fmt.Sprint(from, "#", taken)
			if p.submit(netip.MustParseAddr(from), func(context.Context) { done = append(done, name) }) {
				taken++
			}
		}
		return taken
	}
	if n := ask("10.0.0.1", 6); n != 4 {
		t.Errorf("%d of one address wait, at most 4 may", n)
	}
	ask("2001:db8::1", 2)
	if n := ask("2001:db8::2", 3); n != 2 {
		t.Errorf("%d of a /64's second address wait beside 2 of its first", n)
	}
	if n := ask("10.0.0.3", 4); n != 2 {
		t.Errorf("%d more wait where 2 were left for all", n)
	}
	for p.queue.Len() > 0 {
		job, _ := p.queue.Next()
		job(t.Context())
	}
	const want = "10.0.0.1#0 2001:db8::1#0 10.0.0.3#0 10.0.0.1#1 2001:db8::1#1 10.0.0.3#1 10.0.0.1#2 2001:db8::2#0 10.0.0.1#3 2001:db8::2#1"
	if got := strings.Join(done, " "); got != want {
		t.Errorf("in the order\n%s\nwant\n%s", got, want)
	}
}
