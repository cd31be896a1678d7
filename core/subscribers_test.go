package core_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func TestLimitSubscribers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		limit := func(by *coretest.Client, most uint32) {
			g.LimitSubscribers(g.T, by.Result.Link, "x", most)
			g.T.End()
		}
		subscribe := func(c *coretest.Client, id uint32, limited bool, filter string) {
			c.SubscribeWith(&core.SubscribeRequest{SubID: id, Limited: limited, Filters: []core.FilterRequest{{Filter: filter}}})
		}
		free, away, a, b := g.Connect("free", nil), g.Connect("away", durable), g.Connect("a", nil), g.Connect("b", nil)
		limit(free, 0) // nobody has it
		subscribe(free, 7, false, "x")
		subscribe(away, 8, true, "x")
		subscribe(a, 9, true, "x")
		subscribe(b, 10, true, "x")
		subscribe(b, 11, true, "+")
		away.Disconnect(core.NormalDisconnect)

		ousted := func() uint64 { return g.Stats().Reasons[core.SubscriberLimit] }
		limit(free, 4)
		if n := ousted(); n != 0 {
			t.Fatalf("%d ended though four may have it", n)
		}
		limit(free, 3)
		if c := b.Completed(core.OpOusted); c.Token != 10 || ousted() != 1 {
			t.Fatalf("%+v, %d ended, want the last of the four", c, ousted())
		}
		b.Unsubscribe("x")
		limit(free, 3)
		if n := ousted(); n != 1 {
			t.Fatalf("%d ended though three have it", n)
		}
		limit(free, 0) // those that may not be ended, or are not there, stay
		if c := a.Completed(core.OpOusted); c.Token != 9 || ousted() != 2 {
			t.Fatalf("%+v, %d ended", c, ousted())
		}
		rs := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.SubscriberLimit })
		if len(rs) != 2 || rs[0].ClientID+rs[1].ClientID != "ab" && rs[0].ClientID+rs[1].ClientID != "ba" || rs[0].Detail != "ended: subscribe x" {
			t.Errorf("explain: %+v", rs)
		}
	})
}
