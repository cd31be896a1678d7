package exproto

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// Machine is the state of one client. It implements protocols.Machine: what its client
// sends goes to the lane as it is, and what it does is what the handler commands.
type Machine struct {
	gw       Gateway
	lane     *lane
	listener *protocols.Listener
	info     *protocols.ConnInfo // nil once nobody needs it
	conn     core.Conn
	id       uint64
	gen      uint32 // of the stream that it is known to
	desk     desk   // the lane's
	why      string // of the end that Stop tells

	link     core.Link
	clientID string
	todo     []*pb.Command
	request  *core.ConnectRequest // under way
	asked    asking
	ups      []upward
	sent     []sending
	goodbye  []byte

	done   int          // bytes of commands to be given back
	said   atomic.Int32 // bytes for the client that its socket has not made room for
	freed  atomic.Int32 // of them, for which it has
	due    atomic.Bool  // enough is freed to be given back
	called atomic.Bool  // the input half knows that core has something

	heard     int64 // when something came, Unix milliseconds
	last      *uint32
	nextID    uint16
	keepAlive uint16
	state     state
	waiting   waiting
	known     bool // to a handler
	linked    bool // link is valid and core has not been told of the end
	more      bool // core has more to take
	congested bool // core asked to pause
	paused    bool // the client is not read from
	reason    core.Reason
}

var _ protocols.Machine = (*Machine)(nil)

// state is how far the client is.
type state uint8

const (
	fresh      state = iota // the handler has not let it in
	connecting              // core is deciding about it
	open
	ended // a.Close was set
)

// waiting is the operation whose completion commands wait for.
type waiting uint8

const (
	forNothing waiting = iota
	forConnect
	forSubscribe
	forUnsubscribe
)

// asking is the command that waits for core, and of which stream it came.
type asking struct{ token, gen uint32 }

// upward is a publish of the client's whose result waits for core.
type upward struct {
	asking
	id   uint16
	kind core.DeliveryKind // that ends it
}

// sending is a message of QoS 1 or 2 that the handler has not acknowledged to the end.
type sending struct {
	d        core.Delivery
	released bool // only the second Ack of QoS 2 is missing
}

// Input implements protocols.Machine.
func (m *Machine) Input(t *core.Turn, b []byte, a *protocols.Actions) (used int) {
	m.heard = t.Now()
	datagram := m.listener.Config().Datagrams()
	for used < len(b) || datagram && used == 0 {
		if m.state == ended || a.Limited && a.Messages <= 0 || !m.lane.roomFor(m) {
			break
		}
		n := len(b) - used
		if !datagram {
			n = min(n, batchBytes/2)
		}
		m.say(&pb.Event{What: &pb.Event_Received{Received: append([]byte(nil), b[used:used+n]...)}})
		t.Count(core.PacketsReceived, 1)
		a.Messages--
		if used += n; datagram {
			break
		}
	}
	if datagram && used < len(b) {
		m.refuse(t, core.InputOverflow, "a datagram came while the handler had no room for it")
		used = len(b)
	}
	m.pause(t, a)
	return used
}

// pause stops reading while there is no room. Clients that were not let in are not
// paused: connect_timeout and max_connect_size are for them.
func (m *Machine) pause(t *core.Turn, a *protocols.Actions) {
	full := m.linked && m.state != ended && !m.lane.roomFor(m)
	if m.paused && !full {
		m.heard = t.Now() // its silence was not its fault
	}
	m.paused, a.Pause = full, full
}

// Complete implements protocols.Machine.
func (m *Machine) Complete(t *core.Turn, c core.Completion, a *protocols.Actions) {
	switch {
	case c.Op == core.OpConnect && c.Connect != nil:
		m.connected(t, a, c.Connect)
	case m.state == ended:
		return
	case c.Op == core.OpAdapter:
		m.lane.answered(m)
	case c.Op == core.OpOutput:
		m.more = true
	case c.Op == core.OpReadable:
		m.congested = false
	case c.Op == core.OpSubscribe && m.waiting == forSubscribe:
		m.subscribed(c.Granted, c.Reasons)
	case c.Op == core.OpUnsubscribe && m.waiting == forUnsubscribe:
		m.subscribed(nil, c.Reasons)
	}
	m.settle(t, a)
}

// settle does what every call ends with: go on with commands and messages, give back what
// is done.
func (m *Machine) settle(t *core.Turn, a *protocols.Actions) {
	m.follow(t.Now())
	m.work(t, a)
	if m.state == open {
		m.deliver(t)
	}
	m.giveBack()
	m.pause(t, a)
	m.silent(t, a)
}

// follow makes the client known to the stream that is there now, if that is another one:
// it begins with what the handler has to know. Not while core decides about a command of
// the one before.
func (m *Machine) follow(now int64) {
	gen, ok := m.lane.generation(m)
	if !ok || gen == m.gen || m.waiting != forNothing {
		return
	}
	m.gen, m.todo, m.done = gen, nil, 0
	m.said.Store(0)
	m.freed.Store(0)
	m.lane.post(m, &pb.Event{What: &pb.Event_Opened{Opened: m.opened()}}, true)
	m.known = true
	for i := range m.sent {
		s := &m.sent[i]
		s.d.Dup = true
		m.tell(s, now)
	}
}

