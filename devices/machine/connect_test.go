package machine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

func TestMQTT_3_1_ConnectSaysEverything(t *testing.T) {
	will := &packet.Will{Topic: []byte("w"), Payload: []byte("hi"), QoS: 1, Retain: true}
	will.Properties.SetWillDelay(7)
	id := &Identity{ClientID: []byte("c1"), HasUsername: true, Username: []byte("u"), HasPassword: true, Password: []byte("pw"),
		Will: will, User: packet.UserProperties{}.Add([]byte("a"), []byte("b"))}
	for _, c := range []struct {
		v    packet.Version
		want string
	}{
		{packet.V31, "10 .. 0006 4d5149736470 03 ec 000a 0002 6331 0001 77 0002 6869 0001 75 0002 7077"},
		{packet.V311, "10 .. 0004 4d515454 04 ec 000a 0002 6331 0001 77 0002 6869 0001 75 0002 7077"},
		{packet.V5, "10 .. 0004 4d515454 05 ec 000a 19 11 00000e10 19 01 21 0005 22 0003 26 0001 61 0001 62 27 00000800" +
			" 0002 6331 05 18 00000007 0001 77 0002 6869 0001 75 0002 7077"},
	} {
		t.Run(c.v.String(), func(t *testing.T) {
			b := newBench(t, Config{Version: c.v, SessionExpiry: 3600, KeepAlive: 10, ReceiveMaximum: 5, MaxPacketSize: 2048,
				TopicAliasMaximum: 3, RequestResponseInformation: true})
			if err := b.Connect(&b.turn, id); err != nil {
				t.Fatal(err)
			}
			b.out(c.want)
			if b.Online() {
				t.Fatal("connected before the CONNACK")
			}
		})
	}
}

func TestMQTT_3_1_4_1_ConnectIsChecked(t *testing.T) {
	b := newBench(t, Config{})
	if err := b.Connect(&b.turn, &Identity{ClientID: []byte("a\x00")}); err == nil {
		t.Fatal("a client identifier with a null character")
	}
	b.out("")
	if _, err := b.Input(&b.turn, unhex(t, accepted5)); !errors.Is(err, ErrNotConnected) {
		t.Fatal(err)
	}
}

func TestMQTT_3_2_Refusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   Config
		in    string
		event string // "": none
		want  string
	}{
		{"5", Config{}, "20 03 00 87 00", "connected 0x87 false", ErrRefused.Error()},
		{"3.1.1", Config{Version: packet.V311}, "20 02 00 05", "connected 0x87 false", ErrRefused.Error()},
		{"3.1", Config{Version: packet.V31}, "20 02 00 02", "connected 0x85 false", ErrRefused.Error()},
		{"an old server", Config{}, "20 02 00 01", "connected 0x84 false", ErrRefused.Error()},
		{"MQTT-3.2.2-2", Config{Clean: true}, resumed5, "", "MQTT-3.2.2-2"},
		{"MQTT-3.2.2-6", Config{}, "20 03 01 87 00", "", "MQTT-3.2.2-6"},
		{"MQTT-3.2.0-1 something else first", Config{}, "30 04 0001 61 00", "", "2.1.2"},
		{"no MQTT", Config{}, "48 545450", "", "mqtt:"},
		{"larger than any CONNACK", Config{}, "20 ff ff ff 7f", "", "MQTT-3.2.2-15"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.cfg)
			if err := b.Connect(&b.turn, &Identity{}); err != nil && c.cfg.Version != packet.V31 && c.cfg.Version != packet.V311 {
				t.Fatal(err)
			} else if err != nil {
				_ = b.Connect(&b.turn, &Identity{ClientID: []byte("c")})
			}
			b.turn.Out = nil
			_, err := b.Input(&b.turn, unhex(t, c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if c.event != "" {
				b.saw(c.event)
			} else {
				b.saw()
			}
			b.out("") // there is no connection to say anything on
			if _, err := b.Input(&b.turn, unhex(t, accepted5)); !errors.Is(err, ErrNotConnected) {
				t.Fatal(err)
			}
		})
	}
}

