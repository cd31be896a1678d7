package protocols

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

func TestCertificateName(t *testing.T) {
	u, err := url.Parse("urn:dev:mac:0024befffe804ff1")
	if err != nil {
		t.Fatal(err)
	}
	cn := func(names ...string) (s pkix.Name) {
		s.CommonName = names[len(names)-1]
		for _, n := range names {
			s.Names = append(s.Names, pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 3}, Value: n})
		}
		return s
	}
	full := &x509.Certificate{
		Subject: cn("sensor-7"), DNSNames: []string{"sensor.test"}, EmailAddresses: []string{"s@test"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)}, URIs: []*url.URL{u}, Raw: []byte("certificate"),
	}
	for _, c := range []struct {
		field string
		cert  *x509.Certificate
		want  string // "" for an error
	}{
		{"cn", full, "sensor-7"}, {"dn", full, "CN=sensor-7"}, {"san_dns", full, "sensor.test"}, {"san_email", full, "s@test"},
		{"san_uri", full, "urn:dev:mac:0024befffe804ff1"}, {"san_ip", full, "192.0.2.7"},
		{"fingerprint", full, fmt.Sprintf("%x", sha256.Sum256(full.Raw))},
		{"cn", &x509.Certificate{}, ""}, {"cn", &x509.Certificate{Subject: cn("a", "b")}, ""}, {"cn", &x509.Certificate{Subject: cn("")}, ""},
		{"cn", &x509.Certificate{Subject: cn("a\x00b")}, ""}, {"cn", &x509.Certificate{Subject: cn("a\xff")}, ""},
		{"cn", &x509.Certificate{Subject: cn(strings.Repeat("a", maxIdentity+1))}, ""},
		{"san_dns", &x509.Certificate{DNSNames: []string{"a", "b"}}, ""}, {"nonsense", full, ""},
	} {
		got, err := CertificateName(c.cert, c.field)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s of %q: %q, %v; want %q", c.field, c.cert.Subject, got, err, c.want)
		}
	}
}

// revoke writes a's list of these serial numbers.
func (a *authority) revoke(t *testing.T, path string, next time.Time, serials ...*big.Int) {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: next}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// revocable is a listener with a list, and a client whose certificate can be revoked.
func revocable(t *testing.T, transport string) (h *harness, a *authority, crl string, serial *big.Int) {
	t.Helper()
	a = newAuthority(t)
	dir := t.TempDir()
	crl = filepath.Join(dir, "crl.pem")
	ca := writeFile(t, filepath.Join(dir, "clients.pem"), a.pem)
	a.revoke(t, crl, time.Now().Add(time.Hour))
	h = start(t, "", &ListenerConfig{Transport: transport, Address: "127.0.0.1:0", TLS: TLSConfig{ClientAuth: "require", ClientCAFile: ca, CRLFiles: []string{crl}}})
	pair, err := tls.X509KeyPair(a.issue(t, "sensor-7"))
	if err != nil {
		t.Fatal(err)
	}
	h.tls.Certificates = []tls.Certificate{pair}
	h.tls.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return h, a, crl, leaf.SerialNumber
}

// refusedFor dials and wants a refusal that says why.
func (h *harness) refusedFor(why string) {
	h.t.Helper()
	c, err := h.connect(h.server.Addresses()["l"]) // QUIC clients may learn of it now or later
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if h.server.listeners["l"].secure() {
			c = tls.Client(c, h.tls)
		}
		c.Write([]byte("hello\n"))
		if n, err := c.Read(make([]byte, 10)); err == nil {
			h.t.Fatalf("%d bytes of an answer", n)
		}
	}
	if r := await(h.t, h.gateway.refusals, "refusal"); r.Reason != core.NotAuthorized || !strings.Contains(r.Detail, why) {
		h.t.Fatalf("refused %+v, want %q", r, why)
	}
}

func TestRevokedCertificate(t *testing.T) {
	for _, transport := range []string{TLS, QUIC} {
		t.Run(transport, func(t *testing.T) {
			h, a, crl, serial := revocable(t, transport)
			old := h.dial()
			old.say("hello\n")
			old.hears("welcome\n")
			a.revoke(t, crl, time.Now().Add(time.Hour), serial)
			if err := h.server.Reload(); err != nil {
				t.Fatal(err)
			}
			h.refusedFor("was revoked at")
			a.revoke(t, crl, time.Now().Add(-time.Second))
			if err := h.server.Reload(); err != nil {
				t.Fatal(err)
			}
			h.refusedFor("was to be renewed at")
			newAuthority(t).revoke(t, crl, time.Now().Add(time.Hour), serial)
			if err := h.server.Reload(); err == nil || !strings.Contains(err.Error(), "signed by no authority") {
				t.Fatalf("a stranger's list: %v", err)
			}
			a.revoke(t, crl, time.Now().Add(time.Hour))
			if err := h.server.Reload(); err != nil {
				t.Fatal(err)
			}
			again := h.dial()
			again.say("hello\n")
			again.hears("welcome\n")
			old.say("still here\n")
			old.hears("still here\n")
		})
	}
}

func TestCertificateWithoutItsName(t *testing.T) {
	for _, transport := range []string{TLS, QUIC} {
		t.Run(transport, func(t *testing.T) {
			h := start(t, "", &ListenerConfig{Transport: transport, Address: "127.0.0.1:0", TLS: TLSConfig{ClientAuth: "require", Identity: "san_email"}})
			h.refusedFor("0 names of the kind san_email")
		})
	}
}
