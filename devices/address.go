package devices

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// address is a parsed URL.
type address struct {
	scheme  string // mqtt, mqtts, ws, wss, unix, quic, mqttsn, mqttsns, coap, coaps
	host    string // without port
	port    string
	path    string // of the socket or the WebSocket resource
	query   string
	user    string
	pass    string
	hasPass bool
	shown   string // for messages, without password
}

// defaultPorts are used where the URL names none. WebSocket has no port of its
// own for MQTT; these are Fairlead's. QUIC's is the one that others use.
func defaultPort(scheme string) string {
	switch scheme {
	case "mqtt":
		return "1883"
	case "mqtts":
		return "8883"
	case "ws":
		return "8083"
	case "wss":
		return "8084"
	case "quic":
		return "14567"
	case "mqttsn":
		return "1884"
	case "mqttsns":
		return "8884"
	case "coap":
		return "5683"
	case "coaps":
		return "5684"
	}
	return ""
}

// parseURL reads the URLs that Dial takes.
func parseURL(raw string) (*address, error) {
	if !strings.Contains(raw, "://") {
		return nil, fmt.Errorf("%q is no URL: write mqtt://HOST:PORT, mqtts://, ws://, wss://, quic://, mqttsn://, mqttsns://, coap://, coaps:// or unix:///PATH", raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // the URL may hold a password
		}
		return nil, fmt.Errorf("the server's URL cannot be read: %w", err)
	}
	a := &address{scheme: strings.ToLower(u.Scheme), host: u.Hostname(), port: u.Port(), path: u.Path, query: u.RawQuery, shown: u.Redacted()}
	if u.User != nil {
		a.user = u.User.Username()
		a.pass, a.hasPass = u.User.Password()
	}
	return a, a.check(u)
}

func (a *address) check(u *url.URL) error {
	if a.scheme == "unix" {
		a.path = u.Host + u.Path
		if a.path == "" {
			return fmt.Errorf("%s: the path of the socket is missing: write unix:///PATH", a.shown)
		}
		return nil
	}
	if defaultPort(a.scheme) == "" {
		return fmt.Errorf("%s: unknown scheme %q: use mqtt, mqtts, ws, wss, quic, mqttsn, mqttsns, coap, coaps or unix", a.shown, a.scheme)
	}
	if a.host == "" {
		return fmt.Errorf("%s: the host is missing: write %s://HOST:PORT", a.shown, a.scheme)
	}
	if a.port == "" {
		a.port = defaultPort(a.scheme)
	}
	switch a.scheme {
	case "ws", "wss":
		if a.path == "" || a.path == "/" {
			a.path = "/mqtt"
		}
	default:
		if a.path != "" && a.path != "/" {
			return fmt.Errorf("%s: a path has no meaning in %s:// URLs", a.shown, a.scheme)
		}
	}
	return nil
}

func (a *address) secure() bool {
	return a.scheme == "mqtts" || a.scheme == "wss" || a.scheme == "quic" || a.scheme == "mqttsns" || a.scheme == "coaps"
}

// datagrams says that the protocol is one of sensors, which Dial does not speak.
func (a *address) datagrams() bool {
	return strings.HasPrefix(a.scheme, "mqttsn") || strings.HasPrefix(a.scheme, "coap")
}

func (a *address) websocket() bool { return a.scheme == "ws" || a.scheme == "wss" }

// hostPort is what to dial.
func (a *address) hostPort() string { return net.JoinHostPort(a.host, a.port) }

// connect opens the network connection. The name localhost means both of its
// addresses, whatever the system's tables say.
func (a *address) connect(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error)) (net.Conn, error) {
	if a.scheme == "unix" {
		return dial(ctx, "unix", a.path)
	}
	if a.datagrams() { // whether somebody listens shows later, if at all
		host := a.host
		if strings.EqualFold(host, "localhost") {
			host = "127.0.0.1"
		}
		return dial(ctx, "udp", net.JoinHostPort(host, a.port))
	}
	if !strings.EqualFold(a.host, "localhost") {
		return dial(ctx, "tcp", a.hostPort())
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", a.port))
	if err == nil {
		return conn, nil
	}
	if conn, err6 := dial(ctx, "tcp", net.JoinHostPort("::1", a.port)); err6 == nil {
		return conn, nil
	}
	return nil, err
}
