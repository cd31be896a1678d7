package mqtt

import (
	"net/netip"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// end is a client's end of a connection to the core of a stage: it plays the edge
// for one machine, inside a bubble. The test's goroutine has the input half; core
// may wake the output half from its own.
type end struct {
	st    *stage
	peer  netip.AddrPort
	m     *Machine
	inbuf []byte // sent and not taken by the machine

	paused bool
	timer  time.Duration // silence that the machine allows; 0 any
	heard  time.Time
	kept   string // of what was received, to be compared

	mu     sync.Mutex
	ready  bool
	out    []byte
	late   []core.Completion
	closed core.Reason // done

	wish sync.Mutex  // guards stop: a machine may wish it while it gives output
	stop core.Reason // wished by core
}

func newEnd(st *stage) *end {
	e := &end{st: st, peer: netip.MustParseAddrPort("127.0.0.1:4000"), heard: time.Now()}
	e.m = New(st.mqtt, st.gw.Gateway).NewMachine(&protocols.ConnInfo{Peer: e.Peer()}, e).(*Machine)
	return e
}

// Peer implements core.Conn.
func (e *end) Peer() netip.AddrPort { return e.peer }

// Wake implements core.Conn.
func (e *end) Wake(t *core.Turn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for more := e.ready && e.closed == core.Success; more; {
		o := &protocols.Out{Limit: 1 << 16}
		more = e.m.Output(t, o)
		e.out = append(e.out, o.Buf...) // scenes have no payload so large that it is referenced
	}
}

// Complete implements core.Conn.
func (e *end) Complete(c core.Completion) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = append(e.late, c)
}

// Close implements core.Conn.
func (e *end) Close(r core.Reason) {
	e.wish.Lock()
	defer e.wish.Unlock()
	if e.stop == core.Success {
		e.stop = r
	}
}

// take gives what the client received and was not asked for yet.
func (e *end) take() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.out
	e.out = nil
	return out
}

// over is why the connection ended, or Success.
func (e *end) over() core.Reason {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// step does one thing that is due, if there is any.
func (e *end) step() bool {
	e.mu.Lock()
	late, over := e.late, e.closed != core.Success
	e.late = nil
	e.mu.Unlock()
	e.wish.Lock()
	stop := e.stop
	e.wish.Unlock()
	t := e.st.gw.T
	switch {
	case len(late) > 0:
		for _, c := range late {
			e.do(func(a *protocols.Actions) { e.m.Complete(t, c, a) })
		}
		return true
	case over:
		return false
	case stop != core.Success:
		e.do(func(a *protocols.Actions) { e.m.Stop(t, stop, a) })
		return true
	case e.paused || len(e.inbuf) == 0:
		return false
	}
	used := 0
	e.do(func(a *protocols.Actions) { used = e.m.Input(t, e.inbuf, a) })
	e.inbuf = e.inbuf[used:]
	return used > 0
}

// do makes one call of the machine, does what it wants and ends the turn.
func (e *end) do(call func(*protocols.Actions)) {
	t := e.st.gw.T
	var a protocols.Actions
	t.Begin(time.Now())
	call(&a)
	e.mu.Lock()
	over := e.closed != core.Success
	if !over {
		e.out = append(e.out, a.Out...)
	}
	e.ready = e.ready || a.Accepted
	if a.Close && !over {
		e.closed = a.Reason
	}
	e.mu.Unlock()
	e.paused = a.Pause
	if a.SetTimer {
		e.timer = a.Timer
	}
	if a.Close && !over {
		e.m.Closed(t, a.Reason)
	}
	e.Wake(t)
	t.End()
}

// due is when the machine wants to hear of the client's silence; zero is never.
func (e *end) due() time.Time {
	if e.timer == 0 || e.over() != core.Success {
		return time.Time{}
	}
	return e.heard.Add(e.timer)
}

// tick tells the machine that its client was silent for too long.
func (e *end) tick() {
	e.heard = time.Now()
	e.do(func(a *protocols.Actions) { e.m.Tick(e.st.gw.T, a) })
}

// lose cuts the connection as a broken network does.
func (e *end) lose() {
	e.mu.Lock()
	e.closed = core.ConnectionLost
	e.mu.Unlock()
	t := e.st.gw.T
	t.Begin(time.Now())
	e.m.Closed(t, core.ConnectionLost)
	t.End()
}
