package rules

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
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

// tlsHint says what to do where err tells that a server could not be proven; "" else.
func tlsHint(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return "name the certificate of the server's issuer in tls_ca_file"
	case errors.As(err, &name):
		return "name the server in the pool as its certificate does"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, and look at the clocks"
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
