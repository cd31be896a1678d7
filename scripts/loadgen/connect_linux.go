package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// perSource is the number of connections from one source address: beyond some 14,000 the kernel's search for a free
// port rules everything, and it slows down well before.
const perSource = 5000

// atOnce bounds the connections that have no CONNACK yet: brokers listen with backlogs of 100, and what does not fit
// waits a second in the kernel.
const atOnce = 64

// connectTimeout is how long no connection may make progress.
const connectTimeout = 10 * time.Second

// dialer opens the connections of a run and brings them to the state ready.
type dialer struct {
	loop     *loop
	options  *options
	plan     *plan
	run      uint32
	target   *net.TCPAddr
	started  int // clients whose connect was called
	greeted  int // of those, how many have a CONNACK
	complete int // of those, how many are ready
	progress int64
	connack  packet.Connack
	suback   packet.Suback
}

func newDialer(o *options, p *plan, run uint32) (*dialer, error) {
	target, err := net.ResolveTCPAddr("tcp", o.addr)
	if err != nil {
		return nil, fmt.Errorf("-addr %q: %w", o.addr, err)
	}
	if target.IP == nil {
		target.IP = net.IPv4(127, 0, 0, 1)
	}
	return &dialer{options: o, plan: p, run: run, target: target}, nil
}

// dial connects clients from..to and waits until all are ready.
func (d *dialer) dial(from, to int) error {
	d.started, d.greeted, d.complete = from, from, from
	d.progress = d.loop.now()
	for d.complete < to {
		for d.started < to && d.started-d.greeted < atOnce {
			if err := d.open(&d.loop.clients[d.started]); err != nil {
				return err
			}
			d.started++
		}
		if err := d.loop.flush(); err != nil {
			return err
		}
		before := d.greeted + d.complete
		if err := d.loop.turn(int64(100 * time.Millisecond)); err != nil {
			return d.explain(err)
		}
		if d.greeted+d.complete != before {
			d.progress = d.loop.at
		}
		if d.loop.at-d.progress > int64(connectTimeout) {
			return fmt.Errorf("connect %s: %d of %d connections are ready and nothing has come for %v", d.options.addr, d.complete, to, connectTimeout)
		}
	}
	return nil
}

// explain adds to a failed connect what was tried.
func (d *dialer) explain(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("connect %s: %w: is a broker listening there?", d.options.addr, err)
	}
	return fmt.Errorf("connect %s, %d connections being ready: %w", d.options.addr, d.complete, err)
}

// open starts a connect and lays CONNECT into the out buffer.
func (d *dialer) open(c *client) error {
	family, to := sockaddr(d.target.IP, d.target.Port)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, syscall.IPPROTO_TCP)
	if err != nil {
		return fmt.Errorf("socket %d: %w", d.started, err)
	}
	c.fd = fd
	if err := d.bind(fd, int(c.number)/perSource); err != nil {
		return err
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	err = syscall.Connect(fd, to)
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		return d.explain(fmt.Errorf("%s: %w", c, err))
	}
	c.state = connecting
	c.blocked = true // until EPOLLOUT tells the end of the connect
	err = syscall.EpollCtl(d.loop.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLOUT, Fd: c.number,
	})
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	connect := packet.Connect{
		CleanStart: true,
		KeepAlive:  uint16(d.options.keepAlive / time.Second),
		ClientID:   fmt.Appendf(nil, "loadgen-%08x-%d", d.run, c.number),
	}
	c.out = connect.Append(c.out, d.options.version())
	return nil
}

// ipBindAddressNoPort lets the kernel choose the port at connect, when it knows the other end, so that a port can serve
// several. [ip(7)]
const ipBindAddressNoPort = 24

// bind gives all but the first perSource connections to loopback a source address of their own: 127.0.0.2 and so on.
func (d *dialer) bind(fd, group int) error {
	ip := d.target.IP.To4()
	if group == 0 || ip == nil || !ip.IsLoopback() {
		return nil
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	source := syscall.SockaddrInet4{Addr: [4]byte{127, 0, byte((group + 1) >> 8), byte(group + 1)}}
	if err := syscall.Bind(fd, &source); err != nil {
		return fmt.Errorf("bind %v: %w", net.IP(source.Addr[:]), err)
	}
	return nil
}

func sockaddr(ip net.IP, port int) (family int, to syscall.Sockaddr) {
	if v4 := ip.To4(); v4 != nil {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: port, Addr: [4]byte(v4)}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: port, Addr: [16]byte(ip.To16())}
}

// answered takes CONNACK and SUBACK.
func (d *dialer) answered(c *client, f packet.Frame) error {
	version := d.options.version()
	switch {
	case f.Type == packet.TypeConnack && c.state == greeting:
		if err := d.connack.Decode(version, f.Header, f.Body); err != nil {
			return err
		}
		if d.connack.Reason.Failed() {
			return fmt.Errorf("the broker refused the connection: %v", d.connack.Reason)
		}
		return d.welcome(c)
	case f.Type == packet.TypeSuback && c.state == subscribing:
		if err := d.suback.Decode(version, f.Header, f.Body); err != nil {
			return err
		}
		if code := d.suback.Codes[0]; code.Failed() {
			return fmt.Errorf("the broker refused the subscription %q: %v", d.plan.filters[c.index], code)
		}
		c.state = ready
		d.complete++
		return nil
	}
	return fmt.Errorf("the broker sent %v where it may not", f.Type)
}

// welcome goes on after CONNACK: a receiver subscribes, a publisher is ready.
func (d *dialer) welcome(c *client) error {
	d.greeted++
	c.quota = maxWindow
	if p := &d.connack.Properties; p.Present.Has(packet.PropReceiveMaximum) {
		c.quota = min(c.quota, int(p.ReceiveMaximum))
	}
	if c.role == publisherRole {
		c.state = ready
		d.complete++
		return nil
	}
	c.state = subscribing
	subscribe := packet.Subscribe{
		PacketID: c.nextID(),
		Filters:  []packet.Subscription{{Filter: []byte(d.plan.filters[c.index]), QoS: byte(d.options.qos)}},
	}
	c.out = subscribe.Append(c.out, d.options.version())
	d.loop.send(c)
	return nil
}
