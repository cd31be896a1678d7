package simnet

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	firstKnock = 10 * time.Millisecond // after which a try to connect is repeated
	longKnock  = time.Second
	knockFor   = time.Minute // after which connecting has failed
)

// Dial connects to the listener at to and waits until it is reached, refused, or ctx
// ends. from is the source ("ip:port", port 0 for any), "" any. The errors are those
// of net.Dialer.
func (n *Network) Dial(ctx context.Context, from, to string) (*Conn, error) {
	c, err := n.Connect(from, to)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		c.s.mu.Lock()
		c.wakeReader(&calls{})
		c.s.mu.Unlock()
	})
	defer stop()
	c.s.mu.Lock()
	for c.has(connecting) && ctx.Err() == nil {
		c.await(0)
	}
	waits, failed := c.has(connecting), c.fail
	c.s.mu.Unlock()
	if waits || failed != noFailure {
		err := ctx.Err()
		if !waits {
			err = failed.error("connect")
		}
		c.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: timeoutOf(err)}
	}
	return c, nil
}

// timeoutOf makes a context's deadline a timeout in net's sense, with the cause kept.
func timeoutOf(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return dialTimeout{err}
	}
	return err
}

type dialTimeout struct{ error }

// Timeout is part of net.Error.
func (dialTimeout) Timeout() bool { return true }

// Temporary is part of net.Error.
func (dialTimeout) Temporary() bool { return true }

// Unwrap gives the context's error.
func (d dialTimeout) Unwrap() error { return d.error }

// Connect begins to connect and returns at once. Until the stream is there, TryWrite
// gives ErrWouldBlock (Write waits); Notify tells when it is, or when it failed, and
// TryRead then gives the error. The errors of Connect itself are those of its
// arguments.
func (n *Network) Connect(from, to string) (*Conn, error) {
	dst, err := n.parse(to, false)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	src, err := n.source(from)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	n.counters.dials.Add(1)
	s := &stream{net: n, window: int(n.window.Load())}
	s.ends[0] = Conn{s: s, addr: src, flags: connecting | tellWrite}
	s.ends[1] = Conn{s: s, addr: loopback(dst)}
	if from == "" || portOf(from) == "0" {
		s.ends[0].flags |= madeUpPort
	}
	k := &knock{s: s, line: line{chance: n.chanceOf(s.ends[0].seedAddr(), dst, 2)}, until: n.now() + knockFor, pause: firstKnock}
	k.try()
	return &s.ends[0], nil
}

func portOf(from string) string {
	_, port, _ := net.SplitHostPort(from)
	return port
}

// Dialer gives a DialContext function, as many clients take one, that dials from this
// source ("" for any). It knows the networks tcp and udp, also with 4 and 6.
func (n *Network) Dialer(from string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		switch network {
		case "tcp", "tcp4", "tcp6":
		case "udp", "udp4", "udp6":
			c, err := n.DialPacket(from, address)
			if err != nil {
				return nil, err
			}
			return c, nil
		default:
			return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
		}
		c, err := n.Dial(ctx, from, address)
		if err != nil {
			return nil, err // not a *Conn of nil in a net.Conn
		}
		return c, nil
	}
}

// knock is the way of a stream to its listener.
type knock struct {
	line
	s     *stream
	until time.Duration
	pause time.Duration
}

// try sends the wish to connect on its way.
func (k *knock) try() {
	n := k.s.net
	k.s.mu.Lock()
	rules := *k.s.conditions()
	k.s.mu.Unlock()
	switch {
	case rules.Cut:
		k.again()
	case rules.instant():
		k.due()
	default:
		at, lost := k.arrives(n.now(), 0, &rules)
		n.counters.retransmitted.Add(lost)
		n.at(at, k)
	}
}

// again repeats it after a pause, or gives up.
func (k *knock) again() {
	n := k.s.net
	if n.now() >= k.until {
		var out calls
		k.s.mu.Lock()
		k.s.ends[0].breaks(timedOut, &out)
		k.s.mu.Unlock()
		out.do()
		return
	}
	n.at(n.now()+k.pause, dueFunc(k.try))
	k.pause = min(2*k.pause, longKnock)
}

// due is the clock's call: the wish has arrived.
func (k *knock) due() {
	s := k.s
	var out calls
	s.mu.Lock()
	gone, cut := s.ends[0].has(closed), s.conditions().Cut
	s.mu.Unlock()
	if gone {
		return
	}
	if cut {
		k.again()
		return
	}
	ln := s.net.listenerAt(s.ends[1].addr)
	answer := refuse
	if ln != nil {
		taken, full := ln.offer(&s.ends[1])
		if full {
			s.net.counters.backlogOverflow.Add(1)
			k.again()
			return
		}
		if taken {
			answer = accept
		}
	}
	s.mu.Lock()
	if answer == refuse {
		s.ends[1].flags |= closed
	}
	s.send(&s.ends[1], answer, nil, &out)
	s.mu.Unlock()
	out.do()
}
