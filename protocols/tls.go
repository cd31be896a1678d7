package protocols

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
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

// CheckFiles reads everything that c names as a listener would: certificates,
// authorities, revocation lists, the OCSP response. The error begins with the key, as
// in "tls.crl_files".
func (c *TLSConfig) CheckFiles() error {
	_, err := loadTLS(c)
	return err
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
	if c.OCSPFile != "" {
		s, err := loadStaple(c.OCSPFile, &pair, time.Now())
		if err != nil {
			return nil, err
		}
		out.Certificates = nil
		out.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate(time.Now()), nil }
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
	text, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca_file: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls.client_ca_file %q holds no certificate in PEM", c.ClientCAFile)
	}
	rules := &clientRules{fields: c.nameFields()}
	if len(c.CRLFiles) > 0 {
		if rules.lists, err = loadRevocations(c.CRLFiles, authoritiesOf(text)); err != nil {
			return nil, err
		}
	}
	out.VerifyConnection = rules.verify
	return out, nil
}

// nameFields are the fields that a client certificate must have.
func (c *TLSConfig) nameFields() (fields []string) {
	for _, f := range []string{c.Identity, c.ClientID} {
		if f != "" {
			fields = append(fields, f)
		}
	}
	return fields
}

// authoritiesOf are the certificates of a PEM file; what cannot be read is left out,
// as x509.CertPool does.
func authoritiesOf(text []byte) (out []*x509.Certificate) {
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(b.Bytes); err == nil && b.Type == "CERTIFICATE" {
			out = append(out, c)
		}
	}
	return out
}
