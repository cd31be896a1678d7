package mqtt

import (
	"testing"
	"unsafe"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// quietGateway answers everything at once and records nothing.
type quietGateway struct {
	recorder
	ready []core.Delivery
}

func (g *quietGateway) Publish(*core.Turn, core.Link, *core.Publish) (bool, *core.Error) {
	return false, nil
}

func (g *quietGateway) Take(_ *core.Turn, _ core.Link, dst []core.Delivery, max int) ([]core.Delivery, bool) {
	return append(dst, g.ready...), false
}

func quietMachine(tb testing.TB, connect string) (*Machine, *quietGateway, *core.Turn) {
	gw, turn := &quietGateway{}, newTurn(tb, "plant/1/temperature")
	m := New(DefaultConfig(), gw).NewMachine(&protocols.ConnInfo{}, &fakeConn{}).(*Machine)
	var a protocols.Actions
	m.Input(turn, unhex(tb, connect), &a)
	if m.state != open {
		tb.Fatal("not accepted")
	}
	return m, gw, turn
}

// inputCases are PUBLISH packets of 64 bytes of payload.
func inputCases() []struct{ name, connect, packet string } {
	const payload = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	const topic = "0013 706c616e742f312f74656d7065726174757265"
	return []struct{ name, connect, packet string }{
		{"3.1.1/QoS0", connect311, "30 .. " + topic + payload},
		{"3.1.1/QoS1", connect311, "32 .. " + topic + "0001" + payload},
		{"5/QoS0", connect5, "30 .. " + topic + "00" + payload},
		{"5/QoS1/expiry", connect5, "32 .. " + topic + "0001 05 02 0000003c" + payload},
	}
}

func BenchmarkInputPublish(b *testing.B) {
	for _, c := range inputCases() {
		b.Run(c.name, func(b *testing.B) {
			m, _, turn := quietMachine(b, c.connect)
			in := unhex(b, c.packet)
			var a protocols.Actions
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				a.Reset()
				if m.Input(turn, in, &a) != len(in) {
					b.Fatal("not consumed")
				}
			}
		})
	}
}

// outputCases are batches as core hands them over.
func outputCases() []struct {
	name, connect string
	d             core.Delivery
} {
	topic, payload := "plant/1/temperature", make([]byte, 64)
	plain := &core.Message{Topic: topic, Payload: payload}
	rich := &core.Message{Topic: topic, Payload: payload, Expires: 2_000_000, Properties: &core.Properties{ContentType: "text/plain"}}
	return []struct {
		name, connect string
		d             core.Delivery
	}{
		{"3.1.1/QoS0", connect311, core.Delivery{Msg: plain}},
		{"3.1.1/QoS1", connect311, core.Delivery{Msg: plain, QoS: 1, PacketID: 1}},
		{"5/QoS0", connect5, core.Delivery{Msg: plain}},
		{"5/QoS1/properties", connect5, core.Delivery{Msg: rich, QoS: 1, PacketID: 1, SubID: 4}},
		{"5/QoS0/alias", connect5With("22 0010"), core.Delivery{Msg: plain}},
		{"3.1.1/large", connect311, core.Delivery{Msg: &core.Message{Topic: topic, Payload: make([]byte, 64<<10)}}},
		{"5/PUBACK", connect5, core.Delivery{Kind: core.DeliverAck, PacketID: 1}},
	}
}

func BenchmarkOutput(b *testing.B) {
	for _, c := range outputCases() {
		b.Run(c.name, func(b *testing.B) {
			m, gw, turn := quietMachine(b, c.connect)
			gw.ready = []core.Delivery{c.d}
			buf := make([]byte, 0, 4096)
			o := &protocols.Out{Buf: buf, Limit: 1}
			m.Output(turn, o)
			b.ReportAllocs()
			for b.Loop() {
				*o = protocols.Out{Buf: buf[:0], Limit: 1}
				m.Output(turn, o)
			}
		})
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	for _, c := range inputCases() {
		m, _, turn := quietMachine(t, c.connect)
		in := unhex(t, c.packet)
		var a protocols.Actions
		if n := testing.AllocsPerRun(100, func() { a.Reset(); m.Input(turn, in, &a) }); n != 0 {
			t.Errorf("Input %s: %v allocations", c.name, n)
		}
	}
	for _, c := range outputCases() {
		if c.d.Msg != nil && len(c.d.Msg.Payload) > protocols.ReferenceAbove {
			continue // the edge pools the list of references
		}
		m, gw, turn := quietMachine(t, c.connect)
		gw.ready = []core.Delivery{c.d}
		buf := make([]byte, 0, 4096)
		o := &protocols.Out{}
		run := func() { *o = protocols.Out{Buf: buf[:0], Limit: 1}; m.Output(turn, o) }
		run() // the scratch, the shared properties and the alias table come once
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("Output %s: %v allocations", c.name, n)
		}
	}
}

// maxMachine is what an idle connection may cost here, in bytes.
const maxMachine = 120

func TestMachineIsSmallWhenIdle(t *testing.T) {
	if n := unsafe.Sizeof(Machine{}); n > maxMachine {
		t.Errorf("a Machine takes %d bytes, allowed are %d", n, maxMachine)
	}
	for _, connect := range []string{connect31, connect311, connect5, connect5With("22 0010 11 0000003c")} {
		m, _, turn := quietMachine(t, connect)
		var a protocols.Actions
		m.Input(turn, unhex(t, "c000"), &a)
		if m.rare != nil || m.aliases != nil {
			t.Error("an idle connection keeps what only others need")
		}
	}
}
