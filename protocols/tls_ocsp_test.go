package protocols

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// stapled is a certificate with its issuer, and the way to responses about it.
func stapled(t *testing.T) (c TLSConfig, client *tls.Config, respond func(status int, next time.Duration) []byte) {
	t.Helper()
	a := newAuthority(t)
	dir := t.TempDir()
	cert, key := a.issue(t, "gateway.test")
	c.CertFile = writeFile(t, filepath.Join(dir, "cert.pem"), append(bytes.Clone(cert), a.pem...))
	c.KeyFile = writeFile(t, filepath.Join(dir, "key.pem"), key)
	c.OCSPFile = filepath.Join(dir, "ocsp.der")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return c, &tls.Config{RootCAs: roots, ServerName: "gateway.test"}, func(status int, next time.Duration) []byte {
		raw, err := ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{
			Status: status, SerialNumber: leaf.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(next),
		}, a.key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
}

func TestStapledResponse(t *testing.T) {
	c, client, respond := stapled(t)
	want := respond(ocsp.Good, time.Hour)
	writeFile(t, c.OCSPFile, want)
	ln := newListener("l", &ListenerConfig{Transport: TLS, Address: "127.0.0.1:0", TLS: c}, named("line"))
	cfg, err := ln.loadTLS()
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(far, cfg).Handshake() }()
	k := tls.Client(near, client)
	if err := k.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := k.ConnectionState().OCSPResponse; !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of a response, want %d", len(got), len(want))
	}
	if err := await(t, done, "handshake"); err != nil {
		t.Fatal(err)
	}
}

// Another response is shown from the next handshake on; a bad one changes nothing.
func TestStapleIsReloaded(t *testing.T) {
	c, client, respond := stapled(t)
	old, next := respond(ocsp.Good, time.Hour), respond(ocsp.Good, 2*time.Hour)
	writeFile(t, c.OCSPFile, old)
	client.NextProtos = []string{"line"}
	cfg := DefaultConfig()
	for _, transport := range []string{TLS, SecureWS, QUIC} {
		cfg.Listeners[transport] = &ListenerConfig{Protocol: "line", Transport: transport, Address: "127.0.0.1:0", TLS: c}
	}
	s, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newLineAdapter()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
	}()
	shows := func(want []byte) {
		t.Helper()
		for name, at := range s.Addresses() {
			if got := stapleOf(t, at.String(), client, name == QUIC); !bytes.Equal(got, want) {
				t.Errorf("%s shows a response of %d bytes, which is not the wanted one of %d", name, len(got), len(want))
			}
		}
	}
	shows(old)
	writeFile(t, c.OCSPFile, respond(ocsp.Revoked, time.Hour))
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "tls.ocsp_file") {
		t.Fatalf("a response that says revoked: %v", err)
	}
	shows(old)
	writeFile(t, c.OCSPFile, next)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	shows(next)
}

// stapleOf is what a handshake shows.
func stapleOf(t *testing.T, address string, cfg *tls.Config, overQUIC bool) []byte {
	t.Helper()
	if overQUIC {
		c, err := dialQUIC(t, address, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.conn.ConnectionState().TLS.OCSPResponse
	}
	c, err := tls.Dial("tcp", address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().OCSPResponse
}

func TestStapleIsLeftOutPastItsTime(t *testing.T) {
	c, _, respond := stapled(t)
	writeFile(t, c.OCSPFile, respond(ocsp.Good, time.Hour))
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := loadStaple(c.OCSPFile, &pair, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s.certificate(time.Now()).OCSPStaple == nil || s.certificate(time.Now().Add(2*time.Hour)).OCSPStaple != nil {
		t.Fatal("the response is shown at the wrong times")
	}
}

func TestResponsesThatAreRefused(t *testing.T) {
	c, _, respond := stapled(t)
	_, _, foreign := stapled(t)
	for _, k := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"revoked", respond(ocsp.Revoked, time.Hour), "revoked or unknown"},
		{"old", respond(ocsp.Good, -time.Minute), "was to be renewed at"},
		{"of another authority", foreign(ocsp.Good, time.Hour), "no OCSP response"},
		{"noise", []byte("no"), "no OCSP response"}, {"empty", nil, "no OCSP response"},
		{"large", make([]byte, maxStaple+1), "more than"},
	} {
		writeFile(t, c.OCSPFile, k.raw)
		if _, err := loadTLS(&c); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want %q", k.name, err, k.want)
		}
	}
}
