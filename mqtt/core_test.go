package mqtt

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// What CONNACK tells MQTT 5 clients of the default core and adapter: Receive
// Maximum 1024, Maximum Packet Size 1 MiB, 32 aliases.
const (
	granted5 = "20 0e 00 00 0b 21 0400 22 0020 27 00100000"
	resumed5 = "20 0e 01 00 0b 21 0400 22 0020 27 00100000"
)

// connectAs is a CONNECT of MQTT 5 for a client identifier of two characters.
func connectAs(id, flags, props string) string {
	return "10 .. 0004 4d515454 05 " + flags + " 0000 " + props + " 0002" + hexOf([]byte(id))
}

// connect3As is a CONNECT of MQTT 3.1.1.
func connect3As(id, flags string) string {
	return "10 .. 0004 4d515454 04 " + flags + " 0000 0002" + hexOf([]byte(id))
}

func TestCorePublishToEveryVersion(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	old := dial(t, gw, "10 10 0006 4d5149736470 03 02 003c 0002 6331", connack3)
	mid := dial(t, gw, connect3As("c2", "02"), connack3)
	five := dial(t, gw, connectAs("c3", "02", "00"), granted5)
	old.send("82 06 0001 0001 61 02")
	old.expect("90 03 0001 02")
	mid.send("82 06 0001 0001 2b 01")
	mid.expect("90 03 0001 01")
	five.send("82 .. 0001 02 0b 05 0001 23 00")
	five.expect("90 04 0001 00 00")

	five.send("34 .. 0001 61 0007 04 03 0001 74 6869")
	five.expect("30 .. 0001 61 06 03 0001 74 0b 05 6869") // its own, QoS 0
	five.expect("50 02 0007")
	old.expect("34 .. 0001 61 0001 6869")
	mid.expect("32 .. 0001 61 0001 6869")
	five.send("62 02 0007")
	five.expect("70 02 0007")
	old.send("50 02 0001")
	old.expect("62 02 0001")
	old.send("70 02 0001")
	mid.send("40 02 0001")
	five.send("62 02 0007") // again: nothing is known of it any more
	five.expect("70 .. 0007 92 16 1f 0013" + hexOf([]byte("packet id not found")))
}

func TestCoreNoSubscribers(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	five := dial(t, gw, connectAs("c1", "02", "00"), granted5)
	five.send("32 .. 0001 61 0001 00")
	five.expect("40 03 0001 10")
	mid := dial(t, gw, connect3As("c2", "02"), connack3)
	mid.send("32 .. 0001 61 0001")
	mid.expect("40 02 0001")
}

func TestCoreRetained(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	a := dial(t, gw, connectAs("c1", "02", "00"), granted5)
	a.send("33 .. 0001 61 0001 00 6869")
	a.expect("40 03 0001 10")
	b := dial(t, gw, connect3As("c2", "02"), connack3)
	b.send("82 06 0001 0001 2b 01")
	b.expect("90 03 0001 01")
	b.expect("33 .. 0001 61 0001 6869")
}

func TestCoreWillAndTakeover(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	watch := dial(t, gw, connect3As("c1", "02"), connack3)
	watch.send("82 06 0001 0001 77 00")
	watch.expect("90 03 0001 00")
	will := "10 .. 0004 4d515454 05 06 0000 00 0002 6332 00 0001 77 0003 627965"

	lost := dial(t, gw, will, granted5)
	lost.lose()
	watch.expect("30 .. 0001 77 627965")

	left := dial(t, gw, will, granted5)
	left.send("e0 00") // [MQTT-3.14.4-3]
	kept := dial(t, gw, will, granted5)
	kept.send("e0 01 04")
	watch.expect("30 .. 0001 77 627965")

	first := dial(t, gw, will, granted5)
	second := dial(t, gw, will, granted5)
	first.expectStop(core.SessionTakenOver, "e0 .. 8e 15 1f 0012"+hexOf([]byte("session taken over")))
	watch.expect("30 .. 0001 77 627965")
	second.send("c000")
	second.expect("d000")
}

func TestMQTT_4_4_0_1_CoreResume(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	sub := dial(t, gw, connectAs("c1", "00", "05 11 0000003c"), granted5)
	sub.send("82 .. 0001 00 0001 61 02")
	sub.expect("90 04 0001 00 02")
	pub := dial(t, gw, connect3As("c2", "02"), connack3)
	pub.send("34 .. 0001 61 0001 31")
	pub.expect("50 02 0001")
	sub.expect("34 .. 0001 61 0001 00 31")
	sub.lose()
	pub.send("32 .. 0001 61 0002 32")
	pub.expect("40 02 0002")

	sub = dial(t, gw, connectAs("c1", "00", "05 11 0000003c"), resumed5)
	sub.expect("3c .. 0001 61 0001 00 31") // DUP [MQTT-3.3.1-1]
	sub.expect("32 .. 0001 61 0002 00 32")
	sub.send("50 02 0001 40 02 0002")
	sub.expect("62 02 0001")
	sub.lose()

	sub = dial(t, gw, connectAs("c1", "00", "05 11 0000003c"), resumed5)
	sub.expect("62 02 0001")
	sub.send("70 02 0001 c000")
	sub.expect("d000")
	sub.send("e0 00")
	sub = dial(t, gw, connectAs("c1", "02", "00"), granted5) // [MQTT-3.2.2-2]
	sub.send("c000")
	sub.expect("d000")
}

func TestMQTT_3_1_2_25_CoreGoesOnAfterATooLargeMessage(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	// Receive Maximum 1: a message that cannot be sent must not hold the window.
	sub := dial(t, gw, connectAs("c1", "02", "08 21 0001 27 00000010"), granted5)
	sub.send("82 .. 0001 00 0001 61 01")
	sub.expect("90 04 0001 00 01")
	pub := dial(t, gw, connect3As("c2", "02"), connack3)
	pub.send("32 .. 0001 61 0001 30313233343536373839")
	pub.expect("40 02 0001")
	pub.send("32 .. 0001 61 0002 6869")
	pub.expect("40 02 0002")
	sub.expect("32 .. 0001 61 0002 00 6869")
}

func TestCoreSharedSubscription(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	group := "82 .. 0001 00 000a 2473686172652f672f61 00"
	a := dial(t, gw, connectAs("c1", "02", "00"), granted5)
	a.send(group)
	a.expect("90 04 0001 00 00")
	b := dial(t, gw, connectAs("c2", "02", "00"), granted5)
	b.send(group)
	b.expect("90 04 0001 00 00")
	pub := dial(t, gw, connect3As("c3", "02"), connack3)
	pub.send("30 .. 0001 61 31")
	pub.send("30 .. 0001 61 32")
	a.send("c000")
	b.send("c000")
	got := map[string]int{}
	for _, l := range []*line{a, b} {
		l.mu.Lock()
		got[hexOf(l.out)]++
		l.mu.Unlock()
	}
	if got["3005000161"+"0031"+"d000"]+got["3005000161"+"0032"+"d000"] != 2 || len(got) != 2 {
		t.Fatalf("round robin gave %v", got)
	}
}

func TestCoreAssignsClientID(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	r := newRig(t)
	r.m.adapter = New(DefaultConfig(), gw.Gateway)
	r.turn = gw.T
	out := r.in("10 0d 0004 4d515454 05 02 0000 00 0000")
	if r.m.state != open || len(r.m.link.Session.ID()) < 20 || len(out) < 2*40 {
		t.Fatalf("connack %s", out)
	}
	r.m.Closed(gw.T, core.ConnectionLost)
}
