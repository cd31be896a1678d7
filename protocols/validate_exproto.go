package protocols

import (
	"net/netip"
	"strings"
	"time"
)

// Exproto is the protocol whose machines are driven by a program of the user's own.
const Exproto = "exproto"

func (c *ListenerConfig) validateExproto(f *faults) {
	e := &c.Exproto
	if c.Protocol != Exproto {
		if *e != (ExprotoConfig{}) {
			f.add("exproto", "…", "only holds where protocol is exproto")
		}
		return
	}
	_, port, err := splitAddress(e.Handler)
	if path, unix := e.UnixPath(); unix && path == "" || !unix && (err != nil || port == 0) {
		f.add("exproto.handler", e.Handler, "must be the host:port of the program that speaks the protocol, or unix:PATH")
	}
	f.oneOf("exproto.tls", e.TLS, "", "auto", "on", "off")
	if (e.CertFile == "") != (e.KeyFile == "") {
		f.add("exproto.cert_file", e.CertFile, "needs cert_file and key_file, both or none")
	}
	if !e.Encrypted() && e.CAFile+e.CertFile+e.ServerName != "" {
		f.add("exproto.tls", e.TLS, "must be on for ca_file, cert_file or server_name to mean anything: the handler is on this machine, or it is off")
	}
	f.within("exproto.streams", e.Streams, 0, 256)
	f.within("exproto.window", e.Window, 0, 64<<20)
	f.within("exproto.queue", e.Queue, 0, 1<<30)
	if window, queue := c.WithDefaults().Exproto.Window, c.WithDefaults().Exproto.Queue; queue < window {
		f.within("exproto.queue", queue, window, 1<<30)
	}
	f.during("exproto.hold", e.Hold, time.Hour)
	f.during("exproto.stall_timeout", e.StallTimeout, time.Hour)
	f.during("exproto.retry_max", e.RetryMax, time.Hour)
}

// UnixPath is the path of the handler's Unix socket; ok is false where it has none.
func (c *ExprotoConfig) UnixPath() (path string, ok bool) {
	return strings.CutPrefix(c.Handler, "unix:")
}

// Encrypted says whether the streams to the handler go over TLS.
func (c *ExprotoConfig) Encrypted() bool {
	switch c.TLS {
	case "on":
		return true
	case "off":
		return false
	}
	if _, unix := c.UnixPath(); unix {
		return false
	}
	host, _, err := splitAddress(c.Handler)
	if err != nil || host == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err != nil || !a.IsLoopback()
}
