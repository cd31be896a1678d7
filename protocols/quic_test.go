package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/fairlead-iot/fairlead/core"
)

// quicClient is the other end of a QUIC connection, with the stream that a client
// opens first.
type quicClient struct {
	*quic.Stream
	conn *quic.Conn
}

// dialQUIC connects; secure is as for TLS.
func dialQUIC(t testing.TB, address string, secure *tls.Config, cfg *quic.Config) (*quicClient, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if secure.NextProtos == nil {
		secure = secure.Clone()
		secure.NextProtos = []string{"line"}
	}
	conn, err := quic.DialAddr(ctx, address, secure, cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return &quicClient{s, conn}, nil
}

// Read tells a plain end as io.EOF.
func (c *quicClient) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	var end *quic.ApplicationError
	if errors.As(err, &end) && end.ErrorCode == 0 {
		err = io.EOF
	}
	return n, err
}

func (c *quicClient) Close() error         { return c.conn.CloseWithError(0, "") }
func (c *quicClient) LocalAddr() net.Addr  { return c.conn.LocalAddr() }
func (c *quicClient) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

func quicListener(q QUICConfig) *ListenerConfig {
	return &ListenerConfig{Transport: QUIC, Address: "127.0.0.1:0", QUIC: q}
}

// movingSocket is a client's UDP socket of which the address may change under way, as
// it does when the client or its router gets another network.
type movingSocket struct {
	now atomic.Pointer[net.UDPConn]
}

func (m *movingSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c := m.now.Load()
		n, from, err := c.ReadFrom(b)
		if err == nil || m.now.Load() == c {
			return n, from, err
		}
	}
}

func (m *movingSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	return m.now.Load().WriteTo(b, to)
}
func (m *movingSocket) Close() error                       { return m.now.Load().Close() }
func (m *movingSocket) LocalAddr() net.Addr                { return m.now.Load().LocalAddr() }
func (m *movingSocket) SetDeadline(t time.Time) error      { return m.now.Load().SetDeadline(t) }
func (m *movingSocket) SetReadDeadline(t time.Time) error  { return m.now.Load().SetReadDeadline(t) }
func (m *movingSocket) SetWriteDeadline(t time.Time) error { return m.now.Load().SetWriteDeadline(t) }

// move takes another address.
func (m *movingSocket) move(t *testing.T) (port uint16) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if old := m.now.Swap(c); old != nil {
		old.Close() // only now: the port is another
	}
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// A client that comes from another address from now on keeps its connection.
func TestQUICClientMoves(t *testing.T) {
	h := start(t, "", quicListener(QUICConfig{}))
	var socket movingSocket
	first := socket.move(t)
	over := &quic.Transport{Conn: &socket}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h.tls.NextProtos = []string{"line"}
	conn, err := over.Dial(ctx, h.server.Addresses()["l"], h.tls, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.CloseWithError(0, "")
		over.Close()
		socket.Close()
	})
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
	c := &client{&quicClient{s, conn}, t}
	c.say("hello\nbefore\n")
	c.hears("welcome\nbefore\n")
	m := await(t, h.adapter.made, "machine")
	for range 3 {
		socket.move(t)
		c.say("after\n")
		c.hears("after\n")
		c.say("send 3 100000\n")
		if _, err := io.CopyN(io.Discard, c, 300_000); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.server.Connections(); n != 1 || len(h.adapter.made) != 0 {
		t.Fatalf("%d connections, %d more machines", n, len(h.adapter.made))
	}
	if m.conn.Peer() != m.info.Peer || m.info.Peer.Port() != first {
		t.Fatalf("the client is known as %s, the connection began at port %d", m.conn.Peer(), first)
	}
}

func TestQUICRetry(t *testing.T) {
	for _, c := range []struct {
		name  string
		q     QUICConfig
		under int64 // handshakes under way
		want  bool
	}{
		{"always", QUICConfig{Retry: "always"}, 0, true}, {"never", QUICConfig{Retry: "never"}, 1 << 40, false},
		{"auto, idle", QUICConfig{}, defaultRetryAbove - 1, false}, {"auto, busy", QUICConfig{}, defaultRetryAbove, true},
	} {
		s := &quicSocket{of: newListener("l", quicListener(c.q), named("line"))}
		s.handshaking.Store(c.under)
		if got := s.wantsProof(); got != c.want {
			t.Errorf("%s: asks for proof: %v", c.name, got)
		}
	}
	h := start(t, "", quicListener(QUICConfig{Retry: "always"}))
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
}

