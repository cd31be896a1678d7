package mqtt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// startEdge runs core, adapter and real listeners, and gives the URLs to reach them.
func startEdge(t *testing.T, change func(*core.Options)) (urls map[string]string) {
	t.Helper()
	gw := coretest.Start(t, nil, change)
	cfg := protocols.DefaultConfig()
	sock := filepath.Join(t.TempDir(), "s")
	cfg.Listeners = map[string]*protocols.ListenerConfig{
		"mqtt": {Protocol: "mqtt", Transport: "tcp", Address: "127.0.0.1:0"},
		"unix": {Protocol: "mqtt", Transport: "unix", Address: sock},
		"ws":   {Protocol: "mqtt", Transport: "ws", Address: "127.0.0.1:0"},
	}
	s, err := protocols.NewServer(cfg, gw.Gateway, []protocols.Adapter{New(DefaultConfig(), gw.Gateway)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	at := s.Addresses()
	return map[string]string{"mqtt": "mqtt://" + at["mqtt"].String(), "unix": "unix://" + sock, "ws": "ws://" + at["ws"].String()}
}

func device(t *testing.T, url string, o devices.Options) *devices.Client {
	t.Helper()
	c, err := devices.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// next waits for a message.
func next(t *testing.T, c *devices.Client) *devices.Message {
	t.Helper()
	select {
	case m, ok := <-c.Messages():
		if !ok {
			t.Fatalf("connection over: %v", c.Err())
		}
		return m
	case <-time.After(time.Minute):
		t.Fatal("no message came")
	}
	return nil
}

// [MQTT-4.2-1]
func TestEdgeEveryTransportAndVersion(t *testing.T) {
	urls := startEdge(t, nil)
	for transport, url := range urls {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			t.Run(transport+" "+v.String(), func(t *testing.T) {
				ctx := t.Context()
				base := transport + "/" + v.String() + "/"
				sub := device(t, url, devices.Options{Version: v, ClientID: "s" + base})
				pub := device(t, urls["mqtt"], devices.Options{Version: v, ClientID: "p" + base})
				if _, err := sub.Subscribe(ctx, 0, devices.Subscription{Filter: base + "+", QoS: 2}); err != nil {
					t.Fatal(err)
				}
				large := strings.Repeat("x", 100_000)
				for qos := range byte(3) {
					for i, payload := range []string{"hi", large, ""} {
						topic := fmt.Sprintf("%s%d-%d", base, qos, i)
						if code, err := pub.Publish(ctx, &devices.Message{Topic: topic, Payload: []byte(payload), QoS: qos}); err != nil || code != 0 {
							t.Fatal(code, err)
						}
						if m := next(t, sub); m.Topic != topic || string(m.Payload) != payload || m.QoS != qos || m.Dup || m.Retain {
							t.Fatalf("received %s QoS %d, %d bytes", m.Topic, m.QoS, len(m.Payload))
						}
					}
				}
				if err := pub.Disconnect(ctx); err != nil {
					t.Fatal(err)
				}
				if err := sub.Disconnect(ctx); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestEdgeManyInOrder(t *testing.T) {
	urls := startEdge(t, nil)
	const n = 3000
	for qos := range byte(3) {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			topic := fmt.Sprintf("order/%d", qos)
			sub := device(t, urls["mqtt"], devices.Options{ClientID: "sub", TopicAliasMaximum: 4, Buffer: n})
			if _, err := sub.Subscribe(t.Context(), 9, devices.Subscription{Filter: "order/+", QoS: qos}); err != nil {
				t.Fatal(err)
			}
			pub := device(t, urls["mqtt"], devices.Options{ClientID: "pub"})
			for i := range n {
				if _, err := pub.Send(t.Context(), &devices.Message{Topic: topic, QoS: qos, Payload: fmt.Append(nil, i), ContentType: "n"}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				m := next(t, sub)
				if m.Topic != topic || string(m.Payload) != fmt.Sprint(i) || m.ContentType != "n" || len(m.SubscriptionIDs) != 1 || m.SubscriptionIDs[0] != 9 {
					t.Fatalf("message %d is %+v", i, m)
				}
			}
			if err := pub.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestEdgeResume(t *testing.T) {
	urls := startEdge(t, nil)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			ctx := t.Context()
			o := devices.Options{Version: v, ClientID: "r" + v.String(), Resume: true, SessionExpiry: 60, ManualAck: true}
			sub := device(t, urls["mqtt"], o)
			if _, err := sub.Subscribe(ctx, 0, devices.Subscription{Filter: "r/#", QoS: 2}); err != nil {
				t.Fatal(err)
			}
			pub := device(t, urls["mqtt"], devices.Options{Version: v, ClientID: "rp" + v.String()})
			send := func(topic string, qos byte) {
				t.Helper()
				if _, err := pub.Publish(ctx, &devices.Message{Topic: topic, QoS: qos}); err != nil {
					t.Fatal(err)
				}
			}
			send("r/1", 1)
			send("r/2", 2)
			next(t, sub) // r/1, never acknowledged
			sub.Close()
			send("r/3", 1)

			o.Session = sub.Session()
			sub = device(t, urls["mqtt"], o)
			if !sub.Accepted().SessionPresent {
				t.Fatal("the session is gone")
			}
			for _, want := range []string{"r/1", "r/2", "r/3"} {
				m := next(t, sub)
				if m.Topic != want || want == "r/1" && !m.Dup {
					t.Fatalf("received %+v, want %s", m, want)
				}
				if err := m.Ack(); err != nil {
					t.Fatal(err)
				}
			}
			if err := sub.Disconnect(ctx); err != nil {
				t.Fatal(err)
			}
			o.Session, o.Resume, o.SessionExpiry = nil, false, 0
			if device(t, urls["mqtt"], o).Accepted().SessionPresent {
				t.Fatal("a clean start found a session")
			}
		})
	}
}

func TestEdgeRetainedWillTakeover(t *testing.T) {
	urls := startEdge(t, nil)
	ctx := t.Context()
	pub := device(t, urls["mqtt"], devices.Options{ClientID: "pub", Will: &devices.Will{Message: devices.Message{Topic: "w/gone", Payload: []byte("bye"), Retain: true}}})
	if _, err := pub.Publish(ctx, &devices.Message{Topic: "w/state", Payload: []byte("on"), QoS: 1, Retain: true}); err != nil {
		t.Fatal(err)
	}
	sub := device(t, urls["ws"], devices.Options{ClientID: "sub"})
	if _, err := sub.Subscribe(ctx, 0, devices.Subscription{Filter: "w/#", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if m := next(t, sub); m.Topic != "w/state" || !m.Retain {
		t.Fatalf("%+v", m)
	}
	second := device(t, urls["mqtt"], devices.Options{ClientID: "pub"})
	<-pub.Done()
	var why *devices.ReasonError
	if !errors.As(pub.Err(), &why) || why.Code != packet.ReasonSessionTakenOver {
		t.Fatal(pub.Err())
	}
	if m := next(t, sub); m.Topic != "w/gone" || m.Retain {
		t.Fatalf("%+v", m)
	}
	if err := second.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestEdgeKeepAliveAndRefusal(t *testing.T) {
	t.Parallel() // it waits
	urls := startEdge(t, func(o *core.Options) { o.Anonymous = func(c *core.Credentials) bool { return c.ClientID != "bad" } })
	for _, c := range []struct {
		v    packet.Version
		want string
	}{{packet.V5, "(0x8"}, {packet.V311, "(code "}} {
		if _, err := devices.Dial(t.Context(), urls["mqtt"], devices.Options{ClientID: "bad", Version: c.v}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Fatal(err)
		}
	}
	c := device(t, urls["mqtt"], devices.Options{ClientID: "good", KeepAlive: 3 * time.Second}) // half of it may be lost to others
	select {
	case <-c.Done():
		t.Fatal(c.Err())
	case <-time.After(7 * time.Second): // two pings and their answers
	}
}
