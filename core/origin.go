package core

import (
	"sync"
	"sync/atomic"
)

// origin is where connections come from: few values, many connections. A session
// holds a number in place of the strings.
type origin struct {
	protocol string
	version  uint8
	listener string
}

// originTable numbers origins; readers take no lock.
type originTable struct {
	mu   sync.Mutex
	list atomic.Pointer[[]origin]
}

func (o *originTable) get(i uint16) origin {
	l := o.list.Load()
	if l == nil || int(i) >= len(*l) {
		return origin{}
	}
	return (*l)[i]
}

// number gives v's number; beyond 65,535 kinds all share the last.
func (o *originTable) number(v origin) uint16 {
	if l := o.list.Load(); l != nil {
		for i := range *l {
			if (*l)[i] == v {
				return uint16(i)
			}
		}
	}
	return o.add(v)
}

func (o *originTable) add(v origin) uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := []origin{{}} // number 0: unknown, what a restored session has
	if l := o.list.Load(); l != nil {
		next = next[:0]
		next = append(next, *l...)
	}
	for i := range next {
		if next[i] == v {
			return uint16(i)
		}
	}
	if len(next) == 1<<16 {
		return 1<<16 - 1
	}
	next = append(next, v)
	o.list.Store(&next)
	return uint16(len(next) - 1)
}

func (g *Gateway) originOf(r *ConnectRequest) uint16 {
	return g.origins.number(origin{protocol: r.Protocol, version: r.Version, listener: r.Listener})
}
