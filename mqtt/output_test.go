package mqtt

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

func message(topic, payload string) *core.Message {
	return &core.Message{Topic: topic, Payload: []byte(payload)}
}

func TestOutputMessages(t *testing.T) {
	many := []uint32{3, 300}
	full := &core.Properties{PayloadFormat: 1, ContentType: "t", ResponseTopic: "r", CorrelationData: []byte{9},
		User: []core.UserProperty{{Name: "k", Value: "v"}, {Name: "a", Value: ""}}}
	for _, c := range []struct {
		name, connect string
		d             core.Delivery
		out           string
	}{
		{"3.1.1 QoS 0", connect311, core.Delivery{Msg: message("a", "hi")}, "30 05 0001 61 6869"},
		{"3.1.1 QoS 1", connect311, core.Delivery{Msg: message("a", "hi"), QoS: 1, PacketID: 7, Retain: true}, "33 07 0001 61 0007 6869"},
		{"3.1.1 QoS 2 again", connect311, core.Delivery{Msg: message("a", ""), QoS: 2, PacketID: 7, Dup: true}, "3c 05 0001 61 0007"},
		{"3.1.1 leaves properties out", connect311, core.Delivery{Msg: &core.Message{Topic: "a", Properties: full, Expires: 1_060_000}, SubID: 5}, "30 03 0001 61"},
		{"5 bare", connect5, core.Delivery{Msg: message("a", "hi")}, "30 06 0001 61 00 6869"},
		{"5 expiry", connect5, core.Delivery{Msg: &core.Message{Topic: "a", Expires: 1_000_000 + 1500}}, "30 09 0001 61 05 02 00000002"},
		{"5 one identifier", connect5, core.Delivery{Msg: message("a", ""), SubID: 5}, "30 06 0001 61 02 0b 05"},
		{"5 identifiers", connect5, core.Delivery{Msg: message("a", ""), SubID: 3, SubIDs: &many}, "30 09 0001 61 05 0b 03 0b ac02"},
		{"5 properties", connect5, core.Delivery{Msg: &core.Message{Topic: "a", Properties: full}, SubID: 1, QoS: 1, PacketID: 2},
			"32 23 0001 61 0002 1d 01 01 03 0001 74 08 0001 72 09 0001 09 26 0001 6b 0001 76 26 0001 61 0000 0b 01"},
		{"5 lapsed but sent before", connect5, core.Delivery{Msg: &core.Message{Topic: "a", Expires: 999_000}, QoS: 2, PacketID: 1, Dup: true},
			"3c 0b 0001 61 0001 05 02 00000000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect)
			r.wantOut(r.out(c.d), c.out)
		})
	}
}

func TestMQTT_3_3_2_5_LapsedOnTheWay(t *testing.T) {
	r := opened(t, connect5)
	r.wantOut(r.out(core.Delivery{Msg: &core.Message{Topic: "a", Expires: 999_000}}), "")
	if len(r.gw.dropped) != 1 || r.gw.dropped[0] != core.MessageExpired {
		t.Fatalf("dropped %v", r.gw.dropped)
	}
}

func TestOutputAcks(t *testing.T) {
	for _, c := range []struct {
		name, connect string
		d             core.Delivery
		out           string
	}{
		{"PUBACK 3.1.1", connect311, core.Delivery{Kind: core.DeliverAck, PacketID: 1}, "40 02 0001"},
		{"PUBACK 3.1.1 without subscribers", connect311, core.Delivery{Kind: core.DeliverAck, PacketID: 1, Reason: core.NoMatchingSubscribers}, "40 02 0001"},
		{"PUBREC 3.1.1", connect311, core.Delivery{Kind: core.DeliverReceived, PacketID: 1}, "50 02 0001"},
		{"PUBREL 3.1.1", connect311, core.Delivery{Kind: core.DeliverRelease, PacketID: 1}, "62 02 0001"},
		{"PUBCOMP 3.1.1 unknown", connect311, core.Delivery{Kind: core.DeliverComplete, PacketID: 1, Reason: core.PacketIDNotFound}, "70 02 0001"},
		{"PUBACK 5", connect5, core.Delivery{Kind: core.DeliverAck, PacketID: 1}, "40 02 0001"},
		{"PUBACK 5 without subscribers", connect5, core.Delivery{Kind: core.DeliverAck, PacketID: 1, Reason: core.NoMatchingSubscribers}, "40 03 0001 10"},
		{"PUBACK 5 denied", connect5, core.Delivery{Kind: core.DeliverAck, PacketID: 1, Reason: core.NotAuthorized}, "40 15 0001 87 11 1f 000e 6e6f7420617574686f72697a6564"},
		{"PUBREC 5 full", connect5With("17 00"), core.Delivery{Kind: core.DeliverReceived, PacketID: 1, Reason: core.StoreFull}, "50 03 0001 97"},
		{"PUBREC 5 too small for words", connect5With("27 00000010"), core.Delivery{Kind: core.DeliverReceived, PacketID: 1, Reason: core.NotAuthorized}, "50 03 0001 87"},
		{"PUBREL 5", connect5, core.Delivery{Kind: core.DeliverRelease, PacketID: 1}, "62 02 0001"},
		{"PUBREL 5 unknown", connect5, core.Delivery{Kind: core.DeliverRelease, PacketID: 1, Reason: core.PacketIDNotFound}, "62 03 0001 92"},
		{"PUBCOMP 5 unknown", connect5With("17 00"), core.Delivery{Kind: core.DeliverComplete, PacketID: 1, Reason: core.PacketIDNotFound}, "70 03 0001 92"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect)
			r.wantOut(r.out(c.d), c.out)
			if len(r.conn.closed) != 0 {
				t.Fatalf("closed %v", r.conn.closed)
			}
		})
	}
}

