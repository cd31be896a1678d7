package loop

import (
	"net/netip"
)

// Receiver is what a port tells a device, on the loop's goroutine.
type Receiver interface {
	// Opened: the port sends from now on. Without a Guard it comes before OpenPort returns.
	Opened()
	// Received: a datagram came; b is void after the return.
	Received(b []byte)
	// Ended: the DTLS handshake or association has ended; the port is to be closed.
	Ended(err error)
}

// Port is a device's way to send datagrams to one endpoint and to hear its answers: an
// address of its own. It is a field of the device that uses it, belongs to one loop, and
// is ready again after Close.
type Port struct {
	l       *Loop
	e       *Endpoint
	r       Receiver
	way     way
	source  netip.Addr
	weather *weather // nil: a perfect network
	guard   *guarded // nil: no DTLS
}

// way is how a port's datagrams travel.
type way interface {
	send(p *Port, b []byte)
	leave(p *Port)
}

// OpenPort gives p an address from which it speaks to e, under the conditions of n, whose
// choices come from seed; nil is a perfect network. With g it speaks DTLS, whose records
// the conditions befall; nil: plain datagrams. Of the conditions those count that
// datagrams know: latency, jitter, loss, duplicates, reordering and rebinding. The error
// is a *DialError that says what to do.
//
// On Linux the ports to a loopback endpoint share few sockets: a socket is bound to all
// addresses, and each port sends from another one of Options.Sources. Elsewhere each
// port has a socket and a goroutine.
func (l *Loop) OpenPort(p *Port, e *Endpoint, n *Conditions, seed uint64, g *Guard, r Receiver) error {
	*p = Port{l: l, e: e, r: r}
	if err := l.route(p); err != nil {
		return explain(e, err)
	}
	l.counters.Dialled++
	l.counters.Opened++
	l.conns++
	if n != nil {
		p.weather = newWeather(p, n, seed)
	}
	if g != nil {
		l.guard(p, g)
	} else {
		r.Opened()
	}
	return nil
}

// route finds p a way, which it did not have.
func (l *Loop) route(p *Port) (err error) {
	if !l.opt.Portable && p.e.network() && l.opt.Sources.pick(p.e.addrs[0].Addr()).IsValid() {
		p.way, err = l.hubFor(p)
		return err
	}
	p.way, err = openSolo(l, p)
	return err
}

// Send sends one datagram; as on any network nobody tells whether it comes.
func (p *Port) Send(b []byte) {
	if p.guard != nil {
		p.guard.send(b)
		return
	}
	p.launch(b)
}

// launch sends a datagram into the weather.
func (p *Port) launch(b []byte) {
	switch {
	case p.way == nil:
	case p.weather != nil:
		p.weather.take(b, true)
	default:
		p.put(b)
	}
}

// Open tells whether the port has an address.
func (p *Port) Open() bool { return p.way != nil }

// Close gives the address back. What is under way is lost.
func (p *Port) Close() {
	if p.way == nil {
		return
	}
	if p.weather != nil {
		p.weather.end()
	}
	if p.guard != nil {
		p.guard.leave()
	}
	p.way.leave(p)
	p.way, p.weather, p.guard = nil, nil, nil
	p.l.conns--
}

// put writes a datagram.
func (p *Port) put(b []byte) {
	p.l.counters.Writes++
	p.l.counters.BytesOut += uint64(len(b))
	p.way.send(p, b)
}

// arrive takes a datagram from the network.
func (p *Port) arrive(b []byte) {
	p.l.counters.Reads++
	p.l.counters.BytesIn += uint64(len(b))
	switch {
	case p.way == nil:
	case p.weather != nil:
		p.weather.take(b, false)
	default:
		p.receive(b)
	}
}

// receive takes a datagram that came through the weather.
func (p *Port) receive(b []byte) {
	if p.guard != nil {
		p.guard.feed(b)
		return
	}
	p.r.Received(b)
}

// rebind gives the port another address, as a NAT does that forgot the old one; where
// there is none, the old one stays.
func (p *Port) rebind() {
	old := *p
	if p.l.route(p) != nil {
		p.way, p.source = old.way, old.source
		return
	}
	old.way.leave(&old)
}