func TestMQTT_3_14_4_1_NothingAfterDisconnect(t *testing.T) {
	b := online(t, Config{SessionExpiry: 60}, accepted5)
	b.publish(1, "x", 1)
	b.turn.Out = nil
	if err := b.Disconnect(&b.turn, packet.ReasonDisconnectWithWill); err != nil {
		t.Fatal(err)
	}
	b.out("e0 01 04")
	b.in("40 02 0001 34 06 0001 61 0007 00 62 02 0009 32 06 0001 61 0008 00 d0 00")
	b.saw("sent 1", "acked 1 0x00 ") // messages come again on the next connection
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a")}, 2); !errors.Is(err, ErrNotConnected) {
		t.Fatal(err)
	}
	if err := b.Disconnect(&b.turn, 0); !errors.Is(err, ErrNotConnected) {
		t.Fatal(err)
	}
	if err := b.Subscribe(&b.turn, &packet.Subscribe{Filters: []packet.Subscription{{Filter: []byte("a")}}}, 3); !errors.Is(err, ErrNotConnected) {
		t.Fatal(err)
	}
	if err := b.Ack(&b.turn, 2, 7, 0); !errors.Is(err, ErrNotConnected) || b.session.knows(7) {
		t.Fatal(err, "an Ack that fails recorded something")
	}
	b.out("")
}

func TestMQTT_3_14_1_Disconnect311(t *testing.T) {
	b := online(t, Config{Version: packet.V311, Clean: true}, accepted3)
	if err := b.Disconnect(&b.turn, packet.ReasonDisconnectWithWill); err != nil {
		t.Fatal(err)
	}
	b.out("e0 00")
}

func TestMQTT_3_1_2_20_KeepAlive(t *testing.T) {
	b := newBench(t, Config{KeepAlive: 60})
	b.connect("20 06 00 00 03 13 000a") // [MQTT-3.1.2-21] the server wants 10 s
	check := func(second, want float64, out string, fails error) {
		t.Helper()
		b.at(second)
		next, err := b.timer()
		if next != want || !errors.Is(err, fails) {
			t.Fatalf("at %v s: next %v, %v; want %v, %v", second, next, err, want, fails)
		}
		b.out(out)
	}
	check(0, 10, "", nil)
	check(9.5, 10, "", nil)
	check(10, 15, "c000", nil)
	check(12, 15, "", nil)
	b.in("d0 00")
	check(15, 20, "", nil)
	check(20, 25, "c000", nil)
	b.Heard(&b.turn) // it did not read
	check(25, 30, "", nil)
	b.at(28)
	b.publish(1, "", 1)
	b.turn.Out = nil
	check(30, 38, "", nil)
	check(38, 43, "c000", nil)
	check(43, 0, "", ErrNoAnswer)
	check(50, 0, "", nil)
	if b.Online() {
		t.Fatal("connected with nobody")
	}
	b.connect(accepted5) // whose PINGREQ is none of this connection's
	check(109, 110, "", nil)
}

func TestConnackTimeout(t *testing.T) {
	b := newBench(t, Config{ConnackTimeout: 3 * time.Second})
	if err := b.Connect(&b.turn, &Identity{}); err != nil {
		t.Fatal(err)
	}
	if next, err := b.timer(); next != 3 || err != nil {
		t.Fatal(next, err)
	}
	b.at(3)
	if next, err := b.timer(); next != 0 || !errors.Is(err, ErrNoAnswer) {
		t.Fatal(next, err)
	}
}

func TestNoTimerWithoutKeepAlive(t *testing.T) {
	b := online(t, Config{}, accepted5)
	b.at(1e6)
	if next, err := b.timer(); next != 0 || err != nil {
		t.Fatal(next, err)
	}
	b.Lost()
	if next, err := b.timer(); next != 0 || err != nil {
		t.Fatal(next, err)
	}
}
