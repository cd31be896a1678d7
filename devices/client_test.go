package devices

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

func TestConnectSaysEverything(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect("10 .. 0004 4d515454 05 ec 000a" +
			" 19 11 00000e10 19 01 21 0005 22 0003 26 0001 61 0001 62 27 00000800" +
			" 0002 6331" +
			" 10 01 01 02 0000003c 03 0001 74 18 00000007" +
			" 0001 77 0002 6869 0001 75 0002 7077")
		s.send("20 .. 01 00 18 12 0001 7a 13 0014 1a 0002 7265 21 0009 24 01 25 00 27 00000100")
		s.expect(bye)
		s.conn.Close()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{
			Resume: true, SessionExpiry: 3600, ReceiveMaximum: 5, MaximumPacketSize: 2048, TopicAliasMaximum: 3, RequestResponseInformation: true,
			User: []UserProperty{{"a", "b"}}, Username: "u", Password: []byte("pw"), KeepAlive: 10 * time.Second,
			Will: &Will{Delay: 7, Message: Message{Topic: "w", Payload: []byte("hi"), QoS: 1, Retain: true, UTF8: true, ContentType: "t", Expiry: 60, HasExpiry: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := Accepted{SessionPresent: true, ClientID: "z", KeepAlive: 20 * time.Second, SessionExpiry: 3600, ReceiveMaximum: 9,
			MaximumQoS: 1, MaximumPacketSize: 256, ResponseInformation: "re"}
		if d := cmp.Diff(want, c.Accepted()); d != "" {
			t.Fatal(d)
		}
		if err := c.Disconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if err := c.Err(); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}

func TestConnectInEveryVersion(t *testing.T) {
	for _, c := range []struct {
		v         packet.Version
		out, back string
	}{
		{packet.V31, "10 10 0006 4d5149736470 03 02 0000 0002 6331", accepted3},
		{packet.V311, connect3, accepted3},
		{packet.V5, connect5, accepted5},
	} {
		t.Run(c.v.String(), func(t *testing.T) {
			bubble(t, func(s *script) {
				s.expect(c.out)
				s.send(c.back)
				s.expect(bye)
				s.expectEnd()
			}, func(t *testing.T, dial func(Options) (*Client, error)) {
				cl, err := dial(Options{Version: c.v})
				if err != nil {
					t.Fatal(err)
				}
				if err := cl.Disconnect(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestRefusalsAreSaidInWords(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		back string
		want []string
	}{
		{"5 credentials", Options{Username: "u"}, "20 03 00 86 00", []string{"mqtt://server: connection refused: bad user name or password (0x86)", "check user name"}},
		{"5 anonymous", Options{}, "20 03 00 87 00", []string{"connection refused: not authorized (0x87)", "give a user name and password"}},
		{"5 with a string", Options{}, "20 0a 00 89 07 1f 0004 6675666c", []string{"server busy (0x89): fufl"}},
		{"5 elsewhere", Options{}, "20 0a 00 9c 07 1c 0004 61626364", []string{"use another server (0x9c)", "abcd"}},
		{"5 QoS", Options{}, "20 03 00 9b 00", []string{"QoS not supported (0x9b)"}},
		{"3.1.1 credentials", Options{Version: packet.V311}, "20 02 00 04", []string{"connection refused: bad user name or password (code 4)"}},
		{"3.1.1 id", Options{Version: packet.V311}, "20 02 00 02", []string{"identifier rejected (code 2)", "another client identifier"}},
		{"an old server", Options{}, "20 02 00 01", []string{"unacceptable protocol version (code 1)", "another MQTT version"}},
		{"no MQTT", Options{}, "485454502f", []string{"does not answer in MQTT", "web server"}},
		{"TLS", Options{}, "1503010002", []string{"does not answer in MQTT", "use mqtts://"}},
		{"nothing", Options{}, "", []string{"closed the connection without an answer", "port"}},
		{"a session nobody asked for", Options{}, "20 03 01 00 00", []string{"MQTT-3.2.2-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(s *script) {
				_, _ = io.ReadAtLeast(s.conn, make([]byte, 256), 14)
				if c.back != "" {
					s.send(c.back)
				}
				s.conn.Close()
			}, func(t *testing.T, dial func(Options) (*Client, error)) {
				_, err := dial(c.o)
				if err == nil {
					t.Fatal("accepted")
				}
				for _, w := range c.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("error %q lacks %q", err, w)
					}
				}
			})
		})
	}
}

func TestDialGivesUpInTime(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect(connect5)
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		start := time.Now()
		_, err := dial(Options{Timeout: 3 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "was reached and does not answer") || time.Since(start) != 3*time.Second {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestPublishAtEveryQoS(t *testing.T) {
	with(t, Options{}, func(s *script) {
		s.expect("30 06 0001 61 00 6869")
		s.expect("33 0d 0001 61 0001 05 02 0000000a 6869")
		s.send("40 02 0001")
		s.expect("34 .. 0001 61 0002 15 01 01 03 0001 74 08 0001 72 09 0001 09 26 0001 6b 0001 76")
		s.send("50 02 0002")
		s.expect("62 02 0002")
		s.send("70 02 0002")
		s.expect("32 06 0001 61 0003 00")
		s.send("40 03 0003 10")
		s.expect("34 06 0001 61 0004 00")
		s.send("50 .. 0004 87 07 1f 0004 6e6f7065")
		s.expect(bye)
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		ctx := t.Context()
		ok := func(m *Message, want packet.ReasonCode) {
			t.Helper()
			m.Topic = "a"
			if code, err := c.Publish(ctx, m); err != nil || code != want {
				t.Fatalf("%v %v", code, err)
			}
		}
		ok(&Message{Payload: []byte("hi")}, 0)
		ok(&Message{Payload: []byte("hi"), QoS: 1, Retain: true, Expiry: 10, HasExpiry: true}, 0)
		ok(&Message{QoS: 2, UTF8: true, ContentType: "t", ResponseTopic: "r", CorrelationData: []byte{9}, User: []UserProperty{{"k", "v"}}}, 0)
		ok(&Message{QoS: 1}, packet.ReasonNoMatchingSubscribers)
		_, err := c.Publish(ctx, &Message{Topic: "a", QoS: 2})
		if err == nil || err.Error() != `publish to "a": not authorized (0x87): nope` {
			t.Fatal(err)
		}
		if n := c.Session().Unacknowledged(); n != 0 {
			t.Fatalf("%d unacknowledged", n)
		}
		if err := c.Disconnect(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPublishChecksBeforeSending(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect(connect5)
		s.send("20 0c 00 00 09 24 01 25 00 27 00000014")
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, b := range []struct {
			m    Message
			want string
		}{
			{Message{Topic: ""}, "empty topic"},
			{Message{Topic: "a/#"}, "wildcard"},
			{Message{Topic: "a\xff"}, "UTF-8"},
			{Message{Topic: "a", QoS: 3}, "QoS 3"},
			{Message{Topic: "a", QoS: 2}, "MQTT-3.2.2-11"},
			{Message{Topic: "a", Retain: true}, "MQTT-3.2.2-14"},
			{Message{Topic: "a", Payload: make([]byte, 15)}, "MQTT-3.2.2-15"},
			{Message{Topic: "a", ResponseTopic: "+"}, "Response Topic"},
			{Message{Topic: "a", User: []UserProperty{{strings.Repeat("x", 65536), ""}}}, "65,535"},
		} {
			if _, err := c.Publish(t.Context(), &b.m); err == nil || !strings.Contains(err.Error(), b.want) {
				t.Errorf("%.20q: %v, want %q", b.m.Topic, err, b.want)
			}
		}
	})
}

func TestMQTT_4_9_0_2_ServersReceiveMaximum(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect(connect5)
		s.send("20 06 00 00 03 21 0002")
		s.expect("32 07 0001 61 0001 00 30 32 07 0001 61 0002 00 31")
		synctest.Wait() // the third must not come
		s.send("40 02 0002")
		s.expect("32 07 0001 61 0003 00 32")
		s.send("40 02 0001 40 02 0003")
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, p := range []string{"0", "1", "2"} {
			if _, err := c.Send(t.Context(), &Message{Topic: "a", Payload: []byte(p), QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSendWithdrawnWhileItWaits(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect(connect5)
		s.send("20 06 00 00 03 21 0001")
		s.expect("32 06 0001 61 0001 00")
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Send(t.Context(), &Message{Topic: "a", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(within(t, time.Second), &Message{Topic: "a", QoS: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if n := c.Session().Unacknowledged(); n != 1 {
			t.Fatalf("%d unacknowledged, want the one that was sent", n)
		}
	})
}

func TestMQTT_4_4_0_1_Resume(t *testing.T) {
	first := true
	bubble(t, func(s *script) {
		s.expect("10 14 0004 4d515454 05 00 0000 05 11 0000003c 0002 6331")
		if first {
			first = false
			s.send(accepted5)
			s.expect("32 07 0001 61 0001 00 31 34 07 0001 61 0002 00 32 34 07 0001 61 0003 00 33")
			s.send("50 02 0002")
			s.expect("62 02 0002")
			s.conn.Close()
			return
		}
		s.send("20 03 01 00 00")
		s.expect("3a 07 0001 61 0001 00 31 62 02 0002 3c 07 0001 61 0003 00 33")
		s.send("40 02 0001 70 02 0002 50 02 0003")
		s.expect("62 02 0003")
		s.send("70 02 0003")
		s.expect(bye)
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		o := Options{Resume: true, SessionExpiry: 60}
		c, err := dial(o)
		if err != nil {
			t.Fatal(err)
		}
		var waiting []*Pending
		for i, qos := range []byte{1, 2, 2} {
			p, err := c.Send(t.Context(), &Message{Topic: "a", Payload: []byte{'1' + byte(i)}, QoS: qos})
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, p)
		}
		if _, err := c.Wait(t.Context(), waiting[0]); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		o.Session = c.Session()
		c, err = dial(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range waiting {
			if code, err := c.Wait(t.Context(), p); code != 0 || err != nil {
				t.Fatal(code, err)
			}
		}
		if err := c.Disconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDialEndsTheFormerClient: two clients that take from one session would send
// its messages in the order of chance. [MQTT-4.6.0-1]
func TestDialEndsTheFormerClient(t *testing.T) {
	first := true
	bubble(t, func(s *script) {
		s.expect("10 14 0004 4d515454 05 00 0000 05 11 0000003c 0002 6331")
		if first {
			first = false
			s.send("20 06 00 00 03 21 0001") // Receive Maximum 1
			s.expect("32 07 0001 61 0001 00 31")
			s.expectEnd() // the second message waits for room, and goes over the next connection
			return
		}
		s.send("20 03 01 00 00")
		s.expect("3a 07 0001 61 0001 00 31 32 07 0001 61 0002 00 32")
		s.send("40 02 0001 40 02 0002")
		s.expect(bye)
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		o := Options{Resume: true, SessionExpiry: 60}
		former, err := dial(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range []string{"1", "2"} {
			go former.Send(t.Context(), &Message{Topic: "a", Payload: []byte(payload), QoS: 1})
			synctest.Wait()
		}
		o.Session = former.Session()
		c, err := dial(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := former.Err(); !errors.Is(err, ErrReplaced) {
			t.Errorf("the former client ended with %v", err)
		}
		if err := c.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Disconnect(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestMQTT_3_2_2_5_SessionLost(t *testing.T) {
	n := 0
	bubble(t, func(s *script) {
		s.expect("10 0f 0004 4d515454 05 00 0000 00 0002 6331")
		s.send(accepted5)
		if n++; n == 1 {
			s.expect("32 06 0001 61 0001 00")
			s.conn.Close()
			return
		}
		s.expectEnd()
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{Resume: true})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := c.Send(t.Context(), &Message{Topic: "a", QoS: 1})
		<-c.Done()
		c, err = dial(Options{Resume: true, Session: c.Session()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(t.Context(), p); !errors.Is(err, ErrSessionLost) {
			t.Fatal(err)
		}
		c.Close()
	})
}

func TestSubscribe(t *testing.T) {
	with(t, Options{}, func(s *script) {
		s.expect("82 .. 0001 02 0b 07 0001 61 2d 0003 622f23 02")
		s.send("90 05 0001 00 01 02")
		s.expect("82 .. 0002 00 0001 61 00 0001 62 00")
		s.send("90 .. 0002 07 1f 0004 6e6f7065 00 87")
		s.expect("a2 .. 0003 00 0001 61 0001 62")
		s.send("b0 05 0003 00 00 11")
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		codes, err := c.Subscribe(t.Context(), 7,
			Subscription{Filter: "a", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}, Subscription{Filter: "b/#", QoS: 2})
		if err != nil || !cmp.Equal(codes, []packet.ReasonCode{1, 2}) {
			t.Fatal(codes, err)
		}
		codes, err = c.Subscribe(t.Context(), 0, Subscription{Filter: "a"}, Subscription{Filter: "b"})
		if err == nil || err.Error() != `subscribe to "b": not authorized (0x87): nope` || len(codes) != 2 {
			t.Fatal(codes, err)
		}
		codes, err = c.Unsubscribe(t.Context(), "a", "b")
		if err != nil || !cmp.Equal(codes, []packet.ReasonCode{0, packet.ReasonNoSubscriptionExisted}) {
			t.Fatal(codes, err)
		}
		if _, err = c.Subscribe(t.Context(), 0); err == nil {
			t.Fatal("subscribed to nothing")
		}
	})
}

func TestSubscribe311(t *testing.T) {
	with(t, Options{Version: packet.V311}, func(s *script) {
		s.expect("82 06 0001 0001 61 01")
		s.send("90 03 0001 80")
		s.expect("a2 05 0002 0001 61")
		s.send("b0 02 0002")
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		if _, err := c.Subscribe(t.Context(), 0, Subscription{Filter: "a", QoS: 1}); err == nil || err.Error() != `subscribe to "a": unspecified error (0x80)` {
			t.Fatal(err)
		}
		if _, err := c.Unsubscribe(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMQTT_3_1_2_20_KeepAlive(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect("10 0f 0004 4d515454 05 02 000a 00 0002 6331")
		s.send(accepted5)
		s.expect("c0 00")
		s.send("d0 00")
		s.expect("c0 00")
		s.expectEnd() // no answer to the second
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		start := time.Now()
		c, err := dial(Options{KeepAlive: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if err := c.Err(); !errors.Is(err, ErrNoAnswer) || time.Since(start) != 25*time.Second {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestKeepAliveWhileTheCallerIsSlow(t *testing.T) {
	bubble(t, func(s *script) {
		s.expect("10 0f 0004 4d515454 05 02 000a 00 0002 6331")
		s.send(accepted5)
		go func() {
			for {
				if _, err := s.conn.Read(make([]byte, 64)); err != nil {
					return
				}
			}
		}()
		for range 3 {
			s.send("30 04 0001 61 00")
		}
	}, func(t *testing.T, dial func(Options) (*Client, error)) {
		c, err := dial(Options{KeepAlive: 10 * time.Second, Buffer: 1})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // messages wait, so no answer is read
		for range 3 {
			if _, ok := <-c.Messages(); !ok {
				t.Fatal(c.Err())
			}
		}
		c.Close()
	})
}

func TestDisconnectWhileMessagesWait(t *testing.T) {
	with(t, Options{Buffer: 1}, func(s *script) {
		s.send("30 04 0001 61 00")
		s.send("32 06 0001 61 0001 00")
		s.expect(bye)
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		synctest.Wait()
		if err := c.DisconnectWith(t.Context(), packet.ReasonNormalDisconnection); err != nil {
			t.Fatal(err)
		}
		n := 0
		for range c.Messages() {
			n++
		}
		if n != 1 {
			t.Fatalf("%d messages, want the one there was room for", n)
		}
		if err := c.Disconnect(t.Context()); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}

func TestDisconnectWithWill(t *testing.T) {
	with(t, Options{}, func(s *script) {
		s.expect("e0 01 04")
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		if err := c.DisconnectWith(t.Context(), packet.ReasonDisconnectWithWill); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDisconnectWithANonsenseCode: the connection goes on, and can still be left well.
func TestDisconnectWithANonsenseCode(t *testing.T) {
	with(t, Options{}, func(s *script) {
		s.expect(bye)
		s.expectEnd()
	}, func(t *testing.T, c *Client) {
		if err := c.DisconnectWith(t.Context(), packet.ReasonContinueAuthentication); err == nil || !strings.Contains(err.Error(), "MQTT-3.14.2-1") {
			t.Fatal(err)
		}
		if err := c.Disconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
