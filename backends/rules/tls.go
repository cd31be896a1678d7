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
