package protocols

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// secure tells whether the listener speaks TLS over its connections.
func (l *Listener) secure() bool {
	return l.cfg.Transport == TLS || l.cfg.Transport == SecureWS
}

// loadTLS reads the listener's certificates.
func (l *Listener) loadTLS() (*tls.Config, error) {
	out, err := loadTLS(&l.cfg.TLS)
	if err == nil && l.cfg.Transport == QUIC {
		out.MinVersion = tls.VersionTLS13
		out.NextProtos = []string{l.adapter.Name()} // ALPN, without which QUIC is not
	}
	return out, err
}

// loadTLS reads what c names.
func loadTLS(c *TLSConfig) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file %q with tls.key_file %q: %w", c.CertFile, c.KeyFile, err)
	}
	out := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   nil,
	}
	if c.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	switch c.ClientAuth {
	case "request":
		out.ClientAuth = tls.VerifyClientCertIfGiven
	case "require":
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if c.ClientCAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca_file: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.client_ca_file %q holds no certificate in PEM", c.ClientCAFile)
	}
	return out, nil
}
