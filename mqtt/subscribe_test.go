package mqtt

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-iot/fairlead/core"
)

func TestSubscribeReachesCore(t *testing.T) {
	r := opened(t, connect5)
	r.wantOut(r.in("82 .. 0001 02 0b 07 0001 61 2d 0003 622f23 02"), "90 05 0001 00 01 02")
	want := core.SubscribeRequest{Pieces: core.Pieces{Allowed: true}, Token: 1, SubID: 7, Filters: []core.FilterRequest{
		{Filter: "a", SubscribeOptions: core.SubscribeOptions{QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}},
		{Filter: "b/#", SubscribeOptions: core.SubscribeOptions{QoS: 2}},
	}}
	if d := cmp.Diff(want, r.gw.subscribed[0], cmpopts.IgnoreUnexported(core.Pieces{})); d != "" {
		t.Fatal(d)
	}
}

func TestMQTT_3_9_3_1_SubackCodes(t *testing.T) {
	answer := func(r *rig) {
		r.gw.granted = []uint8{1, 0, 0}
		r.gw.reasons = []core.Reason{core.Success, core.NotAuthorized, core.FastlaneNeedsCleanSession}
	}
	const three = "0001 61 01 0001 62 00 0001 63 02"
	for _, c := range []struct {
		name, connect, in, out string
		cfg                    func(*Config)
	}{
		{"3.1", connect31, "82 .. 0001 " + three, "90 05 0001 01 80 80", nil},
		{"3.1.1", connect311, "82 .. 0001 " + three, "90 05 0001 01 80 80", nil},
		{"5", connect5, "82 .. 0001 00 " + three, "90 .. 0001 1f 1f 001c" + hexOf([]byte("fastlane needs clean session")) + "01 87 8f", nil},
		{"5 without strings", connect5, "82 .. 0001 00 " + three, "90 06 0001 00 01 87 8f", func(c *Config) { c.ReasonStrings = false }},
		{"5 MQTT-3.1.2-29", connect5With("17 00"), "82 .. 0001 00 " + three, "90 06 0001 00 01 87 8f", nil},
		{"5 MQTT-3.9.2-1", connect5With("27 00000023"), "82 .. 0001 00 " + three, "90 06 0001 00 01 87 8f", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := c.cfg
			if change == nil {
				change = func(*Config) {}
			}
			r := opened(t, c.connect, change)
			answer(r)
			r.wantOut(r.in(c.in), hexOf(unhex(t, c.out)))
		})
	}
}

func TestSubscribePending(t *testing.T) {
	r := opened(t, connect5)
	r.gw.subPending = true
	sub := "82 07 0009 00 0001 61 01"
	r.wantOut(r.in(sub+"c000"), "")
	if !r.a.Pause || r.used != 9 {
		t.Fatalf("pause %v used %d", r.a.Pause, r.used)
	}
	r.a.Reset()
	r.m.Complete(r.turn, core.Completion{Op: core.OpSubscribe, Token: 8, Granted: []uint8{1}, Reasons: []core.Reason{0}}, &r.a)
	if !r.a.Pause || len(r.a.Out) != 0 {
		t.Fatal("another packet's answer was taken")
	}
	r.a.Reset()
	r.m.Complete(r.turn, core.Completion{Op: core.OpSubscribe, Token: 9, Granted: []uint8{1}, Reasons: []core.Reason{0}}, &r.a)
	r.wantOut(hexOf(r.a.Out), "90 04 0009 00 01")
	if r.a.Pause {
		t.Fatal("still paused")
	}
	r.wantOut(r.in("a2 06 000a 00 0001 61"), "")
	r.a.Reset()
	r.m.Complete(r.turn, core.Completion{Op: core.OpUnsubscribe, Token: 10, Reasons: []core.Reason{core.NoSubscriptionExisted}}, &r.a)
	r.wantOut(hexOf(r.a.Out), "b0 04 000a 00 11")
}

func TestMQTT_3_8_3_4_NoLocalOnShared(t *testing.T) {
	for _, filter := range []string{"$share/g/a", "$queue/a", "$local/$share/g/a"} {
		t.Run(filter, func(t *testing.T) {
			r := opened(t, connect5, func(c *Config) { c.ReasonStrings = false })
			f := hexOf([]byte(filter))
			r.wantOut(r.in("82 .. 0001 00 00"+hexOf([]byte{byte(len(filter))})+f+"04"), "e0 01 82")
			r.wantEnd(core.ProtocolError)
			r.wantRefusal(core.ProtocolError, "MQTT-3.8.3-4")
		})
	}
	r := opened(t, connect5)
	r.wantOut(r.in("82 .. 0001 00 0001 61 04"), "90 04 0001 00 00")
}

