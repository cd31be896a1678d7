package hostile

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEdges are the attacks on TLS and WebSocket.
func TestEdges(t *testing.T) {
	secure := append(secureListener(t), "listeners.mqtts.max_unauthenticated_per_address=50")
	soon := append(slices.Clone(secure), "listeners.mqtts.handshake_timeout=1s")
	taken := append(slices.Clone(secure), "listeners.mqtts.handshake_timeout=5s") // so that all are there at once
	run(t, []attack{
		{name: "TLS unfinished", does: "sends half a ClientHello on 40 sockets", holds: "ended after handshake_timeout", settings: soon, wage: tlsUnfinished, reasons: []string{"connect_timeout"}, many: true},
		{name: "TLS taken by one address", does: "opens 200 sockets to TLS from one address where 50 strangers are allowed", holds: "address_limit before the handshake", settings: taken, wage: tlsTaken, many: true, once: true, reasons: []string{"address_limit"}},
		{name: "TLS of old", does: "offers TLS 1.0 and 1.1 only, and TLS 1.2 with CBC and RC4 suites only", holds: "no handshake", settings: secure, wage: oldTLS},
		{name: "WebSocket taken by one address", does: "opens 200 sockets to WebSocket from one address where 50 strangers are allowed", holds: "address_limit before the upgrade", settings: []string{"listeners.ws.handshake_timeout=5s", "listeners.ws.max_unauthenticated_per_address=50"}, wage: upgradesTaken, many: true, once: true, reasons: []string{"address_limit"}},
		{name: "TLS rubbish", does: "sends random records", holds: "a named end", settings: secure, wage: tlsRubbish},
		{name: "WebSocket upgrade dribbled", does: "sends an upgrade byte by byte on 100 sockets", holds: "ended after handshake_timeout", settings: []string{"listeners.ws.handshake_timeout=1s"}, wage: upgradeDribble, reasons: []string{"connect_timeout"}, many: true},
		{name: "WebSocket headers without end", does: "sends ever more HTTP header fields", holds: "packet_too_large at 16 KiB", wage: headersWithoutEnd, reasons: []string{"packet_too_large"}},
		{name: "WebSocket wrong requests", does: "asks for other paths, subprotocols and origins", holds: "404, 400 and 403, protocol_error", wage: wrongRequests, reasons: []string{"protocol_error"}},
		{name: "compression bomb", does: "offers permessage-deflate, then sends a compressed message", holds: "never agreed to; the frame ends the connection", wage: compressionBomb},
		{name: "WebSocket frame of 8 EiB", does: "announces a frame of 2^63-1 bytes", holds: "packet_too_large", wage: hugeFrame, reasons: []string{"packet_too_large"}},
		{name: "WebSocket text frames", does: "sends text and unmasked frames", holds: "protocol_error", wage: textFrames, reasons: []string{"protocol_error"}},
		{name: "WebSocket ping flood", does: "sends pings of 125 bytes without end on two connections, and reads nothing on one of them", holds: "one pong for all that one read brings; 384 KiB of them wait at most", wage: webPings},
		{name: "WebSocket empty frames", does: "sends empty frames and fragments without end", holds: "memory flat", wage: emptyFrames},
	})
}

// secureListener makes a certificate and the settings of a TLS listener.
func secureListener(t *testing.T) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return []string{"listeners.mqtts.address=127.0.0.1:0",
		"listeners.mqtts.tls.cert_file=" + write("cert.pem", "CERTIFICATE", cert),
		"listeners.mqtts.tls.key_file=" + write("key.pem", "PRIVATE KEY", private)}
}

func tlsUnfinished(t *testing.T, at *arena) {
	all := crowd(t, at.ready.Listeners["mqtts"], 40)
	for _, p := range all {
		p.raw(append([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), make([]byte, 100)...))
	}
	allEnd(t, all)
}

func tlsTaken(t *testing.T, at *arena) {
	all := crowd(t, at.ready.Listeners["mqtts"], 200)
	eventually(t, "the refusals", func() bool { return at.reason(t, "address_limit") >= 150 })
	if n := at.metrics(t)[`fairlead_listener_accepted_total{listener="mqtts"}`] - at.reason(t, "address_limit"); n != 50 {
		t.Errorf("%v strangers of one address at once, allowed are 50", n)
	}
	if err := tls.Client(from(t, at.ready.Listeners["mqtts"], "127.0.0.3"), &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()); err != nil {
		t.Errorf("another address: %v", err)
	}
	allEnd(t, all)
}

func oldTLS(t *testing.T, at *arena) {
	weak := []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}
	for _, offer := range []*tls.Config{
		{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: weak},
	} {
		offer.InsecureSkipVerify = true
		for range size(5, 100) {
			c := tls.Client(dial(t, at.ready.Listeners["mqtts"]).Conn, offer)
			if err := c.HandshakeContext(t.Context()); err == nil {
				t.Errorf("agreed to version %#x, suite %#x", c.ConnectionState().Version, c.ConnectionState().CipherSuite)
			}
			c.Close()
		}
	}
	good := tls.Client(dial(t, at.ready.Listeners["mqtts"]).Conn, &tls.Config{InsecureSkipVerify: true})
	if err := good.HandshakeContext(t.Context()); err != nil {
		t.Errorf("a good client: %v", err)
	}
}

// upgradesTaken does the same to WebSocket.
func upgradesTaken(t *testing.T, at *arena) {
	all := crowd(t, at.ready.Listeners["ws"], 200)
	eventually(t, "the refusals", func() bool { return at.reason(t, "address_limit") >= 150 })
	other := from(t, at.ready.Listeners["ws"], "127.0.0.3")
	if answer := other.asked(t, upgradeRequest("/mqtt", "mqtt")); answer.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("another address: %s", answer.Status)
	}
	for _, p := range all {
		p.gone(t)
	}
}

