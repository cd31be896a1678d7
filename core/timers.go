package core

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// timerKind is what is due.
type timerKind uint8

const (
	timerExpiry   timerKind = iota // a parked session ends
	timerWill                      // a delayed Will is sent
	timerIdentity                  // a connection's identity expires
	timerDelayed                   // a delayed message is sent: its identifier stands for the epoch
	timerSleep                     // a sleeping client is late
)

// timer is lazy: a session that moved on (another epoch) makes it void, and so does a
// delayed message that was taken back.
type timer struct {
	at      int64
	session *Session
	epoch   uint64
	kind    timerKind
}

// timerQueue holds what is due to sessions that nobody watches: expiry, delayed
// Wills. Keep-alives are the edge's.
type timerQueue struct {
	mu   sync.Mutex
	heap timerHeap
	wake chan struct{}
}

func (q *timerQueue) init() { q.wake = make(chan struct{}, 1) }

func (q *timerQueue) add(at int64, k timerKind, s *Session, epoch uint64) {
	q.mu.Lock()
	heap.Push(&q.heap, timer{at: at, session: s, epoch: epoch, kind: k})
	first := q.heap[0].at == at
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// due takes what is due at now, at most len(dst); next is when to look again.
func (q *timerQueue) due(now int64, dst []timer) (n int, next time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n < len(dst) && len(q.heap) > 0 && q.heap[0].at <= now {
		dst[n] = heap.Pop(&q.heap).(timer)
		n++
	}
	if len(q.heap) == 0 {
		return n, time.Hour
	}
	return n, max(0, time.Duration(q.heap[0].at-now)*time.Millisecond)
}

type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	n := len(old) - 1
	x := old[n]
	old[n] = timer{}
	*h = old[:n]
	return x
}

// sweepInterval is how often some retained messages are looked at for expiry.
const sweepInterval = time.Second

// timerLoop runs what is due, and publishes $SYS, until ctx ends.
func (g *Gateway) timerLoop(ctx context.Context) {
	t := g.NewTurn()
	defer t.Close()
	sys := newSysTicker(g.cfg.SysInterval)
	defer sys.stop()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	swept := 0
	clock := time.NewTimer(0)
	defer clock.Stop()
	var due [256]timer
	for {
		select {
		case <-ctx.Done():
			return
		case <-sys.c:
			t.beginNow()
			g.publishSys(t)
			t.End()
			continue
		case <-sweep.C:
			t.beginNow()
			g.sweepRetained(t, &swept)
			g.sweepBans(t)
			t.End()
			continue
		case <-clock.C:
		case <-g.timers.wake:
		}
		t.beginNow()
		n, next := g.timers.due(t.now, due[:])
		for i := range due[:n] {
			g.fire(t, &due[i])
			due[i] = timer{}
		}
		t.End()
		clock.Reset(next)
	}
}

func (g *Gateway) fire(t *Turn, d *timer) {
	if d.kind == timerDelayed {
		g.sendDelayed(t, d.epoch)
		return
	}
	s := d.session
	s.mu.Lock()
	stale := s.ended || s.epoch != d.epoch
	parked := s.conn == nil
	if !stale && !parked && d.kind == timerIdentity {
		g.identityDue(t, s, d.at)
	}
	s.mu.Unlock()
	switch {
	case stale:
	case d.kind == timerSleep:
		g.sleepDue(t, s, d.at)
	case !parked:
	case d.kind == timerWill:
		g.sendDueWill(t, s)
	case d.kind == timerExpiry:
		g.expireSession(t, s, d.epoch)
	}
}

// expireSession ends a parked session whose time is over. [MQTT-3.1.2-23]
func (g *Gateway) expireSession(t *Turn, s *Session, epoch uint64) {
	if ops, ok := g.endSession(t, s, SessionEnded, false, epoch); ok && len(ops) > 0 {
		t.commitAlone(ops, nil)
	}
}
