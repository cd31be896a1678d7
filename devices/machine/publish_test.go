package machine

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

func TestMQTT_4_3_PublishAtEveryQoS(t *testing.T) {
	b := online(t, Config{}, accepted5)
	b.publish(0, "hi", 10)
	b.out("30 06 0001 61 00 6869")
	b.saw("sent 10")
	b.publish(1, "hi", 11) // [MQTT-4.3.2-1]
	b.out("32 08 0001 61 0001 00 6869")
	b.in("40 02 0001")
	b.saw("sent 11", "acked 11 0x00 ")
	b.publish(2, "", 12) // [MQTT-4.3.3-1]
	b.out("34 06 0001 61 0002 00")
	b.in("50 02 0002") // [MQTT-4.3.3-4]
	b.out("62 02 0002")
	b.in("50 02 0002") // twice
	b.out("62 02 0002")
	b.in("40 02 0002") // not its answer
	b.saw("sent 12")
	b.in("70 02 0002")
	b.saw("acked 12 0x00 ")
	b.publish(1, "", 13)
	b.in("40 03 0003 10")
	b.publish(2, "", 14)
	b.in("50 .. 0004 87 07 1f 0004 6e6f7065") // [MQTT-4.3.3-4] a failure ends it
	b.saw("sent 13", "acked 13 0x10 ", "sent 14", "acked 14 0x87 nope")
	b.turn.Out = nil
	b.publish(2, "", 15)
	b.in("50 03 0005 10")
	b.in("70 03 0005 92") // forgotten is done
	b.saw("sent 15", "acked 15 0x10 ")
	if b.session != nil || b.Unacknowledged() != 0 {
		t.Fatal("something is kept of what is done")
	}
}

func TestMQTT_3_6_2_1_PubrecForNothing(t *testing.T) {
	b := online(t, Config{}, accepted5)
	b.in("40 02 0001 50 02 0001 70 02 0001 90 04 0001 00 00 b0 04 0001 00 00")
	b.out("62 03 0001 92")
	b.saw()
}

func TestMQTT_4_9_0_2_ReceiveMaximumOfTheServer(t *testing.T) {
	b := online(t, Config{MaxQueue: 2}, "20 06 00 00 03 21 0002")
	if n := b.Room(); n != 2 {
		t.Fatalf("room %d", n)
	}
	for i := range uint64(4) {
		b.publish(1, string(rune('0'+i)), i)
	}
	b.out("32 07 0001 61 0001 00 30 32 07 0001 61 0002 00 31")
	b.saw("sent 0", "sent 1")
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a"), QoS: 1}, 5); !errors.Is(err, ErrQueueFull) {
		t.Fatal(err)
	}
	b.publish(0, "", 6) // is not counted
	b.out("30 04 0001 61 00")
	b.saw("sent 6")
	if b.Room() != 0 || b.Waiting() != 2 || b.Unacknowledged() != 4 {
		t.Fatal(b.Room(), b.Waiting(), b.Unacknowledged())
	}
	b.in("40 02 0002")
	b.out("32 07 0001 61 0003 00 32")
	b.saw("acked 1 0x00 ", "sent 2")
	b.in("40 02 0001 40 02 0003")
	b.out("32 07 0001 61 0004 00 33")
	b.in("40 02 0004")
	b.saw("acked 0 0x00 ", "sent 3", "acked 2 0x00 ", "acked 3 0x00 ")
}

func TestWithdraw(t *testing.T) {
	b := online(t, Config{MaxInflight: 1}, accepted5)
	for i := range uint64(4) {
		b.publish(1, "", i)
	}
	b.turn.Out, b.events = nil, nil
	if b.Withdraw(&b.turn, 0) || !b.Withdraw(&b.turn, 2) || b.Withdraw(&b.turn, 2) || !b.Withdraw(&b.turn, 3) {
		t.Fatal("withdrawn what was sent, or not what was not")
	}
	b.in("40 02 0001 40 02 0002")
	b.out("32 06 0001 61 0002 00")
	b.saw("acked 0 0x00 ", "sent 1", "acked 1 0x00 ")
}

