package protocols

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// roamingSocket is a client's socket that can change its address.
type roamingSocket struct{ now atomic.Pointer[net.UDPConn] }

func newRoamingSocket(t testing.TB) *roamingSocket {
	s := &roamingSocket{}
	s.take(t, 0)
	return s
}

// move takes another port. What waits on the old one is lost.
func (s *roamingSocket) move(t testing.TB) { s.take(t, 0) }

func (s *roamingSocket) take(t testing.TB, port int) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	if old := s.now.Swap(c); old != nil {
		old.Close()
	}
	t.Cleanup(func() { c.Close() })
}

func (s *roamingSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c := s.now.Load()
		n, from, err := c.ReadFrom(b)
		if err == nil || s.now.Load() == c {
			return n, from, err
		}
	}
}

func (s *roamingSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	return s.now.Load().WriteTo(b, to)
}
func (s *roamingSocket) Close() error                       { return s.now.Load().Close() }
func (s *roamingSocket) LocalAddr() net.Addr                { return s.now.Load().LocalAddr() }
func (s *roamingSocket) SetDeadline(t time.Time) error      { return s.now.Load().SetDeadline(t) }
func (s *roamingSocket) SetReadDeadline(t time.Time) error  { return s.now.Load().SetReadDeadline(t) }
func (s *roamingSocket) SetWriteDeadline(t time.Time) error { return nil }

// dtlsClient is a device that speaks DTLS.
type dtlsClient struct {
	*dtls.Conn
	t      testing.TB
	socket *roamingSocket
}

// dialDTLS makes a handshake, whose error it gives.
func (e *echo) dialDTLS(options ...dtls.ClientOption) (*dtlsClient, error) {
	e.t.Helper()
	return e.dialFrom(newRoamingSocket(e.t), patience, options...)
}

func (e *echo) dialFrom(s *roamingSocket, within time.Duration, options ...dtls.ClientOption) (*dtlsClient, error) {
	e.t.Helper()
	c, err := dtls.ClientWithOptions(s, e.server.Addresses()["l"], options...)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(e.t.Context(), within)
	defer cancel()
	return &dtlsClient{c, e.t, s}, c.HandshakeContext(ctx)
}

func (e *echo) mustDial(options ...dtls.ClientOption) *dtlsClient {
	e.t.Helper()
	c, err := e.dialDTLS(options...)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

func (c *dtlsClient) say(s string) {
	c.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *dtlsClient) hears(want string) {
	c.t.Helper()
	b := make([]byte, 9000)
	c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(b)
	if err != nil || string(b[:n]) != want {
		c.t.Fatalf("heard %.80q, %v; want %.80q", b[:n], err, want)
	}
}

// hearsAtLast reads on to want, behind answers to what was said earlier.
func (c *dtlsClient) hearsAtLast(want string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	for b := make([]byte, 9000); ; {
		n, err := c.Read(b)
		if err != nil {
			c.t.Fatalf("%v before %.80q", err, want)
		}
		if string(b[:n]) == want {
			return
		}
	}
}

func (c *dtlsClient) asks(question, answer string) {
	c.t.Helper()
	c.say(question)
	c.hears(answer)
}

const testKey = "000102030405060708090a0b0c0d0e0f"

func withKey(identity, key string) []dtls.ClientOption {
	b, _ := hex.DecodeString(key)
	return []dtls.ClientOption{
		dtls.WithPSK(func([]byte) ([]byte, error) { return b, nil }), dtls.WithPSKIdentityHint([]byte(identity)),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8),
		dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()),
	}
}

// startDTLS runs an echo for clients of keys.
func startDTLS(t testing.TB, lc *ListenerConfig) *echo {
	t.Helper()
	lc.Transport = DTLS
	if lc.TLS.CertFile == "" {
		lc.DTLS.PSKFile = writeFile(t, t.TempDir()+"/keys", []byte("# keys\n\nmeter-1:"+testKey+"\nurn:dev:2:"+testKey+"\n"))
	}
	return startEcho(t, true, lc)
}

