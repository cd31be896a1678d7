package loop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Endpoint is where devices connect, read once for all of them. It is immutable but
// for Resolve, so loops share it.
type Endpoint struct {
	scheme string // mqtt, mqtts, ws, wss, unix, mem, mqttsn, mqttsns, coap, coaps
	host   string // without port
	port   uint16
	path   string // of the socket, the WebSocket or the stream
	query  string
	shown  string // for messages, without password
	secure *tls.Config
	addrs  []netip.AddrPort // to be tried in this order
	user   *url.Userinfo
}

// ParseEndpoint reads a URL:
//
//	mqtt://HOST[:1883]  mqtts://HOST[:8883]  ws://HOST[:8083][/mqtt]  wss://HOST[:8084][/mqtt]
//	mqttsn://HOST[:1884]  coap://HOST[:5683]  (datagrams, for OpenPort)
//	mqttsns://HOST[:8884]  coaps://HOST[:5684]  (the same, for OpenPort with a Guard)
//	unix:///PATH  mem://NAME (a stream in memory, by Options.Streams)
//
// and the files of t, if the URL asks for TLS. Host names need Resolve as well.
func ParseEndpoint(rawURL string, t TLS) (*Endpoint, error) {
	if !strings.Contains(rawURL, "://") {
		return nil, fmt.Errorf("%q is no URL: write mqtt://HOST:PORT, mqtts://, ws://, wss:// or unix:///PATH", rawURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // the URL may hold a password
		}
		return nil, fmt.Errorf("the server's URL cannot be read: %w", err)
	}
	e := &Endpoint{scheme: strings.ToLower(u.Scheme), host: u.Hostname(), path: u.Path, query: u.RawQuery, shown: u.Redacted(), user: u.User}
	if err := e.check(u); err != nil {
		return nil, fmt.Errorf("%s: %w", e.shown, err)
	}
	if e.scheme == "mqtts" || e.scheme == "wss" {
		if e.secure, err = tlsConfig(t, e.host); err != nil {
			return nil, fmt.Errorf("%s: %w", e.shown, err)
		}
	}
	return e, nil
}

func defaultPort(scheme string) uint16 {
	switch scheme {
	case "mqtt":
		return 1883
	case "mqtts":
		return 8883
	case "ws":
		return 8083
	case "wss":
		return 8084
	case "mqttsn":
		return 1884
	case "mqttsns":
		return 8884
	case "coap":
		return 5683
	case "coaps":
		return 5684
	}
	return 0
}

// check fills in and refuses what the scheme wants.
func (e *Endpoint) check(u *url.URL) error {
	switch e.scheme {
	case "unix":
		if e.path = u.Host + u.Path; e.path == "" {
			return errors.New("the path of the socket is missing: write unix:///PATH")
		}
		if len(e.path) > 107 {
			return errors.New("the path of the socket is longer than the 107 bytes that systems take")
		}
		return nil
	case "mem":
		if e.path = u.Host + u.Path; e.path == "" {
			return errors.New("the name is missing: write mem://NAME")
		}
		return nil
	}
	e.port = defaultPort(e.scheme)
	if e.port == 0 {
		return fmt.Errorf("unknown scheme %q: use mqtt, mqtts, ws, wss, unix, mqttsn, mqttsns, coap or coaps", e.scheme)
	}
	if e.host == "" {
		return fmt.Errorf("the host is missing: write %s://HOST:PORT", e.scheme)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("port %q: write a number from 1 to 65535", p)
		}
		e.port = uint16(n)
	}
	if e.websocket() {
		if e.path == "" || e.path == "/" {
			e.path = "/mqtt"
		}
	} else if e.path != "" && e.path != "/" {
		return fmt.Errorf("a path has no meaning in %s:// URLs", e.scheme)
	}
	e.literal()
	return nil
}

// literal fills in addresses that need no name server. The name localhost means
// both of its addresses, whatever the system's tables say.
func (e *Endpoint) literal() {
	if a, err := netip.ParseAddr(e.host); err == nil {
		e.addrs = []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), e.port)}
	} else if strings.EqualFold(e.host, "localhost") {
		e.addrs = []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), e.port),
			netip.AddrPortFrom(netip.IPv6Loopback(), e.port),
		}
	}
}

// Resolve asks for the addresses of a host name, if there is one. It blocks, and
// has to come before the first Dial; from then on the addresses stay.
func (e *Endpoint) Resolve(ctx context.Context) error {
	if !e.network() || len(e.addrs) > 0 {
		return nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", e.host)
	if err != nil {
		return explain(e, err)
	}
	for _, a := range found {
		e.addrs = append(e.addrs, netip.AddrPortFrom(a.Unmap(), e.port))
	}
	return nil
}

// Credentials are the user name and password of the URL.
func (e *Endpoint) Credentials() (user, password string, hasPassword bool) {
	password, hasPassword = e.user.Password()
	return e.user.Username(), password, hasPassword
}

// String is the URL without password.
func (e *Endpoint) String() string { return e.shown }

// Loopback tells whether the server is on this machine, so that Sources apply.
func (e *Endpoint) Loopback() bool {
	return len(e.addrs) > 0 && e.addrs[0].Addr().IsLoopback()
}

// Datagrams tells whether devices speak to it by OpenPort.
func (e *Endpoint) Datagrams() bool {
	switch e.scheme {
	case "mqttsn", "mqttsns", "coap", "coaps":
		return true
	}
	return false
}

func (e *Endpoint) network() bool   { return e.scheme != "unix" && e.scheme != "mem" }
func (e *Endpoint) websocket() bool { return e.scheme == "ws" || e.scheme == "wss" }

// tries is how many addresses there are to dial.
func (e *Endpoint) tries() int {
	if !e.network() {
		return 1
	}
	return len(e.addrs)
}

// tlsConfig reads the files.
func tlsConfig(t TLS, host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, InsecureSkipVerify: t.Insecure, MinVersion: tls.VersionTLS12}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file %q: %w", t.CAFile, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file %q: there is no PEM certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file %q with tls.key_file %q: %w", t.CertFile, t.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
