package fairlead

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"

	"github.com/fairlead-iot/fairlead/protocols"
)

// privateTransports are those that carry private protocols, as stages name them.
var privateTransports = map[string]string{
	"exproto": protocols.TCP, "exproto ws": protocols.WebSocket,
	"exproto udp": protocols.UDP, "exproto dtls": protocols.DTLS,
}

// private is the protocol of a stage without its transport.
func (s *edgeStage) private() bool { return strings.HasPrefix(s.protocol, protocols.Exproto) }

// privateDatagrams says that they are carried by datagrams.
func (s *edgeStage) privateDatagrams() bool {
	transport := privateTransports[s.protocol]
	return transport == protocols.UDP || transport == protocols.DTLS
}

// privateListener is the listener of the stage's private protocol.
func (s *edgeStage) privateListener() *protocols.ListenerConfig {
	yes := true
	lc := &protocols.ListenerConfig{Protocol: protocols.Exproto, Transport: protocols.TCP, Given: true, AllowAnonymous: &yes, Exproto: protocols.ExprotoConfig{Handler: "127.0.0.1:9000"}}
	if s.private() {
		lc.Transport = privateTransports[s.protocol]
	}
	if lc.Transport == protocols.DTLS {
		lc.DTLS.PSKFile = filepath.Join(s.t.TempDir(), "keys")
		if err := os.WriteFile(lc.DTLS.PSKFile, []byte("relay:"+hex.EncodeToString(privateKey)+"\n"), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return lc
}

var privateKey = []byte("sixteen bytes ok")

// dialPrivate connects as a client of the private protocol.
func (s *edgeStage) dialPrivate(ctx context.Context) (net.Conn, error) {
	transport, network := privateTransports[s.protocol], "tcp"
	if s.privateDatagrams() {
		network = "udp"
	}
	c, err := s.net.Dialer("127.0.0.1:0")(ctx, network, "gateway:7000")
	switch {
	case err != nil:
		return nil, err
	case transport == protocols.DTLS:
		return overDTLS(ctx, c)
	case transport == protocols.WebSocket:
		return overWebSocket(ctx, c)
	}
	return c, nil
}

func overDTLS(ctx context.Context, c net.Conn) (net.Conn, error) {
	d, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(c), c.RemoteAddr(),
		dtls.WithPSK(func([]byte) ([]byte, error) { return privateKey, nil }), dtls.WithPSKIdentityHint([]byte("relay")),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8))
	if err != nil {
		return nil, err
	}
	return &silent{d, c}, d.HandshakeContext(ctx)
}

// silent closes without DTLS's close_notify: whoever is cut says nothing.
type silent struct {
	*dtls.Conn
	under net.Conn
}

func (s *silent) Close() error {
	err := s.under.Close()
	go s.Conn.Close() // its alert goes nowhere
	return err
}

// webStream is the bytes of a WebSocket's messages.
type webStream struct {
	net.Conn
	ws *websocket.Conn
	r  io.Reader
}

func overWebSocket(ctx context.Context, c net.Conn) (net.Conn, error) {
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }, Subprotocols: []string{protocols.Exproto}}
	ws, _, err := d.DialContext(ctx, "ws://gateway:7000/mqtt", nil)
	return &webStream{Conn: c, ws: ws}, err
}

func (s *webStream) Write(b []byte) (int, error) {
	return len(b), s.ws.WriteMessage(websocket.BinaryMessage, b)
}

func (s *webStream) Read(b []byte) (n int, err error) {
	for n == 0 && err == nil {
		if s.r == nil {
			if _, s.r, err = s.ws.NextReader(); err != nil {
				return 0, err
			}
		}
		if n, err = s.r.Read(b); err == io.EOF {
			s.r, err = nil, nil
		}
	}
	return n, err
}

// datagramReader makes a stream of datagrams, each read whole.
type datagramReader struct {
	c    net.Conn
	buf  [64 << 10]byte
	rest []byte
}

func (r *datagramReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		n, err := r.c.Read(r.buf[:])
		if err != nil {
			return 0, err
		}
		r.rest = r.buf[:n]
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// cutDatagrams waits until the gateway notices that a client over datagrams is gone.
func cutDatagrams() { <-time.After(2 * noticed) } // with its tolerance; the time is the bubble's
