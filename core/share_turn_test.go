package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// TestShares: whatever makes a publish dear ends its sender's share of the turn,
// and an ordinary one does not.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		p := g.Connect("p", nil)
		spent := func(what string, times int, do func(i int)) (n int) {
			g.T.Allot()
			for n = 0; n < times && !g.T.Spent(); n++ {
				do(n)
			}
			t.Logf("%s: %d of %d in one share", what, n, times)
			return n
		}
		publish := func(topic string) func(int) {
			return func(i int) { p.Publish(core.Publish{Topic: strings.ReplaceAll(topic, "*", fmt.Sprint(i))}) }
		}
		if n := spent("ordinary publishes", 500, publish("plain/*")); n < 500 {
			t.Error("an ordinary client is held up")
		}
		for i := range 5000 {
			g.Connect(fmt.Sprint("s", i), nil).Subscribe(0, "many")
		}
		if n := spent("a fan-out of 5,000", 2, publish("many")); n != 1 {
			t.Errorf("%d of them in one share", n)
		}
		const levels = 12
		for mix := range 1 << levels {
			f := "h"
			for i := range levels {
				f += []string{"/a", "/+"}[mix>>i&1]
			}
			p.Subscribe(0, f)
		}
		if n := spent("overlapping wildcards", 2, publish("h"+strings.Repeat("/a", levels))); n != 1 {
			t.Errorf("%d of them in one share", n)
		}
		if n := spent("filters of a SUBSCRIBE", 2, func(int) {
			p.Subscribe(0, strings.Split(strings.Repeat("x,", 1000)+"x", ",")...)
		}); n != 1 {
			t.Errorf("%d SUBSCRIBEs of a thousand filters in one share", n)
		}
	})
}

// TestReplaysTakeTurns: a replay that finds nothing among much is looked through in
// slices, and ends.
func TestReplaysTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		p := g.Connect("p", nil)
		for i := range 20_000 {
			p.Publish(core.Publish{Topic: fmt.Sprint(i, "/x"), Payload: []byte("x"), Retain: true})
		}
		c := connectSink(g, "c", 0)
		g.T.End()
		g.Gateway.Subscribe(g.T, c.link, &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "+/y"}, {Filter: "7/x"}, {Filter: "+/z"}}})
		slices := 1
		for g.T.Flush(1) {
			slices++
		}
		if slices < 2*20_000/2048 {
			t.Errorf("two looks through 20,000 retained messages were cut into %d slices", slices)
		}
		if c.n != 1 {
			t.Errorf("%d retained messages came, want 1", c.n)
		}
	})
}

// TestShareOfTime: where work takes longer than its units say, the clock ends a share;
// little work is not timed at all.
func TestShareOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		g.T.Allot()
		time.Sleep(time.Hour)
		g.T.Spend(1)
		if g.T.Spent() {
			t.Error("a unit of work is all that a client may have")
		}
		g.T.Spend(100)
		if g.T.Spent() {
			t.Error("spent when the clock is looked at first")
		}
		time.Sleep(time.Millisecond)
		g.T.Spend(100)
		for range 2 { // what is spent stays so
			if !g.T.Spent() {
				t.Error("a millisecond's work leaves something of the share")
			}
		}
		g.T.Allot()
		if g.T.Spent() {
			t.Error("a new share is spent")
		}
	})
}

// TestTook: a share costs what its units are taken for, or what the clock says of it if
// that was looked at and is more.
func TestTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		took := func(what string, want time.Duration) {
			t.Helper()
			if d := g.T.Took(); d != want {
				t.Errorf("%s: took %s, want %s", what, d, want)
			}
		}
		g.T.Allot()
		g.T.Spend(10)
		time.Sleep(time.Second)
		took("little, the clock was not looked at", 1200*time.Nanosecond)
		if g.T.Spend(90); g.T.Spent() {
			t.Error("100 units are all of a share")
		}
		took("at the first look", 12*time.Microsecond)
		time.Sleep(time.Millisecond)
		took("by the clock", time.Millisecond+12*time.Microsecond)
		g.T.Spend(1e6)
		took("by its units", 120*time.Millisecond+12*time.Microsecond)
		g.T.Allot()
		took("nothing", 0)
	})
}