func TestMQTT_4_4_0_1_Resume(t *testing.T) {
	for _, c := range []struct {
		v                            packet.Version
		first, again, puback         string
		sent, resent, pubrel, reback string
	}{
		{packet.V5, accepted5, resumed5, "",
			"32 07 0001 61 0001 00 31 34 07 0001 61 0002 00 32 34 07 0001 61 0003 00 33",
			"3a 07 0001 61 0001 00 31 62 02 0002 3c 07 0001 61 0003 00 33 32 07 0001 61 0004 00 34", "62 02 0002", ""},
		{packet.V311, accepted3, resumed3, "",
			"32 06 0001 61 0001 31 34 06 0001 61 0002 32 34 06 0001 61 0003 33",
			"3a 06 0001 61 0001 31 62 02 0002 3c 06 0001 61 0003 33 32 06 0001 61 0004 34", "62 02 0002", ""},
	} {
		t.Run(c.v.String(), func(t *testing.T) {
			b := online(t, Config{Version: c.v, SessionExpiry: 60}, c.first)
			b.publish(1, "1", 1)
			b.publish(2, "2", 2)
			b.publish(2, "3", 3)
			b.out(c.sent)
			b.in("50 02 0002")
			b.out(c.pubrel)
			b.Lost()
			b.publish(1, "4", 4)
			if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a")}, 5); !errors.Is(err, ErrNotConnected) {
				t.Fatal(err)
			}
			b.saw("sent 1", "sent 2", "sent 3")
			b.connect(c.again)
			b.out(c.resent)
			b.saw("connected 0x00 true", "sent 4")
			b.in("40 02 0001 70 02 0002 50 02 0003 40 02 0004")
			b.out("62 02 0003")
			b.in("70 02 0003")
			b.saw("acked 1 0x00 ", "acked 2 0x00 ", "acked 4 0x00 ", "acked 3 0x00 ")
		})
	}
}

func TestMQTT31_4_2_RedeliveredPubrelHasDup(t *testing.T) {
	b := online(t, Config{Version: packet.V31}, accepted3)
	b.publish(2, "", 1)
	b.in("50 02 0001")
	b.turn.Out = nil
	b.Lost()
	b.publish(1, "", 2)
	b.connect(accepted3) // 3.1 has no Session Present
	b.out("6a 02 0001 32 05 0001 61 0002")
	b.saw("sent 1", "connected 0x00 false", "sent 2")
}

func TestMQTT31_3_1_CleanSession(t *testing.T) {
	b := online(t, Config{Version: packet.V31, Clean: true}, accepted3)
	b.publish(1, "", 1)
	b.Lost()
	b.events, b.turn.Out = nil, nil
	b.connect(accepted3)
	b.out("")
	b.saw("connected 0x00 false", "dropped 1: "+ErrSessionLost.Error())
}

func TestMQTT_3_2_2_5_SessionLost(t *testing.T) {
	b := online(t, Config{MaxInflight: 2}, accepted5)
	b.in("34 06 0001 61 0007 00")
	for i := range uint64(3) {
		b.publish(2, "", i)
	}
	b.in("50 02 0001")
	b.Lost()
	b.events, b.turn.Out = nil, nil
	b.joined = func() { b.publish(1, "", 9) } // goes behind what waited
	b.connect(accepted5)
	b.out("34 06 0001 61 0003 00 32 06 0001 61 0004 00")
	b.saw("connected 0x00 false", "dropped 0: "+ErrSessionLost.Error(), "dropped 1: "+ErrSessionLost.Error(), "sent 2", "sent 9")
	b.in("34 06 0001 61 0007 00") // no longer the one that was received
	b.saw("message a  2")
}

