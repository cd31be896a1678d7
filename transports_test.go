package fairlead

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// testPacketSize is max_packet_size of the listeners under test.
const testPacketSize = 400_000

// transports are the listeners that MQTT is carried by, by URL scheme.
func transports(t *testing.T, dir string) map[string]*protocols.ListenerConfig {
	cert := selfSigned(t, dir)
	out := map[string]*protocols.ListenerConfig{
		"mqtt": {Transport: protocols.TCP}, "mqtts": {Transport: protocols.TLS, TLS: cert},
		"ws": {Transport: protocols.WebSocket}, "wss": {Transport: protocols.SecureWS, TLS: cert},
		"quic": {Transport: protocols.QUIC, TLS: cert},
		"unix": {Transport: protocols.Unix, Address: filepath.Join(dir, "s")},
	}
	for _, l := range out {
		l.Protocol, l.MaxPacketSize = "mqtt", testPacketSize
		if l.Address == "" {
			l.Address = "127.0.0.1:0"
		}
	}
	return out
}

// selfSigned writes a certificate that is its own authority.
func selfSigned(t *testing.T, dir string) protocols.TLSConfig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway.test"}, DNSNames: []string{"gateway.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := protocols.TLSConfig{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{out.CertFile: {Type: "CERTIFICATE", Bytes: der}, out.KeyFile: {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// way is how MQTT is carried: a scheme, and what may stand in front of it.
type way struct {
	scheme string
	mutual bool // the client shows a certificate, too
	proxy  bool // a PROXY header comes first
}

func (w way) String() string {
	s := w.scheme
	if w.mutual {
		s += " mutual"
	}
	if w.proxy {
		s += " behind a proxy"
	}
	return s
}

// ways are all of them: QUIC has no PROXY header.
func ways() (out []way) {
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss", "quic", "unix"} {
		for _, mutual := range []bool{false, true} {
			for _, proxy := range []bool{false, true} {
				secure := scheme == "mqtts" || scheme == "wss" || scheme == "quic"
				if (secure || !mutual) && (scheme != "quic" || !proxy) {
					out = append(out, way{scheme, mutual, proxy})
				}
			}
		}
	}
	return out
}

// carried is a gateway with one transport.
type carried struct {
	running
	way
	t   *testing.T
	url string
	tls devices.TLS
}

// carry runs a gateway whose only listener is this one.
func carry(t *testing.T, w way) *carried {
	t.Helper()
	dir := t.TempDir()
	c := testConfig(dir)
	l := transports(t, dir)[w.scheme]
	if w.mutual {
		l.TLS.ClientAuth, l.TLS.ClientCAFile, l.TLS.Identity = "require", l.TLS.CertFile, "cn"
	}
	if w.proxy {
		if l.ProxyProtocol = "on"; l.Transport != protocols.Unix {
			l.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
		yes := true
		l.AllowAnonymous = &yes // the header's address is not of this machine
	}
	c.Listeners = map[string]*protocols.ListenerConfig{"l": l}
	c.Admin.Address = "off"
	c.Auth.ACLFile = filepath.Join(dir, "acl") // clients of a Unix socket have no address to go by
	if err := os.WriteFile(c.Auth.ACLFile, []byte("allow all pubsub #\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.MQTT.MaxPacketSize = testPacketSize
	g := &carried{running: start(t, c), way: w, t: t}
	g.url = w.scheme + "://" + g.Addresses()["l"]
	if l.HasCertificate() {
		g.tls = devices.TLS{CAFile: l.TLS.CertFile, ServerName: "gateway.test"}
	}
	if w.mutual { // the one certificate serves both ends
		g.tls.CertFile, g.tls.KeyFile = l.TLS.CertFile, l.TLS.KeyFile
	}
	return g
}

// network connects, and says the PROXY header where one is wanted.
func (g *carried) network(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil && g.proxy {
		_, err = c.Write([]byte("PROXY TCP4 192.0.2.7 192.0.2.8 1234 1883\r\n"))
	}
	return c, err
}

func (g *carried) dial(o devices.Options) *devices.Client {
	g.t.Helper()
	o.TLS = g.tls
	if o.DialContext == nil && g.scheme != "quic" {
		o.DialContext = g.network
	}
	c, err := devices.Dial(g.t.Context(), g.url, o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

// subscriber is a client that gets what comes to filter.
func (g *carried) subscriber(filter string) *devices.Client {
	g.t.Helper()
	c := g.dial(devices.Options{})
	if _, err := c.Subscribe(g.t.Context(), 0, devices.Subscription{Filter: filter, QoS: 2}); err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *carried) next(c *devices.Client) *devices.Message {
	g.t.Helper()
	select {
	case m := <-c.Messages():
		if m == nil {
			g.t.Fatal(c.Err())
		}
		return m
	case <-time.After(time.Minute):
		g.t.Fatal("nothing came")
		return nil
	}
}

// TestTransports is one set of behaviours over every transport.
func TestTransports(t *testing.T) {
	defer leavesNothing(t)()
	behaviours := map[string]func(*testing.T, *carried){
		"publish": publishes, "abrupt end": abruptEnd, "keep alive": keepAliveEnd,
		"drain": drained, "oversize": oversize, "take over": takeOver,
	}
	t.Run("all", func(t *testing.T) {
		for _, w := range ways() {
			for name, check := range behaviours {
				if name == "keep alive" && w.scheme == "quic" {
					continue // that client cannot be muted; TestSilenceFiresTimer of package protocols is for it
				}
				t.Run(w.String()+"/"+name, func(t *testing.T) {
					t.Parallel() // some wait
					check(t, carry(t, w))
				})
			}
		}
	})
}

func publishes(t *testing.T, g *carried) {
	sub, pub := g.subscriber("t/#"), g.dial(devices.Options{})
	for _, size := range []int{0, 1, 127, 128, 1400, 16_384, 65_536, 300_000} {
		for qos := range byte(3) {
			payload := bytes.Repeat([]byte{byte('a' + qos)}, size)
			topic := fmt.Sprintf("t/%d/%d", size, qos)
			if _, err := pub.Publish(t.Context(), &devices.Message{Topic: topic, QoS: qos, Payload: payload}); err != nil {
				t.Fatal(err)
			}
			if m := g.next(sub); m.Topic != topic || m.QoS != qos || !bytes.Equal(m.Payload, payload) {
				t.Fatalf("%s QoS %d with %d bytes, want %s QoS %d", m.Topic, m.QoS, len(m.Payload), topic, qos)
			}
		}
	}
	if err := pub.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func will(topic string) *devices.Will {
	return &devices.Will{Message: devices.Message{Topic: topic, Payload: []byte("gone"), QoS: 1}}
}

// abruptEnd: a connection that breaks publishes its Will, one that says goodbye does not.
func abruptEnd(t *testing.T, g *carried) {
	sub := g.subscriber("will/#")
	polite := g.dial(devices.Options{Will: will("will/polite")})
	if err := polite.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.dial(devices.Options{Will: will("will/abrupt")}).Close()
	if m := g.next(sub); m.Topic != "will/abrupt" || string(m.Payload) != "gone" {
		t.Fatalf("%s %q", m.Topic, m.Payload)
	}
}

// muted is a connection on which nothing goes out any more once it is told so.
type muted struct {
	net.Conn
	mute *atomic.Bool
}

func (m muted) Write(b []byte) (int, error) {
	if m.mute.Load() {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

// keepAliveEnd: a client that is silent for one and a half times its keep alive is
// ended. [MQTT-3.1.2-22]
func keepAliveEnd(t *testing.T, g *carried) {
	sub := g.subscriber("will/#")
	var mute atomic.Bool
	g.dial(devices.Options{KeepAlive: time.Second, Will: will("will/silent"), DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := g.network(ctx, network, address)
		return muted{c, &mute}, err
	}})
	mute.Store(true)
	if m := g.next(sub); m.Topic != "will/silent" {
		t.Fatalf("%s", m.Topic)
	}
}

func drained(t *testing.T, g *carried) {
	c := g.dial(devices.Options{})
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	var why *devices.ReasonError
	if !errors.As(c.Err(), &why) || why.Code != packet.ReasonServerShuttingDown {
		t.Fatalf("the client was told %v", c.Err())
	}
}

// oversize: a packet above the bound, of a client that was not told it as MQTT 3
// has no words for it, ends that connection and no other.
func oversize(t *testing.T, g *carried) {
	other := g.dial(devices.Options{})
	if n := other.Accepted().MaximumPacketSize; n != testPacketSize {
		t.Fatalf("Maximum Packet Size %d", n)
	}
	c := g.dial(devices.Options{Version: packet.V311})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.Publish(ctx, &devices.Message{Topic: "t", QoS: 1, Payload: make([]byte, testPacketSize)}); err == nil {
		t.Fatal("taken")
	}
	<-c.Done()
	if err := other.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
}

func takeOver(t *testing.T, g *carried) {
	first := g.dial(devices.Options{ClientID: "one"})
	second := g.dial(devices.Options{ClientID: "one"})
	<-first.Done()
	var why *devices.ReasonError
	if !errors.As(first.Err(), &why) || why.Code != packet.ReasonSessionTakenOver {
		t.Fatalf("the first was told %v", first.Err())
	}
	if err := second.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
}
