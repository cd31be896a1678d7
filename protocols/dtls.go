package protocols

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"

	"github.com/fairlead-iot/fairlead/core"
)

// dtlsSession is one DTLS connection: pion's state and the goroutine that reads from
// it. The connections above it are those of the nodes behind the peer, mostly one.
type dtlsSession struct {
	guard  *dtlsGuard
	port   *port
	from   dtlsAddr // where it began
	id     [cidSize]byte
	random [helloRandom]byte
	conn   *dtls.Conn
	pipe   *dtlsPipe
	cookie *[]byte // pion's, see swallow
	hello  []byte  // the second one, until pion asks for it
	proof  []byte  // its cookie
	ctx    context.Context
	cancel context.CancelFunc

	established atomic.Bool

	// The port's.
	conns   map[string]*dgramConn // by node
	counted bool                  // by itself, as it has no connection yet
	lost    bool
	// identified: the peer names its connection in what it protects. Data without a
	// name, which anyone could send in its address's name, is none of its.
	identified bool
}

// newDTLSSession begins a handshake with a peer whose cookie is valid.
func newDTLSSession(p *port, from dtlsAddr, h *clientHello) (*dtlsSession, error) {
	s := &dtlsSession{guard: p.guard, port: p, from: from, counted: true}
	copy(s.random[:], h.random)
	copy(s.id[:], p.guard.newID())
	s.pipe = &dtlsPipe{session: s, permit: p.listener.handshakes.permitFor(from.peer.Addr()), more: make(chan struct{}, 1)}
	options, err := p.listener.dtlsOptions(func() []byte { return append([]byte(nil), s.id[:]...) })
	if err != nil {
		return nil, err
	}
	if s.conn, err = dtls.ServerWithOptions(s.pipe, from, options...); err != nil {
		return nil, err
	}
	if s.cookie, err = cookieOf(s.conn); err != nil {
		return nil, err
	}
	s.hello = append([]byte(nil), h.record...)
	s.proof = append([]byte(nil), h.cookie...)
	s.ctx, s.cancel = context.WithTimeout(context.Background(), p.listener.cfg.HandshakeTimeout)
	s.pipe.feed(h.withoutCookie(), from)
	return s, nil
}

// cookieOf is the cookie that pion waits for on c. pion makes cookies at random, one
// for each connection that it keeps meanwhile. Ours are made of the hello and
// remembered nowhere, and pion has no way to be told one, so its field is set. Only
// its own goroutine does that, between its request and the answer.
func cookieOf(c *dtls.Conn) (*[]byte, error) {
	f := reflect.ValueOf(c).Elem().FieldByName("state")
	if f.IsValid() && f.Kind() == reflect.Struct {
		f = f.FieldByName("cookie")
	}
	if !f.IsValid() || f.Type() != reflect.TypeFor[[]byte]() {
		return nil, errors.New("this version of pion/dtls keeps its cookie elsewhere; protocols/dtls.go must follow it")
	}
	return (*[]byte)(unsafe.Pointer(f.UnsafeAddr())), nil
}

// swallow keeps pion's own HelloVerifyRequest from the peer, who has proven its
// address by our cookie: pion gets the hello with that one, and checks it as its own.
func (s *dtlsSession) swallow(b []byte) bool {
	if messageOf(b) != messageHelloVerifyRequest {
		return false
	}
	if s.hello != nil {
		*s.cookie = s.proof
		s.pipe.feed(s.hello, s.from)
		s.hello = nil
	}
	return true
}

// run is the session's goroutine: the handshake, then reading until the end.
func (s *dtlsSession) run() {
	err := s.conn.HandshakeContext(s.ctx)
	s.established.Store(err == nil)
	s.pipe.permit.giveBack()
	s.cancel()
	if err == nil {
		err = s.read()
	}
	s.conn.Close()
	s.port.post(func(p *port) { s.fail(p, err) })
}

// dtlsReadSize is the largest record that pion takes from the network.
const dtlsReadSize = 8192

func (s *dtlsSession) read() error {
	info, err := s.describe()
	if err != nil {
		return err
	}
	s.conn.SetReadDeadline(time.Now().Add(s.port.listener.cfg.ConnectTimeout))
	b := make([]byte, s.port.listener.datagramLimit())
	done := make(chan bool, 1)
	for waiting := true; ; {
		n, err := s.conn.Read(b)
		if err != nil {
			return err
		}
		if !s.port.post(func(p *port) { done <- s.message(p, b[:n], info) }) {
			return io.EOF
		}
		if met := <-done; met && waiting {
			waiting = false
			s.conn.SetReadDeadline(time.Time{})
		}
	}
}

// describe is what the handshake has shown of the peer.
func (s *dtlsSession) describe() (*ConnInfo, error) {
	state, ok := s.conn.ConnectionState()
	if !ok {
		return nil, errors.New("DTLS: the connection has no state")
	}
	info := &ConnInfo{Listener: s.port.listener, Peer: s.from.peer, Local: s.port.localOf(s.from.local), Secure: true}
	if len(state.PeerCertificates) == 0 {
		info.PSKIdentity = string(state.IdentityHint)
		return info, nil
	}
	t, err := s.port.listener.verified(state.PeerCertificates)
	info.TLS = t
	return info, err
}

