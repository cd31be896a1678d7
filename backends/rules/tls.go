package rules

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// CheckTLS reports what is wrong with the keys of a pool that ClientTLS takes, files unread;
// on says whether the pool speaks TLS.
func CheckTLS(on bool, ca, cert, key string) error {
	var errs []error
	if !on && ca+cert+key != "" {
		errs = append(errs, errors.New("tls_ca_file, tls_cert_file, tls_key_file: have no meaning without tls = true"))
	}
	if (cert == "") != (key == "") {
		errs = append(errs, errors.New("tls_cert_file and tls_key_file: go together"))
	}
	return errors.Join(errs...)
}

// tlsHint says what to do where err tells that a server could not be proven, or wants to
// know who comes; "" else. It goes by the text: some drivers keep nothing else of a cause.
func tlsHint(err error) string {
	text := err.Error()
	has := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case has("x509: certificate signed by unknown authority"):
		return "name the certificate of the server's issuer in tls_ca_file"
	case has("x509: cannot validate certificate for"), has("x509: certificate is valid for"), has("x509: certificate is not valid for any names"):
		return "name the server in the pool as its certificate does"
	case has("x509: certificate has expired or is not yet valid"):
		return "renew the server's certificate, and look at the clocks"
	case has("tls: certificate required"):
		return "show the server a certificate: tls_cert_file and tls_key_file"
	}
	return ""
}

// ClientTLS is how a pool speaks TLS: ca is the file of certificates that the server's is
// proven by ("": the system's), cert and key are those of the certificate that the server
// is shown ("": none). A fault begins with its key of the configuration. It reads files.
func ClientTLS(ca, cert, key string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("tls_ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls_ca_file: %s holds no certificate", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("tls_cert_file: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
