package core_test

import (
	"bytes"
	"math"
	"runtime"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

const longWill = 50_000

// leaveWill has a client come with a Will that fills its adapter's buffer, and break off.
func leaveWill(g *coretest.Gateway, buffer []byte, change func(*core.ConnectRequest)) {
	g.Connect("a", func(r *core.ConnectRequest) {
		r.Will, r.BorrowedWill = &core.Will{Topic: "w", Payload: buffer, QoS: 1}, true
		if change != nil {
			change(r)
		}
	}).Disconnect(core.ConnectionLost)
	clear(buffer)
}

// filled is a buffer of one byte's value.
func filled(b byte) []byte { return bytes.Repeat([]byte{b}, longWill) }

// TestWillsOfNobodyMakeLittleGarbage: the payload of one that nobody takes is the next
// one's room.
func TestWillsOfNobodyMakeLittleGarbage(t *testing.T) {
	g := coretest.Start(t, nil, nil)
	buffer := filled('a')
	leaveWill(g, buffer, nil)
	const rounds, runs = 5, 20
	least := math.MaxInt // the gateway beside it may be busy with its own
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			leaveWill(g, buffer, nil)
		}
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc)/runs)
	}
	if least > longWill/4 {
		t.Errorf("%d bytes of garbage for each Will", least)
	}
	stats := g.Stats()
	if n := stats.Get(core.WillsPublished); n != rounds*runs+1 {
		t.Errorf("%d Wills were published", n)
	}
}

// TestWillsThatAreKept: a payload that somebody has is nobody else's room.
func TestWillsThatAreKept(t *testing.T) {
	flood := func(g *coretest.Gateway) {
		for i := range 20 { // of nobody, into whatever is spare
			leaveWill(g, filled(byte('b'+i)), nil)
		}
	}
	for name, story := range map[string]func(g *coretest.Gateway, b *coretest.Client){
		"delivered": func(g *coretest.Gateway, b *coretest.Client) {
			b.Subscribe(1, "w")
			leaveWill(g, filled('a'), nil)
			b.Unsubscribe("w")
			flood(g)
		},
		"retained": func(g *coretest.Gateway, b *coretest.Client) {
			leaveWill(g, filled('a'), func(r *core.ConnectRequest) { r.Will.Retain = true })
			flood(g)
			b.Subscribe(1, "w")
		},
		"of a connection that lasts": func(g *coretest.Gateway, b *coretest.Client) {
			flood(g)
			buffer := filled('a')
			c := g.Connect("c", func(r *core.ConnectRequest) {
				r.Will, r.BorrowedWill = &core.Will{Topic: "w", Payload: buffer, QoS: 1}, true
			})
			clear(buffer)
			flood(g)
			b.Subscribe(1, "w")
			c.Disconnect(core.ConnectionLost)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, nil)
				b := g.Connect("b", nil)
				story(g, b)
				got := b.Now()
				if len(got) != 1 || !bytes.Equal(got[0].Msg.Payload, filled('a')) {
					t.Errorf("got %d, the first begins with %q", len(got), got[0].Msg.Payload[:1])
				}
			})
		})
	}
}

// TestWillThatWasAskedFor: whoever has it keeps it.
func TestWillThatWasAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		c := g.Connect("c", func(r *core.ConnectRequest) {
			r.Will, r.BorrowedWill = &core.Will{Topic: "w", Payload: filled('a')}, true
		})
		will := g.Will(c.Result.Link)
		c.Disconnect(core.ConnectionLost)
		leaveWill(g, filled('b'), nil)
		if !bytes.Equal(will.Payload, filled('a')) {
			t.Errorf("it begins with %q now", will.Payload[:1])
		}
	})
}
