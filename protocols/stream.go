package protocols

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// stream turns a socket's bytes into the machine's and back: nothing, TLS,
// WebSocket, or one over the other. It has no goroutine and drives nothing, so
// that it can stand on an event loop as well as on the pump.
type stream interface {
	// wait parks until read may give something.
	wait() error
	// read gives bytes of the client, errAgain when there are none at present, or
	// errNothing when what came was the layer's own and there may be more.
	read(b []byte) (int, error)
	// write takes b into the socket; it never blocks. The caller flushes.
	write(b []byte) error
	// leave writes the layer's own goodbye for r.
	leave(r core.Reason)
	// worked is about what the layer itself took of a processor since it was asked
	// last, beyond what each byte costs. The reader's.
	worked() time.Duration
}

// errNothing says that a read brought the machine nothing.
var errNothing = errors.New("nothing for the machine")

// plainStream is a socket as it is.
type plainStream struct{ *socket }

func (s plainStream) wait() error                { return s.fill() }
func (s plainStream) read(b []byte) (int, error) { return s.Read(b) }
func (s plainStream) write(b []byte) error       { _, err := s.Write(b); return err }
func (s plainStream) leave(core.Reason)          {}
func (s plainStream) worked() time.Duration      { return 0 }

// tlsStream is TLS over a polling socket: every read decrypts what is there and
// ends with errAgain.
type tlsStream struct {
	*tls.Conn
	socket *socket
}

func (s tlsStream) wait() error          { return s.socket.fill() }
func (s tlsStream) write(b []byte) error { _, err := s.Write(b); return err }
func (s tlsStream) leave(core.Reason)    { s.CloseWrite() }

// worked: records without content end in crypto/tls after 16 of them.
func (s tlsStream) worked() time.Duration { return 0 }

// read fills b as far as whole records allow.
func (s tlsStream) read(b []byte) (int, error) {
	total := 0
	for total < len(b) {
		n, err := s.Read(b[total:])
		total += n
		if err != nil {
			if total > 0 && errors.Is(err, errAgain{}) {
				return total, nil
			}
			return total, err
		}
	}
	return total, nil
}

// handshake makes the TLS connection.
func handshake(s *socket, cfg *tls.Config) (*tls.Conn, error) {
	c := tls.Server(s, cfg)
	err := c.Handshake()
	s.flush() // the alert that says why, or session tickets
	if err != nil {
		return nil, err
	}
	return c, nil
}

func handshakeError(err error) error {
	return &refusal{handshakeReason(err), "TLS handshake: " + err.Error()}
}

// handshakeReason sorts the ends of a TLS handshake.
func handshakeReason(err error) core.Reason {
	var cert *tls.CertificateVerificationError
	var ruled *certificateRefusal
	var late net.Error
	switch {
	case errors.As(err, &cert), errors.As(err, &ruled):
		return core.NotAuthorized
	case errors.As(err, &late) && late.Timeout():
		return core.ConnectTimeout
	case errors.Is(err, io.EOF):
		return core.ConnectionLost
	}
	return core.ProtocolError
}
