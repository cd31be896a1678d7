package exproto

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// keepAliveIdle is how long a silent handler's machine is trusted to be there.
const keepAliveIdle = 15 * time.Second

// dialHandler reaches host:port or unix:PATH.
func dialHandler(ctx context.Context, handler string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveIdle / 3, Count: 3}}
	if path, unix := strings.CutPrefix(handler, "unix:"); unix {
		return d.DialContext(ctx, "unix", path)
	}
	return d.DialContext(ctx, "tcp", handler)
}

// connect makes the connection of one stream. It reads certificates anew.
func (k *link) connect() (*grpc.ClientConn, error) {
	creds, err := k.credentials()
	if err != nil {
		return nil, err
	}
	authority := "localhost"
	if host, _, err := net.SplitHostPort(k.cfg.Handler); err == nil && host != "" {
		authority = host
	}
	return grpc.NewClient("passthrough:///"+k.cfg.Handler,
		grpc.WithTransportCredentials(creds),
		grpc.WithAuthority(authority),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return k.dial(ctx, k.cfg.Handler) }),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(k.maxSize+messageSpace), grpc.MaxCallSendMsgSize(k.maxSize+messageSpace)),
	)
}

// credentials are those of the streams: TLS, unless the handler is on this machine or the
// configuration does without.
func (k *link) credentials() (credentials.TransportCredentials, error) {
	c := &k.cfg
	if !c.Encrypted() {
		return insecure.NewCredentials(), nil
	}
	host, _, _ := net.SplitHostPort(c.Handler)
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	var errs []error
	fault := func(key string, err error) {
		errs = append(errs, fmt.Errorf("listeners.%s.exproto.%s: %w", k.listener, key, err))
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		t.RootCAs = x509.NewCertPool()
		if err == nil && !t.RootCAs.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%q holds no certificate in PEM", c.CAFile)
		}
		if err != nil {
			fault("ca_file", err)
		}
	}
	if c.CertFile != "" {
		own, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			fault("cert_file", err)
		}
		t.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(t), errors.Join(errs...)
}
