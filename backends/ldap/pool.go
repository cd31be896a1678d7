package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// maxIdle is how long a connection is kept that nobody uses: firewalls forget those that
// are kept longer.
const maxIdle = 5 * time.Minute

// maxAnswer bounds what is read for one operation, in bytes.
const maxAnswer = 1 << 20

// conn is a connection to the directory; one at a time uses it.
type conn struct {
	*goldap.Conn
	raw  *bounded
	used time.Time // last
}

// bounded is a network connection that gives so many bytes and no more.
type bounded struct {
	net.Conn
	left atomic.Int64
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	left := b.left.Load()
	if left <= 0 {
		return 0, fmt.Errorf("the directory's answer is longer than %d bytes", maxAnswer)
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), left)])
	b.left.Add(-int64(n))
	return n, err
}

// pool keeps connections that are bound as the same user, or as whoever came last.
type pool struct {
	cfg   *Config
	tls   *tls.Config
	user  string // bound as; "": as nobody
	pass  string
	slots chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

func newPool(c *Config, t *tls.Config, user, password string) *pool {
	return &pool{cfg: c, tls: t, user: user, pass: password, slots: make(chan struct{}, c.PoolSize)}
}

// do has f use a connection. One that was kept may have ended meanwhile: then f is called
// again with a new one. It blocks up to ctx and the configuration's timeout.
func (p *pool) do(ctx context.Context, f func(*conn) error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return fmt.Errorf("no connection was free: %w", ctx.Err())
	}
	deadline := time.Now().Add(p.cfg.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if c := p.take(); c != nil {
		err := p.use(c, deadline, f)
		if !broken(err) || !time.Now().Before(deadline) {
			return err
		}
	}
	c, err := p.dial(ctx, deadline)
	if err != nil {
		return err
	}
	return p.use(c, deadline, f)
}

// use calls f and keeps the connection, unless it is broken.
func (p *pool) use(c *conn, deadline time.Time, f func(*conn) error) error {
	c.raw.left.Store(maxAnswer)
	_ = c.raw.SetDeadline(deadline)
	err := f(c)
	if broken(err) || c.IsClosing() || c.raw.SetDeadline(time.Time{}) != nil {
		c.Close()
		return err
	}
	c.used = time.Now()
	p.mu.Lock()
	keep := !p.closed
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.Close()
	}
	return err
}

// broken says that an error is one of the connection, not the directory's answer.
func broken(err error) bool {
	if err == nil {
		return false
	}
	var e *goldap.Error
	return !errors.As(err, &e) || e.ResultCode >= goldap.ErrorNetwork || e.ResultCode == goldap.LDAPResultUnavailable || e.ResultCode == goldap.LDAPResultBusy
}

// take gives the connection that was used last, nil for none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !c.IsClosing() && time.Since(c.used) < maxIdle {
			return c
		}
		go c.Close() // which says goodbye, and may wait
	}
	return nil
}

// dial connects to the first server that answers, and binds.
func (p *pool) dial(ctx context.Context, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var errs []error
	for _, server := range p.cfg.Server {
		c, err := p.dialOne(ctx, server, deadline)
		if err == nil {
			return c, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
	}
	return nil, errors.Join(errs...)
}

func (p *pool) dialOne(ctx context.Context, server string, deadline time.Time) (*conn, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": goldap.DefaultLdapPort, "ldaps": goldap.DefaultLdapsPort}[u.Scheme]
	}
	network, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	raw := &bounded{Conn: network}
	raw.left.Store(maxAnswer)
	_ = raw.SetDeadline(deadline)
	t := p.tls.Clone()
	t.ServerName = u.Hostname()
	c := &conn{raw: raw}
	if u.Scheme == "ldaps" {
		secure := tls.Client(raw, t)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		c.Conn = goldap.NewConn(secure, true)
	} else {
		c.Conn = goldap.NewConn(raw, false)
	}
	c.SetTimeout(p.cfg.Timeout)
	c.Start()
	if p.cfg.StartTLS {
		err = c.StartTLS(t)
	}
	if err == nil && p.user != "" {
		err = c.Bind(p.user, p.pass)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// close ends what is kept; what is in use ends when it is done.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}