func TestDTLSWithSharedKeys(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	c := e.mustDial(withKey("meter-1", testKey)...)
	c.asks("who", "me")
	c.asks("hello", "welcome")
	m := await(t, e.peers.made, "machine")
	if !m.info.Secure || m.info.PSKIdentity != "meter-1" || m.info.Peer != netAddrPort(c.socket.LocalAddr()) || m.info.TLS != nil {
		t.Fatalf("info %+v", m.info)
	}
	c.asks("x y", "x y")
	big := strings.Repeat("y", 1000)
	c.say("send 3 1000")
	for i := range 3 {
		c.hears(fmt.Sprintf("%06d", i) + strings.Repeat("x", 994))
	}
	c.asks(big, big)
	c.asks("bye", "bye")
	if m := await(t, e.peers.closed, "end"); m.reason != core.NormalDisconnect {
		t.Fatalf("ended for %s", m.reason)
	}
	if _, err := c.Read(make([]byte, 10)); err == nil {
		t.Fatal("no close_notify")
	}
	if id := e.mustDial(withKey("urn:dev:2", testKey)...); id == nil {
		t.Fatal("an identity with colons")
	}
}

func TestDTLSRefusesStrangers(t *testing.T) {
	for name, options := range map[string][]dtls.ClientOption{
		"wrong key":        withKey("meter-1", "ff0102030405060708090a0b0c0d0e0f"),
		"unknown identity": withKey("meter-9", testKey),
	} {
		t.Run(name, func(t *testing.T) {
			e := startDTLS(t, &ListenerConfig{HandshakeTimeout: time.Second})
			if _, err := e.dialFrom(newRoamingSocket(t), 1500*time.Millisecond, options...); err == nil {
				t.Fatal("let in")
			}
			if r := await(t, e.gateway.refusals, "refusal"); !strings.HasPrefix(r.Detail, "DTLS: ") {
				t.Fatalf("refused %+v", r)
			}
			awaitCount(t, func() bool { // the refusal is told before its end is counted
				s := e.server.Listeners()["l"].Stats()
				return s.Open == 0 && s.Unauthenticated == 0
			})
		})
	}
}

func TestDTLSWithCertificates(t *testing.T) {
	for _, suite := range []dtls.CipherSuiteID{dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} {
		for _, auth := range []string{"", "require"} {
			t.Run(fmt.Sprintf("%s %s", suite, auth), func(t *testing.T) {
				lc := &ListenerConfig{TLS: TLSConfig{ClientAuth: auth}}
				client := certify(t, &lc.TLS)
				if auth != "" {
					lc.TLS.Identity = "cn"
				}
				e := startDTLS(t, lc)
				options := []dtls.ClientOption{dtls.WithRootCAs(client.RootCAs), dtls.WithServerName(client.ServerName), dtls.WithCipherSuites(suite)}
				if auth != "" {
					if _, err := e.dialDTLS(options...); err == nil {
						t.Fatal("let in without a certificate")
					}
					options = append(options, dtls.WithCertificates(client.Certificates...))
				}
				e.mustDial(options...).asks("hello", "welcome")
				m := await(t, e.peers.made, "machine")
				if (auth != "") != (m.info.TLS != nil && len(m.info.TLS.VerifiedChains) == 1) {
					t.Fatalf("info %+v", m.info)
				}
			})
		}
	}
}

