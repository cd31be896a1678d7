package mqttsn

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"unsafe"

	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// BenchmarkIdleClients is the memory of a client with a session and a subscription, the edge's
// own part left out.
func BenchmarkIdleClients(b *testing.B) {
	gw := coretest.Start(b, nil, nil)
	f := newField(b, gw, New(DefaultConfig(), gw.Gateway), false, func(netip.AddrPort, string, []byte) {})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range b.N {
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1884)
		f.datagram(peer, (&packet.Connect{CleanSession: true, Duration: 60, ClientID: fmt.Appendf(nil, "sensor-%07d", i)}).Append(nil))
		f.datagram(peer, (&packet.Subscribe{Type: packet.TypeSubscribe, QoS: 1, MessageID: 1, Topic: fmt.Appendf(nil, "s/%07d", i)}).Append(nil))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	harness := int(unsafe.Sizeof(end{})) + 64
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N)-float64(harness), "B/client")
	b.ReportMetric(float64(unsafe.Sizeof(Machine{})), "B/machine")
	runtime.KeepAlive(f)
}

// BenchmarkPublishUp is one QoS 1 message of a client, from its datagram to its PUBACK.
func BenchmarkPublishUp(b *testing.B) {
	gw := coretest.Start(b, nil, nil)
	f := newField(b, gw, New(DefaultConfig(), gw.Gateway), false, func(netip.AddrPort, string, []byte) {})
	f.datagram(home, (&packet.Connect{CleanSession: true, Duration: 60, ClientID: []byte("c1")}).Append(nil))
	m := f.ends[endKey{home, ""}].m
	var a protocols.Actions
	p := packet.Publish{QoS: 1, IDType: packet.ShortName, TopicID: 0x7a7a, Data: make([]byte, 32)}
	var d []byte
	b.ReportAllocs()
	for i := range b.N {
		p.MessageID = uint16(i%65535) + 1
		d = p.Append(d[:0])
		a.Reset()
		m.Input(gw.T, d, &a)
		m.(*Machine).more = true
		m.(*Machine).settle(gw.T, &a)
		if len(a.Out) == 0 {
			b.Fatal("not answered")
		}
		gw.T.End()
	}
}
