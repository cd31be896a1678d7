package devices

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve accepts one connection and plays the usual server on it: it accepts, and
// echoes a PUBLISH back.
func serve(t *testing.T, l net.Listener) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			play(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
}

func play(conn net.Conn) {
	defer conn.Close()
	b := make([]byte, 256)
	if n, err := io.ReadAtLeast(conn, b, 12); err != nil || b[0] != 0x10 {
		_ = n
		return
	}
	_, _ = conn.Write([]byte{0x20, 3, 0, 0, 0})
	if _, err := io.ReadFull(conn, b[:6]); err != nil {
		return
	}
	_, _ = conn.Write(b[:6])
	_, _ = io.Copy(io.Discard, conn)
}

// roundTrip publishes and waits for the echo.
func roundTrip(t *testing.T, url string, o Options) {
	t.Helper()
	c, err := Dial(within(t, time.Minute), url, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(t.Context(), &Message{Topic: "a"}); err != nil {
		t.Fatal(err)
	}
	if m, ok := <-c.Messages(); !ok || m.Topic != "a" {
		t.Fatalf("echo %+v, %v", m, c.Err())
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDialTCPAndUnix(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, l)
	roundTrip(t, "mqtt://"+l.Addr().String(), Options{})
	path := filepath.Join(t.TempDir(), "s")
	serve(t, listen(t, "unix", path))
	roundTrip(t, "unix://"+path, Options{})
}

func TestLocalhostMeansBothFamilies(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err)
			}
			serve(t, l)
			_, port, _ := net.SplitHostPort(l.Addr().String())
			roundTrip(t, "mqtt://localhost:"+port, Options{})
		})
	}
}

// pki writes an authority, a server certificate for "gw.test" and a client's.
type pki struct {
	dir    string
	server tls.Certificate
	pool   *x509.CertPool
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{dir: t.TempDir(), pool: x509.NewCertPool()}
	caKey, caCert, caDER := p.issue(t, nil, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	p.write(t, "ca.pem", "CERTIFICATE", caDER)
	p.pool.AddCert(caCert)
	key, cert, der := p.issue(t, caKey, caCert, &x509.Certificate{Subject: pkix.Name{CommonName: "gw.test"}, DNSNames: []string{"gw.test"}})
	p.server = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
	key, _, der = p.issue(t, caKey, caCert, &x509.Certificate{Subject: pkix.Name{CommonName: "device"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	p.write(t, "client.pem", "CERTIFICATE", der)
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "client.key", "EC PRIVATE KEY", raw)
	return p
}

func (p *pki) issue(t *testing.T, signer *ecdsa.PrivateKey, parent, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		signer, parent = key, c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert, der
}

func (p *pki) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(p.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) listen(t *testing.T, auth tls.ClientAuthType) string {
	t.Helper()
	l := tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), &tls.Config{Certificates: []tls.Certificate{p.server}, ClientAuth: auth, ClientCAs: p.pool})
	serve(t, l)
	return l.Addr().String()
}

func TestDialTLS(t *testing.T) {
	p := newPKI(t)
	open, closed := p.listen(t, tls.NoClientCert), p.listen(t, tls.RequireAndVerifyClientCert)
	plain := listen(t, "tcp", "127.0.0.1:0")
	serve(t, plain)
	ca := p.file("ca.pem")
	roundTrip(t, "mqtts://"+open, Options{TLS: TLS{CAFile: ca, ServerName: "gw.test"}})
	roundTrip(t, "mqtts://"+open, Options{TLS: TLS{Insecure: true}})
	roundTrip(t, "mqtts://"+closed, Options{TLS: TLS{CAFile: ca, ServerName: "gw.test", CertFile: p.file("client.pem"), KeyFile: p.file("client.key")}})
	for _, c := range []struct {
		name, url string
		tls       TLS
		want      []string
	}{
		{"unknown authority", "mqtts://" + open, TLS{ServerName: "gw.test"}, []string{"authority that is not known", "--cafile"}},
		{"wrong name", "mqtts://" + open, TLS{CAFile: ca}, []string{"another name", "--servername"}},
		{"client certificate", "mqtts://" + closed, TLS{CAFile: ca, ServerName: "gw.test"}, []string{"certificate of this client", "--cert"}},
		{"TLS to a plain port", "mqtts://" + plain.Addr().String(), TLS{}, []string{"port of a TLS listener", "mqtt://"}},
		{"plain to a TLS port", "mqtt://" + open, TLS{}, []string{"plain MQTT listener"}},
		{"no such file", "mqtts://" + open, TLS{CAFile: p.file("none.pem")}, []string{"none.pem", "no such file"}},
		{"not PEM", "mqtts://" + open, TLS{CAFile: p.file("client.key")}, []string{"client.key", "no PEM certificate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{TLS: c.tls, Timeout: time.Minute}
			wantDialError(t, c.url, o, c.want...)
		})
	}
}

func TestTLSToATalkingServer(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = io.ReadFull(conn, make([]byte, 64))
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	wantDialError(t, "mqtts://"+l.Addr().String(), Options{}, "does not speak TLS", "use mqtt://")
}

func wantDialError(t *testing.T, url string, o Options, want ...string) {
	t.Helper()
	c, err := Dial(t.Context(), url, o)
	if err == nil {
		c.Close()
		t.Fatal("connected")
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q lacks %q", err, w)
		}
	}
}

