package devices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// fileError is a file of the TLS options that cannot be used.
type fileError struct {
	what, name string
	err        error
}

func (e *fileError) Error() string { return fmt.Sprintf("%s %q: %v", e.what, e.name, e.err) }
func (e *fileError) Unwrap() error { return e.err }

// config reads the files.
func (o *TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, InsecureSkipVerify: o.Insecure, MinVersion: tls.VersionTLS12}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, &fileError{"certificate authority", o.CAFile, err}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &fileError{"certificate authority", o.CAFile, fmt.Errorf("there is no PEM certificate in it")}
		}
	}
	if o.CertFile != "" || o.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, &fileError{"client certificate", o.CertFile, err}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// open makes the byte stream that MQTT runs on.
func (a *address) open(ctx context.Context, o *Options) (net.Conn, error) {
	if a.scheme == "quic" {
		return a.openQUIC(ctx, o)
	}
	dial := o.DialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	var secure *tls.Config
	if a.secure() {
		var err error
		if secure, err = o.TLS.config(a.host); err != nil {
			return nil, err
		}
	}
	conn, err := a.connect(ctx, dial)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		wrapped := tls.Client(conn, secure)
		if err := wrapped.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = wrapped
	}
	if a.websocket() {
		return a.upgrade(ctx, conn)
	}
	return conn, nil
}
