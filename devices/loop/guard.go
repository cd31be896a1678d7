package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
)

// Guard is the shared key with which a port speaks DTLS.
type Guard struct {
	Identity string
	Key      []byte
}

// ErrUnanswered is the end of a port whose DTLS handshake nobody answered within
// ten seconds: it or its answers were lost, or the address changed on the way.
var ErrUnanswered = errors.New("loop: the DTLS handshake was not answered")

const (
	// maxRecord is the longest DTLS record that a port takes, in bytes; gateways send
	// shorter ones.
	maxRecord = 8192
	// maxWaiting bounds the datagrams that wait for a port's DTLS in each direction; what
	// comes on top is lost, as on any network.
	maxWaiting = 64
	// handshakeTime bounds a handshake; the device begins another one then.
	handshakeTime = 10 * time.Second
	// postAgain is how long a goroutine waits until it asks a full loop again.
	postAgain = 10 * time.Millisecond
)

// guards are the DTLS associations of a loop. Beside its goroutines each takes a permit of
// Options.Handshakes while it computes its keys.
type guards struct {
	all   map[*guarded]struct{}
	queue []*guarded // wait for a permit
	busy  int        // permits that are given
}

// guarded is the DTLS association of a port. pion/dtls wants goroutines that wait for the
// network: they wait for datagrams that the loop hands them, and what they say goes out by
// the loop. The loop's own are all fields above mu.
type guarded struct {
	l      *Loop
	p      *Port
	g      *Guard
	conn   *dtls.Conn // nil until the handshake is done
	done   context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	in     [][]byte
	out    [][]byte
	until  time.Time
	closed bool
	more   chan struct{}
}

var _ net.PacketConn = (*guarded)(nil)

// guard begins the DTLS association of p.
func (l *Loop) guard(p *Port, g *Guard) {
	s := &guarded{l: l, p: p, g: g, more: make(chan struct{}, 1)}
	s.done, s.cancel = context.WithCancel(context.Background())
	p.guard = s
	if l.guards.all == nil {
		l.guards.all = map[*guarded]struct{}{}
	}
	l.guards.all[s] = struct{}{}
	l.guards.queue = append(l.guards.queue, s)
	l.startGuards()
}

// startGuards takes from the queue as many as there are permits for.
func (l *Loop) startGuards() {
	g := &l.guards
	for len(g.queue) > 0 && g.busy < l.opt.Handshakes {
		s := g.queue[0]
		g.queue[0] = nil
		g.queue = g.queue[1:]
		if s.done.Err() != nil {
			continue
		}
		g.busy++
		l.secured.Add(1)
		go s.run()
	}
}

// close ends all associations.
func (g *guards) close() {
	for s := range g.all {
		s.leave()
	}
	g.queue = nil
}

// leave ends the association without a word; what is under way is lost.
func (s *guarded) leave() {
	delete(s.l.guards.all, s)
	s.cancel()
	s.mu.Lock()
	s.closed, s.in, s.out = true, nil, nil
	s.mu.Unlock()
	s.signal()
}

// run is the goroutine: it makes the association, and then reads from it.
func (s *guarded) run() {
	defer s.l.secured.Done()
	conn, err := s.shake()
	s.post(func() { s.shaken(conn, err) })
	if err != nil {
		return
	}
	defer context.AfterFunc(s.done, func() { conn.Close() })()
	buf := make([]byte, maxRecord)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			s.post(func() { s.over(err) })
			conn.Close()
			return
		}
		b := append([]byte(nil), buf[:n]...)
		s.post(func() {
			if s.p.guard == s {
				s.p.r.Received(b)
			}
		})
	}
}

// shake makes the association. The connection id lets it survive another address.
// [RFC 9146]
func (s *guarded) shake() (*dtls.Conn, error) {
	ctx, cancel := context.WithTimeout(s.done, handshakeTime)
	defer cancel()
	conn, err := dtls.ClientWithOptions(s, gatewayAddr{},
		dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()),
		dtls.WithPSK(func([]byte) ([]byte, error) { return s.g.Key, nil }), dtls.WithPSKIdentityHint([]byte(s.g.Identity)),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CCM))
	if err != nil {
		return nil, err
	}
	if err = conn.HandshakeContext(ctx); err == nil {
		return conn, nil
	}
	conn.Close()
	if ctx.Err() != nil {
		err = ErrUnanswered
	}
	return nil, fmt.Errorf("DTLS: %w", err)
}

