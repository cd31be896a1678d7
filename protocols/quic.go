package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/fairlead-iot/fairlead/core"
)

// quicSocket is a UDP socket on which QUIC is spoken. To the pump it is a
// net.Listener: a connection is accepted once its handshake is done, and carries
// the bytes of its first stream. The socket outlives the listener: connections go
// on when nothing more is accepted, and the last one that ends closes it.
type quicSocket struct {
	of        *Listener
	udp       *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
	failed    func(peer netip.AddrPort, r core.Reason, detail string)

	attempts    sync.WaitGroup // handshakes and connections that are not gone yet
	handshaking atomic.Int64
	up, ending  <-chan struct{} // closed: the pump runs; nothing more is accepted
	end         func()
}

// quicAttempt is one connection from its first packet on.
type quicAttempt struct {
	peer netip.AddrPort
	done atomic.Bool // the handshake is
}

type quicAttemptKey struct{}

// bindQUIC opens the UDP sockets of a listener.
func (p *pumps) bindQUIC(ln *Listener) ([]net.Addr, error) {
	var opened []*quicSocket
	err := eachAddress(ln.cfg.Address, func(a netip.AddrPort) (netip.AddrPort, error) {
		s, err := p.listenQUIC(ln, a)
		if err != nil {
			return a, err
		}
		opened = append(opened, s)
		return s.Addr().(*net.UDPAddr).AddrPort(), nil
	}, func() {
		for _, s := range opened {
			s.Close()
			s.finish()
		}
		opened = nil
	})
	if err != nil {
		return nil, err
	}
	var addrs []net.Addr
	for _, s := range opened {
		p.sockets = append(p.sockets, &pumpSocket{Listener: s, of: ln})
		addrs = append(addrs, s.Addr())
	}
	return addrs, nil
}

func (p *pumps) listenQUIC(ln *Listener, a netip.AddrPort) (*quicSocket, error) {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	sizeUDP(udp, &ln.cfg, p.log)
	ending := make(chan struct{})
	s := &quicSocket{of: ln, udp: udp, up: p.up, ending: ending, end: sync.OnceFunc(func() { close(ending) }), failed: func(peer netip.AddrPort, r core.Reason, detail string) {
		p.refuseEarly(ln, peer, r, detail)
	}}
	s.transport = &quic.Transport{
		Conn: quicPackets{udp}, ConnContext: s.attempt,
		VerifySourceAddress: func(net.Addr) bool { return s.wantsProof() },
	}
	s.listener, err = s.transport.Listen(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return ln.tls.Load(), nil },
	}, quicConfig(&ln.cfg, ln.adapter))
	if err != nil {
		udp.Close()
		return nil, err
	}
	return s, nil
}

// quicPackets hides from quic-go what it would size by itself, with a warning on
// standard error: sizeUDP does it, and the operator's log tells.
type quicPackets struct{ *net.UDPConn }

// SetReadBuffer and SetWriteBuffer are sizeUDP's.
func (quicPackets) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing.
func (quicPackets) SetWriteBuffer(int) error { return nil }

// udpBuffer is what a socket of many connections should have in the kernel: all of
// them share it, and what does not fit is lost and sent again.
const udpBuffer = 2 << 20

// sizeUDP sizes the kernel's buffers: best effort, a tuning and no promise.
func sizeUDP(c *net.UDPConn, cfg *ListenerConfig, log *slog.Logger) {
	read, write := udpBuffer, udpBuffer
	if cfg.RecvBuffer > 0 {
		read = cfg.RecvBuffer
	}
	if cfg.SendBuffer > 0 {
		write = cfg.SendBuffer
	}
	if err := errors.Join(c.SetReadBuffer(read), c.SetWriteBuffer(write)); err != nil {
		log.Debug("the UDP socket keeps the system's buffers", "address", c.LocalAddr().String(), "error", err)
	}
}

