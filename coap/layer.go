package coap

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// token is a CoAP token, comparable.
type token struct {
	b [message.MaxTokenSize]byte
	n uint8
}

func tokenOf(b []byte) (t token) {
	t.n = uint8(copy(t.b[:], b))
	return t
}

func (t *token) bytes() []byte { return t.b[:t.n] }

// asking is what an answer has to come back to.
type asking struct {
	kind       message.Type
	id         uint16
	token      token
	noResponse uint8
	size       int   // of the request, in bytes
	safe       bool  // the request may be done again
	acked      bool  // the request was acknowledged: the answer comes apart
	block1     block // of the last block of its payload
}

func (q *request) asking() asking {
	return asking{kind: q.kind, id: q.id, token: tokenOf(q.token), noResponse: q.noResponse, size: q.size, safe: q.safe()}
}

// exchange is a request that must not be done twice. [CoAP-4.5-1] [CoAP-4.5-2]
type exchange struct {
	id     uint16
	kind   message.Type
	at     int64  // Unix milliseconds
	answer []byte // the datagram that answered it, nil while there is none
}

// pending is a request whose answer core has not given yet.
type pending struct {
	asking
	packetID uint16
	ackAt    int64            // when it is acknowledged by itself, Unix milliseconds; 0: not any more
	done     response         // what it is answered then
	after    func(*core.Turn) // as of publication
}

// confirm is a confirmable message of ours.
type confirm struct {
	id    uint16
	bytes []byte
	tries int
	wait  int64 // milliseconds, doubled at each repetition
	due   int64 // Unix milliseconds
	sent  int64
	note  note // what it tells an observer, or none

	answers bool // it is an answer that comes apart
}

// receive takes one datagram.
func (m *Machine) receive(t *core.Turn, s *scratch, a *protocols.Actions, b []byte) {
	q, ok := m.understand(t, s, a, b)
	if !ok || m.duplicate(t, a, q) {
		return
	}
	m.serve(t, s, a, q, b)
}

// understand decodes a datagram and deals with all that is no request.
func (m *Machine) understand(t *core.Turn, s *scratch, a *protocols.Actions, b []byte) (*request, bool) {
	h, ok := readHeader(b)
	if !ok || !h.known {
		m.refuse(t, core.MalformedPacket, "not CoAP [CoAP-3-1]")
		return nil, false
	}
	group := m.group()
	if err := decode(b, &s.message); err != nil {
		m.refuse(t, core.MalformedPacket, err.Error())
		m.reject(t, a, h, group) // [CoAP-4.2-1] [CoAP-4.2-6] [CoAP-4.3-1]
		return nil, false
	}
	switch {
	case h.kind == message.Acknowledgement:
		m.acknowledged(t, a, h)
		return nil, false
	case h.kind == message.Reset:
		m.reset(t, a, h)
		return nil, false
	case h.code == codes.Empty || h.code>>5 != 0: // a ping, or a response to nothing
		m.reject(t, a, h, group) // [CoAP-4.2-2] [CoAP-4.2-1]
		return nil, false
	case group && h.kind != message.NonConfirmable:
		m.refuse(t, core.ProtocolError, "a confirmable message to a group [CoAP-8.1-1]")
		return nil, false
	}
	q := &s.request
	if bad := q.read(&s.message, len(b)); bad != 0 {
		m.refuse(t, core.ProtocolError, "option "+bad.String()+" is not understood [CoAP-5.4.1-1]")
		if h.kind == message.Confirmable {
			m.reply(t, a, q.asking(), failure(codes.BadOption, "option "+bad.String()+" is not understood"))
		} // [CoAP-5.4.1-2] the others are ignored
		return nil, false
	}
	return q, true
}

// group says that the datagram was sent to a group of receivers.
func (m *Machine) group() bool { return m.info.Local.Addr().IsMulticast() }

// reject answers what cannot be processed: with a reset where that is asked for.
func (m *Machine) reject(t *core.Turn, a *protocols.Actions, h header, group bool) {
	if h.kind != message.Confirmable || group {
		return
	}
	a.Out = appendEmpty(a.Out, message.Reset, h.id)
	a.EndDatagram()
	t.Count(core.PacketsSent, 1)
}