func TestDTLSRefusesCertificatesOfOthers(t *testing.T) {
	lc := &ListenerConfig{TLS: TLSConfig{ClientAuth: "require"}}
	client := certify(t, &lc.TLS)
	e := startDTLS(t, lc)
	pair, err := tls.X509KeyPair(newAuthority(t).issue(t, "client"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.dialDTLS(dtls.WithRootCAs(client.RootCAs), dtls.WithServerName(client.ServerName), dtls.WithCertificates(pair))
	if err == nil {
		t.Fatal("let in")
	}
	if r := await(t, e.gateway.refusals, "refusal"); !strings.HasPrefix(r.Detail, "DTLS: ") {
		t.Fatalf("refused %+v", r)
	}
}

func TestDTLSConnectionIDKeepsTheConnection(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	c := e.mustDial(withKey("meter-1", testKey)...)
	c.asks("hello", "welcome")
	for i := range 12 { // so that the kernel steers it to both sockets
		c.socket.move(t)
		s := fmt.Sprintf("from address %d", i)
		c.say(s)
		c.say(s) // the first answer may go to where it was
		c.hearsAtLast(s)
	}
	if len(e.peers.made) != 1 || e.server.Connections() != 1 {
		t.Fatalf("%d machines, %d connections", len(e.peers.made), e.server.Connections())
	}
}

func TestDTLSWithoutConnectionID(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{DTLS: DTLSConfig{NoConnectionID: true}})
	c := e.mustDial(withKey("meter-1", testKey)...)
	c.asks("hello", "welcome")
	c.socket.move(t)
	c.say("x")
	if r := await(t, e.gateway.refusals, "refusal"); r.Reason != core.ProtocolError {
		t.Fatalf("refused %+v", r)
	}
}

func TestDTLSClientThatBeginsAnew(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	port := 0
	for range 3 {
		socket := &roamingSocket{}
		socket.take(t, port)
		port = socket.LocalAddr().(*net.UDPAddr).Port
		c, err := e.dialFrom(socket, patience, withKey("meter-1", testKey)...)
		if err != nil {
			t.Fatal(err)
		}
		c.asks("hello", "welcome")
		c.asks("x", "x")
		socket.Close() // it restarts, and says nothing of it
	}
	for range 2 {
		if m := await(t, e.peers.closed, "end"); m.reason != core.ConnectionLost {
			t.Fatalf("ended for %s", m.reason)
		}
	}
}

func TestDTLSNodesBehindOnePeer(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	c := e.mustDial(withKey("meter-1", testKey)...)
	c.asks("Fa:hello", "welcome")
	c.asks("Fb:hello", "welcome")
	c.asks("Fa:bye", "bye")
	c.asks("Fb:x", "x")
	if n := e.server.Connections(); n != 1 {
		t.Fatalf("%d connections", n)
	}
	c.Close()
	for range 2 {
		await(t, e.peers.closed, "end")
	}
}

func TestDTLSDrain(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	c := e.mustDial(withKey("meter-1", testKey)...)
	c.asks("hello", "welcome")
	heard := make(chan string)
	go func() { // pion's Read may not give what came before the end when both are there
		b := make([]byte, 100)
		n, _ := c.Read(b)
		heard <- string(b[:n])
	}()
	if err := e.server.Drain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if s := <-heard; s != "stop server_shutting_down" {
		t.Fatalf("heard %q", s)
	}
	if _, err := c.Read(make([]byte, 10)); err == nil {
		t.Fatal("no close_notify")
	}
}

func TestDTLSTimeouts(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{ConnectTimeout: 300 * time.Millisecond})
	e.mustDial(withKey("meter-1", testKey)...) // says nothing
	if r := await(t, e.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
		t.Fatalf("refused %+v", r)
	}
	awaitCount(t, func() bool { return e.server.Listeners()["l"].Stats().Open == 0 }) // closed once the refusal was told
}

func TestDTLSGarbage(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	good := e.mustDial(withKey("meter-1", testKey)...)
	good.asks("hello", "welcome")
	bad := e.client()
	for _, s := range []string{"", "x", strings.Repeat("\x16", 100), strings.Repeat("\x19", 100), "\x16\xfe\xfd" + strings.Repeat("\x00", 200), string(helloOf(7)[:60])} {
		bad.say(s)
	}
	// Nor does garbage from the very address that speaks harm it.
	for range 100 {
		good.socket.WriteTo([]byte("\x17\xfe\xfd\x00\x01garbage that is no record"), e.server.Addresses()["l"])
	}
	good.asks("x", "x")
	if n := e.server.Connections(); n != 1 {
		t.Fatalf("%d connections", n)
	}
}

func TestDTLSOfManyAtOnce(t *testing.T) {
	e := startDTLS(t, &ListenerConfig{})
	var wg sync.WaitGroup
	for i := range 40 {
		c, err := e.dialDTLS(withKey("meter-1", testKey)...)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			c.asks("hello", "welcome")
			for j := range 5 {
				s := fmt.Sprintf("%d of %d", j, i)
				c.asks(s, s)
			}
		})
	}
	wg.Wait()
	if n := e.server.Connections(); n != 40 {
		t.Fatalf("%d connections", n)
	}
}

