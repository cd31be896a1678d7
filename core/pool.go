package core

import (
	"context"
	"sync"
)

// pool runs work that may block (identity sources, reads of the store) on a few
// goroutines beside the loops.
type pool struct {
	mu      sync.Mutex
	cond    *sync.Cond
	queue   []func(context.Context)
	backlog int // most that may wait, 0 for bounded by the submitters
	ended   bool
}

func (p *pool) init(backlog int) {
	p.cond = sync.NewCond(&p.mu)
	p.backlog = backlog
}

// submit queues fn; false says that the backlog is full or the pool has ended.
func (p *pool) submit(fn func(context.Context)) bool {
	p.mu.Lock()
	if p.ended || (p.backlog > 0 && len(p.queue) >= p.backlog) {
		p.mu.Unlock()
		return false
	}
	p.queue = append(p.queue, fn)
	p.mu.Unlock()
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
		for len(p.queue) == 0 && !p.ended {
			p.cond.Wait()
		}
		if p.ended {
			p.queue = nil
			p.mu.Unlock()
			return
		}
		fn := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.mu.Unlock()
		fn(ctx)
	}
}
