package mqttsn

import (
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Machine is the state of one client. It implements protocols.Machine.
type Machine struct {
	adapter *Adapter
	info    *protocols.ConnInfo
	conn    core.Conn
	link    core.Link
	id      string // client id, as it stands in CONNECT

	topics topics
	begin  *beginning // until the client is accepted
	reg    *sending   // the REGISTER under way
	pub    *sending   // the QoS 1 or 2 PUBLISH under way
	held   []core.Delivery
	ups    []upward // the client's QoS 1 messages that wait for their PUBACK
	ask    asking

	stalled int64 // since when messages or repetitions wait for room to an address that is not proven
	heard   int64 // when the last datagram came, Unix milliseconds
	alarmAt int64 // when the alarm under way rings, 0 for none
	in, out int   // bytes, until the address is proven

	keepAlive uint16 // seconds, 0 off
	lastID    uint16 // message identifier of the latest QoS 1 PUBLISH
	state     state
	waiting   waiting
	linked    bool // link is valid and core has not been told of the end
	accepted  bool // the edge was told
	proven    bool
	congested bool // core asked to pause: what comes is answered by congestion
	bare      bool // nothing but CONNECT has come on this connection
	more      bool // core has more to take
	drowsy    bool // awake, and core has said that all is fetched
	reason    core.Reason
}

var _ protocols.Machine = (*Machine)(nil)

// state is that of the client, as section 6.14 names them.
type state uint8

const (
	fresh      state = iota // neither CONNECT nor PINGREQ has come
	prompting               // the client is asked for its Will
	connecting              // core is deciding about it
	active
	asleep
	awake // it fetches what gathered
	ended // a.Close was set
)

// waiting is the operation whose completion input waits for.
type waiting uint8

const (
	forNothing waiting = iota
	forConnect
	forRegister
	forSubscribe
	forUnsubscribe
	forSleep
	forWill
)

// asking is the client's request that waits for core.
type asking struct {
	messageID uint16
	topicID   uint16
	qos       uint8
	answer    packet.Type
}

// Input implements protocols.Machine.
func (m *Machine) Input(t *core.Turn, b []byte, a *protocols.Actions) (used int) {
	if m.state == ended {
		a.Close, a.Reason = true, m.reason
		return len(b)
	}
	m.heard = t.Now()
	m.in += len(b)
	t.Count(core.PacketsReceived, 1)
	f, err := packet.Parse(b)
	if err == nil {
		err = m.handle(t, scratchOf(t), a, f)
	}
	if err == nil && (m.state == active || m.state == awake) {
		m.renew(t, a, f.Type == packet.TypePingreq)
	}
	if err != nil {
		m.report(t, err)
		if m.state == fresh {
			m.close(a, judge(err).Reason)
		}
	}
	m.settle(t, a)
	return len(b)
}

// handle takes one message. An error is told to core and nobody else: whoever sends what
// cannot be understood may be anybody.
func (m *Machine) handle(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	if f.Type != packet.TypeConnect {
		m.bare = false
	}
	switch f.Type {
	case packet.TypeSearchGW:
		var p packet.SearchGW
		if err := p.Decode(f); err != nil {
			return err
		}
		m.put(t, a, &packet.GWInfo{GatewayID: m.adapter.cfg.GatewayID})
		return nil
	case packet.TypeConnect:
		return m.connect(t, s, a, f)
	case packet.TypePingreq:
		return m.ping(t, s, a, f)
	case packet.TypeDisconnect:
		return m.disconnect(t, s, a, f)
	case packet.TypePublish:
		return m.publish(t, s, a, f)
	}
	switch m.state {
	case prompting:
		return m.prompted(t, s, a, f)
	case active, awake:
		return m.handleOpen(t, s, a, f)
	}
	return m.misplaced(t, a, f)
}

// handleOpen takes what only a client may send that is there.
func (m *Machine) handleOpen(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	switch f.Type {
	case packet.TypeRegister:
		return m.register(t, s, a, f)
	case packet.TypeRegack, packet.TypePuback:
		return m.topicAck(t, s, a, f)
	case packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		return m.acknowledge(t, s, a, f)
	case packet.TypeSubscribe, packet.TypeUnsubscribe:
		return m.subscribe(t, s, a, f)
	case packet.TypeWillTopicUpd:
		return m.updateWillTopic(t, s, a, f)
	case packet.TypeWillMsgUpd:
		return m.updateWillMsg(t, s, a, f)
	case packet.TypePingresp:
		return nil // it lives [SN-6.11-3]
	}
	return m.misplaced(t, a, f)
}

// misplaced answers what has no place in the client's state: with DISCONNECT where the
// client takes itself for connected, so that it connects again [SN-6.12-4].
func (m *Machine) misplaced(t *core.Turn, a *protocols.Actions, f packet.Frame) error {
	m.adapter.strange(t, m.info, a, f)
	return nil
}

// settle does what every call ends with: deliver what may be delivered, see to the time.
func (m *Machine) settle(t *core.Turn, a *protocols.Actions) {
	if m.state == active || m.state == awake || m.state == asleep {
		m.deliver(t, a)
		m.fetched(t, a)
	}
	a.Pause = m.waiting != forNothing && m.state != ended
	m.arm(t, a)
}

// Complete implements protocols.Machine.
func (m *Machine) Complete(t *core.Turn, c core.Completion, a *protocols.Actions) {
	why := core.Success
	if len(c.Reasons) > 0 {
		why = c.Reasons[0]
	}
	switch {
	case c.Op == core.OpConnect && c.Connect != nil:
		m.connectDone(t, a, c.Connect)
	case m.state == ended:
	case c.Op == core.OpOutput:
		m.more = true
	case c.Op == core.OpReadable:
		m.congested = false
	case c.Op == core.OpRegister && m.waiting == forRegister && c.Token == uint32(m.ask.messageID)+1:
		m.registered(t, a, why)
	case c.Op == core.OpSubscribe && m.waiting == forSubscribe && c.Token == uint32(m.ask.messageID):
		m.subscribed(t, a, c.Granted[0], why)
	case c.Op == core.OpUnsubscribe && m.waiting == forUnsubscribe && c.Token == uint32(m.ask.messageID):
		m.unsubscribed(t, a, why)
	case c.Op == core.OpSleep && m.waiting == forSleep:
		m.fellAsleep(t, a, why)
	case c.Op == core.OpWill && m.waiting == forWill:
		m.willUpdated(t, a, why)
	}
	m.settle(t, a)
}

// Output implements protocols.Machine: it asks the input half to take what core has.
func (m *Machine) Output(*core.Turn, *protocols.Out) (more bool) {
	m.conn.Complete(core.Completion{Op: core.OpOutput})
	return false
}

// Tick implements protocols.Machine.
func (m *Machine) Tick(t *core.Turn, a *protocols.Actions) {
	now := t.Now()
	m.alarmAt = 0
	switch {
	case m.state == ended:
		a.Close, a.Reason = true, m.reason
		return
	case m.begin != nil && m.state == prompting && now >= m.begin.at:
		m.promptAgain(t, a)
	case m.state == active && m.keepAlive != 0 && m.waiting == forNothing && now >= m.heard+tolerated(m.keepAlive).Milliseconds():
		// [SN-6.11-4] [SN-6.11-5]
		m.report(t, core.Errorf(core.KeepAliveTimeout, "no message within the keep alive of %d s and its tolerance [SN-6.11-4]", m.keepAlive))
		m.close(a, core.KeepAliveTimeout)
	case m.state == awake && m.stalled != 0 && now >= m.stalled+m.patience():
		m.lose(t, a, packet.TypePublish)
	default:
		m.repeatDue(t, a, now)
	}
	m.settle(t, a)
}

// patience is how long a client that does not answer is waited for, in milliseconds.
func (m *Machine) patience() int64 {
	return m.adapter.cfg.RetryInterval.Milliseconds() * int64(m.adapter.cfg.Retries+1)
}

// tolerated is how long a client may be late that promised to be heard of within seconds:
// a tenth more above a minute, else half as much again. [SN-7.2-2]
func tolerated(seconds uint16) time.Duration {
	d := time.Duration(seconds) * time.Second
	if seconds > 60 {
		return d + d/10
	}
	return d + d/2
}

// arm asks for the tick that is needed next. An alarm that rings sooner stays: the tick
// looks again.
func (m *Machine) arm(t *core.Turn, a *protocols.Actions) {
	at := int64(0)
	sooner := func(when int64) {
		if at == 0 || when < at {
			at = when
		}
	}
	if m.state == active && m.keepAlive != 0 && m.waiting == forNothing {
		sooner(m.heard + tolerated(m.keepAlive).Milliseconds())
	}
	if m.begin != nil && m.state == prompting {
		sooner(m.begin.at)
	}
	if m.state == awake && m.stalled != 0 {
		sooner(m.stalled + m.patience())
	}
	for _, s := range []*sending{m.reg, m.pub} {
		if s != nil && s.at != 0 {
			sooner(s.at)
		}
	}
	if at == 0 || m.state == ended || m.alarmAt != 0 && m.alarmAt <= at {
		return
	}
	m.alarmAt = at
	a.SetAlarm, a.Alarm = true, max(time.Duration(at-t.Now())*time.Millisecond, time.Millisecond)
}

// put sends one message to the client.
func (m *Machine) put(t *core.Turn, a *protocols.Actions, p packet.Packet) {
	m.out += m.adapter.answer(t, m.info, a, p)
}

// room is how many bytes may be sent to an address that is not proven, all messages of this
// connection taken together.
func (m *Machine) room() int { return protocols.AmplificationFactor*m.in - m.out }

// prove ends the limit of amplification. [SN-0-1]
func (m *Machine) prove(a *protocols.Actions) {
	if !m.proven {
		m.proven, a.Proven = true, true
	}
}

// Stop implements protocols.Machine. A client that sleeps is told nothing: it sleeps on,
// and what it sends when it wakes is answered then.
func (m *Machine) Stop(t *core.Turn, r core.Reason, a *protocols.Actions) {
	if m.state == active || m.state == awake {
		m.put(t, a, &packet.Disconnect{}) // [SN-6.12-4]
	}
	if m.state != ended {
		m.close(a, r)
	}
	a.Close, a.Reason = true, m.reason
}

// close asks for the connection's end without a further word.
func (m *Machine) close(a *protocols.Actions, r core.Reason) {
	m.state, m.reason = ended, r
	a.Close, a.Reason, a.Pause = true, r, false
}

// Closed implements protocols.Machine.
func (m *Machine) Closed(t *core.Turn, r core.Reason) {
	if m.state != ended {
		m.reason = r
	}
	m.state = ended
	m.leave(t, m.reason)
}

// leave tells core that the connection is over, once.
func (m *Machine) leave(t *core.Turn, r core.Reason) {
	if !m.linked {
		return
	}
	m.linked = false
	m.adapter.gw.Disconnect(t, m.link, r, nil)
}

// report hands a fault to core for its counters and explain records.
func (m *Machine) report(t *core.Turn, err error) {
	v := judge(err)
	id := ""
	if m.linked {
		id = m.link.Session.ID()
	}
	m.adapter.gw.Refuse(t, core.Refusal{Reason: v.Reason, Listener: listenerName(m.info), Peer: m.conn.Peer().String(), ClientID: id, Detail: v.Detail})
}