func TestPubackOfAnEarlierConnectionIsNoAnswer(t *testing.T) {
	b := online(t, Config{MaxInflight: 1}, accepted5)
	b.publish(1, "", 1)
	b.Lost()
	b.publish(1, "", 2)
	b.turn.Out, b.events = nil, nil
	b.connect(resumed5)
	b.in("40 02 0002 50 02 0002") // it was never sent
	b.out("3a 06 0001 61 0001 00 62 03 0002 92")
	b.saw("connected 0x00 true")
	b = online(t, Config{MaxInflight: 2}, accepted5)
	b.publish(1, "", 1)
	b.publish(1, "", 2)
	b.Lost()
	b.turn.Out, b.events = nil, nil
	b.connect("20 06 01 00 03 21 0001")
	b.in("40 02 0002") // it was sent, but not on this connection
	b.out("3a 06 0001 61 0001 00")
	b.saw("connected 0x00 true")
}

func TestQueuedForAServerThatTakesLess(t *testing.T) {
	b := newBench(t, Config{})
	b.publish(2, "", 1)
	b.publish(1, strings.Repeat("x", 40), 2)
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a"), QoS: 1, Retain: true}, 3); err != nil {
		t.Fatal(err)
	}
	b.publish(1, "", 4)
	b.connect("20 0c 00 00 09 24 01 25 00 27 00000014")
	b.out("32 06 0001 61 0004 00")
	b.saw("connected 0x00 false", "dropped 1: the server takes QoS 1 at most [MQTT-3.2.2-11]",
		"dropped 2: the packet would have 48 bytes, the server takes 20 at most [MQTT-3.2.2-15]",
		"dropped 3: the server keeps no retained messages [MQTT-3.2.2-14]", "sent 4")
	var no *RefusalError
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a"), QoS: 2}, 5); !errors.As(err, &no) || no.Code != packet.ReasonQoSNotSupported {
		t.Fatal(err)
	}
}

func TestAdoptChangesTheVersion(t *testing.T) {
	old := online(t, Config{}, accepted5)
	p := &packet.Publish{Topic: []byte("a"), Payload: []byte("1"), QoS: 1}
	p.Properties.SetContentType([]byte("t"))
	if err := old.Publish(&old.turn, p, 1); err != nil {
		t.Fatal(err)
	}
	old.in("34 06 0001 61 0007 00")
	old.Lost()
	b := newBench(t, Config{Version: packet.V311})
	b.joined = func() { b.Adopt(&old.Machine) }
	b.connect(resumed3)
	b.out("3a 06 0001 61 0001 31")
	if old.Online() || old.Unacknowledged() != 0 || b.Unacknowledged() != 1 {
		t.Fatal("the session is with both, or none")
	}
	b.in("3c 05 0001 61 0007 40 02 0001") // received by the former
	b.out("50 02 0007")
	b.publish(1, "", 2) // identifiers go on, so that a late answer to a former one does no harm
	b.out("32 05 0001 61 0002")
	b.saw("connected 0x00 true", "acked 1 0x00 ", "sent 2")
}

func TestAllIdentifiersInUse(t *testing.T) {
	b := newBench(t, Config{MaxQueue: 65535})
	seen := make([]bool, 65536)
	for i := range 65535 {
		p := packet.Publish{Topic: []byte("a"), QoS: 1}
		if err := b.Publish(&b.turn, &p, uint64(i)); err != nil {
			t.Fatal(i, err)
		}
		if p.PacketID == 0 || seen[p.PacketID] { // [MQTT-2.2.1-3]
			t.Fatalf("identifier %d", p.PacketID)
		}
		seen[p.PacketID] = true
	}
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a"), QoS: 1}, 1); !errors.Is(err, ErrQueueFull) {
		t.Fatal(err)
	}
	b.connect(accepted5) // 16 go out, which leaves room in the queue
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a"), QoS: 1}, 1); !errors.Is(err, ErrNoIdentifier) {
		t.Fatal(err)
	}
	b.in("40 02 0005")
	p := packet.Publish{Topic: []byte("a"), QoS: 1}
	if err := b.Publish(&b.turn, &p, 1); err != nil || p.PacketID != 5 {
		t.Fatal(p.PacketID, err)
	}
}

