package mqtt

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// line is a client's end of a connection to a real core, without a network: it
// plays the edge for one machine. Wake may come from core's own goroutine.
type line struct {
	t  testing.TB
	gw *coretest.Gateway
	m  *Machine

	in sync.Mutex // the machine's input half; the test's and Close's

	mu     sync.Mutex
	cond   *sync.Cond
	ready  bool
	out    []byte
	late   []core.Completion
	stop   core.Reason // wished by core
	closed core.Reason // done
}

// dial connects a raw client and expects the CONNACK.
func dial(t testing.TB, gw *coretest.Gateway, connect, connack string) *line {
	t.Helper()
	l := begin(t, gw)
	l.send(connect)
	l.expect(connack)
	return l
}

// begin is a connection on which nothing was said yet.
func begin(t testing.TB, gw *coretest.Gateway) *line {
	l := &line{t: t, gw: gw}
	l.cond = sync.NewCond(&l.mu)
	l.m = New(DefaultConfig(), gw.Gateway).NewMachine(&protocols.ConnInfo{Peer: l.Peer()}, l).(*Machine)
	return l
}

func (l *line) Peer() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:4000") }

func (l *line) Wake(t *core.Turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for more := l.ready && l.closed == 0; more; {
		o := &protocols.Out{Limit: 1 << 16}
		more = l.m.Output(t, o)
		l.out = append(l.out, o.Buf...)
	}
	l.cond.Broadcast()
}

func (l *line) Complete(c core.Completion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = append(l.late, c)
	l.cond.Broadcast()
}

func (l *line) Close(r core.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop == 0 {
		l.stop = r
	}
	l.cond.Broadcast()
}

// send feeds the machine as the edge does, waiting out every pause.
func (l *line) send(s string) {
	l.t.Helper()
	b := unhex(l.t, s)
	l.in.Lock()
	defer l.in.Unlock()
	for len(b) > 0 {
		var a protocols.Actions
		l.gw.T.Begin(time.Now())
		n := l.m.Input(l.gw.T, b, &a)
		b = b[n:]
		l.apply(&a)
		for a.Pause && !a.Close {
			c := l.completion()
			a.Reset()
			l.m.Complete(l.gw.T, c, &a)
			l.apply(&a)
		}
		if a.Close || n == 0 && !a.Again {
			return
		}
	}
}

// apply does what the machine wants and ends the turn.
func (l *line) apply(a *protocols.Actions) {
	l.mu.Lock()
	l.out = append(l.out, a.Out...)
	l.ready = l.ready || a.Accepted
	if a.Close {
		l.closed = a.Reason
	}
	l.mu.Unlock()
	if a.Close {
		l.m.Closed(l.gw.T, a.Reason)
	}
	l.Wake(l.gw.T)
	l.gw.T.End()
}

func (l *line) completion() core.Completion {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.late) == 0 {
		l.cond.Wait()
	}
	c := l.late[0]
	l.late = l.late[1:]
	return c
}

// expect waits for these bytes, no others.
func (l *line) expect(s string) {
	l.t.Helper()
	want := hexOf(unhex(l.t, s))
	l.mu.Lock()
	defer l.mu.Unlock()
	for 2*len(l.out) < len(want) && strings.HasPrefix(want, hexOf(l.out)) {
		l.cond.Wait()
	}
	if got := hex.EncodeToString(l.out[:min(len(l.out), len(want)/2)]); got != want {
		l.t.Fatalf("received:\n got %s\nwant %s", hexOf(l.out), want)
	}
	l.out = l.out[len(want)/2:]
}

// lose cuts the connection as a broken network does.
func (l *line) lose() {
	l.in.Lock()
	defer l.in.Unlock()
	l.mu.Lock()
	l.closed = core.ConnectionLost
	l.mu.Unlock()
	l.gw.T.Begin(time.Now())
	l.m.Closed(l.gw.T, core.ConnectionLost)
	l.gw.T.End()
}

// expectStop waits until core wants the connection closed and lets it.
func (l *line) expectStop(why core.Reason, goodbye string) {
	l.t.Helper()
	l.mu.Lock()
	for l.stop == 0 {
		l.cond.Wait()
	}
	got := l.stop
	l.mu.Unlock()
	if got != why {
		l.t.Fatalf("core closes for %s, want %s", got, why)
	}
	var a protocols.Actions
	l.in.Lock()
	l.m.Stop(l.gw.T, got, &a)
	l.apply(&a)
	l.in.Unlock()
	l.expect(goodbye)
}