// duplicate says that q was seen before, and answers it as it was answered then. What is
// new is noted, unless it may be done twice.
func (m *Machine) duplicate(t *core.Turn, a *protocols.Actions, q *request) bool {
	now := t.Now()
	old := 0
	for old < len(m.recent) && m.recent[old].at+m.adapter.cfg.Lifetime.Milliseconds() <= now {
		old++
	}
	m.recent = slices.Delete(m.recent, 0, old)
	for i := len(m.recent) - 1; i >= 0; i-- {
		e := &m.recent[i]
		if e.id != q.id || e.kind != q.kind {
			continue
		}
		t.Count(core.MessagesDuplicate, 1)
		if e.answer != nil && q.kind == message.Confirmable && m.affordable(len(e.answer), q.size) { // [CoAP-11.3-1]
			m.say(t, a, e.answer)
		}
		return true
	}
	if q.safe() {
		return false
	}
	if len(m.recent) >= m.adapter.cfg.MaxRecent {
		m.recent = slices.Delete(m.recent, 0, 1)
	}
	m.recent = append(m.recent, exchange{id: q.id, kind: q.kind, at: now})
	return false
}

// remember keeps the answer to x for its repetitions.
func (m *Machine) remember(x asking, answer []byte) {
	for i := len(m.recent) - 1; i >= 0; i-- {
		if e := &m.recent[i]; e.id == x.id && e.kind == x.kind {
			e.answer = bytes.Clone(answer)
			return
		}
	}
}

// forget takes x out of the books: it was not done, and may come again.
func (m *Machine) forget(x asking) {
	m.recent = slices.DeleteFunc(m.recent, func(e exchange) bool { return e.id == x.id && e.kind == x.kind })
}

func (m *Machine) say(t *core.Turn, a *protocols.Actions, b []byte) {
	a.Out = append(a.Out, b...)
	if m.stream == nil {
		a.EndDatagram()
	}
	t.Count(core.PacketsSent, 1)
}

// newID gives a message ID that was not used for as long as possible. [CoAP-4.4-1]
func (m *Machine) newID() uint16 {
	m.nextID++
	return m.nextID
}

// reply answers a request: in its acknowledgement, as a message like it, or apart.
func (m *Machine) reply(t *core.Turn, a *protocols.Actions, x asking, r response) {
	if x.block1.there && !r.block1.there {
		r.block1 = x.block1
	}
	failed := r.code >= codes.BadRequest
	if x.noResponse&(1<<(r.code>>5-1)) != 0 || failed && m.group() { // [NoResponse-2-1] [CoAP-8.2-1]
		m.acknowledge(t, a, x)
		return
	}
	s := scratchOf(t)
	s.options = r.options(s.options)
	msg := message.Message{Type: message.Acknowledgement, MessageID: int32(x.id), Code: r.code, Token: x.token.bytes(), Options: s.options, Payload: r.payload}
	switch {
	case m.stream != nil:
		m.replyStream(t, a, &msg)
		return
	case x.kind == message.NonConfirmable: // [CoAP-5.2.3-1]
		msg.Type, msg.MessageID = message.NonConfirmable, int32(m.newID())
	case x.acked: // [CoAP-5.2.2-2]
		id := m.newID()
		msg.Type, msg.MessageID = message.Confirmable, int32(id)
		m.apart = append(m.apart, &confirm{id: id, bytes: appendMessage(nil, &msg), answers: true})
		return
	}
	at := len(a.Out)
	a.Out = appendMessage(a.Out, &msg) // [CoAP-5.2.1-1] [CoAP-5.3.1-1]
	if failed && !m.affordable(len(a.Out)-at, x.size) {
		msg.Payload = nil // words cost
		a.Out = appendMessage(a.Out[:at], &msg)
	}
	if !m.affordable(len(a.Out)-at, x.size) {
		a.Out = a.Out[:at]
		m.challenge(t, a, x)
		return
	}
	m.remember(x, a.Out[at:])
	a.EndDatagram()
	t.Count(core.PacketsSent, 1)
}

// acknowledge sends the empty acknowledgement of x, if it needs one.
func (m *Machine) acknowledge(t *core.Turn, a *protocols.Actions, x asking) {
	if x.kind != message.Confirmable || x.acked || m.stream != nil {
		return
	}
	at := len(a.Out)
	a.Out = appendEmpty(a.Out, message.Acknowledgement, x.id)
	m.remember(x, a.Out[at:])
	a.EndDatagram()
	t.Count(core.PacketsSent, 1)
}

