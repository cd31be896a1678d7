package core_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// sinkConn is a connection that takes everything and acknowledges nothing.
type sinkConn struct {
	g    *core.Gateway
	link core.Link
	buf  []core.Delivery
	n    int
}

func (c *sinkConn) Wake(t *core.Turn) {
	more := true
	for more {
		c.buf, more = c.g.Take(t, c.link, c.buf[:0], 64)
		c.n += len(c.buf)
		for i := range c.buf {
			if c.buf[i].QoS == 1 && c.buf[i].Kind == core.DeliverMessage {
				c.g.Acknowledge(t, c.link, core.AckReceived1, c.buf[i].PacketID, core.Success)
			}
		}
	}
}
func (c *sinkConn) Complete(core.Completion) {}
func (c *sinkConn) Close(core.Reason)        {}
func (c *sinkConn) Peer() netip.AddrPort     { return netip.AddrPort{} }

func connectSink(g *coretest.Gateway, id string, qos uint8, filters ...string) *sinkConn {
	c := &sinkConn{g: g.Gateway}
	res, _ := g.Gateway.Connect(g.T, &core.ConnectRequest{Conn: c, CleanStart: true, Protocol: "mqtt", Version: 5, Credentials: core.Credentials{ClientID: id}})
	c.link = res.Link
	g.Resume(g.T, c.link)
	for _, f := range filters {
		g.Gateway.Subscribe(g.T, c.link, &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: f, SubscribeOptions: core.SubscribeOptions{QoS: qos}}}})
	}
	return c
}

// BenchmarkPublish measures core alone: publish, match, enqueue, take. The goal
// of the hot path is what the kernel leaves room for: a read or write costs 4 µs.
func BenchmarkPublish(b *testing.B) {
	for _, subs := range []int{1, 1000} {
		for _, qos := range []uint8{0, 1} {
			b.Run(fmt.Sprintf("subscribers=%d/qos=%d", subs, qos), func(b *testing.B) {
				g := coretest.Start(b, nil, nil)
				p := connectSink(g, "publisher", 0)
				for i := range subs {
					connectSink(g, fmt.Sprint("s", i), qos, "bench/topic/of/usual/length")
				}
				payload := make([]byte, 64)
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "bench/topic/of/usual/length", Payload: payload, QoS: qos, PacketID: uint16(i%60000) + 1})
					g.T.End()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subs), "ns/delivery")
			})
		}
	}
}

// BenchmarkFanIn measures many publishes a turn to one receiver.
func BenchmarkFanIn(b *testing.B) {
	g := coretest.Start(b, nil, nil)
	p := connectSink(g, "publisher", 0)
	connectSink(g, "s", 0, "bench/#")
	payload := make([]byte, 64)
	b.ReportAllocs()
	for i := range b.N {
		g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "bench/topic/of/usual/length", Payload: payload})
		if i%100 == 99 {
			g.T.End()
		}
	}
}
