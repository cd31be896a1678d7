package rules

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTLSHint(t *testing.T) {
	for want, err := range map[string]error{
		"tls_ca_file":         fmt.Errorf("connect: %w", x509.UnknownAuthorityError{}),
		"as its certificate":  fmt.Errorf("connect: %w", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db"}),
		"renew the server's ": x509.CertificateInvalidError{Reason: x509.Expired},
	} {
		if got := tlsHint(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if got := tlsHint(errors.New("connection refused")); got != "" {
		t.Errorf("of another fault: %q", got)
	}
}