// opened is what the handler learns of a connection.
func (m *Machine) opened() *pb.Opened {
	o := &pb.Opened{Listener: m.listener.Name(), Transport: m.listener.Config().Transport, Window: uint32(m.lane.cfg.Window), Resumed: m.known, ClientId: m.clientID}
	if i := m.info; i != nil {
		if i.Peer.IsValid() {
			o.Peer = i.Peer.String()
		}
		if i.Local.IsValid() {
			o.Local = i.Local.String()
		}
		o.ServerName, o.PskIdentity = i.ServerName, i.PSKIdentity
		if c := certificate(i); c != nil {
			o.Certificate = c.Raw
		}
	}
	return o
}

// work does the commands that came, in their order.
func (m *Machine) work(t *core.Turn, a *protocols.Actions) {
	t.Allot()
	for m.state != ended && m.waiting == forNothing && !m.congested {
		if len(m.todo) == 0 {
			overrun := false
			if m.todo, overrun = m.lane.commands(m); overrun {
				m.why = fmt.Sprintf("the handler sent more than the %d bytes of exproto.window that may wait for one client", m.lane.cfg.Window)
				m.refuse(t, core.OutgoingFull, m.why)
				m.end(a, core.OutgoingFull)
				return
			}
			if len(m.todo) == 0 {
				return
			}
		}
		if !m.lane.open(m) {
			return
		}
		if t.Spent() {
			m.lane.summon(m) // the others first
			return
		}
		t.Spend(1)
		c := m.todo[0]
		m.todo[0] = nil
		m.todo = m.todo[1:]
		m.do(t, a, c)
	}
}

// giveBack returns the handler what its commands took, once it is worth an event.
func (m *Machine) giveBack() {
	m.due.Store(false)
	m.done += int(m.freed.Swap(0))
	if m.done >= m.lane.cfg.Window/2 {
		m.lane.repay(m, m.done)
		m.done = 0
	}
}

// silent ends a client that was not heard of for one and a half times its keep-alive.
func (m *Machine) silent(t *core.Turn, a *protocols.Actions) {
	if m.state == open && m.keepAlive != 0 && !m.paused && t.Now() >= m.heard+m.patience().Milliseconds() {
		m.end(a, core.KeepAliveTimeout)
	}
}

func (m *Machine) patience() time.Duration {
	return time.Duration(m.keepAlive) * time.Second * 3 / 2
}

// Tick implements protocols.Machine.
func (m *Machine) Tick(t *core.Turn, a *protocols.Actions) {
	m.settle(t, a)
	m.arm(a)
}

// arm asks for the tick that looks whether the client is silent. All that happens moves
// it, messages to the client too, so it comes more often than it is due.
func (m *Machine) arm(a *protocols.Actions) { a.SetTimer, a.Timer = true, m.patience()/4 }

// Output implements protocols.Machine: it asks the input half to take what core has. That
// it is called says that the client's socket has room for what was said.
func (m *Machine) Output(*core.Turn, *protocols.Out) (more bool) {
	due := m.freed.Add(m.said.Swap(0)) >= int32(m.lane.cfg.Window/2) && m.due.CompareAndSwap(false, true)
	// Only where something waits, and once: the edge calls after all that it does.
	if due || m.gw.Waiting(m.link) && m.called.CompareAndSwap(false, true) {
		m.conn.Complete(core.Completion{Op: core.OpOutput})
	}
	return false
}

// Stop implements protocols.Machine. The client is told what the handler has left for it.
func (m *Machine) Stop(t *core.Turn, r core.Reason, a *protocols.Actions) {
	if m.state != ended {
		if r == core.ServerUnavailable || r == core.ServerBusy {
			if m.why == "" {
				m.why = "the handler is away: " + m.lane.reason()
			}
			m.refuse(t, r, m.why)
		}
		m.end(a, r)
	}
	a.Close, a.Reason = true, m.reason
}

// end asks for the connection's end, with the handler's goodbye unless it ends it itself.
func (m *Machine) end(a *protocols.Actions, r core.Reason) {
	if r != core.NormalDisconnect && r != core.DisconnectWithWill && len(m.goodbye) > 0 {
		m.put(a, m.goodbye)
	}
	m.state, m.reason = ended, r
	a.Close, a.Reason, a.Pause = true, r, false
}

// put leaves bytes for the client.
func (m *Machine) put(a *protocols.Actions, b []byte) {
	a.Out = append(a.Out, b...)
	if m.listener.Config().Datagrams() {
		a.EndDatagram()
	}
}

// Closed implements protocols.Machine.
func (m *Machine) Closed(t *core.Turn, r core.Reason) {
	if m.state != ended {
		m.reason = r
	}
	if m.request != nil {
		m.request.Abandon()
	}
	m.state = ended
	m.lane.leave(m, &pb.Event{Conn: m.id, What: &pb.Event_Closed{Closed: &pb.Closed{Reason: m.reason.String()}}})
	m.leave(t)
}

// leave tells core that the connection is over, once.
func (m *Machine) leave(t *core.Turn) {
	if m.linked {
		m.linked = false
		m.gw.Disconnect(t, m.link, m.reason, m.last)
	}
}

// say leaves an event that has room.
func (m *Machine) say(ev *pb.Event) { m.lane.post(m, ev, true) }

// refuse counts and explains a fault.
func (m *Machine) refuse(t *core.Turn, r core.Reason, detail string) {
	m.gw.Refuse(t, core.Refusal{Reason: r, Listener: m.listener.Name(), Peer: peerText(m.conn), ClientID: m.clientID, Detail: detail})
}

func peerText(c core.Conn) string {
	if p := c.Peer(); p.IsValid() {
		return p.String()
	}
	return ""
}