// helloOf is a ClientHello without cookie, whose random number is made of n.
func helloOf(n int) []byte {
	body := append([]byte{0xfe, 0xfd}, make([]byte, 32)...)
	copy(body[2:], fmt.Sprintf("%032d", n))
	body = append(body, 0, 0, 0, 2, 0xc0, 0xa8, 1, 0)
	b := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(12 + len(body)), 1, 0, 0, byte(len(body)), 0, 0, 0, 0, 0, 0, 0, byte(len(body))}
	return append(b, body...)
}

// sink is a socket that takes everything.
type sink struct {
	datagramSocket
	sent int
}

func (s *sink) send(_ *outbox, items []outItem) (calls, sent, failed int) {
	s.sent += len(items)
	return 1, 0, 0
}

func (s *sink) addr() net.Addr     { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5684} }
func (s *sink) deadline(time.Time) {}
func (s *sink) close() error       { return nil }

// floodDTLS gives a port n hellos from as many addresses, and tells how many answers
// they got and the bytes by which the heap grew.
func floodDTLS(t testing.TB, n int) (p *port, answers int, grown int64) {
	lc := &ListenerConfig{Protocol: "line", Transport: DTLS, Address: "127.0.0.1:0"}
	ln := newListener("l", lc, newGramAdapter())
	ln.psk.Store(&pskTable{keys: map[string][]byte{}})
	g := newFakeGateway()
	e := newDatagrams(&Config{Loops: 1}, g, nil, &tally{})
	s := &sink{}
	p = newPort(e, ln, s)
	guardPorts(ln, []*port{p})
	p.turn = g.NewTurn()
	p.box, p.now = boxOf(p.turn), time.Now()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1000)
		p.guard.record(p, &inItem{b: helloOf(i), from: from})
	}
	p.box.Send(p.turn)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return p, s.sent, int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestSpoofedHellosMakeNoState(t *testing.T) {
	const n = 50_000
	p, answers, grown := floodDTLS(t, n)
	if answers != n || len(p.guard.sessions) != 0 || p.open != 0 || p.listener.open.Load() != 0 {
		t.Fatalf("%d answers, %d sessions, %d connections", answers, len(p.guard.sessions), p.open)
	}
	if grown > 16<<20 {
		t.Fatalf("the heap grew by %d bytes", grown)
	}
}

func TestDTLSOverALossyNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serveSim(t, &ListenerConfig{Transport: DTLS, DTLS: DTLSConfig{PSKFile: writeFile(t, t.TempDir()+"/keys", []byte("meter-1:"+testKey))}, ConnectTimeout: time.Minute, HandshakeTimeout: time.Minute})
		defer e.stop()
		e.net.SetConditions(simnet.Conditions{Latency: 80 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 0.1, Duplicate: 0.05, Reorder: 0.05})
		gateway, err := e.net.ListenPacket("gateway:0")
		if err != nil {
			t.Fatal(err)
		}
		to := &net.UDPAddr{IP: gateway.LocalAddr().(*net.UDPAddr).IP, Port: 1884}
		gateway.Close()
		socket, err := e.net.ListenPacket("10.1.0.7:0")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dtls.ClientWithOptions(socket, to, withKey("meter-1", testKey)...)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask := func(question, answer string) { // as a protocol does: again until it is answered
			t.Helper()
			b := make([]byte, 100)
			for range 20 {
				conn.Write([]byte(question))
				conn.SetReadDeadline(time.Now().Add(time.Second))
				for {
					n, err := conn.Read(b)
					if err != nil {
						break
					}
					if string(b[:n]) == answer {
						return
					}
				}
			}
			t.Fatalf("%q was never answered", question)
		}
		ask("hello", "welcome")
		for i := range 5 {
			if err := socket.Rebind("10.1.0.7:0"); err != nil {
				t.Fatal(err)
			}
			ask(fmt.Sprint("from ", i), fmt.Sprint("from ", i))
		}
		if len(e.peers.made) != 1 {
			t.Fatalf("%d machines", len(e.peers.made))
		}
	})
}
