package machine

import (
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

func TestMQTT_4_3_ReceiveAtEveryQoS(t *testing.T) {
	b := online(t, Config{}, accepted5)
	b.in("30 06 0001 61 00 6869 32 08 0001 61 0007 00 6869") // [MQTT-4.3.2-4]
	b.out("40 02 0007")
	b.in("34 06 0001 62 0008 00 3c 06 0001 62 0008 00") // [MQTT-4.3.3-10] delivered once
	b.out("50 02 0008 50 02 0008")
	b.in("62 02 0008 62 02 0008") // [MQTT-4.3.3-11]
	b.out("70 02 0008 70 03 0008 92")
	b.in("34 06 0001 62 0008 00")
	b.out("50 02 0008")
	b.saw("message a hi 0", "message a hi 1", "message b  2", "message b  2")
	b.in("62 02 0008")
	if b.session != nil || b.unacked != 0 {
		t.Fatal("something is kept of what is done")
	}
}

func TestMQTT_4_6_0_2_ManualAck(t *testing.T) {
	b := online(t, Config{ManualAck: true, SessionExpiry: 60}, accepted5)
	b.in("32 06 0001 61 0007 00 34 06 0001 61 0008 00")
	b.out("")
	for _, a := range []struct {
		qos byte
		id  uint16
		out string
	}{{1, 7, "40 02 0007"}, {2, 8, "50 02 0008"}, {0, 0, ""}} {
		if err := b.Ack(&b.turn, a.qos, a.id, 0); err != nil {
			t.Fatal(err)
		}
		b.out(a.out)
	}
	b.in("62 02 0008 34 06 0001 61 0009 00 32 06 0001 61 000a 00")
	b.out("70 02 0008")
	_ = b.Ack(&b.turn, 2, 9, packet.ReasonNotAuthorized)
	_ = b.Ack(&b.turn, 1, 10, packet.ReasonQuotaExceeded)
	b.out("50 03 0009 87 40 03 000a 97")
	b.in("34 06 0001 61 0009 00") // a failure ended it, so this is another
	b.saw("message a  1", "message a  2", "message a  2", "message a  1", "message a  2")
	b.Lost()
	if err := b.Ack(&b.turn, 2, 9, 0); err == nil || b.session != nil {
		t.Fatal("an Ack without a connection recorded something")
	}
}

func TestMQTT_3_3_4_9_OwnReceiveMaximum(t *testing.T) {
	b := online(t, Config{ReceiveMaximum: 2, ManualAck: true}, accepted5)
	b.in("32 06 0001 61 0001 00 34 06 0001 61 0002 00")
	_ = b.Ack(&b.turn, 2, 2, 0)
	b.turn.Out = nil
	err := b.feed("32 06 0001 61 0003 00") // a QoS 2 message counts until its PUBREL
	if err == nil || !strings.Contains(err.Error(), "MQTT-3.3.4-9") {
		t.Fatal(err)
	}
	b.out("e0 01 93")
}

func TestReceiveMaximumCountsAnewOnEachConnection(t *testing.T) {
	b := online(t, Config{ReceiveMaximum: 1, ManualAck: true}, accepted5)
	b.in("32 06 0001 61 0001 00")
	b.Lost()
	b.connect(resumed5)
	b.in("3a 06 0001 61 0001 00")
}

func TestServersFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		v    packet.Version
		in   string
		out  string
		want string
	}{
		{"MQTT-3.3.1-4 malformed", packet.V5, "36 04 0001 61 00", "e0 01 81", "MQTT-3.3.1-4"},
		{"a client's packet", packet.V5, "82 06 0001 0001 61 00", "e0 01 82", "SUBSCRIBE"},
		{"AUTH nobody began", packet.V5, "f0 00", "e0 01 82", "AUTH"},
		{"a second CONNACK", packet.V5, accepted5, "e0 01 82", "CONNACK"},
		{"MQTT-3.3.2-11 alias", packet.V5, "30 07 0001 61 03 23 0003", "e0 01 94", "MQTT-3.3.2-11"},
		{"3.3.2.3.4 alias of nothing", packet.V5, "30 06 0000 03 23 0001", "e0 01 82", "stands for nothing"},
		{"MQTT-3.1.2-24 too large", packet.V5, "30 64", "e0 01 95", "MQTT-3.2.2-15"},
		{"MQTT-4.13.1-1 before 5 it is just closed", packet.V311, "36 04 0001 61 00", "", "MQTT-3.3.1-4"},
		{"DISCONNECT before MQTT 5", packet.V311, "e0 00", "", "before MQTT 5"},
		{"MQTT-2.1.3-1 PINGRESP with flags", packet.V311, "d1 00", "", "MQTT-2.1.3-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			connack := accepted5
			if c.v != packet.V5 {
				connack = accepted3
			}
			b := online(t, Config{Version: c.v, TopicAliasMaximum: 2, MaxPacketSize: 100}, connack)
			_, err := b.Input(&b.turn, unhex(t, c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatal(err)
			}
			b.out(c.out)
			b.saw()
			if b.Online() {
				t.Fatal("still connected")
			}
		})
	}
}

func TestMQTT_3_3_2_10_Aliases(t *testing.T) {
	b := online(t, Config{TopicAliasMaximum: 2}, accepted5)
	b.in("30 07 0001 61 03 23 0002 30 06 0000 03 23 0002 30 07 0001 62 03 23 0002 30 06 0000 03 23 0002")
	b.saw("message a  0", "message a  0", "message b  0", "message b  0")
	b.Lost()
	b.connect(accepted5)
	if err := b.feed("30 06 0000 03 23 0002"); err == nil { // [MQTT-3.3.2-7]
		t.Fatal("an alias outlived its connection")
	}
}

func TestMQTT_3_14_ServersDisconnect(t *testing.T) {
	b := online(t, Config{}, accepted5)
	if err := b.feed("e0 09 8e 07 1f 0004 676f6e65"); err != ErrDisconnected {
		t.Fatal(err)
	}
	b.saw("disconnected 0x8e gone")
	b.out("") // [MQTT-3.14.4-1]
}

// TestHandlersMayAct: all calls that Handler allows out of an event.
func TestHandlersMayAct(t *testing.T) {
	b := online(t, Config{}, accepted5)
	b.during = func(p *packet.Publish) {
		b.publish(p.QoS, "re", 5)
		if err := b.Subscribe(&b.turn, &packet.Subscribe{Filters: []packet.Subscription{{Filter: []byte("f")}}}, 6); err != nil {
			t.Error(err)
		}
		if err := b.Disconnect(&b.turn, 0); err != nil {
			t.Error(err)
		}
	}
	b.in("34 06 0001 61 0007 00 30 04 0001 61 00")
	b.out("34 08 0001 61 0001 00 7265 82 07 0002 00 0001 66 00 e0 00")
	b.saw("message a  2", "sent 5")
	if b.session.knows(7) {
		t.Fatal("recorded as received, though no PUBREC can go out")
	}
}
