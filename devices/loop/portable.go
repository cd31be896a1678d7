package loop

import (
	"context"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// portable is the kernel of a loop that waits in Go's scheduler. Connections over
// the network are streams that goroutines serve.
type portable struct {
	l      *Loop
	waker  chan struct{}
	timer  *time.Timer
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newPortable(l *Loop) *portable {
	p := &portable{l: l, waker: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *portable) collect(wait int64) {
	if wait == 0 {
		return
	}
	if wait < 0 {
		<-p.waker
		return
	}
	if p.timer == nil {
		p.timer = time.NewTimer(time.Duration(wait))
	} else {
		p.timer.Reset(time.Duration(wait))
	}
	select {
	case <-p.waker:
		p.timer.Stop()
	case <-p.timer.C:
	}
}

func (p *portable) deliver() {}

func (p *portable) wake() {
	select {
	case p.waker <- struct{}{}:
	default:
	}
}

func (p *portable) close() {
	p.cancel()
	p.wg.Wait()
}

// dial connects in a goroutine, which ends with the connection.
func (p *portable) dial(c *Conn, i int) error {
	network, address := "unix", c.e.path
	d := net.Dialer{Timeout: p.l.opt.DialTimeout}
	if c.e.network() {
		network, address = "tcp", c.e.addrs[i].String()
		// Elsewhere loopback is one address.
		if src := p.l.opt.Sources.pick(c.e.addrs[i].Addr()); src.IsValid() && runtime.GOOS == "linux" {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
		}
	}
	s := &served{p: p, ready: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(p.ctx)
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		conn, err := dialPatiently(s.ctx, &d, network, address)
		if !s.begin(conn, err) {
			return
		}
		s.readOn()
	}()
	p.l.attach(c, s)
	return nil
}

// dialPatiently dials anew while a Unix socket's queue is full.
func dialPatiently(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	for {
		conn, err := d.DialContext(ctx, network, address)
		if err == nil || !again(err) {
			return conn, err
		}
		select {
		case <-time.After(retryBacklog):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

const (
	servedRead  = 4 << 10  // bytes read ahead of the loop
	servedWrite = 64 << 10 // bytes that wait for the kernel
)

// served is a Stream made of a net.Conn. One goroutine connects and then reads; one
// more writes while there is something that was not written.
type served struct {
	p      *portable
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{} // the loop took what was read

	mu      sync.Mutex
	conn    net.Conn // nil until connected
	err     error    // of connecting, reading or writing
	in      []byte   // read and not taken
	out     []byte   // taken and not written
	writing bool     // the writer is at work
	ended   bool     // Close or Reset was called
	drains  bool     // what comes is of no interest: only the server's end is awaited
	notify  func()
}

// begin notes the outcome of dialling; false if there is nothing to read.
func (s *served) begin(conn net.Conn, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		if conn != nil {
			conn.Close()
		}
		return false
	}
	s.conn, s.err = conn, err
	s.tell()
	return err == nil
}

// tell notifies; mu is held.
func (s *served) tell() {
	if s.notify != nil {
		s.notify()
	}
}

// readOn reads until the end.
func (s *served) readOn() {
	buf := make([]byte, servedRead)
	for {
		n, err := s.conn.Read(buf)
		s.mu.Lock()
		if s.drains {
			s.mu.Unlock()
			s.drain()
			return
		}
		s.in = buf[:n]
		if err != nil {
			s.err = err
		}
		s.tell()
		s.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case <-s.ready:
		case <-s.ctx.Done():
			s.drain()
			return
		}
	}
}

// drain reads to the server's end after Close, or until its deadline: closed with
// unread input, the connection would be reset, which may overtake the goodbye.
func (s *served) drain() {
	stop := context.AfterFunc(s.p.ctx, func() { s.conn.Close() })
	defer stop()
	_, _ = io.Copy(io.Discard, s.conn)
	s.conn.Close()
}

// Notify implements Stream.
func (s *served) Notify(f func()) {
	s.mu.Lock()
	s.notify = f
	s.mu.Unlock()
}

// TryRead implements Stream.
func (s *served) TryRead(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) > 0 {
		n := copy(b, s.in)
		if s.in = s.in[n:]; len(s.in) == 0 && s.err == nil {
			s.ready <- struct{}{} // the reader waits for it, once for each read
		}
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	return 0, errAgain
}

// TryWrite implements Stream.
func (s *served) TryWrite(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil && s.err != io.EOF:
		return 0, s.err
	case s.conn == nil:
		return 0, errAgain
	}
	n := min(len(b), servedWrite-len(s.out))
	s.out = append(s.out, b[:n]...)
	if len(s.out) > 0 && !s.writing {
		s.writing = true
		s.p.wg.Add(1)
		go s.writeOn()
	}
	if n < len(b) {
		return n, errAgain
	}
	return n, nil
}

// writeOn writes until nothing is left.
func (s *served) writeOn() {
	defer s.p.wg.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) > 0 {
		b := s.out
		s.out = nil
		s.mu.Unlock()
		_, err := s.conn.Write(b)
		s.mu.Lock()
		if err != nil {
			if s.err == nil {
				s.err = err
			}
			s.out = nil
		}
		s.tell()
	}
	s.writing = false
	if s.ended {
		s.shut()
	}
}

// shut ends the connection in order; mu is held.
func (s *served) shut() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if ok && s.err == nil && half.CloseWrite() == nil {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.p.l.opt.Linger))
		s.drains = true // and the reader closes
	} else {
		s.conn.Close()
	}
	s.cancel()
}

// Close implements Stream. What the kernel does not take in Options.DialTimeout is
// lost.
func (s *served) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	switch {
	case s.conn == nil:
		s.cancel()
	case s.writing:
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.p.l.opt.DialTimeout))
	default:
		s.shut()
	}
	return nil
}

// Reset implements Stream.
func (s *served) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.cancel()
	if s.conn != nil {
		if tcp, ok := s.conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		s.conn.Close()
	}
	return nil
}