func TestMQTT_3_8_Subscribe(t *testing.T) {
	b := online(t, Config{}, accepted5)
	subscribe := &packet.Subscribe{Filters: []packet.Subscription{{Filter: []byte("a"), QoS: 1}, {Filter: []byte("b/#"), QoS: 2}}}
	if err := b.Subscribe(&b.turn, subscribe, 7); err != nil {
		t.Fatal(err)
	}
	b.out("82 .. 0001 00 0001 61 01 0003 622f23 02")
	if err := b.Unsubscribe(&b.turn, &packet.Unsubscribe{Filters: [][]byte{[]byte("a")}}, 8); err != nil {
		t.Fatal(err)
	}
	b.out("a2 .. 0002 00 0001 61")
	b.publish(1, "", 9)
	b.out("32 06 0001 61 0003 00")
	b.in("b0 04 0001 00 00 90 04 0002 00 00") // crossed: nobody's answers
	b.in("90 .. 0001 07 1f 0004 6e6f7065 01 87")
	b.in("b0 04 0002 00 11 40 02 0003")
	b.saw("sent 9", "subscribed 7 0187 nope", "unsubscribed 8 11 ", "acked 9 0x00 ")
	if err := b.Subscribe(&b.turn, &packet.Subscribe{}, 10); err == nil {
		t.Fatal("subscribed to nothing [MQTT-3.8.3-2]")
	}
	if b.session != nil {
		t.Fatal("something is kept of what is done")
	}
	if err := b.Subscribe(&b.turn, subscribe, 11); err != nil {
		t.Fatal(err)
	}
	b.Lost()
	if b.session != nil {
		t.Fatal("a SUBSCRIBE outlived its connection")
	}
}

func TestMQTT_3_8_Subscribe311(t *testing.T) {
	b := online(t, Config{Version: packet.V311}, accepted3)
	if err := b.Subscribe(&b.turn, &packet.Subscribe{Filters: []packet.Subscription{{Filter: []byte("a"), QoS: 1}}}, 7); err != nil {
		t.Fatal(err)
	}
	b.out("82 06 0001 0001 61 01")
	if err := b.Unsubscribe(&b.turn, &packet.Unsubscribe{Filters: [][]byte{[]byte("a")}}, 8); err != nil {
		t.Fatal(err)
	}
	b.out("a2 05 0002 0001 61")
	b.in("90 03 0001 80 b0 02 0002")
	b.saw("subscribed 7 80 ", "unsubscribed 8  ")
}