// What was refused for a passing fault ends the connection. [MQTT311-4.8.0-2]
func TestMQTT311_3_3_5_2_RefusedPublish(t *testing.T) {
	denied := core.Delivery{Kind: core.DeliverAck, PacketID: 1, Reason: core.NotAuthorized}
	full := core.Delivery{Kind: core.DeliverReceived, PacketID: 2, Reason: core.StoreFull}
	after := core.Delivery{Kind: core.DeliverAck, PacketID: 3}
	strict := func(c *Config) { c.AcknowledgeRefused = false }
	t.Run("closes if told to", func(t *testing.T) {
		r := opened(t, connect311, strict)
		r.wantOut(r.out(denied, after), "")
		r.wantOut(r.out(after), "")
		if len(r.conn.closed) != 1 || r.conn.closed[0] != core.NotAuthorized {
			t.Fatalf("closed %v", r.conn.closed)
		}
	})
	t.Run("acknowledges", func(t *testing.T) {
		r := opened(t, connect311)
		r.wantOut(r.out(denied, after), "40 02 0001 40 02 0003")
	})
	t.Run("never what was not stored", func(t *testing.T) {
		r := opened(t, connect311)
		r.wantOut(r.out(full, after), "")
		if len(r.conn.closed) != 1 || r.conn.closed[0] != core.StoreFull {
			t.Fatalf("closed %v", r.conn.closed)
		}
	})
}

func TestMQTT_3_1_2_25_TooLargeForTheClient(t *testing.T) {
	r := opened(t, connect5With("27 00000014"))
	fits := core.Delivery{Msg: message("a", "0123456789abcd")} // 20 bytes
	over := core.Delivery{Msg: message("a", "0123456789abcde"), QoS: 1, PacketID: 1}
	r.wantOut(r.out(fits, over, core.Delivery{Msg: message("a", "")}),
		"30 12 0001 61 00 3031323334353637383961626364 30 04 0001 61 00")
	if len(r.gw.dropped) != 1 || r.gw.dropped[0] != core.TooLargeForReceiver {
		t.Fatalf("dropped %v", r.gw.dropped)
	}
}

func TestOutputReferencesLargePayloads(t *testing.T) {
	for _, c := range []struct {
		size int
		ref  bool
	}{{protocols.ReferenceAbove, false}, {protocols.ReferenceAbove + 1, true}} {
		r := opened(t, connect5)
		payload := bytes.Repeat([]byte{7}, c.size)
		r.gw.deliveries = []core.Delivery{{Msg: &core.Message{Topic: "a", Payload: payload}}}
		o := &protocols.Out{Limit: 1 << 20}
		r.m.Output(r.turn, o)
		want := 1 + 2 + 4 + c.size // header, varint, topic and property length, payload
		if o.Len() != want || (len(o.Buf) < c.size) != c.ref {
			t.Fatalf("size %d: len %d want %d, copied %d", c.size, o.Len(), want, len(o.Buf))
		}
	}
}

func TestOutputStopsAtTheLimit(t *testing.T) {
	r := opened(t, connect311)
	for range 3 * takeBatch {
		r.gw.deliveries = append(r.gw.deliveries, core.Delivery{Msg: message("a", "0123456789")})
	}
	o := &protocols.Out{Limit: 100}
	if more := r.m.Output(r.turn, o); !more || o.Len() != takeBatch*15 {
		t.Fatalf("more %v, len %d", more, o.Len())
	}
	*o = protocols.Out{Limit: 1 << 20}
	if more := r.m.Output(r.turn, o); more || o.Len() != 2*takeBatch*15 {
		t.Fatalf("more %v, len %d", more, o.Len())
	}
	if s := scratchOf(r.turn); s.taken[:1][0].Msg != nil {
		t.Fatal("the scratch holds on to a message")
	}
}

