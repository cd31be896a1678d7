package mqtt

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead/core"
)

func TestPublishReachesCore(t *testing.T) {
	for _, c := range []struct {
		name, connect, in string
		want              core.Publish
	}{
		{"3.1.1 QoS 0", connect311, "30 05 0001 61 6869", core.Publish{Topic: "a", Payload: []byte("hi")}},
		{"3.1.1 QoS 1 dup retain", connect311, "3b .. 0001 61 000a 6869", core.Publish{Topic: "a", Payload: []byte("hi"), QoS: 1, Dup: true, Retain: true, PacketID: 10}},
		{"3.1 QoS 2", connect31, "34 .. 0001 61 000a", core.Publish{Topic: "a", Payload: []byte{}, QoS: 2, PacketID: 10}},
		{"5 bare", connect5, "30 .. 0001 61 00 6869", core.Publish{Topic: "a", Payload: []byte("hi")}},
		{"5 expiry only", connect5, "30 .. 0001 61 05 02 0000000a 68", core.Publish{Topic: "a", Payload: []byte("h"), Expiry: 10, HasExpiry: true}},
		{"5 properties", connect5, "32 .. 0001 61 0001 1c 01 01 03 0001 74 08 0001 72 09 0002 0102 26 0001 6b 0001 31 26 0001 6a 0000 68",
			core.Publish{Topic: "a", Payload: []byte("h"), QoS: 1, PacketID: 1, Properties: &core.Properties{
				PayloadFormat: 1, ContentType: "t", ResponseTopic: "r", CorrelationData: []byte{1, 2},
				User: []core.UserProperty{{Name: "k", Value: "1"}, {Name: "j", Value: ""}}}}}, // [MQTT-3.3.2-18]
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect)
			r.wantOut(r.in(c.in), "")
			if r.a.Close || len(r.gw.published) != 1 {
				t.Fatalf("close %s; refusals %+v", r.a.Reason, r.gw.refusals)
			}
			if d := cmp.Diff(c.want, r.gw.published[0]); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestPublishInAnySplit(t *testing.T) {
	stream := unhex(t, "32 0a 0001 61 0001 00 68656c6c"+"30 04 0001 62 00"+"c000")
	for at := range stream {
		r := opened(t, connect5)
		out := r.raw(stream[:at])
		used := r.used
		out += r.raw(stream[used:])
		if out != "d000" || used+r.used != len(stream) || len(r.gw.published) != 2 {
			t.Fatalf("split at %d: out %s, used %d+%d, published %d", at, out, used, r.used, len(r.gw.published))
		}
	}
}

func TestPublishPausesUntilReadable(t *testing.T) {
	r := opened(t, connect311)
	r.gw.publishPause = true
	r.in("32 05 0001 61 0001" + "c000")
	if !r.a.Pause || r.used != 7 {
		t.Fatalf("pause %v used %d", r.a.Pause, r.used)
	}
	if r.in("c000"); !r.a.Pause || r.used != 0 {
		t.Fatal("input was taken while core is behind")
	}
	r.a.Reset()
	r.m.Tick(r.turn, &r.a) // the gateway's own pause is not the client's silence
	if r.a.Close || !r.a.SetTimer {
		t.Fatalf("tick: %+v", r.a)
	}
	r.m.Complete(r.turn, core.Completion{Op: core.OpReadable}, &r.a)
	r.wantOut(r.in("c000"), "d000")
}

func TestPublishRefusals(t *testing.T) {
	quiet := func(c *Config) { c.ReasonStrings = false }
	limited := func(c *Config) { c.MaxQoS, c.RetainAvailable, c.ReasonStrings = 1, false, false }
	strict := func(c *Config) { c.CheckPayloadFormat, c.ReasonStrings = true, false }
	small := func(c *Config) { c.MaxPacketSize, c.ReasonStrings = 128, false }
	for _, c := range []struct {
		name, connect string
		cfg           func(*Config)
		in, out       string
		why           core.Reason
		clause        string
	}{
		{"MQTT-3.3.2-2 wildcard", connect5, quiet, "30 .. 0001 23 00", "e0 01 90", core.TopicNameInvalid, "MQTT-3.3.2-2"},
		{"MQTT-3.3.2-2 wildcard 3.1.1", connect311, quiet, "30 .. 0001 2b", "", core.TopicNameInvalid, "MQTT-3.3.2-2"},
		{"MQTT-3.3.1-4 QoS 3", connect5, quiet, "36 .. 0001 61 0001 00", "e0 01 81", core.MalformedPacket, "MQTT-3.3.1-4"},
		{"MQTT-3.3.1-2 dup with QoS 0", connect5, quiet, "38 .. 0001 61 00", "e0 01 81", core.MalformedPacket, "MQTT-3.3.1-2"},
		{"MQTT-2.2.1-3 packet id 0", connect5, quiet, "32 .. 0001 61 0000 00", "e0 01 82", core.ProtocolError, "MQTT-2.2.1-3"},
		{"MQTT-1.5.4-1 bad UTF-8", connect5, quiet, "30 .. 0001 ff 00", "e0 01 81", core.MalformedPacket, "MQTT-1.5.4-1"},
		{"MQTT-3.3.2-14 response topic", connect5, quiet, "30 .. 0001 61 04 08 0001 23", "e0 01 82", core.ProtocolError, "MQTT-3.3.2-14"},
		{"MQTT-3.3.4-6 subscription id", connect5, quiet, "30 .. 0001 61 02 0b 01", "e0 01 82", core.ProtocolError, "MQTT-3.3.4-6"},
		{"MQTT-3.2.2-11 QoS above maximum", connect5, limited, "34 .. 0001 61 0001 00", "e0 01 9b", core.QoSNotSupported, "MQTT-3.2.2-11"},
		{"MQTT-3.2.2-14 retain", connect5, limited, "31 .. 0001 61 00", "e0 01 9a", core.RetainNotSupported, "MQTT-3.2.2-14"},
		{"retain 3.1.1", connect311, limited, "31 .. 0001 61", "", core.RetainNotSupported, "MQTT-3.2.2-14"},
		{"property twice", connect5, quiet, "30 .. 0001 61 04 01 00 01 00", "e0 01 82", core.ProtocolError, "2.2.2.2"},
		{"MQTT-3.3.2-8 alias 0", connect5, quiet, "30 .. 0001 61 03 23 0000", "e0 01 94", core.TopicAliasInvalid, "MQTT-3.3.2-8"},
		{"MQTT-3.3.2-9 alias above maximum", connect5, quiet, "30 .. 0001 61 03 23 0021", "e0 01 94", core.TopicAliasInvalid, "MQTT-3.3.2-9"},
		{"unknown alias", connect5, quiet, "30 .. 0000 03 23 0001", "e0 01 82", core.ProtocolError, "3.3.2.3.4"},
		{"no topic and no alias", connect5, quiet, "30 .. 0000 00", "e0 01 82", core.ProtocolError, "3.3.2.1"},
		{"payload format, QoS 0", connect5, strict, "30 .. 0001 61 02 01 01 ff", "e0 01 99", core.PayloadFormatInvalid, "3.3.2.3.2"},
		{"MQTT-3.2.2-15 too large", connect5, small, "30 ff7f", "e0 01 95", core.PacketTooLarge, "MQTT-3.2.2-15"},
		{"too large 3.1.1", connect311, small, "30 ff7f", "", core.PacketTooLarge, "MQTT-3.2.2-15"},
		{"remaining length of five bytes", connect5, quiet, "30 ffffffff7f", "e0 01 81", core.MalformedPacket, "1.5.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, c.cfg)
			r.wantOut(r.in(c.in+"c000"), c.out)
			r.wantEnd(c.why)
			r.wantRefusal(c.why, c.clause)
			if len(r.gw.published) != 0 {
				t.Fatal("core got it")
			}
		})
	}
}

