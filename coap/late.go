package coap

import (
	"slices"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Some retained messages have to be fetched from elsewhere. The request that needs one is
// held until core has it.

// lateRead is what a request waits for of retained messages, and those that it was given.
type lateRead struct {
	ackAt int64  // as in pending
	want  string // what it waits for
	list  bool   // want is a filter
	given []given
}

// given is core's answer to one question.
type given struct {
	want     string
	list     bool
	messages []*core.Message
	reason   core.Reason
}

// read gives the retained message of a topic. Not ready: the request is held, and whoever
// asks must leave it alone.
func (m *Machine) read(t *core.Turn, name string) (msg *core.Message, r core.Reason, ready bool) {
	if g := m.givenFor(name, false); g != nil {
		if len(g.messages) > 0 {
			msg = g.messages[0]
		}
		return msg, g.reason, true
	}
	m.operation++
	msg, r, pending := m.adapter.gw.Read(t, *m.link.Load(), m.operation, name)
	if pending {
		m.holdForRead(t, name, false)
	}
	return msg, r, !pending
}

// list gives retained messages, as many as a collection may have; ready as read.
func (m *Machine) list(t *core.Turn, filter string) (ms []*core.Message, r core.Reason, ready bool) {
	if g := m.givenFor(filter, true); g != nil {
		return g.messages, g.reason, true
	}
	m.operation++
	ms, r, pending := m.adapter.gw.List(t, *m.link.Load(), m.operation, filter, m.adapter.cfg.MaxTopics)
	if pending {
		m.holdForRead(t, filter, true)
	}
	return ms, r, !pending
}

func (m *Machine) givenFor(want string, list bool) *given {
	if m.late == nil {
		return nil
	}
	for i := range m.late.given {
		if g := &m.late.given[i]; g.want == want && g.list == list {
			return g
		}
	}
	return nil
}

// holdForRead holds the request that is being done.
func (m *Machine) holdForRead(t *core.Turn, want string, list bool) {
	s := scratchOf(t)
	m.hold(s, s.x, forRead)
	if m.late == nil {
		m.late = &lateRead{ackAt: m.ackAt(t, s.x)}
	}
	m.late.want, m.late.list = want, list
}

// readDone takes core's answer, and does the request.
func (m *Machine) readDone(t *core.Turn, s *scratch, a *protocols.Actions, c *core.Completion) {
	w := m.late
	if w == nil {
		return
	}
	w.given = append(w.given, given{w.want, w.list, c.Messages, c.Reasons[0]})
	m.actAnew(t, s, a)
}

// readAnew has what a topic retains read once more: from now on nothing passes by.
func (m *Machine) readAnew(name string) {
	if m.late != nil {
		m.late.given = slices.DeleteFunc(m.late.given, func(g given) bool { return g.want == name && !g.list })
	}
}

// acknowledgeLate acknowledges a request that waits for long. [CoAP-5.2.2-1]
func (m *Machine) acknowledgeLate(t *core.Turn, a *protocols.Actions) {
	w := m.late
	if w == nil || m.waiting == forNothing || w.ackAt == 0 || w.ackAt > t.Now() {
		return
	}
	w.ackAt = 0
	m.acknowledge(t, a, m.held.asking)
	m.held.asking.acked = true
}

// present gives the state of what is observed: the retained message, or nothing. Not
// ready: as read.
func (m *Machine) present(t *core.Turn, q *request, at place) (r response, ready bool) {
	if wildcard(at.topic) || at.topic == "" || at.topic[0] == '$' {
		return answer(codes.Content), true
	}
	msg, reason, ready := m.read(t, at.topic)
	switch {
	case !ready:
		return r, false
	case reason != core.Success:
		return m.refusal(reason, ""), true
	case msg == nil:
		return answer(codes.Content), true
	}
	return m.content(t, q, msg, m.formatFor(msg, q.accept)), true
}

// tell answers a request with the present state.
func (m *Machine) tell(t *core.Turn, a *protocols.Actions, q *request, x asking, at place) {
	if r, ready := m.present(t, q, at); ready {
		m.reply(t, a, x, r)
	}
}
