package coap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// BenchmarkPublish is one confirmable PUT through machine and core, without a subscriber.
func BenchmarkPublish(b *testing.B) {
	gw := coretest.Start(b, nil, nil)
	m := New(DefaultConfig(), gw.Gateway).NewMachine(&protocols.ConnInfo{Peer: port(1)}, fakeConn{}).(*Machine)
	request := build(b, "CON PUT 1 /ps/field/12/temperature?c=bench&q=0 tok=01 '21.5'")
	var a protocols.Actions
	b.ReportAllocs()
	for i := range b.N {
		a.Reset()
		binary.BigEndian.PutUint16(request[2:], uint16(i))
		gw.T.Begin(time.UnixMilli(int64(i)))
		m.Input(gw.T, request, &a)
		if len(a.Out) != 5 {
			b.Fatalf("answered %x", a.Out)
		}
		gw.T.End()
	}
}

// BenchmarkNotify is one message to one observer with its acknowledgement.
func BenchmarkNotify(b *testing.B) {
	gw := coretest.Start(b, nil, nil)
	m := New(DefaultConfig(), gw.Gateway).NewMachine(&protocols.ConnInfo{Peer: port(1)}, fakeConn{}).(*Machine)
	var a protocols.Actions
	gw.T.Begin(time.Now())
	m.Input(gw.T, build(b, "CON GET 1 /ps/field?c=bench obs=0 tok=01"), &a)
	gw.T.End()
	c := gw.Connect("publisher", nil)
	b.ReportAllocs()
	for range b.N {
		c.Publish(core.Publish{Topic: "field", Payload: []byte("21.5")})
		a.Reset()
		m.Complete(gw.T, core.Completion{Op: core.OpReadable}, &a)
		h, _ := readHeader(a.Out)
		if h.kind != message.Confirmable || len(a.Out) == 0 {
			b.Fatalf("said %x", a.Out)
		}
		a.Reset()
		m.Input(gw.T, appendEmpty(nil, message.Acknowledgement, h.id), &a)
		gw.T.End()
	}
}

// BenchmarkObservers tells what an idle observer costs, core's share included.
func BenchmarkObservers(b *testing.B) {
	const peers = 10_000
	gw := coretest.Start(b, nil, nil)
	adapter := New(DefaultConfig(), gw.Gateway)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	held := make([]*Machine, peers)
	var a protocols.Actions
	gw.T.Begin(time.Now())
	for i := range held {
		info := &protocols.ConnInfo{Peer: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5683)}
		held[i] = adapter.NewMachine(info, fakeConn{}).(*Machine)
		a.Reset()
		held[i].Input(gw.T, build(b, fmt.Sprintf("CON GET 1 /ps/field/%d?c=%d obs=0 tok=01", i, i)), &a)
		gw.T.End()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/peers, "B/observer")
	runtime.KeepAlive(held)
}
