package loop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

var (
	errUnresolved = errors.New("the host's address is not known")
	errNoStreams  = errors.New("there are no streams in memory here")
)

// explain says why a connection could not be opened.
func explain(e *Endpoint, err error) error {
	d := &DialError{URL: e.shown, Err: err}
	if explainOwn(d, err) || explainServer(d, e, err) || explainTLS(d, e, err) {
		return d
	}
	d.Problem = err.Error()
	return d
}

// explainOwn knows the limits of this machine; false for other errors.
func explainOwn(d *DialError, err error) bool {
	switch {
	case errors.Is(err, syscall.EMFILE):
		d.Problem = "this process has no descriptor left (EMFILE)"
		d.Hint = "raise the limit (ulimit -n), use fewer devices, or spread them over more processes"
	case errors.Is(err, syscall.ENFILE):
		d.Problem = "this machine has no descriptor left (ENFILE)"
		d.Hint = "raise fs.file-max, or use fewer devices"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		d.Problem = "no port is left for this server from these source addresses (EADDRNOTAVAIL)"
		d.Hint = "use more source addresses, widen net.ipv4.ip_local_port_range, or let the server listen on more ports"
	case errors.Is(err, syscall.EADDRINUSE):
		d.Problem = "the source address and port are in use (EADDRINUSE)"
		d.Hint = "use more source addresses"
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		d.Problem = "the kernel has no memory left for sockets"
		d.Hint = "use fewer devices, or raise net.ipv4.tcp_mem"
	case errors.Is(err, errUnresolved):
		d.Problem, d.Hint = err.Error(), "call Endpoint.Resolve before the first Dial"
	case errors.Is(err, errNoStreams):
		d.Problem, d.Hint = err.Error(), "mem:// is for tests, which set Options.Streams"
	default:
		return false
	}
	return true
}

// explainServer knows what is the matter with the way to the server.
func explainServer(d *DialError, e *Endpoint, err error) bool {
	var dns *net.DNSError
	var status *upgradeError
	switch {
	case errors.As(err, &status):
		d.Problem, d.Hint = status.Error(), status.hint(e)
	case e.scheme == "unix" && errors.Is(err, fs.ErrNotExist):
		d.Problem, d.Hint = "there is no such socket", "is the gateway running, and does it have a unix listener with this path?"
	case e.scheme == "unix" && errors.Is(err, fs.ErrPermission):
		d.Problem, d.Hint = "permission denied", "does this user belong to the group that owns the socket?"
	case errors.Is(err, fs.ErrPermission):
		d.Problem, d.Hint = "this machine does not allow the connection", "does a firewall or sandbox forbid it?"
	case errors.Is(err, syscall.ECONNREFUSED):
		d.Problem, d.Hint = "nothing listens there (connection refused)", "is the gateway running, and is the port right?"
	case errors.As(err, &dns):
		d.Problem, d.Hint = "the host name is unknown", "check its spelling: "+e.host
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		d.Problem, d.Hint = "the host cannot be reached", "check the address and this machine's network"
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		d.Problem = "no answer in time"
		d.Hint = "is the host right, does no firewall stand between, and does the server keep up with accepting?"
	case e.websocket() && e.secure == nil && lost(err):
		d.Problem, d.Hint = "the server closed the connection instead of opening a WebSocket", "is this the port of a WebSocket listener?"
	case e.secure != nil && lost(err):
		d.Problem = "the server closed the connection during the TLS handshake"
		d.Hint = "is this the port of a TLS listener? without TLS the URL begins with " + plain(e) + "://"
	case lost(err):
		d.Problem = "the server closed the connection at once"
		d.Hint = "does it limit the connections of an address, or its own?"
	default:
		return false
	}
	return true
}

func lost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// plain is the scheme without TLS.
func plain(e *Endpoint) string { return strings.TrimSuffix(e.scheme, "s") }

// hint is what to do about an answer that is no WebSocket.
func (u *upgradeError) hint(e *Endpoint) string {
	switch u.status {
	case http.StatusNotFound:
		return fmt.Sprintf("is the path %s right? the usual one is /mqtt", e.path)
	case http.StatusForbidden, http.StatusUnauthorized:
		return "the web server in front wants something else: its configuration tells"
	}
	return "is this the port of a WebSocket listener?"
}

// explainTLS knows the ways in which a TLS handshake fails; false for other errors.
func explainTLS(d *DialError, e *Endpoint, err error) bool {
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	text := err.Error()
	switch {
	case errors.As(err, &record):
		d.Problem = "the server does not speak TLS on this port"
		d.Hint = fmt.Sprintf("use %s://, or the port of its TLS listener", plain(e))
	case errors.As(err, &unknown):
		d.Problem = "the server's certificate is signed by an authority that is not known here"
		d.Hint = "name that authority's certificate in tls.ca_file; tls.insecure connects without the check"
	case errors.As(err, &name):
		d.Problem = "the server's certificate is for another name: " + name.Error()
		d.Hint = "use that name in the URL, or set tls.server_name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		d.Problem = "the server's certificate is not valid now: " + invalid.Error()
		d.Hint = "check this machine's clock, or renew the certificate"
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"), strings.Contains(text, "unknown certificate"):
		d.Problem = "the server wants a certificate of this client that it trusts"
		d.Hint = "give one with tls.cert_file and tls.key_file"
	case strings.Contains(text, "tls:"):
		d.Problem = "the TLS handshake failed: " + text
		d.Hint = "have both sides a version of TLS in common, and does the server want a client certificate (tls.cert_file)?"
	default:
		return false
	}
	return true
}
