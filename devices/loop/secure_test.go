package loop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
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
)

// authority is a certificate authority with a server's and a client's certificate.
type authority struct {
	dir    string
	server tls.Certificate
	pool   *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), pool: x509.NewCertPool()}
	caKey, ca, der := issue(t, nil, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(ca)
	a.write(t, "ca.pem", "CERTIFICATE", der)
	key, leaf, der := issue(t, caKey, ca, &x509.Certificate{Subject: pkix.Name{CommonName: "gw.test"}, DNSNames: []string{"gw.test"}})
	a.server = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	key, _, der = issue(t, caKey, ca, &x509.Certificate{Subject: pkix.Name{CommonName: "device"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	a.write(t, "client.pem", "CERTIFICATE", der)
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, "client.key", "EC PRIVATE KEY", raw)
	return a
}

// issue makes a certificate for an hour around now, signed by the parent or itself.
func issue(t testing.TB, signer *ecdsa.PrivateKey, parent, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
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

func (a *authority) write(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) trusted() TLS { return TLS{CAFile: a.file("ca.pem"), ServerName: "gw.test"} }

// serve is a TLS server; version 0 is the newest.
func (a *authority) serve(t testing.TB, version uint16, auth tls.ClientAuthType, f func(net.Conn)) string {
	t.Helper()
	c := &tls.Config{Certificates: []tls.Certificate{a.server}, MaxVersion: version, ClientAuth: auth, ClientCAs: a.pool}
	return serve(t, tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), c), f)
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tls.VersionName(version), func(t *testing.T) {
				d := newDevice()
				d.dial(t, l, "mqtts://"+a.serve(t, version, tls.NoClientCert, echo), a.trusted(), nil)
				exchange(t, l, d, []byte("hello"))
				exchange(t, l, d, pattern(2<<20))
				d.close(t, l)
			})
		}
		t.Run("client certificate", func(t *testing.T) {
			d := newDevice()
			s := a.trusted()
			s.CertFile, s.KeyFile = a.file("client.pem"), a.file("client.key")
			d.dial(t, l, "mqtts://"+a.serve(t, 0, tls.RequireAndVerifyClientCert, echo), s, nil)
			exchange(t, l, d, []byte("hello"))
			d.close(t, l)
		})
		t.Run("the server talks first and ends", func(t *testing.T) {
			d := newDevice()
			d.dial(t, l, "mqtts://"+a.serve(t, 0, tls.NoClientCert, func(c net.Conn) { _, _ = c.Write(pattern(100_000)) }), a.trusted(), nil)
			if got := d.receive(t, 100_000); !bytes.Equal(got, pattern(100_000)) {
				t.Fatal("the bytes differ")
			}
			if err := <-d.closed; err != io.EOF {
				t.Fatal(err)
			}
		})
		t.Run("close tells the server in TLS", func(t *testing.T) {
			heard := make(chan error, 1)
			d := newDevice()
			d.dial(t, l, "mqtts://"+a.serve(t, 0, tls.NoClientCert, func(c net.Conn) {
				b, err := io.ReadAll(c)
				if err == nil && string(b) != "last" {
					err = fmt.Errorf("%q", b)
				}
				heard <- err
			}), a.trusted(), nil)
			do(t, l, func() { d.Write([]byte("last")); d.Close() })
			if err := <-d.closed; err != nil {
				t.Fatal(err)
			}
			if err := <-heard; err != nil {
				t.Fatal(err)
			}
		})
	})
}

// TestManyHandshakes: more than may be under way at once, some of them given up.
func TestManyHandshakes(t *testing.T) {
	a := newAuthority(t)
	kinds(t, func(t *testing.T, o Options) {
		o.Handshakes = 2
		l := start(t, o)
		e, err := ParseEndpoint("mqtts://"+a.serve(t, 0, tls.NoClientCert, echo), a.trusted())
		if err != nil {
			t.Fatal(err)
		}
		all := make([]*device, 20)
		do(t, l, func() {
			for i := range all {
				all[i] = newDevice()
				l.Dial(&all[i].Conn, e, nil, 0, all[i])
			}
		})
		for i, d := range all {
			if i%4 == 3 {
				do(t, l, d.Abort)
				<-d.closed
				continue
			}
			<-d.opened
			exchange(t, l, d, []byte("hello"))
			d.close(t, l)
		}
	})
}

func TestDialErrorsOfTLS(t *testing.T) {
	a := newAuthority(t)
	kinds(t, func(t *testing.T, o Options) {
		o.DialTimeout = time.Minute
		l := start(t, o)
		open := "mqtts://" + a.serve(t, 0, tls.NoClientCert, echo)
		closed := "mqtts://" + a.serve(t, tls.VersionTLS12, tls.RequireAndVerifyClientCert, echo)
		silent := tcp(t, func(net.Conn) {})
		talking := tcp(t, func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 64))
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_, _ = io.Copy(io.Discard, c)
		})
		for _, c := range []struct {
			name, url string
			tls       TLS
			want      string
		}{
			{"unknown authority", open, TLS{ServerName: "gw.test"}, "tls.ca_file"},
			{"wrong name", open, TLS{CAFile: a.file("ca.pem")}, "tls.server_name"},
			{"no certificate", closed, a.trusted(), "tls.cert_file"},
			{"plain port", "mqtts" + strings.TrimPrefix(silent, "mqtt"), a.trusted(), "TLS listener"},
			{"other protocol", "mqtts" + strings.TrimPrefix(talking, "mqtt"), a.trusted(), "does not speak TLS"},
		} {
			t.Run(c.name, func(t *testing.T) { wantDialError(t, l, c.url, c.tls, c.want) })
		}
	})
}

