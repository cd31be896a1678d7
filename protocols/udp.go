package protocols

import (
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// datagrams drives the listeners of UDP and DTLS: some ports for each address, each a
// goroutine with its socket. The kernel keeps a peer on its socket.
type datagrams struct {
	gateway gateway
	log     *slog.Logger
	tally   *tally
	pools   pools
	queues  dgramQueues
	born    time.Time
	loops   int
	open    openPorts

	mu      sync.Mutex // what follows
	ports   []*port
	started bool
	closed  bool // nothing comes in any more
	wg      sync.WaitGroup
}

// openPorts opens at most n sockets on one address that share its datagrams.
type openPorts func(ln *Listener, a netip.AddrPort, n int) ([]datagramSocket, error)

func newDatagrams(cfg *Config, g gateway, log *slog.Logger, y *tally) *datagrams {
	n := cfg.Loops
	if n == 0 {
		n = min(runtime.GOMAXPROCS(0), maxLoops)
	}
	return &datagrams{gateway: g, log: log, tally: y, born: time.Now(), loops: n, open: openSockets}
}

func (e *datagrams) serves(transport string) bool { return transport == UDP || transport == DTLS }

func (e *datagrams) bind(ln *Listener) ([]net.Addr, error) {
	var opened []*port
	var addrs []net.Addr
	err := eachAddress(ln.cfg.Address, func(a netip.AddrPort) (netip.AddrPort, error) {
		sockets, err := e.open(ln, a, e.loops)
		if err != nil {
			return a, err
		}
		for _, s := range sockets {
			opened = append(opened, newPort(e, ln, s))
		}
		addrs = append(addrs, sockets[0].addr())
		return netAddrPort(sockets[0].addr()), nil
	}, func() {
		for _, p := range opened {
			p.socket.close()
		}
		opened, addrs = nil, nil
	})
	if err != nil {
		for _, p := range opened {
			p.socket.close()
		}
		return nil, err
	}
	if ln.cfg.Transport == DTLS {
		guardPorts(ln, opened)
	}
	ears, err := openEars(ln, opened)
	if err != nil {
		for _, p := range opened {
			p.socket.close()
		}
		return nil, err
	}
	setBeacon(ln, opened)
	e.ports = append(append(e.ports, opened...), ears...)
	return addrs, nil
}

func (e *datagrams) start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = true
	for _, p := range e.ports {
		e.wg.Go(p.run)
	}
	return nil
}

// each calls f with every port.
func (e *datagrams) each(f func(*port)) {
	e.mu.Lock()
	ports := append([]*port(nil), e.ports...)
	e.mu.Unlock()
	for _, p := range ports {
		f(p)
	}
}

// everywhere runs f in each port and returns once all did.
func (e *datagrams) everywhere(f func(*port)) {
	var wg sync.WaitGroup
	e.each(func(p *port) {
		wg.Add(1)
		if !p.post(func(p *port) { f(p); wg.Done() }) {
			wg.Done()
		}
	})
	wg.Wait()
}

// stopAccepting lets nobody in any more. The sockets stay open for those who are.
func (e *datagrams) stopAccepting() {
	e.mu.Lock()
	e.closed = true
	started := e.started
	ports := e.ports
	if !started {
		e.ports = nil
	}
	e.mu.Unlock()
	if started {
		e.everywhere(func(p *port) { p.accepting = false })
		return
	}
	for _, p := range ports {
		p.socket.close()
		if p.given != nil {
			close(p.given)
		}
	}
}

func (e *datagrams) stopSome(n int, r core.Reason) (stopped int) {
	var mu sync.Mutex
	e.everywhere(func(p *port) {
		k := p.stopSome(n, r)
		mu.Lock()
		stopped += k
		mu.Unlock()
	})
	return stopped
}

// shut closes everything at once and returns when the ports have ended.
func (e *datagrams) shut() {
	e.stopAccepting()
	e.each(func(p *port) { p.post(func(p *port) { p.quit = true }) })
	e.wg.Wait()
	e.mu.Lock()
	e.started = false
	e.ports = nil
	e.mu.Unlock()
}
