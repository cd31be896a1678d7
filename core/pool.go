package core

import (
	"context"
	"net/netip"
	"sync"

	"github.com/fairlead-iot/fairlead/internal/turns"
)

// pool runs work that may block (identity sources, reads of the store) on a few
// goroutines beside the loops. Whoever asks for work is named by an address; the
// addresses have their turns one after the other, so that one that asks for much
// waits behind itself.
type pool struct {
	mu      sync.Mutex
	cond    *sync.Cond
	queue   turns.Queue[func(context.Context)]
	backlog int // most that may wait, 0 for bounded by the submitters
	perLine int // most that may wait for one address, 0 for no limit
	ended   bool
}

func (p *pool) init(backlog, perLine int) {
	p.cond = sync.NewCond(&p.mu)
	p.backlog, p.perLine = backlog, perLine
}

// submit queues job for the address; false says that too much waits, of all or of
// it, or that the pool has ended.
func (p *pool) submit(from netip.Addr, job func(context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ended,
		p.backlog > 0 && p.queue.Len() >= p.backlog,
		p.perLine > 0 && p.queue.Waiting(from) >= p.perLine:
		return false
	}
	p.queue.Add(from, job, false)
	p.cond.Signal()
	return true
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
		for p.queue.Len() == 0 && !p.ended {
			p.cond.Wait()
		}
		if p.ended {
			p.queue = turns.Queue[func(context.Context)]{}
			p.mu.Unlock()
			return
		}
		job, _ := p.queue.Next()
		p.mu.Unlock()
		job(ctx)
	}
}
