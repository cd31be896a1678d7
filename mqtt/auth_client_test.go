package mqtt

import (
	"context"
	"errors"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// serve has gw listen and gives its URL.
func serve(t *testing.T, gw *coretest.Gateway, transport string) string {
	t.Helper()
	cfg := protocols.Config{Listeners: map[string]*protocols.ListenerConfig{"in": {Protocol: "mqtt", Transport: transport, Address: "127.0.0.1:0"}}}
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
	t.Cleanup(func() { cancel(); <-ended })
	scheme := map[string]string{"tcp": "mqtt", "ws": "ws"}[transport]
	return scheme + "://" + s.Addresses()["in"].String()
}

// TestScramOverTheEdge: a client authenticates, and again while messages flow.
func TestScramOverTheEdge(t *testing.T) {
	for _, transport := range []string{"tcp", "ws"} {
		t.Run(transport, func(t *testing.T) {
			gw := startScram(t)
			url := serve(t, gw, transport)
			o := devices.Options{ClientID: "c1", Username: "user", Password: []byte("pencil"), AuthMethod: devices.ScramSHA256}
			c, err := devices.Dial(t.Context(), url, o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Subscribe(t.Context(), 0, devices.Subscription{Filter: "a", QoS: 1}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				p, err := c.Send(t.Context(), &devices.Message{Topic: "a", Payload: []byte("x"), QoS: 1})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Reauthenticate(t.Context()); err != nil {
					t.Fatal(err)
				}
				if code, err := c.Wait(t.Context(), p); err != nil || code.Failed() {
					t.Fatal(code, err)
				}
				<-c.Messages()
			}
			if st := gw.Stats(); st.Get(core.Reauthentications) != 3 || st.Get(core.Connects) != 1 {
				t.Errorf("%d re-authentications, %d connects", st.Get(core.Reauthentications), st.Get(core.Connects))
			}
			for _, bad := range []devices.Options{
				{Username: "user", Password: []byte("pen"), AuthMethod: devices.ScramSHA256},
				{Username: "nobody", Password: []byte("pencil"), AuthMethod: devices.ScramSHA256},
				{Username: "user", Password: []byte("pencil"), AuthMethod: devices.ScramSHA512},
			} {
				_, err := devices.Dial(t.Context(), url, bad)
				var no *devices.ReasonError
				want := packet.ReasonBadUserNameOrPassword
				if bad.AuthMethod == devices.ScramSHA512 {
					want = packet.ReasonBadAuthenticationMethod
				}
				if !errors.As(err, &no) || no.Code != want {
					t.Errorf("%s: %v", bad.Username, err)
				}
			}
		})
	}
}
