package core_test

import (
	"fmt"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// BenchmarkSubscribe repeats a session's oldest subscription, and takes another one
// away and adds it again, while the session holds so many.
func BenchmarkSubscribe(b *testing.B) {
	for _, held := range []int{1, 100_000} {
		g := coretest.Start(b, nil, nil)
		c := connectSink(g, "c", 0)
		for i := range held {
			subscribeSink(g, c, fmt.Sprint("f/", i))
		}
		b.Run(fmt.Sprintf("repeat/held=%d", held), func(b *testing.B) {
			for b.Loop() {
				subscribeSink(g, c, "f/0")
			}
		})
		b.Run(fmt.Sprintf("churn/held=%d", held), func(b *testing.B) {
			for b.Loop() {
				g.Gateway.Unsubscribe(g.T, c.link, &core.UnsubscribeRequest{Filters: []string{"f/0"}})
				subscribeSink(g, c, "f/0")
			}
		})
	}
}

func subscribeSink(g *coretest.Gateway, c *sinkConn, filter string) {
	g.Gateway.Subscribe(g.T, c.link, &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: filter}}})
	g.T.End()
}