func TestPropertiesAreEncodedOnce(t *testing.T) {
	r := opened(t, connect5)
	msg := &core.Message{Topic: "a", Properties: &core.Properties{ContentType: "t"}}
	first := r.out(core.Delivery{Msg: msg})
	kept := msg.Encoded.Load()
	if kept == nil || r.out(core.Delivery{Msg: msg}) != first || msg.Encoded.Load() != kept {
		t.Fatal("the encoding was not kept")
	}
}

func TestPropertiesThatNoFieldHolds(t *testing.T) {
	long := strings.Repeat("x", 65536)
	r := opened(t, connect5)
	msg := &core.Message{Topic: "a", Properties: &core.Properties{ContentType: long, ResponseTopic: long,
		CorrelationData: []byte(long), User: []core.UserProperty{{Name: long}, {Value: long}, {Name: "k"}}}}
	r.wantOut(r.out(core.Delivery{Msg: msg}), "30 0a 0001 61 06 26 0001 6b 0000")
}

// decodeAll reads back what was written, topics through the aliases.
func decodeAll(t *testing.T, out string, aliases map[uint16]string) (topics []string, bytes int) {
	b := unhex(t, out)
	bytes = len(b)
	for len(b) > 0 {
		f, n, err := packet.Next(b, 0)
		if err != nil || n == 0 {
			t.Fatalf("output: %v", err)
		}
		var p packet.Publish
		if err := p.Decode(packet.V5, f.Header, f.Body); err != nil {
			t.Fatal(err)
		}
		topic := string(p.Topic)
		if a := p.Properties.TopicAlias; p.Properties.Present.Has(packet.PropTopicAlias) {
			if topic == "" {
				topic = aliases[a]
			}
			aliases[a] = topic
		}
		topics = append(topics, topic)
		b = b[n:]
	}
	return topics, bytes
}

func TestMQTT_3_1_2_26_OutboundAliases(t *testing.T) {
	for _, c := range []struct {
		name, connect string
		limit         uint16
		want          int
	}{
		{"few", connect5With("22 0003"), 32, 3},
		{"ours is lower", connect5With("22 ffff"), 4, 4},
		{"MQTT-3.1.2-27 none", connect5, 32, 0},
		{"turned off", connect5With("22 ffff"), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := opened(t, c.connect, func(cfg *Config) { cfg.OutgoingAliasMaximum = c.limit })
			aliases := map[uint16]string{}
			names := []string{"plant/1/temperature", "plant/2/temperature", "plant/3", "plant/4/x", "plant/5/yy", "short", "a"}
			for round := range 40 {
				topic := names[round*round%len(names)]
				got, _ := decodeAll(t, r.out(core.Delivery{Msg: message(topic, "")}), aliases)
				if got[0] != topic {
					t.Fatalf("round %d: the client reads %q, sent was %q", round, got[0], topic)
				}
			}
			for a := range aliases {
				if int(a) > c.want || a == 0 {
					t.Fatalf("alias %d was used, %d are allowed", a, c.want)
				}
			}
			if c.want > 0 && len(aliases) == 0 {
				t.Fatal("no alias was used")
			}
		})
	}
}

func TestAliasesOnlyForRepeatedTopics(t *testing.T) {
	r := opened(t, connect5With("22 0010"))
	d := core.Delivery{Msg: message("plant/1", "")}
	one := "30 0a 0007 706c616e742f31 00"
	r.wantOut(r.out(d), one)
	second := r.out(d)
	if !strings.Contains(second, "706c616e742f31 03 23"[0:14]) || len(second) != len(strings.ReplaceAll(one, " ", ""))+6 {
		t.Fatalf("second: %s", second)
	}
	third := r.out(d)
	if strings.Contains(third, "706c616e742f31") || len(third) != 2*(2+2+1+3) {
		t.Fatalf("third: %s", third)
	}
}

func TestAliasThatWouldMakeThePacketTooLarge(t *testing.T) {
	r := opened(t, connect5With("22 0001 27 00000010"))
	d := core.Delivery{Msg: message("plant/1", "abc")} // 15 bytes without the alias, 18 with
	for range 3 {
		r.wantOut(r.out(d), "30 0d 0007 706c616e742f31 00 616263")
	}
	if len(r.gw.dropped) != 0 {
		t.Fatalf("dropped %v", r.gw.dropped)
	}
}
