package coretest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fairlead-iot/fairlead/core"
)

// model is a store made of plain maps: the oracle of the suite.
type model struct {
	sessions map[string]*modelSession
	retained map[string]*core.Message
	delayed  map[uint64]core.DelayedRecord
}

type modelSession struct {
	record   core.SessionRecord
	subs     map[subKey]core.SubscriptionRecord
	queue    map[uint64]core.QueuedMessage
	received map[uint16]bool
	numbers  map[uint16]string
	attached map[string]string
	end      uint64 // above every Seq ever enqueued
}

func newModel() *model {
	return &model{sessions: map[string]*modelSession{}, retained: map[string]*core.Message{}, delayed: map[uint64]core.DelayedRecord{}}
}

// clone copies everything but the messages, which do not change.
func (m *model) clone() *model {
	c := &model{sessions: make(map[string]*modelSession, len(m.sessions)), retained: maps.Clone(m.retained), delayed: maps.Clone(m.delayed)}
	for id, s := range m.sessions {
		c.sessions[id] = &modelSession{
			record: s.record, subs: maps.Clone(s.subs), queue: maps.Clone(s.queue),
			received: maps.Clone(s.received), numbers: maps.Clone(s.numbers), attached: maps.Clone(s.attached), end: s.end,
		}
	}
	return c
}

// apply plays b; on a conflict m is as before.
func (m *model) apply(b *core.Batch) error {
	work := m.clone()
	for i := range b.Ops {
		if err := work.op(&b.Ops[i]); err != nil {
			return err
		}
	}
	*m = *work
	return nil
}

func (m *model) op(op *core.Op) error {
	switch op.Kind {
	case core.OpPutSession:
		return m.putSession(op)
	case core.OpPutRetained:
		m.retained[op.Msg.Topic] = op.Msg
		return nil
	case core.OpDeleteRetained:
		delete(m.retained, op.Filter)
		return nil
	case core.OpPutDelayed:
		m.delayed[op.Delayed.Msg.ID] = *op.Delayed
		return nil
	case core.OpDeleteDelayed:
		delete(m.delayed, op.MessageID)
		return nil
	}
	s := m.sessions[op.Session]
	if s == nil {
		return nil
	}
	switch op.Kind {
	case core.OpDeleteSession:
		delete(m.sessions, op.Session)
	case core.OpPutSubscription:
		s.subs[keyOf(op.Subscription)] = *op.Subscription
	case core.OpDeleteSubscription:
		delete(s.subs, subKey{op.Filter, op.Proxy})
	case core.OpEnqueue:
		s.queue[op.Entry.Seq] = op.Entry
		s.end = max(s.end, op.Entry.Seq+1)
	case core.OpAck:
		delete(s.queue, op.Entry.Seq)
	case core.OpReleased:
		if _, ok := s.queue[op.Entry.Seq]; ok {
			s.queue[op.Entry.Seq] = core.QueuedMessage{Seq: op.Entry.Seq, QoS: 2, Released: true, Msg: op.Entry.Msg}
		}
	case core.OpPutReceived:
		s.received[op.PacketID] = true
	case core.OpDeleteReceived:
		delete(s.received, op.PacketID)
	case core.OpPutRegistration:
		s.numbers[op.PacketID] = op.Filter
	case core.OpPutAttachment:
		s.attached[op.Filter] = string(op.Value)
	case core.OpDeleteAttachment:
		delete(s.attached, op.Filter)
	}
	return nil
}

func (m *model) putSession(op *core.Op) error {
	s := m.sessions[op.Session]
	stored := uint64(0)
	if s != nil {
		stored = s.record.Epoch
	}
	if stored != op.Expect {
		return core.ErrConflict
	}
	if s == nil {
		s = &modelSession{
			subs: map[subKey]core.SubscriptionRecord{}, queue: map[uint64]core.QueuedMessage{}, received: map[uint16]bool{},
			numbers: map[uint16]string{}, attached: map[string]string{},
		}
		m.sessions[op.Session] = s
	}
	s.record = *op.Record
	s.record.ClientID = op.Session
	return nil
}

// entries gives a session's queue in order.
func (s *modelSession) entries() []core.QueuedMessage {
	return slices.SortedFunc(maps.Values(s.queue), func(a, b core.QueuedMessage) int { return cmp.Compare(a.Seq, b.Seq) })
}

// plainMessage is what lasts of a message, in a form that can be compared.
type plainMessage struct {
	Topic, Payload, Publisher, Username string
	ID                                  uint64
	Published, Expires                  int64
	QoS                                 uint8
	Retain                              bool
	Properties                          *core.Properties
	Stored                              core.StoredName
}

func plain(m *core.Message) *plainMessage {
	if m == nil {
		return nil
	}
	p := &plainMessage{
		Topic: m.Topic, Payload: string(m.Payload), Publisher: m.Publisher, Username: m.Username,
		ID: m.ID, Published: m.Published, Expires: m.Expires, QoS: m.QoS, Retain: m.Retain, Properties: m.Properties,
	}
	if m.Stored != nil {
		p.Stored = *m.Stored
	}
	return p
}

func sameProperties(a, b *core.Properties) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.PayloadFormat == b.PayloadFormat && a.ContentType == b.ContentType && a.ResponseTopic == b.ResponseTopic &&
		(a.CorrelationData == nil) == (b.CorrelationData == nil) && bytes.Equal(a.CorrelationData, b.CorrelationData) &&
		slices.Equal(a.User, b.User)
}

func sameMessage(a, b *core.Message) bool {
	if a == nil || b == nil {
		return a == b
	}
	p, q := plain(a), plain(b)
	same := sameProperties(p.Properties, q.Properties)
	p.Properties, q.Properties = nil, nil
	return same && *p == *q
}

func sameWill(a, b *core.Will) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Topic == b.Topic && bytes.Equal(a.Payload, b.Payload) && a.QoS == b.QoS && a.Retain == b.Retain &&
		a.Delay == b.Delay && a.Expiry == b.Expiry && a.HasExpiry == b.HasExpiry && sameProperties(a.Properties, b.Properties)
}

// sameEntry compares what core gets with what it gave. Of a released entry only
// the number, the mark and the message that came with it are promised.
func sameEntry(got, want core.QueuedMessage) bool {
	if want.Released {
		return got.Released && got.Seq == want.Seq && (want.Msg == nil || sameMessage(got.Msg, want.Msg))
	}
	return !got.Released && got.Seq == want.Seq && got.QoS == want.QoS && got.Retain == want.Retain &&
		slices.Equal(got.SubIDs, want.SubIDs) && sameMessage(got.Msg, want.Msg)
}

func sameDelayed(a, b core.DelayedRecord) bool {
	same := sameMessage(a.Msg, b.Msg)
	a.Msg, b.Msg = nil, nil
	return same && a == b
}

func describeEntry(e core.QueuedMessage) string {
	return fmt.Sprintf("{Seq %d, QoS %d, Retain %v, Released %v, SubIDs %v, %s}", e.Seq, e.QoS, e.Retain, e.Released, e.SubIDs, describeMessage(e.Msg))
}

func describeMessage(m *core.Message) string {
	if m == nil {
		return "no message"
	}
	return fmt.Sprintf("message %d of %q, %d bytes, QoS %d, from %q/%q, published %d, expires %d, properties %+v, stored as %+v",
		m.ID, m.Topic, len(m.Payload), m.QoS, m.Publisher, m.Username, m.Published, m.Expires, m.Properties, m.Stored)
}
