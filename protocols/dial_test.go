package protocols

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
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// authority signs test certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate and key for name, in PEM.
func (a *authority) issue(t testing.TB, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kder})
}

func writeFile(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certify gives the listener a certificate and its clients a configuration.
func certify(t testing.TB, c *TLSConfig) *tls.Config {
	t.Helper()
	a := newAuthority(t)
	dir := t.TempDir()
	cert, key := a.issue(t, "gateway.test")
	c.CertFile, c.KeyFile = writeFile(t, dir+"/cert.pem", cert), writeFile(t, dir+"/key.pem", key)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	out := &tls.Config{RootCAs: roots, ServerName: "gateway.test"}
	if c.ClientAuth != "" && c.ClientCAFile == "" {
		c.ClientCAFile = writeFile(t, dir+"/ca.pem", a.pem)
		pair, err := tls.X509KeyPair(a.issue(t, "client"))
		if err != nil {
			t.Fatal(err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out
}

// dialWebSocket makes a WebSocket of c and hides its messages behind net.Conn.
func (h *harness) dialWebSocket(c net.Conn) net.Conn {
	h.t.Helper()
	d := &websocket.Dialer{
		NetDial:      func(string, string) (net.Conn, error) { return c, nil },
		Subprotocols: []string{"line"},
	}
	u := url.URL{Scheme: "ws", Host: "gateway.test", Path: defaultPath}
	ws, _, err := d.Dial(u.String(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &wsClient{Conn: c, ws: ws}
}

type wsClient struct {
	net.Conn
	ws *websocket.Conn
	r  io.Reader
}

func (c *wsClient) Write(b []byte) (int, error) {
	for part := range slices.Chunk(b, 50_000) {
		if err := c.ws.WriteMessage(websocket.BinaryMessage, part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (c *wsClient) Read(b []byte) (int, error) {
	for {
		if c.r == nil {
			_, r, err := c.ws.NextReader()
			if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
				err = io.EOF
			}
			if err != nil {
				return 0, err
			}
			c.r = r
		}
		n, err := c.r.Read(b)
		if err == io.EOF {
			c.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}
