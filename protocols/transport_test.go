package protocols

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fairlead-iot/fairlead/core"
)

// dialRaw connects without header, TLS or WebSocket.
func (h *harness) dialRaw() *client {
	h.t.Helper()
	a := h.server.Addresses()["l"]
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		h.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	h.t.Cleanup(func() { c.Close() })
	return &client{c, h.t}
}

func TestTLSVersions(t *testing.T) {
	for _, c := range []struct {
		min    string
		client uint16
		ok     bool
	}{
		{"", tls.VersionTLS12, true}, {"", tls.VersionTLS13, true},
		{"1.3", tls.VersionTLS12, false}, {"1.3", tls.VersionTLS13, true}, {"", tls.VersionTLS11, false},
	} {
		t.Run(fmt.Sprintf("min %s client %x", c.min, c.client), func(t *testing.T) {
			h := start(t, "", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", TLS: TLSConfig{MinVersion: c.min}})
			h.tls.MinVersion, h.tls.MaxVersion = c.client, c.client
			k := h.dialRaw()
			s := tls.Client(k.Conn, h.tls)
			err := s.Handshake()
			if (err == nil) != c.ok {
				t.Fatalf("handshake: %v", err)
			}
			if err != nil {
				if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError || !strings.Contains(r.Detail, "TLS handshake") {
					t.Fatalf("refused %+v", r)
				}
				return
			}
			k.Conn = s
			k.say("hello\n")
			k.hears("welcome\n")
			if m := await(t, h.adapter.made, "machine"); m.info.TLS.Version != c.client {
				t.Fatalf("machine sees version %x", m.info.TLS.Version)
			}
		})
	}
}

func TestClientCertificates(t *testing.T) {
	for _, c := range []struct {
		auth        string
		certificate bool
		ok          bool
	}{{"require", true, true}, {"require", false, false}, {"request", true, true}, {"request", false, true}} {
		t.Run(fmt.Sprintf("%s shown %v", c.auth, c.certificate), func(t *testing.T) {
			h := start(t, "", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", TLS: TLSConfig{ClientAuth: c.auth}})
			if !c.certificate {
				h.tls.Certificates = nil
			}
			k := h.dial()
			k.Write([]byte("hello\n")) // in TLS 1.3 the client learns of the refusal when it reads
			if !c.ok {
				k.hearsRefusal()
				await(t, h.gateway.refusals, "refusal")
				return
			}
			k.hears("welcome\n")
			m := await(t, h.adapter.made, "machine")
			if c.certificate != (len(m.info.TLS.VerifiedChains) > 0) {
				t.Fatalf("%d chains", len(m.info.TLS.VerifiedChains))
			}
		})
	}
}

func TestForeignClientCertificateIsNotAuthorized(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", TLS: TLSConfig{ClientAuth: "require"}})
	pair, err := tls.X509KeyPair(newAuthority(t).issue(t, "stranger"))
	if err != nil {
		t.Fatal(err)
	}
	// The stranger shows it although the gateway does not name its authority.
	h.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	k := h.dial()
	k.Write([]byte("hello\n"))
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.NotAuthorized {
		t.Fatalf("refused %+v", r)
	}
}

func TestSilentHandshakeTimesOutAndHoldsNobodyUp(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", HandshakeWorkers: 1, HandshakeTimeout: 2 * time.Second})
	for range 5 {
		h.dialRaw() // says nothing
	}
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	for range 5 {
		if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
			t.Fatalf("refused %+v", r)
		}
	}
}

func TestReloadTakesNewCertificates(t *testing.T) {
	c := &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0"}
	h := start(t, "", c)
	old := h.dial()
	old.say("hello\n")
	old.hears("welcome\n")
	other := &TLSConfig{}
	fresh := certify(t, other)
	move(t, other.CertFile, c.TLS.CertFile)
	if err := h.server.Reload(); err == nil {
		t.Fatal("a certificate that does not fit its key was taken")
	}
	move(t, other.KeyFile, c.TLS.KeyFile)
	if err := h.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := tls.Client(h.dialRaw(), h.tls).Handshake(); err == nil {
		t.Fatal("the old certificate is still shown")
	}
	h.tls = fresh
	k := h.dial()
	k.say("hello\n")
	k.hears("welcome\n")
	old.say("still here\n")
	old.hears("still here\n")
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// wsDial tries an upgrade and gives what came of it.
func (h *harness) wsDial(path string, subprotocols []string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{Subprotocols: subprotocols, HandshakeTimeout: patience}
	return d.Dial("ws://"+h.server.Addresses()["l"].String()+path, header)
}

func TestWebSocketNegotiation(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", Origins: []string{"https://good.example"}})
	for _, c := range []struct {
		name   string
		path   string
		offers []string
		origin string
		status int
	}{
		{"good", "/mqtt", []string{"line"}, "", 101},
		{"one of several", "/mqtt", []string{"other", "line"}, "", 101},
		{"no subprotocol", "/mqtt", nil, "", 400},
		{"wrong subprotocol", "/mqtt", []string{"other"}, "", 400},
		{"wrong path", "/", []string{"line"}, "", 404},
		{"allowed origin", "/mqtt", []string{"line"}, "https://good.example", 101},
		{"foreign origin", "/mqtt", []string{"line"}, "https://bad.example", 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			ws, resp, err := h.wsDial(c.path, c.offers, header)
			if resp == nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, c.status)
			}
			if err == nil {
				if ws.Subprotocol() != "line" {
					t.Fatalf("subprotocol %q", ws.Subprotocol())
				}
				ws.Close()
				return
			}
			if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError {
				t.Fatalf("refused %+v", r)
			}
		})
	}
}