func TestPublishEndedByCore(t *testing.T) {
	r := opened(t, connect5)
	r.gw.publishErr = core.Errorf(core.ReceiveMaximumExceeded, "slow")
	r.wantOut(r.in("32 06 0001 61 0001 00 c000"), "e0 09 93 07 1f 0004 736c6f77")
	r.wantEnd(core.ReceiveMaximumExceeded)
	r.wantRefusal(core.ReceiveMaximumExceeded, "slow")

	// A takeover is counted where it was made.
	r = opened(t, connect5)
	r.gw.publishErr = core.Errorf(core.SessionTakenOver, "")
	r.in("32 06 0001 61 0001 00 c000")
	r.wantEnd(core.SessionTakenOver)
	if len(r.gw.refusals) != 0 {
		t.Fatal("a takeover is no refusal")
	}
}

func TestMQTT_3_3_2_3_2_PayloadFormat(t *testing.T) {
	strict := func(c *Config) { c.CheckPayloadFormat, c.ReasonStrings = true, false }
	for _, c := range []struct{ name, in, out string }{
		{"QoS 1", "32 .. 0001 61 0007 02 01 01 ff", "40 03 0007 99"},
		{"QoS 2", "34 .. 0001 61 0007 02 01 01 ff", "50 03 0007 99"},
		{"valid", "32 .. 0001 61 0007 02 01 01 c3a4", ""},
		{"not marked", "32 .. 0001 61 0007 02 01 00 ff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, connect5, strict)
			r.wantOut(r.in(c.in), c.out)
			if r.a.Close || (len(r.gw.published) == 0) != (c.out != "") {
				t.Fatalf("close %v, published %d", r.a.Close, len(r.gw.published))
			}
		})
	}
	r := opened(t, connect5) // off: nobody looks
	r.in("32 .. 0001 61 0007 02 01 01 ff")
	if len(r.gw.published) != 1 {
		t.Fatal("checked without being asked to")
	}
}