// message hands one record's payload to whom it is for. It tells whether the peer has
// a connection.
func (s *dtlsSession) message(p *port, b []byte, info *ConnInfo) bool {
	if s.lost {
		return false
	}
	node, message := p.adapter.Split(b)
	c := s.conns[string(node)]
	if c == nil {
		c = s.meet(p, message, string(node), info, len(b))
	}
	if c != nil {
		c.receive(p, message, len(b))
	}
	return len(s.conns) > 0
}

// meet lets the adapter decide about a node without a connection. The address is
// proven, so answers have no limit but the session's own.
func (s *dtlsSession) meet(p *port, message []byte, node string, info *ConnInfo, size int) *dgramConn {
	if !p.accepting {
		return nil
	}
	p.info = *info
	p.info.Node = node
	p.act.Reset()
	open := p.adapter.Meet(p.turn, &p.info, message, &p.act)
	eachDatagram(p.act.Out, p.act.ends, s.write)
	if !open {
		return nil
	}
	if !s.counted && !p.mayEnter(s.from.peer) {
		return nil
	}
	s.counted = false
	keep := p.info
	c := &dgramConn{port: p, peer: s.from.peer, node: node, local: s.from.local, session: s, proven: true}
	if s.conns == nil {
		s.conns = map[string]*dgramConn{}
	}
	s.conns[node] = c
	p.engine.tally.opened()
	p.enroll(c)
	c.machine = p.adapter.NewMachine(&keep, c)
	return c
}

// write sends d as one record. Any goroutine; pion has a lock of its own, under which
// nothing waits.
func (s *dtlsSession) write(d []byte) { s.conn.Write(d) }

// leave takes note that a connection above has ended and said what it had to. The last
// one takes the session along.
func (s *dtlsSession) leave(p *port, c *dgramConn) {
	if s.conns[c.node] == c {
		delete(s.conns, c.node)
	}
	if len(s.conns) == 0 {
		s.lose(p)
	}
}

// lose ends the session and what is above it. Its goroutine says goodbye and ends.
func (s *dtlsSession) lose(p *port) {
	if s.lost {
		return
	}
	s.lost = true
	s.guard.forget(s)
	for _, c := range s.conns {
		c.end(p, core.ConnectionLost)
	}
	if s.counted {
		s.counted = false
		p.listener.leave(s.from.peer, true, true)
	}
	s.cancel()
	p.engine.wg.Go(func() { s.conn.Close() })
}

// fail ends what its own goroutine has given up.
func (s *dtlsSession) fail(p *port, err error) {
	if s.lost {
		return
	}
	if s.counted {
		p.refuse(dtlsReason(err, s.established.Load()), s.from.peer, "DTLS: "+errorText(err))
	}
	s.lose(p)
}

func dtlsReason(err error, established bool) core.Reason {
	if r := handshakeReason(err); r != core.ProtocolError || !established {
		if errors.Is(err, context.DeadlineExceeded) {
			return core.ConnectTimeout
		}
		return r
	}
	return core.ConnectionLost
}

// dtlsOptions is the listener's rules in pion's words.
func (l *Listener) dtlsOptions(id func() []byte) ([]dtls.ServerOption, error) {
	options := []dtls.ServerOption{
		dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}),
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret),
		dtls.WithReplayProtectionWindow(64),
	}
	if !l.cfg.DTLS.NoConnectionID {
		options = append(options, dtls.WithConnectionIDGenerator(id))
	}
	var suites []dtls.CipherSuiteID
	if keys := l.psk.Load(); keys != nil {
		options = append(options, dtls.WithPSK(keys.find))
		suites = append(suites, dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_256_CCM_8)
	}
	if c := l.tls.Load(); c != nil {
		options = append(options, certificateOptions(l, c)...)
		suites = append(suites, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384)
	}
	return append(options, dtls.WithCipherSuites(suites...)), nil
}

func certificateOptions(l *Listener, c *tls.Config) []dtls.ServerOption {
	options := []dtls.ServerOption{dtls.WithClientCAs(c.ClientCAs)}
	switch c.ClientAuth {
	case tls.VerifyClientCertIfGiven:
		options = append(options, dtls.WithClientAuth(dtls.VerifyClientCertIfGiven))
	case tls.RequireAndVerifyClientCert:
		options = append(options, dtls.WithClientAuth(dtls.RequireAndVerifyClientCert))
	}
	if c.GetCertificate != nil {
		options = append(options, dtls.WithGetCertificate(func(*dtls.ClientHelloInfo) (*tls.Certificate, error) { return c.GetCertificate(nil) }))
	} else {
		options = append(options, dtls.WithCertificates(c.Certificates...))
	}
	return append(options, dtls.WithVerifyConnection(func(s *dtls.State) error {
		if len(s.PeerCertificates) == 0 {
			return nil // client_auth says whether that may be
		}
		_, err := l.verified(s.PeerCertificates)
		return err
	}))
}

// verified is what TLS would say of a client that showed these certificates, or why
// they are refused.
func (l *Listener) verified(raw [][]byte) (*tls.ConnectionState, error) {
	c := l.tls.Load()
	state := &tls.ConnectionState{Version: 0xfefd, HandshakeComplete: true}
	between := x509.NewCertPool()
	for i, der := range raw {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		state.PeerCertificates = append(state.PeerCertificates, cert)
		if i > 0 {
			between.AddCert(cert)
		}
	}
	var err error
	state.VerifiedChains, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	if c.VerifyConnection != nil {
		err = c.VerifyConnection(*state)
	}
	return state, err
}
