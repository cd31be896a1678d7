package core_test

import (
	"fmt"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// durably subscribes a durable session that acknowledges what comes.
func durably(g *coretest.Gateway, id, filter string) {
	c := &sinkConn{g: g.Gateway}
	done := make(chan *core.ConnectResult, 1)
	r := &core.ConnectRequest{Conn: awaited{c, done}, CleanStart: true, Expiry: core.NeverExpires, Protocol: "mqtt", Version: 5, Credentials: core.Credentials{ClientID: id}}
	g.Gateway.Connect(g.T, r)
	g.T.End()
	c.link = (<-done).Link
	g.Resume(g.T, c.link)
	g.Gateway.Subscribe(g.T, c.link, &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: filter, SubscribeOptions: core.SubscribeOptions{QoS: 1}}}})
	g.T.End()
}

// awaited is a sinkConn that tells of its Connect.
type awaited struct {
	*sinkConn
	done chan *core.ConnectResult
}

// answered is a sinkConn that tells of each answer to what it published.
type answered struct {
	*sinkConn
	acks chan int
}

func (c answered) Wake(t *core.Turn) {
	before := c.n
	c.sinkConn.Wake(t)
	c.acks <- c.n - before
}

func (c awaited) Complete(r core.Completion) {
	if r.Connect != nil {
		c.done <- r.Connect
	}
}

// BenchmarkPublishDurable measures what core does with a message that the store must have.
func BenchmarkPublishDurable(b *testing.B) {
	for _, turn := range []int{1, 64} {
		b.Run(fmt.Sprintf("messages_a_turn=%d", turn), func(b *testing.B) {
			g := coretest.Start(b, nil, nil)
			p := answered{&sinkConn{g: g.Gateway}, make(chan int, turn)}
			res, _ := g.Gateway.Connect(g.T, &core.ConnectRequest{Conn: p, CleanStart: true, Protocol: "mqtt", Version: 5, Credentials: core.Credentials{ClientID: "publisher"}})
			p.link = res.Link
			g.Resume(g.T, p.link)
			durably(g, "s", "bench/topic/of/usual/length")
			payload := make([]byte, 64)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "bench/topic/of/usual/length", Payload: payload, QoS: 1, PacketID: uint16(i%60000) + 1})
				if i%turn == turn-1 {
					g.T.End()
					for left := turn; left > 0; {
						left -= <-p.acks
					}
				}
			}
		})
	}
}

// BenchmarkConnectDurable measures a session that begins and replaces its former.
func BenchmarkConnectDurable(b *testing.B) {
	g := coretest.Start(b, nil, nil)
	done := make(chan *core.ConnectResult, 1)
	b.ReportAllocs()
	for b.Loop() {
		c := awaited{&sinkConn{g: g.Gateway}, done}
		g.Gateway.Connect(g.T, &core.ConnectRequest{Conn: c, CleanStart: true, Expiry: core.NeverExpires, Protocol: "mqtt", Version: 5, Credentials: core.Credentials{ClientID: "s"}})
		g.T.End()
		<-done
	}
}
