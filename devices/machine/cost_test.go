package machine

import (
	"testing"
	"unsafe"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestIdleMachineIsSmall: what a fleet pays for each device that is connected and idle, here
// without a session's state. [400 bytes are what a fleet of a million can bear]
func TestIdleMachineIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Machine{}); n > 96 {
		t.Errorf("a Machine has %d bytes", n)
	}
	b := online(t, Config{Clean: true, KeepAlive: 60, TopicAliasMaximum: 10}, accepted5)
	b.publish(1, "", 1)
	b.in("40 02 0001 34 06 0001 61 0007 00 62 02 0007")
	if b.session != nil || b.aliases != nil {
		t.Error("an idle machine holds more than itself")
	}
}

// quiet is a handler that does nothing.
type quiet struct{}

func (quiet) Connected(*packet.Connack)                        {}
func (quiet) Message(*packet.Publish, []byte)                  {}
func (quiet) Sent(uint64)                                      {}
func (quiet) Acked(uint64, packet.ReasonCode, []byte)          {}
func (quiet) Dropped(uint64, error)                            {}
func (quiet) Subscribed(uint64, []packet.ReasonCode, []byte)   {}
func (quiet) Unsubscribed(uint64, []packet.ReasonCode, []byte) {}
func (quiet) Disconnected(*packet.Disconnect)                  {}

func TestNoAllocationPerMessage(t *testing.T) {
	p := packet.Publish{Topic: []byte("a/b/c"), Payload: make([]byte, 100)}
	p.Properties.SetMessageExpiry(60)
	p.Properties.AddUser([]byte("k"), []byte("v"))
	puback := []byte{0x40, 2, 0, 0}
	answer := func(b *bench, first byte) {
		puback[0], puback[2], puback[3] = first, byte(p.PacketID>>8), byte(p.PacketID)
		if _, err := b.Input(&b.turn, puback); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(qos byte) func(b *bench) {
		return func(b *bench) {
			p.QoS = qos
			if err := b.Publish(&b.turn, &p, 1); err != nil {
				t.Fatal(err)
			}
			switch qos {
			case 1:
				answer(b, 0x40)
			case 2:
				answer(b, 0x50)
				answer(b, 0x70)
			}
		}
	}
	receive := func(s string) func(b *bench) {
		in := unhex(t, s)
		return func(b *bench) {
			if _, err := b.Input(&b.turn, in); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, run := range map[string]func(b *bench){
		"publish QoS 0": publish(0), "publish QoS 1": publish(1), "publish QoS 2": publish(2),
		"receive QoS 0": receive("31 09 0001 61 05 02 0000000a"), "receive QoS 1": receive("32 06 0001 61 0007 00"),
		"receive QoS 2": receive("34 06 0001 61 0007 00 62 02 0007"), "receive by alias": receive("30 07 0001 61 03 23 0001 30 06 0000 03 23 0001"),
	} {
		t.Run(name, func(t *testing.T) {
			b := online(t, Config{TopicAliasMaximum: 1}, accepted5)
			b.turn.Handler = quiet{}
			for range 3 * minSlots {
				run(b) // memory that is kept is there after a while
			}
			if n := testing.AllocsPerRun(1000, func() {
				b.turn.Out = b.turn.Out[:0]
				run(b)
			}); n != 0 {
				t.Errorf("%v allocations a message", n)
			}
		})
	}
}

// TestSpareMemoryIsBounded: a burst leaves a Turn with no more than it may keep.
func TestSpareMemoryIsBounded(t *testing.T) {
	b := newBench(t, Config{MaxQueue: 65535, MaxInflight: 65535})
	b.turn.Handler = quiet{}
	p := packet.Publish{Topic: []byte("a"), Payload: make([]byte, 1000), QoS: 1}
	for i := range 10_000 {
		if err := b.Publish(&b.turn, &p, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	b.connect(accepted5)
	for id := 1; id <= 10_000; id++ {
		if _, err := b.Input(&b.turn, []byte{0x40, 2, byte(id >> 8), byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
	if b.session != nil || b.turn.spareSize != 0 || len(b.turn.spare) != 0 {
		t.Fatalf("%d bytes are kept", b.turn.spareSize)
	}
	p.Payload = make([]byte, 1<<20)
	if err := b.Publish(&b.turn, &p, 1); err != nil {
		t.Fatal(err)
	}
	b.in("40 02 2711")
	if n := measured(b.turn.spare[0]); b.turn.spareSize != n || n > keepWire {
		t.Fatalf("%d bytes are kept, %d counted", n, b.turn.spareSize)
	}
	p.QoS = 2
	if err := b.Publish(&b.turn, &p, 1); err != nil {
		t.Fatal(err)
	}
	b.in("50 02 2712")
	if n := measured(b.session); n != b.session.size || n > keepWire {
		t.Fatalf("%d bytes are kept of what the server has, %d counted", n, b.session.size)
	}
}

// measured is what a session takes, counted anew.
func measured(s *session) int {
	n := int(unsafe.Sizeof(*s)) + len(s.slots)*entrySize + 2*cap(s.received)
	for i := range s.slots {
		n += cap(s.slots[i].wire)
	}
	return n
}

func BenchmarkPublishQoS1(b *testing.B) {
	o := online(b, Config{}, accepted5)
	o.turn.Handler = quiet{}
	p := packet.Publish{Topic: []byte("fleet/device/17/state"), Payload: make([]byte, 100), QoS: 1}
	for b.Loop() {
		o.turn.Out = o.turn.Out[:0]
		if err := o.Publish(&o.turn, &p, 1); err != nil {
			b.Fatal(err)
		}
		if _, err := o.Input(&o.turn, []byte{0x40, 2, byte(p.PacketID >> 8), byte(p.PacketID)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceiveQoS0(b *testing.B) {
	o := online(b, Config{}, accepted5)
	o.turn.Handler = quiet{}
	in := (&packet.Publish{Topic: []byte("fleet/device/17/state"), Payload: make([]byte, 100)}).Append(nil, packet.V5)
	for b.Loop() {
		if _, err := o.Input(&o.turn, in); err != nil {
			b.Fatal(err)
		}
	}
}
