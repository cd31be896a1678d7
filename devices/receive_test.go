package devices

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestReceive(t *testing.T) {
	with(t, Options{}, func(s *script) {
		s.send("30 06 0001 61 00 6869")
		s.send("33 .. 0001 61 0007 1c 01 01 02 0000000a 03 0001 74 08 0001 72 09 0001 09 0b 05 26 0001 6b 0001 76 6869")
		s.expect("40 02 0007")
		s.send("34 06 0001 62 0008 00 3c 06 0001 62 0008 00") // twice: delivered once [MQTT-4.3.3-10]
		s.expect("50 02 0008 50 02 0008")
		s.send("62 02 0008 62 02 0008")
		s.expect("70 02 0008 70 03 0008 92")
		s.send("34 06 0001 62 0008 00")
		s.expect("50 02 0008")
		s.conn.Close()
	}, func(t *testing.T, c *Client) {
		want := []Message{
			{Topic: "a", Payload: []byte("hi")},
			{Topic: "a", Payload: []byte("hi"), QoS: 1, Retain: true, UTF8: true, Expiry: 10, HasExpiry: true, ContentType: "t",
				ResponseTopic: "r", CorrelationData: []byte{9}, User: []UserProperty{{"k", "v"}}, SubscriptionIDs: []uint32{5}},
			{Topic: "b", QoS: 2}, {Topic: "b", QoS: 2},
		}
		var got []Message
		for m := range c.Messages() {
			got = append(got, *m)
		}
		if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Message{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		if err := c.Err(); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
	})
}

func TestManualAck(t *testing.T) {
	with(t, Options{ManualAck: true}, func(s *script) {
		s.send("32 06 0001 61 0007 00 34 06 0001 61 0008 00 30 04 0001 61 00")
		s.expect("40 02 0007")
		s.expect("50 02 0008")
		s.send("62 02 0008")
		s.expect("70 02 0008")
		s.conn.Close()
	}, func(t *testing.T, c *Client) {
		for range 3 {
			m := <-c.Messages()
			synctest.Wait()
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
			if err := m.Ack(); err != nil { // once is enough
				t.Fatal(err)
			}
		}
		<-c.Done()
	})
}

func TestMQTT_3_3_4_9_OwnReceiveMaximum(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect("10 12 0004 4d515454 05 02 0000 03 21 0001 0002 6331")
		s.send(accepted5)
		s.send("32 06 0001 61 0001 00 32 06 0001 61 0002 00")
		s.expect("e0 01 93")
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{ReceiveMaximum: 1, ManualAck: true})
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if err := c.Err(); !strings.Contains(err.Error(), "MQTT-3.3.4-9") {
			t.Fatal(err)
		}
	})
}

func TestServersFaults(t *testing.T) {
	for _, c := range []struct{ name, in, out, want string }{
		{"malformed", "36 04 0001 61 00", "e0 01 81", "MQTT-3.3.1-4"},
		{"a client's packet", "82 06 0001 0001 61 00", "e0 01 82", "SUBSCRIBE"},
		{"a second CONNACK", accepted5, "e0 01 82", "CONNACK"},
		{"alias", "30 07 0001 61 03 23 0001", "e0 01 94", "MQTT-3.3.2-11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			with(t, Options{}, func(s *script) {
				s.send(c.in)
				s.expect(c.out)
				s.expectEnd()
			}, func(t *testing.T, cl *Client) {
				<-cl.Done()
				if err := cl.Err(); !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "mqtt://server") {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestInboundAliases(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect("10 12 0004 4d515454 05 02 0000 03 22 0002 0002 6331")
		s.send(accepted5)
		s.send("30 07 0001 61 03 23 0002 30 06 0000 03 23 0002 30 07 0001 62 03 23 0002 30 06 0000 03 23 0002")
		s.send("30 06 0000 03 23 0001")
		s.expect("e0 01 82")
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{TopicAliasMaximum: 2})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for m := range c.Messages() {
			got += m.Topic
		}
		if got != "aabb" {
			t.Fatal(got)
		}
	})
}

func TestServersDisconnect(t *testing.T) {
	with(t, Options{}, func(s *script) {
		s.send("e0 09 8e 07 1f 0004 676f6e65")
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		<-c.Done()
		if err := c.Err(); err.Error() != "the server ended the connection: session taken over (0x8e): gone" {
			t.Fatal(err)
		}
		if _, err := c.Publish(t.Context(), &Message{Topic: "a"}); err == nil {
			t.Fatal("published on a closed connection")
		}
	})
}