// quicConfig is the listener's bounds in quic-go's words.
func quicConfig(c *ListenerConfig, a Adapter) *quic.Config {
	streams := 1 // others would wait for ever
	if _, divides := a.(StreamAdapter); divides {
		streams = c.QUIC.Streams
	}
	return &quic.Config{
		HandshakeIdleTimeout:           max(c.HandshakeTimeout/2, time.Millisecond), // it allows twice this in all
		MaxIdleTimeout:                 c.QUIC.IdleTimeout,
		KeepAlivePeriod:                c.QUIC.IdleTimeout / 2,
		MaxIncomingStreams:             int64(streams),
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     uint64(min(c.QUIC.Window, firstWindow)),
		MaxStreamReceiveWindow:         uint64(c.QUIC.Window),
		InitialConnectionReceiveWindow: uint64(min(c.QUIC.Window, firstWindow)),
		// Twice as much where there are several: one that stalls leaves room for others.
		MaxConnectionReceiveWindow: uint64(c.QUIC.Window) * uint64(min(streams, 2)),
	}
}

// firstWindow is the bytes that a stream may send before anything was read of it;
// quic-go widens it for those who are fast.
const firstWindow = 64 << 10

// wantsProof tells whether a client must first show that its address is its own:
// one round trip more, and nobody can start handshakes in the name of others.
func (s *quicSocket) wantsProof() bool {
	switch s.of.cfg.QUIC.Retry {
	case "always":
		return true
	case "never":
		return false
	}
	return s.handshaking.Load() >= int64(s.of.cfg.QUIC.RetryAbove)
}

// attempt begins to count a connection, or refuses it. ctx ends with the handshake
// if that fails, else with the connection.
func (s *quicSocket) attempt(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	a := &quicAttempt{peer: netAddrPort(info.RemoteAddr)}
	if s.handshaking.Load() >= int64(s.of.cfg.MaxUnauthenticated) {
		s.failed(a.peer, core.ConnectionLimit, "too many QUIC handshakes at once")
		return nil, errors.New("too many handshakes")
	}
	s.handshaking.Add(1)
	s.attempts.Add(1)
	context.AfterFunc(ctx, func() {
		defer s.attempts.Done()
		if a.done.CompareAndSwap(false, true) {
			s.handshaking.Add(-1)
			s.explain(a, context.Cause(ctx))
		}
	})
	return context.WithValue(ctx, quicAttemptKey{}, a), nil
}

// explain tells of a handshake that failed.
func (s *quicSocket) explain(a *quicAttempt, err error) {
	select {
	case <-s.ending:
		return // the gateway ends
	default:
	}
	select {
	case <-s.ending:
	case <-s.up:
	}
	s.failed(a.peer, handshakeReason(err), "QUIC handshake: "+errorText(err))
}

func errorText(err error) string {
	if err == nil {
		return "ended"
	}
	return err.Error()
}

// Accept implements net.Listener.
func (s *quicSocket) Accept() (net.Conn, error) {
	c, err := s.listener.Accept(context.Background())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", net.ErrClosed, err)
	}
	if a, ok := c.Context().Value(quicAttemptKey{}).(*quicAttempt); ok && a.done.CompareAndSwap(false, true) {
		s.handshaking.Add(-1)
	}
	return newQUICConn(c), nil
}

// Addr implements net.Listener.
func (s *quicSocket) Addr() net.Addr { return s.udp.LocalAddr() }

// Close implements net.Listener: nothing more is accepted; finish does the rest.
func (s *quicSocket) Close() error {
	s.end()
	return s.listener.Close()
}

// finish waits until Close was called and no connection of the socket is left, and
// closes it.
func (s *quicSocket) finish() {
	<-s.ending
	for { // whom nobody took
		c, err := s.listener.Accept(context.Background())
		if err != nil {
			break
		}
		c.CloseWithError(0, "the gateway ends")
	}
	s.attempts.Wait()
	s.transport.Close()
	s.udp.Close()
}

// refuseEarly counts and explains what ended before there was a connection. Any
// goroutine. It is not explained while the pump does not run.
func (p *pumps) refuseEarly(ln *Listener, peer netip.AddrPort, r core.Reason, detail string) {
	select {
	case <-p.up:
	default:
		ln.refused[r].Add(1)
		return
	}
	t := p.borrow()
	ln.refuse(p.gateway, t, r, peer, detail)
	p.giveBack(t)
}
