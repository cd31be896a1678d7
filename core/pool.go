package core

import (
	"context"
	"net/netip"
	"sync"
)

// pool runs work that may block (identity sources, reads of the store) on a few
// goroutines beside the loops. Whoever asks for work is named by an address; the
// addresses have their turns one after the other, so that one that asks for much
// waits behind itself.
type pool struct {
	mu      sync.Mutex
	cond    *sync.Cond
	lines   map[netip.Addr]*line // of addresses with work that waits
	turns   []*line              // the same, in the order of their turns
	waiting int
	backlog int // most that may wait, 0 for bounded by the submitters
	perLine int // most that may wait for one address, 0 for no limit
	ended   bool
}

// line is the work of one address, the oldest first.
type line struct {
	from netip.Addr
	jobs []func(context.Context)
}

func (p *pool) init(backlog, perLine int) {
	p.cond = sync.NewCond(&p.mu)
	p.lines = make(map[netip.Addr]*line)
	p.backlog, p.perLine = backlog, perLine
}

// lineOf is whose turn a peer's work takes: an IPv6 /64 belongs to one customer, who
// could otherwise use a fresh address each time.
func lineOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if p, err := a.Prefix(64); err == nil && a.Is6() {
		return p.Addr()
	}
	return a
}

// submit queues job for the address; false says that too much waits, of all or of
// it, or that the pool has ended.
func (p *pool) submit(from netip.Addr, job func(context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	from = lineOf(from)
	l := p.lines[from]
	switch {
	case p.ended, p.backlog > 0 && p.waiting >= p.backlog:
		return false
	case l == nil:
		l = &line{from: from}
		p.lines[from] = l
		p.turns = append(p.turns, l)
	case p.perLine > 0 && len(l.jobs) >= p.perLine:
		return false
	}
	l.jobs = append(l.jobs, job)
	p.waiting++
	p.cond.Signal()
	return true
}

// next takes the oldest job of the address whose turn it is. There is one.
func (p *pool) next() func(context.Context) {
	l := p.turns[0]
	p.turns[0] = nil
	p.turns = p.turns[1:]
	job := l.jobs[0]
	l.jobs[0] = nil
	l.jobs = l.jobs[1:]
	p.waiting--
	if len(l.jobs) == 0 {
		delete(p.lines, l.from)
	} else {
		p.turns = append(p.turns, l)
	}
	return job
}

// run works until ctx ends; what is queued then is given up.
func (p *pool) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.cond.Broadcast()
	})
	defer stop()
	for {
		p.mu.Lock()
		for p.waiting == 0 && !p.ended {
			p.cond.Wait()
		}
		if p.ended {
			p.lines, p.turns, p.waiting = nil, nil, 0
			p.mu.Unlock()
			return
		}
		job := p.next()
		p.mu.Unlock()
		job(ctx)
	}
}
