package devices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// notMQTT is an answer that is no CONNACK.
type notMQTT struct {
	got []byte
	err error
}

func (e *notMQTT) Error() string { return e.err.Error() }
func (e *notMQTT) Unwrap() error { return e.err }

// explainDial says what is the matter with the way to the server.
func explainDial(a *address, err error) error {
	e := &DialError{URL: a.shown, Err: err}
	var dns *net.DNSError
	var status *upgradeError
	switch {
	case errors.As(err, &status):
		e.Problem, e.Hint = status.Error(), status.hint(a)
	case a.scheme == "unix" && errors.Is(err, fs.ErrNotExist):
		e.Problem, e.Hint = "there is no such socket", "is the gateway running, and does it have a unix listener with this path?"
	case errors.Is(err, fs.ErrPermission):
		e.Problem, e.Hint = "permission denied", "does this user belong to the group that owns the socket?"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Problem, e.Hint = "nothing listens there (connection refused)", "is the gateway running, and is the port right?"
	case errors.As(err, &dns):
		e.Problem, e.Hint = "the host name is unknown", "check its spelling: "+a.host
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Problem, e.Hint = "the host cannot be reached", "check the address and this machine's network"
	case a.secure() && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		e.Problem = "the server closed the connection during the TLS handshake"
		e.Hint = fmt.Sprintf("is this the port of a TLS listener? without TLS the URL begins with %s://", strings.TrimSuffix(a.scheme, "s"))
	case isTimeout(err):
		e.Problem, e.Hint = "no answer in time", "is the host right, and does no firewall stand between?"
	default:
		if !explainTLS(e, a, err) {
			e.Problem = err.Error()
		}
	}
	return e
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// explainTLS knows the ways in which a TLS handshake fails; false for other errors.
func explainTLS(e *DialError, a *address, err error) bool {
	var plain tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var file *fileError
	text := err.Error()
	switch {
	case errors.As(err, &file):
		e.Problem = text
	case errors.As(err, &plain):
		e.Problem = "the server does not speak TLS on this port"
		e.Hint = fmt.Sprintf("use %s://, or the port of its TLS listener", strings.TrimSuffix(a.scheme, "s"))
	case errors.As(err, &unknown):
		e.Problem = "the server's certificate is signed by an authority that is not known here"
		e.Hint = "name that authority's certificate with --cafile FILE; --insecure connects without the check"
	case errors.As(err, &name):
		e.Problem = "the server's certificate is for another name: " + name.Error()
		e.Hint = "use that name in the URL, or --servername NAME"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Problem = "the server's certificate is not valid now: " + invalid.Error()
		e.Hint = "check this machine's clock, or renew the certificate"
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"), strings.Contains(text, "unknown certificate"):
		e.Problem = "the server wants a certificate of this client that it trusts"
		e.Hint = "give one with --cert FILE and --key FILE"
	case strings.Contains(text, "tls:"):
		e.Problem = "the TLS handshake failed: " + text
	default:
		return false
	}
	return true
}

// explainHandshake says why a server that was reached did not accept.
func explainHandshake(a *address, o *Options, err error) error {
	e := &DialError{URL: a.shown, Err: err}
	var no *ReasonError
	var odd *notMQTT
	switch {
	case errors.As(err, &no):
		e.Problem, e.Hint = no.Error(), refusalHint(no, o)
	case errors.As(err, &odd):
		e.Problem, e.Hint = "the server does not answer in MQTT: "+odd.Error(), oddHint(a, odd.got)
	case isTimeout(err):
		e.Problem, e.Hint = "the server was reached and does not answer", oddHint(a, nil)
	case explainTLS(e, a, err): // TLS 1.3 tells of a missing certificate only now
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Problem, e.Hint = "the server closed the connection without an answer", oddHint(a, nil)
	default:
		e.Problem = err.Error()
	}
	return e
}

// refusalHint says what helps against the server's no.
func refusalHint(no *ReasonError, o *Options) string {
	if no.Code == packet.ReasonBadAuthenticationMethod {
		return "choose another authentication method, or none to send the password itself"
	}
	switch no.Code.ReturnCode() {
	case 4, 5:
		if o.Username == "" {
			return "it wants to know who this is: give a user name and password"
		}
		return "check user name and password"
	case 2:
		return "choose another client identifier"
	case 1:
		return "choose another MQTT version"
	}
	return ""
}

// oddHint guesses what sits on the port.
func oddHint(a *address, got []byte) string {
	switch {
	case !a.secure() && a.scheme != "unix" && len(got) > 1 && got[0] == 0x15 && got[1] == 3:
		return fmt.Sprintf("that is TLS: use %ss://", a.scheme)
	case strings.HasPrefix(string(got), "HTTP/"):
		return "that is a web server: use ws://, or the port of the MQTT listener"
	case !a.secure():
		return "is this the port of a plain MQTT listener?"
	}
	return "is this the port of an MQTT listener?"
}