func tlsRubbish(t *testing.T, at *arena) {
	for i := range size(50, 1000) {
		p := dial(t, at.ready.Listeners["mqtts"])
		b := make([]byte, 500)
		rand.Read(b)
		if i%2 == 0 {
			copy(b, "\x16\x03\x01\x40\x00")
		}
		p.raw(b)
		p.Conn.(*net.TCPConn).CloseWrite()
		p.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, p.Conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal(err)
		}
		p.Close()
	}
}

// upgradeRequest is the HTTP request of a good client, with more fields.
func upgradeRequest(path, protocol string, more ...string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: %s\r\n%s\r\n", path, protocol, strings.Join(more, ""))
}

// asked sends a request and gives the answer.
func (p *peer) asked(t *testing.T, request []byte) *http.Response {
	t.Helper()
	if err := p.raw(request); err != nil {
		t.Fatal(err)
	}
	p.SetReadDeadline(time.Now().Add(patience))
	answer, err := http.ReadResponse(bufio.NewReaderSize(p.Conn, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// frame makes a masked WebSocket frame; first is its first byte.
func frame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...) // a mask of zeros leaves the payload as it is
}

const binaryFrame = 0x82

// web makes a client over WebSocket; what it reads is not looked at.
func web(t *testing.T, at *arena, id string) *peer {
	t.Helper()
	p := dial(t, at.ready.Listeners["ws"])
	if answer := p.asked(t, upgradeRequest("/mqtt", "mqtt")); answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer.Status)
	}
	if err := p.raw(frame(binaryFrame, bytesOf(greeting(id)))); err != nil {
		t.Fatal(err)
	}
	return p
}

// gone reads until the gateway ends the connection, and closes it: the gateway waits for
// that a while, and an address can have only so many that wait.
func (p *peer) gone(t *testing.T) {
	t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, p.Conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Fatal("the gateway keeps the connection")
	}
	p.Close()
}

// upgradeDribble: the time is up in the midst of a field, which is the case that the
// gateway names rightly; where it is up within a field's name it says protocol_error.
func upgradeDribble(t *testing.T, at *arena) {
	all := crowd(t, at.ready.Listeners["ws"], 100)
	begin, rest, _ := bytes.Cut(upgradeRequest("/mqtt", "mqtt", "X-More: "+strings.Repeat("x", 200)+"\r\n"), []byte("xx"))
	for _, p := range all {
		p.raw(begin) // its time may be up already
	}
	dribble(all, rest)
	for _, p := range all {
		p.gone(t)
	}
}

func headersWithoutEnd(t *testing.T, at *arena) {
	for range 10 {
		p := dial(t, at.ready.Listeners["ws"])
		p.raw(upgradeRequest("/mqtt", "mqtt", strings.Repeat("X-More: "+strings.Repeat("x", 1000)+"\r\n", 64)))
		p.gone(t)
	}
}

func wrongRequests(t *testing.T, at *arena) {
	for _, c := range []struct {
		request []byte
		status  int
	}{
		{upgradeRequest("/elsewhere", "mqtt"), http.StatusNotFound},
		{upgradeRequest("/mqtt", "chat"), http.StatusBadRequest},
		{upgradeRequest("/mqtt", "mqtt", "Origin: http://evil.example\r\n"), http.StatusForbidden},
		{[]byte("POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"), http.StatusUpgradeRequired},
	} {
		p := dial(t, at.ready.Listeners["ws"])
		if got := p.asked(t, c.request).StatusCode; got != c.status {
			t.Errorf("%.60q: status %d, wanted %d", c.request, got, c.status)
		}
		p.gone(t)
	}
}

func compressionBomb(t *testing.T, at *arena) {
	p := dial(t, at.ready.Listeners["ws"])
	answer := p.asked(t, upgradeRequest("/mqtt", "mqtt", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"))
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("%s with extensions %q", answer.Status, answer.Header.Get("Sec-WebSocket-Extensions"))
	}
	p.raw(frame(binaryFrame|0x40, bytes.Repeat([]byte("x"), 1000)))
	p.gone(t)
}

func hugeFrame(t *testing.T, at *arena) {
	for range 20 {
		p := web(t, at, "attacker")
		p.raw(append([]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), bytes.Repeat([]byte("x"), 1000)...))
		p.gone(t)
	}
}

func textFrames(t *testing.T, at *arena) {
	for _, bad := range [][]byte{frame(0x81, []byte("text")), {0x82, 1, 'x'}, frame(0x83, nil), frame(0x09, nil), frame(0x89, bytes.Repeat([]byte("x"), 126))} {
		p := web(t, at, "attacker")
		p.raw(bad)
		p.gone(t)
	}
}

// webPings: who reads nothing is slowed down by its own kernel, so another one reads.
func webPings(t *testing.T, at *arena) {
	silent, other := web(t, at, "attacker"), web(t, at, "another")
	silent.Conn.(*net.TCPConn).SetReadBuffer(4096)
	go other.drain()
	pings := bytes.Repeat(frame(0x89, bytes.Repeat([]byte("x"), 125)), 400)
	stop, next := time.Now().Add(span()), func(int) []byte { return pings }
	taken := make(chan int64)
	go func() { taken <- silent.flood(stop, next) }()
	all := other.flood(stop, next)
	t.Logf("%d MiB of pings taken, and %d KiB of who reads nothing", all>>20, <-taken>>10)
}

func emptyFrames(t *testing.T, at *arena) {
	p := web(t, at, "attacker")
	go p.drain()
	empty := bytes.Repeat(append(frame(0x02, nil), frame(0x80, nil)...), 1000)
	p.flood(time.Now().Add(span()), func(int) []byte { return empty })
}
