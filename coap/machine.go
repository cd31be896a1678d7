package coap

import (
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Machine is the state of one CoAP peer. It implements protocols.Machine; the
// package comment says which half owns what.
type Machine struct {
	adapter *Adapter
	conn    core.Conn
	info    *protocols.ConnInfo
	stream  *stream // nil for datagrams

	// Both halves.
	link atomic.Pointer[core.Link] // nil while nobody is connected
	rung atomic.Bool               // Output asked for a Complete that has not come yet

	// The input half.
	who       identity
	session   string // the ClientID that core gave, "" while not linked
	keepAlive int64  // milliseconds of silence that end the session
	durable   bool   // the session outlives the connection
	state     state
	waiting   waiting
	proven    bool  // the address is the peer's own
	heard     int64 // when the last datagram came, Unix milliseconds
	ticked    int64 // when Tick was last called
	rtt       int64 // of the last confirmable message that was answered at once, ms; 0 unknown
	reason    core.Reason
	closed    bool // Closed was called while Connect was under way

	nextID    uint16 // message ID
	packetID  uint16 // the last one used towards core
	operation uint32 // token of the last operation put to core
	subID     uint32 // the last Subscription Identifier used

	held    held       // the request that waits for core
	late    *lateRead  // with forRead, what more there is to know of it
	asked   asked      // the observation that waits for core
	request *identity  // whom Connect is about
	recent  []exchange // requests that must not be done twice, oldest first
	pending []pending  // requests that wait for their answer
	calls   []call     // of them, those that wait for an MQTT client's
	replies *interest  // where it answers, nil until it is subscribed to
	out     *confirm   // the confirmable message on its way, one at a time [CoAP-4.7-1]
	apart   []*confirm // that wait for it: answers that come apart
	uploads []*upload

	interests    []*interest
	observations []*observation
	next         int // the observation whose turn it is
	backlog      int // QoS 0 messages in the observations' queues
	parked       []core.Delivery
}

var _ protocols.Machine = (*Machine)(nil)

// state is how far a peer got.
type state uint8

const (
	open  state = iota
	ended       // a.Close was set
)

// waiting is the operation whose completion reading waits for.
type waiting uint8

const (
	forNothing waiting = iota
	forConnect
	forSubscribe
	forUnsubscribe
	forRead
)

// Input implements protocols.Machine: b is one datagram, or the bytes of a stream.
func (m *Machine) Input(t *core.Turn, b []byte, a *protocols.Actions) (used int) {
	if m.state == ended {
		a.Close, a.Reason = true, m.reason
		return len(b)
	}
	m.heard = t.Now()
	if m.stream != nil {
		used = m.inputStream(t, scratchOf(t), b, a)
		m.settle(t, a)
		return used
	}
	t.Count(core.PacketsReceived, 1)
	m.receive(t, scratchOf(t), a, b)
	m.settle(t, a)
	return len(b)
}

// Output implements protocols.Machine: a bell for the input half.
func (m *Machine) Output(_ *core.Turn, _ *protocols.Out) (more bool) {
	l := m.link.Load()
	if l == nil || !m.adapter.gw.Waiting(*l) || !m.rung.CompareAndSwap(false, true) {
		return false
	}
	m.conn.Complete(core.Completion{Op: core.OpReadable})
	return false
}

// Complete implements protocols.Machine.
func (m *Machine) Complete(t *core.Turn, c core.Completion, a *protocols.Actions) {
	s := scratchOf(t)
	switch {
	case c.Op == core.OpConnect && c.Connect != nil:
		m.connectDone(t, s, a, c.Connect)
	case m.state != open:
	case c.Op == core.OpSubscribe && m.waiting == forSubscribe && c.Token == m.operation:
		m.waiting = forNothing
		m.subscribed(t, s, a, c.Reasons[0])
	case c.Op == core.OpUnsubscribe && m.waiting == forUnsubscribe && c.Token == m.operation:
		m.waiting = forNothing
		m.deregistered(t, s, a)
	case c.Op == core.OpRead && m.waiting == forRead && c.Token == m.operation:
		m.waiting = forNothing
		m.readDone(t, s, a, &c)
	case c.Op == core.OpOusted:
		m.ousted(t, a, c.Token)
	case c.Op == core.OpReadable:
		m.rung.Store(false)
	}
	m.settle(t, a)
}

// settle ends every call: what core has is taken, what may be sent is sent, and the
// next alarm is set.
func (m *Machine) settle(t *core.Turn, a *protocols.Actions) {
	if m.state == ended {
		a.Close, a.Reason, a.Pause = true, m.reason, false
		return
	}
	if m.waiting == forNothing {
		m.late = nil
	}
	m.take(t, a)
	m.pump(t, a)
	a.Proven = a.Proven || m.proven
	if m.stream != nil {
		if m.settleStream(t, a); m.state == ended {
			return
		}
	}
	a.Pause = m.waiting != forNothing
	m.arm(t, a)
}

// Tick implements protocols.Machine.
func (m *Machine) Tick(t *core.Turn, a *protocols.Actions) {
	m.ticked = t.Now()
	if m.state == open {
		m.due(t, a)
	}
	m.settle(t, a)
}

// Stop implements protocols.Machine. Observers hear that their relation is over,
// unless it goes on with the session elsewhere or later.
func (m *Machine) Stop(t *core.Turn, r core.Reason, a *protocols.Actions) {
	if m.state != ended {
		if !m.durable {
			m.goodbye(t, a)
		}
		m.end(r)
	}
	a.Close, a.Reason = true, m.reason
}

// Closed implements protocols.Machine.
func (m *Machine) Closed(t *core.Turn, r core.Reason) {
	if m.state != ended {
		m.end(r)
	}
	if m.waiting == forConnect {
		m.closed = true // core still decides: what it answers has to be undone then
	}
	m.leave(t, m.reason)
}

// end makes this the end, for r.
func (m *Machine) end(r core.Reason) { m.state, m.reason = ended, r }

// leave takes the peer off its session and forgets what hung on it.
func (m *Machine) leave(t *core.Turn, r core.Reason) {
	l := m.link.Swap(nil)
	m.dropUploads()
	m.dropHeld()
	m.late = nil
	if l == nil {
		return
	}
	for i := range m.observations {
		*m.observations[i] = observation{}
	}
	m.observations, m.interests, m.parked, m.backlog = nil, nil, nil, 0
	m.replies, m.calls = nil, nil
	if m.out != nil && m.out.note.of != nil {
		m.out = nil
	}
	if m.stream != nil {
		m.stream.unsure, m.stream.pinged = nil, 0
	}
	m.session, m.durable, m.who = "", false, identity{}
	m.adapter.gw.Disconnect(t, *l, r, nil)
}

// due does what is due at t.
func (m *Machine) due(t *core.Turn, a *protocols.Actions) {
	now := t.Now()
	if m.out != nil && m.out.due <= now {
		m.repeat(t, a)
	}
	for i := range m.pending {
		m.acknowledgeSlow(t, a, &m.pending[i])
	}
	m.acknowledgeLate(t, a)
	m.callsDue(t, a)
	for _, o := range m.observations {
		if o.fetch != nil && o.fetch.until <= now {
			m.fetched(t, o)
		}
	}
	m.expireUploads(now)
	if m.waiting == forNothing && m.state == open && m.silentUntil() <= now {
		m.silent(t, a)
	}
}

// silentUntil is until when nothing need be heard of the peer.
func (m *Machine) silentUntil() int64 {
	switch {
	case m.stream != nil:
		check := m.heard + m.adapter.cfg.ObserverCheck.Milliseconds()
		if m.stream.asked && check <= m.ticked {
			check = m.heard + m.adapter.cfg.ObserverCheck.Milliseconds() + streamPatience
		}
		return check
	case m.link.Load() == nil && len(m.recent) == 0:
		return m.heard + strangerStays
	case m.link.Load() == nil:
		return m.heard + m.adapter.cfg.Lifetime.Milliseconds() // [CoAP-4.5-1]
	case m.who.token != "":
		return m.heard + m.keepAlive*3/2
	case len(m.observations) > 0:
		return m.heard + m.adapter.cfg.ObserverCheck.Milliseconds()
	}
	return m.heard + m.keepAlive
}

// strangerStays is how long a peer is remembered that has no session and did nothing,
// milliseconds.
const strangerStays = 2_000

// silent deals with a peer that was not heard for too long.
func (m *Machine) silent(t *core.Turn, a *protocols.Actions) {
	switch {
	case m.stream != nil:
		m.silentStream(t, a)
	case m.link.Load() == nil:
		m.end(core.NormalDisconnect)
	case m.who.token != "":
		m.leave(t, core.KeepAliveTimeout)
	case len(m.observations) > 0:
		m.ping(t, a) // [Observe-4.5-2]
	default:
		m.leave(t, core.NormalDisconnect)
	}
}

// arm sets the alarm to what is due first.
func (m *Machine) arm(t *core.Turn, a *protocols.Actions) {
	now := t.Now()
	at := m.silentUntil()
	if m.out != nil {
		at = min(at, m.out.due)
		if at <= now { // a ping is on its way: its end decides
			at = m.out.due
		}
	}
	for i := range m.pending {
		if p := &m.pending[i]; p.ackAt != 0 {
			at = min(at, p.ackAt)
		}
	}
	if m.late != nil && m.late.ackAt != 0 {
		at = min(at, m.late.ackAt)
	}
	for i := range m.calls {
		at = min(at, m.calls[i].until)
		if m.calls[i].ackAt != 0 {
			at = min(at, m.calls[i].ackAt)
		}
	}
	for _, o := range m.observations {
		if o.fetch != nil {
			at = min(at, o.fetch.until)
		} else if len(o.queue) > 0 && o.non && o.notBefore > now {
			at = min(at, o.notBefore)
		}
	}
	for _, u := range m.uploads {
		at = min(at, u.until)
	}
	if at <= now && m.waiting != forNothing {
		at = now + 1000 // core's answer decides
	}
	wait := max(time.Duration(at-now)*time.Millisecond, time.Millisecond)
	if m.stream != nil { // each call sets it anew, so that input may move it
		a.SetTimer, a.Timer = true, wait
		return
	}
	a.SetAlarm, a.Alarm = true, wait
}