// post has the loop do f, also where it is busy; not once it has ended.
func (s *guarded) post(f func()) {
	for !s.l.Post(f) {
		s.l.mu.Lock()
		ended := s.l.ended
		s.l.mu.Unlock()
		if ended {
			return
		}
		<-time.After(postAgain)
	}
}

// shaken is how the handshake ended.
func (s *guarded) shaken(conn *dtls.Conn, err error) {
	s.l.guards.busy--
	s.l.startGuards()
	switch {
	case s.p.guard != s: // it was closed meanwhile
	case err != nil:
		s.over(err)
	default:
		s.conn = conn
		s.p.r.Opened()
	}
}

// over tells the device that the association ended.
func (s *guarded) over(err error) {
	if s.p.guard == s {
		s.conn = nil
		s.p.r.Ended(err)
	}
}

// send encrypts b; before the handshake is done there is nowhere to send it.
func (s *guarded) send(b []byte) {
	if s.conn != nil {
		_, _ = s.conn.Write(b) // it only notes the record: see WriteTo
	}
}

// feed takes a record from the network.
func (s *guarded) feed(b []byte) {
	s.mu.Lock()
	if !s.closed && len(s.in) < maxWaiting {
		s.in = append(s.in, append([]byte(nil), b...))
	}
	s.mu.Unlock()
	s.signal()
}

func (s *guarded) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// flush sends what was noted.
func (s *guarded) flush() {
	s.mu.Lock()
	out := s.out
	s.out = nil
	s.mu.Unlock()
	for _, b := range out {
		if s.p.guard == s {
			s.p.launch(b)
		}
	}
}

// ReadFrom implements net.PacketConn for pion/dtls.
func (s *guarded) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, until, err := s.next(b)
		if n > 0 || err != nil {
			return n, gatewayAddr{}, err
		}
		var late <-chan time.Time
		if !until.IsZero() {
			late = time.After(time.Until(until))
		}
		select {
		case <-s.more:
		case <-late:
		}
	}
}

func (s *guarded) next(b []byte) (n int, until time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return 0, s.until, net.ErrClosed
	case !s.until.IsZero() && !time.Now().Before(s.until):
		return 0, s.until, os.ErrDeadlineExceeded
	case len(s.in) == 0:
		s.in = nil
		return 0, s.until, nil
	}
	n = copy(b, s.in[0])
	s.in = s.in[1:]
	return n, s.until, nil
}

// WriteTo implements net.PacketConn: it notes a record for the loop.
func (s *guarded) WriteTo(b []byte, _ net.Addr) (int, error) {
	s.mu.Lock()
	first := len(s.out) == 0 && !s.closed
	if !s.closed && len(s.out) < maxWaiting {
		s.out = append(s.out, append([]byte(nil), b...))
	}
	s.mu.Unlock()
	if first && !s.l.Post(s.flush) {
		s.mu.Lock()
		s.out = nil // lost: the loop has ended, or has no time at all
		s.mu.Unlock()
	}
	return len(b), nil
}

// Close implements net.PacketConn; the port owns its way.
func (s *guarded) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
	return nil
}

// LocalAddr implements net.PacketConn; it has no meaning for pion/dtls.
func (s *guarded) LocalAddr() net.Addr { return gatewayAddr{} }

// SetDeadline implements net.PacketConn.
func (s *guarded) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (s *guarded) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	s.until = t
	s.mu.Unlock()
	s.signal()
	return nil
}

// SetWriteDeadline implements net.PacketConn; writing never waits.
func (s *guarded) SetWriteDeadline(time.Time) error { return nil }

// gatewayAddr is the one address that a port speaks to.
type gatewayAddr struct{}

// Network implements net.Addr.
func (gatewayAddr) Network() string { return "udp" }

// String implements net.Addr.
func (gatewayAddr) String() string { return "gateway" }