// TestCheckAgreesWithValidate holds the check without allocations against the codec's own.
func TestCheckAgreesWithValidate(t *testing.T) {
	long, odd := strings.Repeat("x", 65536), "a\xff"
	props := func(set func(p *packet.Properties)) packet.Publish {
		p := packet.Publish{Topic: []byte("a")}
		set(&p.Properties)
		return p
	}
	cases := map[string]packet.Publish{
		"plain": {Topic: []byte("a")}, "empty topic": {}, "long topic": {Topic: []byte(long)}, "longest topic": {Topic: []byte(long[:65535])},
		"odd topic": {Topic: []byte(odd)}, "null": {Topic: []byte("a\x00")}, "plus": {Topic: []byte("a/+")}, "hash": {Topic: []byte("#")}, "QoS 3": {Topic: []byte("a"), QoS: 3},
		"expiry":            props(func(p *packet.Properties) { p.SetMessageExpiry(3) }),
		"format":            props(func(p *packet.Properties) { p.SetPayloadFormat(true) }),
		"wrong format":      props(func(p *packet.Properties) { p.SetPayloadFormat(true); p.PayloadFormat = 2 }),
		"type":              props(func(p *packet.Properties) { p.SetContentType([]byte("t")) }),
		"odd type":          props(func(p *packet.Properties) { p.SetContentType([]byte(odd)) }),
		"long type":         props(func(p *packet.Properties) { p.SetContentType([]byte(long)) }),
		"response":          props(func(p *packet.Properties) { p.SetResponseTopic([]byte("r")) }),
		"empty response":    props(func(p *packet.Properties) { p.SetResponseTopic(nil) }),
		"wildcard response": props(func(p *packet.Properties) { p.SetResponseTopic([]byte("+")) }),
		"correlation":       props(func(p *packet.Properties) { p.SetCorrelationData([]byte(odd)) }),
		"long correlation":  props(func(p *packet.Properties) { p.SetCorrelationData([]byte(long)) }),
		"user":              props(func(p *packet.Properties) { p.AddUser([]byte("k"), nil); p.AddUser(nil, []byte("v")) }),
		"odd user":          props(func(p *packet.Properties) { p.AddUser([]byte(odd), nil) }),
		"odd user value":    props(func(p *packet.Properties) { p.AddUser(nil, []byte(odd)) }),
		"half a user":       props(func(p *packet.Properties) { p.AddUser([]byte("k"), []byte("v")); p.User = p.User[:5] }),
		"no user at all":    props(func(p *packet.Properties) { p.AddUser([]byte("k"), []byte("v")); p.User[0] = 0x27 }),
		"foreign property":  props(func(p *packet.Properties) { p.SetSessionExpiry(3) }),
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		b := newBench(t, Config{Version: v})
		for name, p := range cases {
			p.PacketID = min(uint16(p.QoS), 1)
			want := p.Validate(v)
			got := b.Check(&p)
			if (got == nil) != (want == nil) {
				t.Errorf("%s in %s: %v, the codec says %v", name, v, got, want)
			}
			var mine, codecs *packet.Error
			if errors.As(got, &mine) && errors.As(want, &codecs) && mine.Code != codecs.Code && p.Properties.Present == 0 && len(p.Topic) > 0 { // the codec allows an alias instead
				t.Errorf("%s in %s: code %s, the codec has %s", name, v, mine.Code, codecs.Code)
			} else if got != nil && p.QoS < 3 && mine == nil {
				t.Errorf("%s in %s: %v is no *packet.Error", name, v, got)
			}
		}
	}
	b := newBench(t, Config{})
	alias := props(func(p *packet.Properties) { p.SetTopicAlias(1) })
	id := props(func(p *packet.Properties) { p.AddSubscriptionID(1) }) // [MQTT-3.3.4-6]
	if b.Check(&alias) == nil || b.Check(&id) == nil {
		t.Error("properties that are not a client's to set")
	}
}

// TestBoundsOfTheFormerServer: what one server did not take, the next may.
func TestBoundsOfTheFormerServer(t *testing.T) {
	b := online(t, Config{}, "20 0c 00 00 09 24 00 25 00 27 00000014")
	b.Lost()
	p := &packet.Publish{Topic: []byte("a"), Payload: make([]byte, 20), QoS: 2, Retain: true}
	if err := b.Publish(&b.turn, p, 1); err != nil {
		t.Fatal(err)
	}
}

func TestPublishKeepsNothingOfTheCallers(t *testing.T) {
	b := newBench(t, Config{})
	p := &packet.Publish{Topic: []byte("a"), Payload: []byte("1"), QoS: 1}
	if err := b.Publish(&b.turn, p, 1); err != nil {
		t.Fatal(err)
	}
	copy(p.Topic, "b")
	copy(p.Payload, "2")
	b.connect(accepted5)
	if !slices.Equal(b.turn.Out, unhex(t, "32 07 0001 61 0001 00 31")) {
		t.Fatalf("%x", b.turn.Out)
	}
}