func TestDialWebSocket(t *testing.T) {
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/mqtt", func(w http.ResponseWriter, r *http.Request) {
		if ws, err := up.Upgrade(w, r, nil); err == nil {
			play(&webConn{Conn: ws.NetConn(), ws: ws})
		}
	})
	other := websocket.Upgrader{}
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
		if ws, err := other.Upgrade(w, r, nil); err == nil {
			ws.Close()
		}
	})
	mux.HandleFunc("/text", func(w http.ResponseWriter, r *http.Request) {
		if ws, err := up.Upgrade(w, r, nil); err == nil {
			_ = ws.WriteMessage(websocket.TextMessage, []byte(" "))
			_, _, _ = ws.ReadMessage()
			ws.Close()
		}
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	p := newPKI(t)
	secure := httptest.NewUnstartedServer(mux)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{p.server}}
	secure.StartTLS()
	defer secure.Close()
	host := plain.Listener.Addr().String()

	roundTrip(t, "ws://"+host, Options{})
	roundTrip(t, "ws://"+host+"/mqtt", Options{})
	roundTrip(t, "wss://"+secure.Listener.Addr().String(), Options{TLS: TLS{CAFile: p.file("ca.pem"), ServerName: "gw.test"}})
	wantDialError(t, "ws://"+host+"/nothing", Options{}, "404 Not Found", "/nothing", "/mqtt")
	wantDialError(t, "ws://"+host+"/other", Options{}, "subprotocol mqtt")
	wantDialError(t, "ws://"+host+"/text", Options{}, "not binary [MQTT-6.0.0-1]")
	wantDialError(t, "mqtt://"+host, Options{Timeout: time.Second}, "was reached and does not answer", "MQTT listener")
	tcp := listen(t, "tcp", "127.0.0.1:0")
	serve(t, tcp)
	wantDialError(t, "ws://"+tcp.Addr().String(), Options{}, "WebSocket listener")
}

func TestDialErrorsSayWhatToDo(t *testing.T) {
	gone := listen(t, "tcp", "127.0.0.1:0")
	gone.Close()
	wantDialError(t, "mqtt://u:secret@"+gone.Addr().String(), Options{}, "mqtt://u:xxxxx@127.0.0.1:", "nothing listens there", "is the gateway running")
	wantDialError(t, "unix://"+filepath.Join(t.TempDir(), "none"), Options{}, "no such socket", "unix listener")
	wantDialError(t, "mqtt://127.0.0.1:1", Options{ClientID: "\xff"}, "CONNECT", "UTF-8")
	for _, c := range []struct{ url, want string }{
		{"127.0.0.1:1883", "mqtt://HOST:PORT"},
		{"http://127.0.0.1", "unknown scheme"},
		{"mqtt://", "host is missing"},
		{"mqtt://h/topic", "no meaning"},
		{"unix://", "path of the socket"},
		{"mqtt://u:secret@h:port", "cannot be read"},
	} {
		wantDialError(t, c.url, Options{}, c.want)
		if _, err := Dial(t.Context(), c.url, Options{}); strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is shown: %v", c.url, err)
		}
	}
}

func TestURLDefaults(t *testing.T) {
	for _, c := range []struct{ url, hostPort, path string }{
		{"mqtt://h", "h:1883", ""}, {"MQTTS://h", "h:8883", ""}, {"ws://h", "h:8083", "/mqtt"}, {"wss://h/", "h:8084", "/mqtt"},
		{"ws://h:80/x/y?z=1", "h:80", "/x/y"}, {"mqtt://[::1]:7", "[::1]:7", ""},
	} {
		a, err := parseURL(c.url)
		if err != nil || a.hostPort() != c.hostPort || a.path != c.path {
			t.Errorf("%s: %+v, %v", c.url, a, err)
		}
	}
	a, err := parseURL("mqtt://me:pw@h")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{}
	if a.credentials(&o); o.Username != "me" || string(o.Password) != "pw" || !o.HasPassword {
		t.Fatalf("%+v", o)
	}
	o = Options{Username: "you"}
	if a.credentials(&o); o.Username != "you" {
		t.Fatalf("%+v", o)
	}
}