// wantDialError dials what has to fail.
func wantDialError(t *testing.T, l *Loop, url string, tls TLS, want ...string) {
	t.Helper()
	e, err := ParseEndpoint(url, tls)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice()
	do(t, l, func() { l.Dial(&d.Conn, e, nil, 1, d) })
	select {
	case <-d.opened:
		t.Fatal("opened")
	case err = <-d.closed:
	}
	dialError, ok := err.(*DialError)
	if !ok || dialError.Hint == "" {
		t.Fatalf("%T without hint: %v", err, err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
}

// webServer serves f behind gorilla's WebSocket, and a few things that are none.
func webServer(t testing.TB, f func(*websocket.Conn)) *http.ServeMux {
	mux := http.NewServeMux()
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	mux.HandleFunc("/mqtt", func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		f(ws)
	})
	other := websocket.Upgrader{}
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
		if ws, err := other.Upgrade(w, r, nil); err == nil {
			ws.Close()
		}
	})
	return mux
}

func webEcho(ws *websocket.Conn) {
	for {
		kind, b, err := ws.ReadMessage()
		if err != nil {
			return
		}
		// In two frames and with a ping between them.
		w, _ := ws.NextWriter(kind)
		_, _ = w.Write(b[:len(b)/2])
		_ = ws.WriteControl(websocket.PingMessage, []byte("still there?"), time.Time{})
		_, _ = w.Write(b[len(b)/2:])
		w.Close()
	}
}

func TestWebSocket(t *testing.T) {
	a := newAuthority(t)
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		plain := httptest.NewServer(webServer(t, webEcho))
		defer plain.Close()
		secure := httptest.NewUnstartedServer(webServer(t, webEcho))
		secure.TLS = &tls.Config{Certificates: []tls.Certificate{a.server}}
		secure.StartTLS()
		defer secure.Close()
		for _, url := range []string{"ws://" + plain.Listener.Addr().String(), "wss://" + secure.Listener.Addr().String() + "/mqtt?a=b"} {
			t.Run(url[:3], func(t *testing.T) {
				d := newDevice()
				d.dial(t, l, url, a.trusted(), nil)
				exchange(t, l, d, []byte("hello"))
				exchange(t, l, d, pattern(1<<20))
				d.close(t, l)
			})
		}
	})
}

// TestWebSocketEnds: both sides say goodbye as the RFC has it.
func TestWebSocketEnds(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		heard := make(chan error, 1)
		for _, c := range []struct {
			name   string
			server func(*websocket.Conn)
			want   string
		}{
			{"the server says goodbye", func(ws *websocket.Conn) {
				_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Time{})
			}, "EOF"},
			{"the server refuses", func(ws *websocket.Conn) {
				_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "no"), time.Time{})
			}, `code 1008 "no"`},
			{"the server sends text", func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte("no")) }, "MQTT-6.0.0-1"},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := httptest.NewServer(webServer(t, func(ws *websocket.Conn) {
					c.server(ws)
					_, _, err := ws.ReadMessage()
					heard <- err
				}))
				defer s.Close()
				d := newDevice()
				d.dial(t, l, "ws://"+s.Listener.Addr().String(), TLS{}, nil)
				if err := <-d.closed; err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatal(err)
				}
				<-heard
			})
		}
		t.Run("the device says goodbye", func(t *testing.T) {
			s := httptest.NewServer(webServer(t, func(ws *websocket.Conn) {
				kind, b, err := ws.ReadMessage()
				if kind != websocket.BinaryMessage || string(b) != "last" || err != nil {
					t.Errorf("%d %q %v", kind, b, err)
				}
				_, _, err = ws.ReadMessage()
				heard <- err
			}))
			defer s.Close()
			d := newDevice()
			d.dial(t, l, "ws://"+s.Listener.Addr().String(), TLS{}, nil)
			do(t, l, func() { d.Write([]byte("last")); d.Close() })
			if err := <-d.closed; err != nil {
				t.Fatal(err)
			}
			if err := <-heard; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Fatal(err)
			}
		})
	})
}

func TestDialErrorsOfWebSocket(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		s := httptest.NewServer(webServer(t, webEcho))
		defer s.Close()
		host := s.Listener.Addr().String()
		wantDialError(t, l, "ws://"+host+"/nothing", TLS{}, "404 Not Found", "/nothing", "/mqtt")
		wantDialError(t, l, "ws://"+host+"/other", TLS{}, "subprotocol mqtt")
		wantDialError(t, l, "ws"+strings.TrimPrefix(tcp(t, echo), "mqtt"), TLS{}, "WebSocket listener")
		wantDialError(t, l, "ws"+strings.TrimPrefix(tcp(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1000))
			_, _ = c.Write(append([]byte("HTTP/1.1 200 OK\r\n"), bytes.Repeat([]byte("A: b\r\n"), 10_000)...))
			_, _ = io.Copy(io.Discard, c)
		}), "mqtt"), TLS{}, "WebSocket listener")
	})
}