func TestQUICHandshakesAreBounded(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: QUIC, Address: "127.0.0.1:0", MaxUnauthenticated: 1})
	first := h.dial() // is not accepted yet
	first.say("not yet\n")
	await(t, h.adapter.made, "machine")
	second, err := h.connect(h.server.Addresses()["l"])
	if err == nil {
		defer second.Close()
		second.SetDeadline(time.Now().Add(patience))
		second.Write([]byte("hello\n"))
		if n, err := second.Read(make([]byte, 8)); err == nil {
			t.Fatalf("%d bytes of an answer", n)
		}
	}
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectionLimit {
		t.Fatalf("refused %+v", r)
	}
}

func TestQUICWithoutStreamTimesOut(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: QUIC, Address: "127.0.0.1:0", HandshakeTimeout: 2 * time.Second})
	h.dial() // a stream begins with its first byte
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
		t.Fatalf("refused %+v", r)
	}
}

func TestQUICOtherProtocolIsRefused(t *testing.T) {
	h := start(t, "", quicListener(QUICConfig{}))
	h.tls.NextProtos = []string{"h3"}
	if _, err := h.connect(h.server.Addresses()["l"]); err == nil {
		t.Fatal("accepted")
	}
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError {
		t.Fatalf("refused %+v", r)
	}
}

func TestQUICHasOneStream(t *testing.T) {
	h := start(t, "", quicListener(QUICConfig{}))
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	if _, err := c.Conn.(*quicClient).conn.OpenStream(); err == nil {
		t.Fatal("a second stream was opened, which nobody would read")
	}
}

// Data that is no QUIC, and a server that never ran, leave nothing behind.
func TestQUICNoise(t *testing.T) {
	h := start(t, "", quicListener(QUICConfig{}))
	noise, err := net.Dial("udp", h.server.Addresses()["l"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer noise.Close()
	for _, b := range [][]byte{nil, {0}, {0xC0}, make([]byte, 1200), append([]byte{0xC3, 0, 0, 0, 1, 8}, make([]byte, 1300)...)} {
		noise.Write(b)
	}
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
}

func TestQUICOpenedAndClosed(t *testing.T) {
	lc := quicListener(QUICConfig{})
	lc.Protocol = "line"
	certify(t, &lc.TLS)
	cfg := DefaultConfig()
	cfg.Listeners["l"] = lc
	s, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newLineAdapter()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	again := *lc
	again.Address = s.Addresses()["l"].String()
	cfg.Listeners["l"] = &again
	other, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newLineAdapter()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Open(); err == nil {
		t.Error("two servers on one port")
	}
	s.Close()
}

func TestQUICValidation(t *testing.T) {
	pair := TLSConfig{CertFile: "c", KeyFile: "k"}
	for _, c := range []struct {
		name, fault string
		lc          ListenerConfig
	}{
		{"no certificate", "needs cert_file", ListenerConfig{Transport: QUIC}},
		{"elsewhere", "only holds for the transport quic", ListenerConfig{Transport: TCP, QUIC: QUICConfig{Retry: "always"}}},
		{"retry", "must be one of auto, always, never", ListenerConfig{Transport: QUIC, TLS: pair, QUIC: QUICConfig{Retry: "perhaps"}}},
		{"proxy", "QUIC has no PROXY header", ListenerConfig{Transport: QUIC, TLS: pair, ProxyProtocol: "on"}},
		{"old TLS", "QUIC has no TLS 1.2", ListenerConfig{Transport: QUIC, TLS: TLSConfig{CertFile: "c", KeyFile: "k", MinVersion: "1.2"}}},
		{"window", "quic.window", ListenerConfig{Transport: QUIC, TLS: pair, QUIC: QUICConfig{Window: -1}}},
		{"idle", "quic.idle_timeout", ListenerConfig{Transport: QUIC, TLS: pair, QUIC: QUICConfig{IdleTimeout: -1}}},
		{"names without certificates", "needs client_auth", ListenerConfig{Transport: QUIC, TLS: TLSConfig{CertFile: "c", KeyFile: "k", Identity: "cn"}}},
		{"lists without certificates", "does nothing unless", ListenerConfig{Transport: TLS, TLS: TLSConfig{CertFile: "c", KeyFile: "k", CRLFiles: []string{"x"}}}},
		{"a field nobody knows", "must be one of cn, dn", ListenerConfig{Transport: TLS, TLS: TLSConfig{CertFile: "c", KeyFile: "k", ClientAuth: "require", ClientCAFile: "a", Identity: "serial"}}},
	} {
		cfg := DefaultConfig()
		c.lc.Address = "127.0.0.1:0"
		cfg.Listeners["l"] = &c.lc
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}
