package mqtt

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// slowSource answers when it is told to.
type slowSource struct{ asked, answer chan struct{} }

func (s *slowSource) Name() string { return "slow" }
func (s *slowSource) Authenticate(ctx context.Context, _ *core.Credentials) (core.Verdict, *core.Grant, error) {
	s.asked <- struct{}{}
	select {
	case <-s.answer:
		return core.Allow, nil, nil
	case <-ctx.Done():
		return core.Ignore, nil, errors.New("nobody told it to")
	}
}

// TestClientLeavesWhileItIsAuthenticated: the session that core made for it must
// end, or it would stay connected for ever.
func TestClientLeavesWhileItIsAuthenticated(t *testing.T) {
	for _, transport := range []string{"tcp", "ws"} {
		t.Run(transport, func(t *testing.T) {
			source := &slowSource{make(chan struct{}, 1), make(chan struct{})}
			g := coretest.Start(t, nil, func(o *core.Options) { o.Authenticators = []core.Authenticator{source} })
			cfg := protocols.Config{Listeners: map[string]*protocols.ListenerConfig{"in": {Protocol: "mqtt", Transport: transport, Address: "127.0.0.1:0"}}}
			s, err := protocols.NewServer(cfg, g.Gateway, []protocols.Adapter{New(DefaultConfig(), g.Gateway)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Open(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			defer func() { cancel(); <-ended }()

			leave(t, transport, s.Addresses()["in"].String(), source)
			if transport == "tcp" { // a pump that is paused looks only afterwards
				until(t, func() bool { st := g.Stats(); return st.Get(core.ConnectionsClosed) == 1 })
			}
			close(source.answer)
			until(t, func() bool {
				st := g.Stats()
				return st.Get(core.SessionsCreated) == 1 && st.Sessions == 0
			})
		})
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that within a minute")
		}
		<-time.After(time.Millisecond)
	}
}

// leave connects with a user name and password, and goes once the source was asked.
func leave(t *testing.T, transport, address string, source *slowSource) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetLinger(0) // the close is seen at once, even by who does not read
	connect := []byte("\x10\x13\x00\x04MQTT\x04\xc2\x00\x00\x00\x01a\x00\x01u\x00\x01p")
	if transport == "ws" {
		c.Write([]byte("GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"))
		var answer []byte
		for buf := make([]byte, 512); !bytes.Contains(answer, []byte("\r\n\r\n")); {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			answer = append(answer, buf[:n]...)
		}
		connect = append([]byte{0x82, 0x80 | byte(len(connect)), 0, 0, 0, 0}, connect...)
	}
	c.Write(connect)
	<-source.asked
}
