package mqttsn

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// field plays the edge for the machines of one adapter, without a network, inside a bubble
// of synctest.
type field struct {
	t       testing.TB
	gw      *coretest.Gateway
	adapter *Adapter
	secure  bool
	out     func(peer netip.AddrPort, node string, d []byte)
	ends    map[endKey]*end
	rate    *int // messages that the listener's rates let through; nil: all
}

type endKey struct {
	peer netip.AddrPort
	node string
}

func newField(t testing.TB, gw *coretest.Gateway, a *Adapter, secure bool, out func(netip.AddrPort, string, []byte)) *field {
	return &field{t: t, gw: gw, adapter: a, secure: secure, out: out, ends: map[endKey]*end{}}
}

// end is one connection. Wake, Complete and Close may come from core's own goroutine.
type end struct {
	f     *field
	key   endKey
	m     protocols.Machine
	alarm time.Time

	paused, accepted, gone, proven bool
	waiting                        [][]byte // datagrams that came while it was paused

	mu   sync.Mutex
	late []core.Completion
	stop core.Reason
}

func (e *end) Peer() netip.AddrPort { return e.key.peer }

func (e *end) Wake(t *core.Turn) { e.m.Output(t, nil) }

func (e *end) Complete(c core.Completion) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = append(e.late, c)
}

func (e *end) Close(r core.Reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop == core.Success {
		e.stop = r
	}
}

func (f *field) known(peer netip.AddrPort, node string) bool {
	e := f.ends[endKey{peer, node}]
	return e != nil && !e.gone
}

// datagram gives what came from peer to its machine, or to Meet.
func (f *field) datagram(peer netip.AddrPort, b []byte) {
	node, message := f.adapter.Split(b)
	key := endKey{peer, string(node)}
	f.gw.T.Begin(time.Now())
	e := f.ends[key]
	if e == nil {
		info := &protocols.ConnInfo{Peer: peer, Node: key.node, Secure: f.secure}
		var a protocols.Actions
		open := f.adapter.Meet(f.gw.T, info, message, &a)
		f.deliver(key, a.Out)
		if !open {
			f.gw.T.End()
			return
		}
		e = &end{f: f, key: key}
		e.m = f.adapter.NewMachine(info, e)
		f.ends[key] = e
	}
	if e.paused {
		if len(e.waiting) < 8 {
			e.waiting = append(e.waiting, append([]byte(nil), message...))
		}
		f.gw.T.End()
		return
	}
	e.input(message)
}

func (e *end) input(message []byte) {
	var a protocols.Actions
	e.f.gw.T.Begin(time.Now())
	if r := e.f.rate; r != nil {
		a.Limited, a.Messages = true, *r
		defer func() { *r = a.Messages }()
	}
	if n := e.m.Input(e.f.gw.T, message, &a); n != len(message) {
		e.f.t.Fatalf("the machine used %d of %d bytes", n, len(message))
	}
	e.apply(&a)
}

// apply does what the machine wants and ends the turn.
func (e *end) apply(a *protocols.Actions) {
	e.f.deliver(e.key, a.Out)
	e.paused, e.accepted, e.proven = a.Pause, e.accepted || a.Accepted, e.proven || a.Proven
	if a.SetAlarm {
		e.alarm = time.Time{}
		if a.Alarm > 0 {
			e.alarm = time.Now().Add(a.Alarm)
		}
	}
	if a.Close && !e.gone {
		e.finish(a.Reason)
	}
	e.f.gw.T.End()
}

func (e *end) finish(r core.Reason) {
	e.gone, e.alarm = true, time.Time{}
	if e.f.ends[e.key] == e {
		delete(e.f.ends, e.key)
	}
	e.m.Closed(e.f.gw.T, r)
}

// deliver cuts a machine's output into datagrams by their own lengths.
func (f *field) deliver(key endKey, b []byte) {
	for len(b) > 0 {
		if key.node != "" {
			p, rest, ok, err := packet.SplitForwarded(b)
			if !ok || err != nil || string(p.Node) != key.node {
				f.t.Fatalf("%x for node %x is not encapsulated", b, key.node)
			}
			b = rest
		}
		n, head := int(b[0]), 1
		if n == 1 {
			n, head = int(b[1])<<8|int(b[2]), 3
		}
		f.out(key.peer, key.node, append([]byte(nil), b[head:n]...))
		b = b[n:]
	}
}

// step gives a machine one late result; false when there was nothing.
func (e *end) step() bool {
	e.mu.Lock()
	var c *core.Completion
	stop := e.stop
	if len(e.late) > 0 {
		c = &e.late[0]
		e.late = e.late[1:]
	}
	e.mu.Unlock()
	var a protocols.Actions
	e.f.gw.T.Begin(time.Now())
	switch {
	case c != nil && e.gone && c.Op != core.OpConnect:
	case c != nil:
		e.m.Complete(e.f.gw.T, *c, &a)
		e.apply(&a)
	case stop != core.Success && !e.gone:
		e.m.Stop(e.f.gw.T, stop, &a)
		e.apply(&a)
	case !e.paused && !e.gone && len(e.waiting) > 0:
		next := e.waiting[0]
		e.waiting = e.waiting[1:]
		e.input(next)
	default:
		e.f.gw.T.End()
		return false
	}
	e.f.gw.T.End()
	return true
}

// settle lets everything happen that can happen now.
func (f *field) settle() {
	for busy := true; busy; {
		synctest.Wait()
		busy = false
		for _, e := range f.all() {
			busy = e.step() || busy
		}
	}
}

func (f *field) all() (es []*end) {
	for _, e := range f.ends {
		es = append(es, e)
	}
	return es
}

// wait lets time pass, with the alarms of the machines.
func (f *field) wait(d time.Duration) {
	for until := time.Now().Add(d); ; {
		f.settle()
		next := until
		for _, e := range f.all() {
			if !e.alarm.IsZero() && e.alarm.Before(next) {
				next = e.alarm
			}
		}
		time.Sleep(time.Until(next))
		for _, e := range f.all() {
			if !e.alarm.IsZero() && !time.Now().Before(e.alarm) && !e.paused {
				e.alarm = time.Time{}
				var a protocols.Actions
				f.gw.T.Begin(time.Now())
				e.m.Tick(f.gw.T, &a)
				e.apply(&a)
			}
		}
		if !time.Now().Before(until) {
			f.settle()
			return
		}
	}
}

// stopAll ends all connections in the protocol's own words.
func (f *field) stopAll(r core.Reason) {
	for _, e := range f.all() {
		e.Close(r)
		for e.step() {
		}
	}
}

// forget loses all connections, as a killed gateway does: core hears nothing.
func (f *field) forget() { clear(f.ends) }

// sized puts the Length in front of a message.
func sized(b []byte) []byte {
	if len(b)+1 <= 0xFF {
		return append([]byte{byte(len(b) + 1)}, b...)
	}
	n := len(b) + 3
	return append([]byte{1, byte(n >> 8), byte(n)}, b...)
}

// capsule encapsulates a message of a node, if there is one.
func capsule(node string, message []byte) []byte {
	if node == "" {
		return message
	}
	p := packet.Forwarded{Node: []byte(node)}
	return append(p.Append(nil), message...)
}