func TestMQTT_3_3_2_12_InboundAliases(t *testing.T) {
	r := opened(t, connect5)
	if r.m.rare != nil {
		t.Fatal("a table before the first alias")
	}
	r.in("30 .. 0001 61 03 23 0020") // 32 := a
	r.in("30 .. 0000 03 23 0020")    // a
	r.in("30 .. 0001 62 03 23 0001") // 1 := b
	r.in("30 .. 0001 63 03 23 0020") // 32 := c
	r.in("30 .. 0000 03 23 0020")    // c
	r.in("30 .. 0000 03 23 0001")    // b
	r.in("30 .. 0000 03 23 0002")    // never learnt
	var got []string
	for _, p := range r.gw.published {
		got = append(got, p.Topic)
	}
	if want := []string{"a", "a", "b", "c", "c", "b"}; !slices.Equal(got, want) {
		t.Fatalf("topics %v, want %v", got, want)
	}
	r.wantEnd(core.ProtocolError)
}

func TestClientAcknowledgements(t *testing.T) {
	for _, c := range []struct{ name, connect, in, want string }{
		{"PUBACK 3.1.1", connect311, "40 02 0001", "ack 0 1 success"},
		{"PUBREC 3.1.1", connect311, "50 02 0002", "ack 1 2 success"},
		{"PUBREL 3.1.1", connect311, "62 02 0003", "ack 2 3 success"},
		{"PUBCOMP 3.1.1", connect311, "70 02 0004", "ack 3 4 success"},
		{"PUBREL with DUP 3.1", connect31, "6a 02 0003", "ack 2 3 success"},
		{"MQTT-4.4.0-2 PUBACK with a failure", connect5, "40 03 0001 80", "ack 0 1 receiver_refused"},
		{"MQTT-4.4.0-2 PUBREC with a failure", connect5, "50 04 0002 97 00", "ack 1 2 receiver_refused"},
		{"PUBACK without subscribers", connect5, "40 03 0001 10", "ack 0 1 success"},
		{"PUBREL not found", connect5, "62 03 0001 92", "ack 2 1 success"},
		{"PUBCOMP not found", connect5, "70 03 0001 92", "ack 3 1 success"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect)
			r.wantOut(r.in(c.in), "")
			r.wantCalls(c.want)
		})
	}
}

func TestMQTT_3_6_1_1_PubrelFlags(t *testing.T) {
	r := opened(t, connect5, func(c *Config) { c.ReasonStrings = false })
	r.wantOut(r.in("60 02 0003"), "e0 01 81")
	r.wantEnd(core.MalformedPacket)
	r.wantRefusal(core.MalformedPacket, "MQTT-3.6.1-1")
}

func TestMQTT_3_4_2_1_UnknownAckCode(t *testing.T) {
	r := opened(t, connect5, func(c *Config) { c.ReasonStrings = false })
	r.wantOut(r.in("40 03 0001 8e"), "e0 01 82")
	r.wantRefusal(core.ProtocolError, "MQTT-3.4.2-1")
}
