package core_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

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
				payload, search := make([]byte, 64), core.Search{}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "bench/topic/of/usual/length", Payload: payload, QoS: qos, PacketID: uint16(i%60000) + 1, Search: &search})
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
	payload, search := make([]byte, 64), core.Search{}
	b.ReportAllocs()
	for i := range b.N {
		g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "bench/topic/of/usual/length", Payload: payload, Search: &search})
		if i%100 == 99 {
			g.T.End()
		}
	}
}

// BenchmarkDearPublish measures the pieces of a publish that matches 8,192 filters of one
// session: those of the search, and the last, which merges and delivers.
func BenchmarkDearPublish(b *testing.B) {
	g := coretest.Start(b, nil, nil)
	p, many := connectSink(g, "publisher", 0), connectSink(g, "many", 0)
	const levels = 13
	for mix := range 1 << levels {
		f := "h"
		for i := range levels {
			f += []string{"/a", "/+"}[mix>>i&1]
		}
		subscribeSink(g, many, f)
	}
	var s core.Search
	pieces := 0
	var worst, last, all time.Duration
	for b.Loop() {
		subscribeSink(g, many, "+/x") // nothing is remembered
		g.Gateway.Unsubscribe(g.T, many.link, &core.UnsubscribeRequest{Filters: []string{"+/x"}})
		for more := true; more; {
			begun := time.Now()
			g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "h" + strings.Repeat("/a", levels), Search: &s})
			took := time.Since(begun)
			pieces++
			all += took
			if more = s.Unfinished(); more {
				worst = max(worst, took)
			} else {
				last += took
			}
			g.T.End()
		}
	}
	b.ReportMetric(float64(pieces)/float64(b.N), "pieces/publish")
	b.ReportMetric(float64(all.Microseconds())/float64(b.N), "µs/publish")
	b.ReportMetric(float64(worst.Microseconds()), "µs/worst-search")
	b.ReportMetric(float64((all-last).Microseconds())/float64(pieces-b.N), "µs/search")
	b.ReportMetric(float64(last.Microseconds())/float64(b.N), "µs/last")
}

// BenchmarkManyTopics publishes to more topics than a turn remembers.
func BenchmarkManyTopics(b *testing.B) {
	g := coretest.Start(b, nil, nil)
	p := connectSink(g, "publisher", 0)
	connectSink(g, "s", 0, "bench/+/of/usual/length", "other/#")
	topics := make([]string, 20_000)
	for i := range topics {
		topics[i] = fmt.Sprintf("bench/topic-%d/of/usual/length", i)
	}
	payload, search := make([]byte, 64), core.Search{}
	b.ReportAllocs()
	for i := range b.N {
		g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: topics[i%len(topics)], Payload: payload, Search: &search})
		if i%100 == 99 {
			g.T.End()
		}
	}
}