// acknowledgeSlow acknowledges a request whose answer takes long. [CoAP-5.2.2-1]
func (m *Machine) acknowledgeSlow(t *core.Turn, a *protocols.Actions, p *pending) {
	if p.ackAt == 0 || p.ackAt > t.Now() {
		return
	}
	p.ackAt = 0
	m.acknowledge(t, a, p.asking)
	p.acked = true
}

// later notes that the answer to x, which published p, comes with packetID.
func (m *Machine) later(t *core.Turn, x asking, packetID uint16, p *publication) {
	m.pending = append(m.pending, pending{asking: x, packetID: packetID, done: p.reply, after: p.after, ackAt: m.ackAt(t, x)})
}

// ackAt is when x is acknowledged by itself unless it was answered before, 0 for never.
func (m *Machine) ackAt(t *core.Turn, x asking) int64 {
	if x.kind != message.Confirmable || m.stream != nil {
		return 0
	}
	return t.Now() + m.adapter.cfg.Piggyback.Milliseconds()
}

// mayConfirm says whether a confirmable message may be sent now. To an address that is not
// proven the smallest there is goes first, which asks for the proof: there might be no room
// to repeat a longer one. [CoAP-11.3-1]
func (m *Machine) mayConfirm(t *core.Turn, a *protocols.Actions) bool {
	if m.out == nil && !m.proven {
		m.ping(t, a)
	}
	return m.out == nil
}

// transmit sends a confirmable message for the first time.
func (m *Machine) transmit(t *core.Turn, a *protocols.Actions, c *confirm) {
	cfg := &m.adapter.cfg
	base := float64(cfg.AckTimeout.Milliseconds())
	c.wait = int64(base + rand.Float64()*base*(cfg.AckRandom-1)) // [CoAP-4.2-5]
	c.sent = t.Now()
	c.due = c.sent + c.wait
	m.out = c
	m.say(t, a, c.bytes)
}

// repeat sends the confirmable message on its way again, or gives its receiver up.
// [CoAP-4.2-4]
func (m *Machine) repeat(t *core.Turn, a *protocols.Actions) {
	c := m.out
	if c.tries >= m.adapter.cfg.MaxRetransmit {
		m.out = nil
		if c.answers || m.link.Load() == nil {
			if !m.proven {
				m.apart = nil
			}
			return // nobody took it
		}
		m.end(core.ConnectionLost) // [Observe-4.5-3]
		return
	}
	c.tries++
	c.wait *= 2
	c.due = t.Now() + c.wait
	if c.note.of != nil {
		m.renew(t, c)
	}
	m.say(t, a, c.bytes)
}

// acknowledged takes an acknowledgement.
func (m *Machine) acknowledged(t *core.Turn, a *protocols.Actions, h header) {
	c := m.out
	if c == nil || c.id != h.id || h.code != codes.Empty { // [CoAP-4.2-6]
		return
	}
	m.out = nil
	m.prove(a)
	if c.tries == 0 {
		m.rtt = max(t.Now()-c.sent, 1)
	}
	if c.note.of != nil {
		m.noted(t, c.note)
	}
}

// reset takes a reset: the peer has no use for what we sent, be it confirmable or not.
func (m *Machine) reset(t *core.Turn, a *protocols.Actions, h header) {
	if c := m.out; c != nil && c.id == h.id {
		m.out = nil
		m.prove(a)
		if c.note.of != nil {
			m.cancelled(t, c.note.of, &c.note) // [Observe-3.6-2]
		}
		return
	}
	for _, o := range m.observations {
		if o.non && o.lastNon == h.id && o.saidNon { // [Observe-3.6-3]
			m.cancelled(t, o, nil)
			return
		}
	}
}

// ping asks whether the peer is there: a reset is the answer. [CoAP-4.2-2]
func (m *Machine) ping(t *core.Turn, a *protocols.Actions) {
	if m.out != nil {
		return
	}
	id := m.newID()
	m.transmit(t, a, &confirm{id: id, bytes: appendEmpty(nil, message.Confirmable, id)})
}

// refuse lets core count and explain what a peer did wrong.
func (m *Machine) refuse(t *core.Turn, r core.Reason, detail string) {
	info := core.Refusal{Reason: r, Detail: detail, ClientID: m.session, Listener: m.listenerName()}
	if m.info.Peer.IsValid() {
		info.Peer = m.info.Peer.String()
	}
	m.adapter.gw.Refuse(t, info)
}

func (m *Machine) listenerName() string {
	if m.info.Listener == nil {
		return ""
	}
	return m.info.Listener.Name()
}
