package loop

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// fares is a receiver that hears how a port fares.
type fares struct {
	opened chan bool
	heard  chan string
	over   chan error
}

func newFares() fares {
	return fares{make(chan bool, 1), make(chan string, 64), make(chan error, 1)}
}

func (f fares) Opened()           { f.opened <- true }
func (f fares) Received(b []byte) { f.heard <- string(b) }
func (f fares) Ended(err error)   { f.over <- err }

// guardedLoop runs a loop whose ports speak to a network in memory.
func guardedLoop(t *testing.T, n *simnet.Network) (l *Loop, e *Endpoint, stop func()) {
	t.Helper()
	l, err := New(Options{Portable: true, Packets: func(name string) (net.PacketConn, net.Addr, error) {
		c, err := n.ListenPacket("127.0.0.1:0")
		return c, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(name)), err
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	if e, err = ParseEndpoint("mem://10.0.0.1:8884", TLS{}); err != nil {
		t.Fatal(err)
	}
	return l, e, func() { cancel(); <-ended }
}

// TestGuardSpeaksDTLS: datagrams go to a DTLS server and back, through weather; a wrong key
// ends the port.
func TestGuardSpeaksDTLS(t *testing.T) {
	for _, c := range []struct {
		name string
		key  string
		n    *Conditions
		ok   bool
	}{
		{"a perfect network", "0123456789abcdef", nil, true},
		{"loss", "0123456789abcdef", &Conditions{Loss: 0.2, Reorder: 0.2}, true},
		{"wrong key", "another key 1234", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New(1)
				at, err := n.ListenPacket("10.0.0.1:8884")
				if err != nil {
					t.Fatal(err)
				}
				go echoDTLS(at, "0123456789abcdef")
				l, e, stop := guardedLoop(t, n)
				f, p := newFares(), &Port{}
				l.Post(func() {
					if err := l.OpenPort(p, e, c.n, 3, &Guard{Identity: "mote", Key: []byte(c.key)}, f); err != nil {
						t.Error(err)
					}
				})
				f.expect(t, l, p, c.ok)
				shut(l, p)
				stop()
				at.Close()
				synctest.Wait()
			})
		})
	}
}

// expect sends until an answer comes, or wants the handshake to fail.
func (f fares) expect(t *testing.T, l *Loop, p *Port, ok bool) {
	t.Helper()
	select {
	case <-f.opened:
	case err := <-f.over: // as whoever does not know the key understands nothing
		if ok || !errors.Is(err, ErrUnanswered) {
			t.Error(err)
		}
		return
	}
	if !ok {
		t.Error("it opened")
	}
	for heard := ""; heard != "hello"; {
		l.Post(func() { p.Send([]byte("hello")) })
		select {
		case heard = <-f.heard:
		case <-time.After(time.Second):
		}
	}
}

// TestGuardUnanswered: a handshake that nobody answers ends, and is known as that.
func TestGuardUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		at, err := n.ListenPacket("10.0.0.1:8884")
		if err != nil {
			t.Fatal(err)
		}
		l, e, stop := guardedLoop(t, n)
		f, p := newFares(), &Port{}
		l.Post(func() { _ = l.OpenPort(p, e, nil, 0, &Guard{Identity: "mote", Key: []byte("key")}, f) })
		if err := <-f.over; !errors.Is(err, ErrUnanswered) {
			t.Errorf("it ended with %v", err)
		}
		shut(l, p)
		stop()
		at.Close()
	})
}

// echoDTLS is a server for the first client that comes.
func echoDTLS(c net.PacketConn, key string) {
	buf := make([]byte, 2048)
	_, from, err := c.ReadFrom(buf) // the client says it again
	if err != nil {
		return
	}
	conn, err := dtls.ServerWithOptions(c, from, dtls.WithPSK(func([]byte) ([]byte, error) { return []byte(key), nil }),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8))
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		k, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:k]); err != nil {
			return
		}
	}
}

// shut closes a port.
func shut(l *Loop, p *Port) {
	closed := make(chan bool)
	l.Post(func() { p.Close(); close(closed) })
	<-closed
}
