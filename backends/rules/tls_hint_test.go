package rules

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// The hints go by texts, which are those of this Go.
func TestTLSHint(t *testing.T) {
	for _, c := range []struct {
		want string
		err  error
	}{
		{"tls_ca_file", fmt.Errorf("connect: %w", x509.UnknownAuthorityError{})},
		{"as its certificate", fmt.Errorf("connect: %w", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db"})},
		{"as its certificate", x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"db"}}, Host: "other"}},
		{"as its certificate", x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"db"}}, Host: "127.0.0.1"}},
		{"as its certificate", x509.HostnameError{Certificate: &x509.Certificate{IPAddresses: []net.IP{{10, 0, 0, 1}}}, Host: "127.0.0.1"}},
		{"renew the server's ", x509.CertificateInvalidError{Reason: x509.Expired}},
		{"tls_cert_file", errors.New("remote error: tls: certificate required")},
	} {
		if got := tlsHint(errors.New(c.err.Error())); !strings.Contains(got, c.want) { // as drivers do that keep the text alone
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if got := tlsHint(errors.New("connection refused")); got != "" {
		t.Errorf("of another fault: %q", got)
	}
}