func TestPlainHTTPIsToldWhatThisIs(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0"})
	c := h.dialRaw()
	c.say("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := c.hearsEnd(); !strings.HasPrefix(got, "HTTP/1.1 426 ") || !strings.Contains(got, "line over WebSocket") {
		t.Fatalf("heard %q", got)
	}
	c = h.dialRaw()
	c.say("GET /" + strings.Repeat("x", 2*maxUpgradeHeader))
	c.hearsRefusal()
	await(t, h.gateway.refusals, "first refusal")
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.PacketTooLarge {
		t.Fatalf("refused %+v", r)
	}
}

// recorded keeps what was read.
type recorded struct {
	net.Conn
	got []byte
}

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.got = append(r.got, b[:n]...)
	return n, err
}

const recordAlert = 21

// lastRecord is the type of the last TLS record.
func lastRecord(all []byte) (kind byte) {
	for len(all) >= 5 {
		kind = all[0]
		all = all[min(len(all), 5+int(binary.BigEndian.Uint16(all[3:]))):]
	}
	return kind
}

// TestRefusedUpgradeIsReadToItsEnd: the answer to a wrong request reaches a client that
// sends more than is read of it.
func TestRefusedUpgradeIsReadToItsEnd(t *testing.T) {
	more := strings.Repeat("unread\n", 30000)
	for _, transport := range []string{WebSocket, SecureWS} {
		for _, c := range []struct{ request, answer, says string }{
			{"POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", "426", "line over WebSocket"},
			{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404", "at /mqtt"},
			{"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", "400", "must be line"},
		} {
			t.Run(transport+" "+c.answer, func(t *testing.T) {
				h := start(t, "", &ListenerConfig{Transport: transport, Address: "127.0.0.1:0"})
				seen := &recorded{Conn: h.dialRaw()}
				conn := &client{seen, t}
				if transport == SecureWS {
					old := h.tls.Clone()
					old.MaxVersion = tls.VersionTLS12 // whose alerts can be told from without
					conn.Conn = tls.Client(seen, old)
				}
				wrote := make(chan struct{})
				go func() {
					defer close(wrote)
					conn.Write([]byte(c.request + more)) // more than the kernel takes at once
				}()
				got := conn.hearsEnd()
				<-wrote
				if transport == SecureWS && lastRecord(seen.got) != recordAlert {
					t.Error("no close_notify ends the answer, which then counts as cut off")
				}
				if !strings.HasPrefix(got, "HTTP/1.1 "+c.answer+" ") || !strings.Contains(got, c.says) {
					t.Fatalf("heard %q", got)
				}
			})
		}
	}
}

// [MQTT-6.0.0-1]
func TestTextMessageEndsTheConnection(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0"})
	ws, _, err := h.wsDial("/mqtt", []string{"line"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.WriteMessage(websocket.TextMessage, []byte("hello\n"))
	_, _, err = ws.ReadMessage()
	var end *websocket.CloseError
	if !errors.As(err, &end) || end.Code != websocket.CloseUnsupportedData {
		t.Fatalf("ended by %v", err)
	}
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError {
		t.Fatalf("refused %+v", r)
	}
}

func TestWebSocketPingIsAnswered(t *testing.T) {
	for _, transport := range []string{WebSocket, SecureWS} {
		t.Run(transport, func(t *testing.T) {
			h := start(t, "", &ListenerConfig{Transport: transport, Address: "127.0.0.1:0"})
			ws := h.dial().Conn.(*wsClient).ws
			pong := make(chan string, 1)
			ws.SetPongHandler(func(s string) error { pong <- s; return nil })
			go ws.ReadMessage()
			for _, payload := range []string{"are you there", "and now"} {
				ws.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(patience))
				if got := await(t, pong, "pong"); got != payload {
					t.Fatalf("pong %q", got)
				}
			}
		})
	}
}

func TestOversizedWebSocketMessage(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", MaxPacketSize: 1000})
	ws, _, err := h.wsDial("/mqtt", []string{"line"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	go ws.WriteMessage(websocket.BinaryMessage, make([]byte, 500_000))
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.PacketTooLarge {
		t.Fatalf("refused %+v", r)
	}
}

func TestMQTTSubprotocols(t *testing.T) {
	got := strings.Join(subprotocols(named("mqtt")), ",")
	if got != "mqtt,mqttv3.1" {
		t.Fatalf("subprotocols %s", got)
	}
}

type named string

func (n named) Name() string                            { return string(n) }
func (n named) NewMachine(*ConnInfo, core.Conn) Machine { return nil }