func TestSubscriptionKindsTurnedOff(t *testing.T) {
	off := func(c *Config) {
		c.SharedAvailable, c.WildcardAvailable, c.SubscriptionIDAvailable, c.ReasonStrings = false, false, false, false
	}
	for _, c := range []struct {
		name, connect, in, out string
		why                    core.Reason
	}{
		{"5 shared", connect5, "82 .. 0001 00 000a 2473686172652f672f61 00", "e0 01 9e", core.SharedNotSupported},
		{"5 wildcard", connect5, "82 .. 0001 00 0001 2b 00", "e0 01 a2", core.WildcardNotSupported},
		{"5 identifier", connect5, "82 .. 0001 02 0b 01 0001 61 00", "e0 01 a1", core.SubscriptionIDsNotSupported},
		{"5 plain", connect5, "82 .. 0001 00 0001 61 00", "90 04 0001 00 00", 0},
		{"3.1.1 mixed", connect311, "82 .. 0001 0001 2b 00 0001 61 01 000a 2473686172652f672f61 00 0001 62 02", "90 06 0001 80 01 80 02", 0},
		{"3.1.1 nothing left", connect311, "82 .. 0001 0001 23 00", "90 03 0001 80", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, off)
			r.wantOut(r.in(c.in), c.out)
			if c.why != 0 {
				r.wantEnd(c.why)
				r.wantRefusal(c.why, "3.2.2.3.1")
			}
		})
	}
}

func TestMQTT_3_2_2_10_SubscribeAboveMaximumQoS(t *testing.T) {
	r := opened(t, connect5, func(c *Config) { c.MaxQoS = 1 })
	r.wantOut(r.in("82 .. 0001 00 0001 61 02"), "90 04 0001 00 01")
}

func TestMalformedSubscribes(t *testing.T) {
	for _, c := range []struct {
		name, connect, in, out, clause string
		why                            core.Reason
	}{
		{"flags", connect5, "80 .. 0001 00 0001 61 00", "e0 01 81", "MQTT-3.8.1-1", core.MalformedPacket},
		{"no filter", connect5, "82 .. 0001 00", "e0 01 82", "MQTT-3.8.3-2", core.ProtocolError},
		{"option bits", connect5, "82 .. 0001 00 0001 61 40", "e0 01 81", "MQTT-3.8.3-5", core.MalformedPacket},
		{"option bits 3.1.1", connect311, "82 .. 0001 0001 61 04", "", "MQTT-3.8.3-5", core.MalformedPacket},
		{"QoS 3", connect5, "82 .. 0001 00 0001 61 03", "e0 01 82", "3.8.3.1", core.ProtocolError},
		{"identifier 0", connect5, "82 .. 0001 02 0b 00 0001 61 00", "e0 01 82", "3.8.2.1.2", core.ProtocolError},
		{"unsubscribe flags", connect5, "a0 .. 0001 00 0001 61", "e0 01 81", "MQTT-3.10.1-1", core.MalformedPacket},
		{"unsubscribe nothing", connect5, "a2 .. 0001 00", "e0 01 82", "MQTT-3.10.3-2", core.ProtocolError},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, func(c *Config) { c.ReasonStrings = false })
			r.wantOut(r.in(c.in), c.out)
			r.wantEnd(c.why)
			r.wantRefusal(c.why, c.clause)
			r.wantCalls()
		})
	}
}

func TestUnsubscribe(t *testing.T) {
	for _, c := range []struct {
		name, connect, in, out string
		reasons                []core.Reason
		end                    bool
	}{
		{"3.1.1", connect311, "a2 .. 0003 0001 61 0001 62", "b0 02 0003", []core.Reason{0, core.NoSubscriptionExisted}, false},
		{"5", connect5, "a2 .. 0003 00 0001 61 0001 62", "b0 05 0003 00 00 11", []core.Reason{0, core.NoSubscriptionExisted}, false},
		{"5 not stored", connect5, "a2 .. 0003 00 0001 61", "b0 .. 0003 14 1f 0011" + hexOf([]byte("store unavailable")) + "83", []core.Reason{core.StoreUnavailable}, false},
		{"3.1.1 not stored", connect311, "a2 .. 0003 0001 61", "", []core.Reason{core.StoreUnavailable}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect)
			r.gw.unreasons = c.reasons
			r.wantOut(r.in(c.in), hexOf(unhex(t, c.out)))
			if r.a.Close != c.end {
				t.Fatalf("close %v", r.a.Close)
			}
		})
	}
}

func TestMQTT_3_1_2_24_SubackTooLarge(t *testing.T) {
	r := opened(t, connect5With("27 0000000d"))
	r.wantOut(r.in("82 .. 0001 00"+
		"0001 61 00 0001 62 00 0001 63 00 0001 64 00 0001 65 00 0001 66 00 0001 67 00 0001 68 00 0001 69 00 0001 6a 00"), "e0 01 95")
	r.wantEnd(core.TooLargeForReceiver)
}
