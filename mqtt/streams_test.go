package mqtt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/protocols"
)

// quicEdge is core, adapter and a QUIC listener.
type quicEdge struct {
	t   *testing.T
	url string
	tls devices.TLS
}

// testCertificate writes a certificate that is its own authority.
func testCertificate(t *testing.T) protocols.TLSConfig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gateway.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := protocols.TLSConfig{CertFile: filepath.Join(dir, "c"), KeyFile: filepath.Join(dir, "k")}
	for path, block := range map[string]*pem.Block{out.CertFile: {Type: "CERTIFICATE", Bytes: der}, out.KeyFile: {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// startQUIC runs a gateway whose clients may have so many streams; 0 for the default.
func startQUIC(t *testing.T, streams int) *quicEdge {
	t.Helper()
	gw := coretest.Start(t, nil, nil)
	own := testCertificate(t)
	cfg := protocols.DefaultConfig()
	cfg.Listeners = map[string]*protocols.ListenerConfig{"quic": {
		Protocol: "mqtt", Transport: protocols.QUIC, Address: "127.0.0.1:0", TLS: own, QUIC: protocols.QUICConfig{Streams: streams},
	}}
	set := DefaultConfig()
	set.ReasonStrings = false
	s, err := protocols.NewServer(cfg, gw.Gateway, []protocols.Adapter{New(set, gw.Gateway)}, nil)
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
	return &quicEdge{t, "quic://" + s.Addresses()["quic"].String(), devices.TLS{CAFile: own.CertFile, ServerName: "gateway.test"}}
}

// quicClient is a raw client with its first stream.
type quicClient struct {
	*devices.Streams
	t     *testing.T
	first *flow
}

// flow is one stream of it.
type flow struct {
	*devices.DataStream
	t *testing.T
}

func (e *quicEdge) connect() *quicClient {
	e.t.Helper()
	s, err := devices.DialStreams(e.t.Context(), e.url, e.tls)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { s.Close() })
	c := &quicClient{Streams: s, t: e.t}
	c.first = c.open()
	return c
}

// accepted is a client behind its CONNACK.
func (e *quicEdge) accepted(id string) *quicClient {
	e.t.Helper()
	c := e.connect()
	c.first.say(connectKept(id, "02"))
	c.first.takes(0x20)
	return c
}

// connectKept is a CONNECT of MQTT 5 whose session is kept for a while.
func connectKept(id, flags string) string {
	return "10" + hex.EncodeToString([]byte{byte(18 + len(id))}) + "0004 4d515454 05 " + flags + " 0000 05 11 00000e10 00" + hex.EncodeToString([]byte{byte(len(id))}) + hex.EncodeToString([]byte(id))
}

func (c *quicClient) open() *flow {
	c.t.Helper()
	s, err := c.Open(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(time.Minute))
	return &flow{s, c.t}
}

func (f *flow) say(bytes string) {
	f.t.Helper()
	if _, err := f.Write(unhex(f.t, bytes)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flow) hears(bytes string) {
	f.t.Helper()
	want := unhex(f.t, bytes)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(f, got); err != nil || hex.EncodeToString(got) != hex.EncodeToString(want) {
		f.t.Fatalf("received %x, %v; want %x", got[:n], err, want)
	}
}

// takes reads one packet with a short length and gives its body.
func (f *flow) takes(kind byte) []byte {
	f.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(f, head); err != nil || head[0] != kind {
		f.t.Fatalf("received %x, %v; want a packet %x", head, err, kind)
	}
	body := make([]byte, head[1])
	if _, err := io.ReadFull(f, body); err != nil {
		f.t.Fatal(err)
	}
	return body
}

// hearsEnd expects the server's orderly end of the stream.
func (f *flow) hearsEnd() {
	f.t.Helper()
	if b, err := io.ReadAll(f); err != nil || len(b) > 0 {
		f.t.Fatalf("received %x, then %v; want the end", b, err)
	}
}

// isRefused waits until the server takes nothing more by the stream.
func (f *flow) isRefused() {
	f.t.Helper()
	for {
		if _, err := f.Write(make([]byte, 1000)); err != nil {
			return
		}
	}
}

// pings shows that the connection is alive.
func (f *flow) pings() {
	f.t.Helper()
	f.say("c000")
	f.hears("d000")
}

func TestStreamsAnswersAndDeliveriesStayOnTheirStream(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	sub, pub := c.open(), c.open()
	sub.say("8207 0001 00 0001 61 02")
	sub.hears("9004 0001 00 02")
	pub.say("3005 0001 61 00 30")
	sub.hears("3005 0001 61 00 30")
	pub.say("3207 0001 61 0011 00 31")
	pub.hears("4002 0011")
	sub.hears("3207 0001 61 0001 00 31")
	sub.say("4002 0001")
	pub.say("3407 0001 61 0012 00 32")
	pub.hears("5002 0012")
	pub.say("6202 0012")
	pub.hears("7002 0012")
	sub.hears("3407 0001 61 0002 00 32")
	sub.say("5002 0002")
	sub.hears("6202 0002")
	sub.say("7002 0002")
	// What was subscribed on the first stream stays there, and is taken over by the
	// stream that subscribes last.
	c.first.say("8207 0002 00 0001 62 01")
	c.first.hears("9004 0002 00 01")
	pub.say("3005 0001 62 00 33")
	c.first.hears("3005 0001 62 00 33")
	pub.say("8207 0003 00 0001 62 00")
	pub.hears("9004 0003 00 00")
	c.first.say("3005 0001 62 00 34")
	pub.hears("3005 0001 62 00 34")
	// A wildcard, and unsubscribing from elsewhere.
	sub.say("8209 0004 00 0003 77 2f2b 00")
	sub.hears("9004 0004 00 00")
	pub.say("3007 0003 77 2f31 00 35")
	sub.hears("3007 0003 77 2f31 00 35")
	pub.say("a208 0005 00 0003 77 2f2b")
	pub.hears("b004 0005 00 00")
	c.first.say("8209 0006 00 0003 77 2f23 00")
	c.first.hears("9004 0006 00 00")
	pub.say("3007 0003 77 2f31 00 36")
	c.first.hears("3007 0003 77 2f31 00 36")
	c.first.pings()
}

// An answer goes by the stream that its packet came by, whatever came before it where.
func TestStreamsMayBeMixedWithinAnExchange(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	one, two := c.open(), c.open()
	one.say("3407 0001 61 0012 00 32")
	one.hears("5003 0012 10")
	two.say("6202 0012")
	two.hears("7002 0012")
	c.first.say("3407 0001 61 0013 00 32")
	c.first.hears("5003 0013 10")
	one.say("6202 0013")
	one.hears("7002 0013")
	one.say("3407 0001 61 0014 00 32")
	one.hears("5003 0014 10")
	c.first.say("6202 0014")
	c.first.hears("7002 0014")
}

// The begin of a large packet on one stream holds up nothing on another.
func TestStreamsAreReadIndependently(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	big, other := c.open(), c.open()
	payload := bytes.Repeat([]byte("x"), 500_000)
	head := unhex(t, "32 a6c21e 0001 61 0007 00")
	big.Write(head)
	big.Write(payload[:200_000])
	for range 20 {
		c.first.pings()
		other.say("3207 0001 61 0011 00 31")
		other.hears("4003 0011 10")
	}
	big.Write(payload[200_000:])
	big.hears("4003 0007 10")
}

// A client that does not read one of its streams gets what goes by the others.
func TestStreamsUnreadHoldsUpNoOther(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	unread, other, pub := c.open(), c.open(), c.open()
	unread.say("8207 0001 00 0001 61 00")
	unread.hears("9004 0001 00 00")
	other.say("8207 0002 00 0001 62 00")
	other.hears("9004 0002 00 00")
	body := bytes.Repeat([]byte("x"), 60_000)
	packet := append(unhex(t, "30 e4d403 0001 61 00"), body...)
	for range 12 { // 720 kB: beyond what QUIC keeps for a client that does not read
		pub.Write(packet)
		pub.say("3207 0001 62 0011 00 31")
		pub.hears("4002 0011")
		other.hears("3005 0001 62 00 31")
		c.first.pings()
	}
	for range 12 {
		unread.hears("30 e4d403 0001 61 00")
		if _, err := io.ReadFull(unread, body); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStreamsOpenedEarlyWaitForConnack(t *testing.T) {
	c := startQUIC(t, 0).connect()
	early := c.open()
	early.say("3207 0001 61 0011 00 31")
	c.first.say(connectKept("c1", "02"))
	c.first.takes(0x20)
	early.hears("4003 0011 10")
	c.first.pings()
}

// What is wrong on a data stream ends that stream.
func TestStreamsFaults(t *testing.T) {
	for name, bytes := range map[string]string{
		"malformed": "00 00", "PINGREQ": "c000", "CONNECT": connectKept("c2", "02"), "DISCONNECT": "e000", "SUBACK": "9004 0001 00 00",
		"too large": "30 ffffff7f", "no topic": "3003 0000 00", "topic with a wildcard": "3004 0001 23 00", "unknown alias": "3006 0000 03 23 0001",
	} {
		t.Run(name, func(t *testing.T) {
			c := startQUIC(t, 0).accepted("c1")
			good, bad := c.open(), c.open()
			bad.say("8207 0001 00 0001 61 00")
			bad.hears("9004 0001 00 00")
			bad.say(bytes)
			bad.isRefused()
			bad.hearsEnd()
			// Its subscription is the session's and delivers by the first stream.
			good.say("3207 0001 61 0011 00 31")
			good.hears("4002 0011")
			c.first.hears("3005 0001 61 00 31")
			c.first.pings()
		})
	}
}

func TestStreamsTooManyFaultsEndTheConnection(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	for range maxStreamFaults {
		bad := c.open()
		bad.say("c000")
		bad.isRefused()
	}
	c.first.pings()
	c.open().say("c000")
	if b := c.first.takes(0xe0); b[0] != 0x82 {
		t.Fatalf("DISCONNECT %x", b)
	}
}

// A client that says the end of a stream still gets what is owed there.
func TestStreamsHalfClosed(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	for _, x := range []struct{ name, say, hears string }{
		{"QoS 1", "3207 0001 61 0011 00 31", "4003 0011 10"},
		{"QoS 2", "3407 0001 61 0012 00 31 6202 0012", "5003 0012 10 7002 0012"},
		{"SUBSCRIBE", "8207 0003 00 0001 62 01", "9004 0003 00 01"},
		{"nothing", "", ""}, {"half a packet", "3207 0001", ""},
	} {
		s := c.open()
		s.say(x.say)
		s.Close()
		s.hears(x.hears)
		s.hearsEnd()
	}
	// The subscription delivers by the first stream now.
	c.first.say("3005 0001 62 00 33")
	c.first.hears("3005 0001 62 00 33")
}

// A stream that is broken off with a message under way takes the connection along,
// since MQTT sends again only on another.
func TestStreamsBrokenOff(t *testing.T) {
	e := startQUIC(t, 0)
	c := e.accepted("c1")
	sub := c.open()
	sub.say("8207 0001 00 0001 61 01")
	sub.hears("9004 0001 00 01")
	idle := c.open()
	idle.say("3005 0001 62 00 31")
	idle.Abort(true, true) // nothing is under way
	half := c.open()
	half.say("3207 0001 62 0009 00 31")
	half.hears("4003 0009 10")
	half.Abort(true, false)
	half.hearsEnd()
	c.first.say("3207 0001 61 0011 00 31")
	c.first.hears("4002 0011")
	sub.hears("3207 0001 61 0001 00 31")
	sub.Abort(true, true)
	if b := c.first.takes(0xe0); b[0] != 0x80 {
		t.Fatalf("DISCONNECT %x", b)
	}
	<-c.Done()
	again := e.connect()
	again.first.say(connectKept("c1", "00"))
	if b := again.first.takes(0x20); b[0] != 1 {
		t.Fatalf("CONNACK %x", b)
	}
	again.first.hears("3a07 0001 61 0001 00 31")
}

func TestStreamsAreBounded(t *testing.T) {
	c := startQUIC(t, 3).accepted("c1")
	one, two := c.open(), c.open()
	one.say("3005 0001 62 00 31")
	two.say("3005 0001 62 00 31")
	if _, err := c.TryOpen(); err == nil {
		t.Fatal("a fourth stream was opened")
	}
	one.Close()
	one.hearsEnd()
	three := c.open() // waits for the room
	three.say("3207 0001 61 0011 00 31")
	three.hears("4003 0011 10")

	c = startQUIC(t, 1).accepted("c1")
	if _, err := c.TryOpen(); err == nil {
		t.Fatal("a second stream where one is allowed")
	}
	c.first.pings()
}

// [MQTT-3.3.2-12]
func TestStreamsHaveAliasesOfTheirOwn(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	c.first.say("8207 0001 00 0001 61 00 8207 0002 00 0001 62 00")
	c.first.hears("9004 0001 00 00 9004 0002 00 00")
	one, two := c.open(), c.open()
	one.say("3008 0001 61 03 23 0001 31")
	c.first.hears("3005 0001 61 00 31")
	two.say("3008 0001 62 03 23 0001 32")
	c.first.hears("3005 0001 62 00 32")
	one.say("3007 0000 03 23 0001 33")
	c.first.hears("3005 0001 61 00 33")
}

func TestStreamsEndWithTheFirst(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	s := c.open()
	s.say("3207 0001 61 0011 00 31")
	s.hears("4003 0011 10")
	c.first.Close()
	<-c.Done()
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the other stream: %v", err)
	}
}

// A stream that was subscribed on by many topics, and a burst over many streams.
func TestStreamsMany(t *testing.T) {
	c := startQUIC(t, 0).accepted("c1")
	const n = 12
	var flows []*flow
	for i := range n {
		f := c.open()
		f.say("8207 00" + hex.EncodeToString([]byte{byte(i + 1)}) + " 00 0001 " + hex.EncodeToString([]byte{byte('a' + i)}) + " 00")
		f.takes(0x90)
		flows = append(flows, f)
	}
	for round := range 50 {
		for i, f := range flows {
			f.say("3005 0001 " + hex.EncodeToString([]byte{byte('a' + (i+round)%n)}) + " 00 31")
		}
	}
	for i, f := range flows {
		f.hears(strings.Repeat("3005 0001 "+hex.EncodeToString([]byte{byte('a' + i)})+" 00 31", 50))
	}
}

// Packets on a data stream keep the connection alive, as any do. [MQTT-3.1.2-22]
func TestStreamsKeepAlive(t *testing.T) {
	t.Parallel()
	c := startQUIC(t, 0).connect()
	c.first.say("10.. 0004 4d515454 05 02 0003 00 0003 6b6131")
	c.first.takes(0x20)
	s := c.open()
	beat := time.NewTicker(250 * time.Millisecond)
	defer beat.Stop()
	for range 20 { // 5 s, of which 4.5 without a packet would be the end
		<-beat.C
		s.say("3207 0001 61 0011 00 31")
		s.hears("4003 0011 10")
	}
	c.first.pings()
	if b := c.first.takes(0xe0); b[0] != 0x8d {
		t.Fatalf("DISCONNECT %x in the silence that followed", b)
	}
}
