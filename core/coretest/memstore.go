package coretest

import (
	"context"
	"sort"
	"sync"

	"github.com/fairlead-iot/fairlead/core"
)

// MemStore is a core.Store in memory, for tests of what stands above a store. It
// passes the conformance suite; it survives nothing. With Hold, commits wait
// until Release, so that a test sees what happens between.
type MemStore struct {
	mu       sync.Mutex
	sessions map[string]*memSession
	retained map[string]*core.Message
	delayed  map[uint64]core.DelayedRecord
	held     []heldCommit
	hold     bool
	fail     error
	closed   bool
	dead     bool
	stats    core.StoreStats
}

type memSession struct {
	record   core.SessionRecord
	subs     map[subKey]core.SubscriptionRecord
	queue    map[uint64]core.QueuedMessage
	received map[uint16]bool
	numbers  map[uint16]string
	attached map[string][]byte
	end      uint64
}

// subKey tells one subscription of a session from another.
type subKey struct {
	filter string
	proxy  bool
}

func keyOf(r *core.SubscriptionRecord) subKey { return subKey{r.Filter, r.Proxy} }

type heldCommit struct {
	b    *core.Batch
	done func(error)
}

// NewMemStore makes an empty store.
func NewMemStore() *MemStore {
	return &MemStore{sessions: map[string]*memSession{}, retained: map[string]*core.Message{}, delayed: map[uint64]core.DelayedRecord{}}
}

// Hold makes commits wait for Release.
func (m *MemStore) Hold() {
	m.mu.Lock()
	m.hold = true
	m.mu.Unlock()
}

// Release applies what waits, in order, and lets later commits through at once.
func (m *MemStore) Release() {
	m.mu.Lock()
	held := m.held
	m.held, m.hold = nil, false
	m.mu.Unlock()
	for _, h := range held {
		m.apply(h.b, h.done)
	}
}

// Crash forgets what waits, as a killed process would. Whoever used the store
// before may no longer: give it to a new gateway.
func (m *MemStore) Crash() {
	m.mu.Lock()
	m.held, m.hold = nil, false
	m.mu.Unlock()
}

// Held is how many batches wait for Release.
func (m *MemStore) Held() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.held)
}

// Kill ends the process at a moment when of the batches that wait the first kept had
// reached the disk, which nobody was told any more. It gives the store to go on with.
// What the old gateway commits from here on is never heard of.
func (m *MemStore) Kill(kept int) *MemStore {
	m.mu.Lock()
	held := m.held[:kept]
	m.mu.Unlock()
	for _, h := range held {
		m.apply(h.b, nil)
	}
	m.Crash()
	next := NewMemStore()
	m.mu.Lock()
	defer m.mu.Unlock()
	next.sessions, m.sessions = m.sessions, next.sessions
	next.retained, m.retained = m.retained, next.retained
	next.delayed, m.delayed = m.delayed, next.delayed
	next.stats = m.stats
	m.dead = true
	return next
}

// Fail makes every commit from now on fail with err; nil ends it.
func (m *MemStore) Fail(err error) {
	m.mu.Lock()
	m.fail = err
	m.mu.Unlock()
}

// Commit implements core.Store.
func (m *MemStore) Commit(b *core.Batch, done func(error)) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return core.ErrStoreClosed
	}
	if m.dead {
		m.mu.Unlock()
		return nil
	}
	if m.hold {
		m.held = append(m.held, heldCommit{b, done})
		m.mu.Unlock()
		return nil
	}
	m.mu.Unlock()
	m.apply(b, done)
	return nil
}

func (m *MemStore) apply(b *core.Batch, done func(error)) {
	m.mu.Lock()
	err := m.fail
	if err == nil {
		err = m.check(b)
	}
	if err == nil {
		for i := range b.Ops {
			m.do(&b.Ops[i])
		}
		m.stats.Batches++
		m.stats.Commits++
	} else {
		m.stats.Failed++
	}
	m.mu.Unlock()
	if done != nil {
		done(err)
	}
}

func (m *MemStore) check(b *core.Batch) error {
	epochs := map[string]uint64{}
	for i := range b.Ops {
		o := &b.Ops[i]
		switch o.Kind {
		case core.OpDeleteSession:
			epochs[o.Session] = 0
		case core.OpPutSession:
			have, known := epochs[o.Session]
			if s := m.sessions[o.Session]; !known && s != nil {
				have = s.record.Epoch
			}
			if have != o.Expect {
				return core.ErrConflict
			}
			epochs[o.Session] = o.Record.Epoch
		}
	}
	return nil
}

func (m *MemStore) do(o *core.Op) {
	switch o.Kind {
	case core.OpPutRetained:
		m.retained[o.Msg.Topic] = o.Msg
		return
	case core.OpDeleteRetained:
		delete(m.retained, o.Filter)
		return
	case core.OpPutDelayed:
		m.delayed[o.Delayed.Msg.ID] = *o.Delayed
		return
	case core.OpDeleteDelayed:
		delete(m.delayed, o.MessageID)
		return
	case core.OpDeleteSession:
		delete(m.sessions, o.Session)
		return
	}
	s := m.sessions[o.Session]
	if o.Kind == core.OpPutSession {
		if s == nil {
			s = &memSession{subs: map[subKey]core.SubscriptionRecord{}, queue: map[uint64]core.QueuedMessage{}, received: map[uint16]bool{}, numbers: map[uint16]string{}, attached: map[string][]byte{}}
			m.sessions[o.Session] = s
		}
		s.record = *o.Record
		return
	}
	if s != nil {
		s.do(o)
	}
}

func (s *memSession) do(o *core.Op) {
	switch o.Kind {
	case core.OpPutSubscription:
		s.subs[keyOf(o.Subscription)] = *o.Subscription
	case core.OpDeleteSubscription:
		delete(s.subs, subKey{o.Filter, o.Proxy})
	case core.OpEnqueue:
		s.queue[o.Entry.Seq] = o.Entry
		s.end = max(s.end, o.Entry.Seq+1)
	case core.OpAck:
		delete(s.queue, o.Entry.Seq)
	case core.OpReleased:
		if e, ok := s.queue[o.Entry.Seq]; ok {
			e.Released, e.Msg = true, o.Entry.Msg
			s.queue[o.Entry.Seq] = e
		}
	case core.OpPutReceived:
		s.received[o.PacketID] = true
	case core.OpDeleteReceived:
		delete(s.received, o.PacketID)
	case core.OpPutRegistration:
		s.numbers[o.PacketID] = o.Filter
	case core.OpPutAttachment:
		s.attached[o.Filter] = o.Value
	case core.OpDeleteAttachment:
		delete(s.attached, o.Filter)
	}
}

func (s *memSession) seqs() []uint64 {
	var seqs []uint64
	for q := range s.queue {
		seqs = append(seqs, q)
	}
	sort.Slice(seqs, func(i, j int) bool { return seqs[i] < seqs[j] })
	return seqs
}

// Fetch implements core.Store.
func (m *MemStore) Fetch(_ context.Context, id string, from uint64, max, maxBytes int, dst []core.QueuedMessage) ([]core.QueuedMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return dst, core.ErrStoreClosed
	}
	if m.fail != nil {
		return dst, m.fail
	}
	s := m.sessions[id]
	if s == nil {
		return dst, nil
	}
	n, bytes := 0, 0
	for _, q := range s.seqs() {
		e := s.queue[q]
		if q < from {
			continue
		}
		if e.Msg != nil {
			bytes += len(e.Msg.Payload)
		}
		if n == max || (n > 0 && bytes > maxBytes) {
			break
		}
		dst = append(dst, e)
		n++
	}
	return dst, nil
}

// Load implements core.Store.
func (m *MemStore) Load(_ context.Context, to core.Loader) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.sessions {
		if err := to.Session(s.load()); err != nil {
			return err
		}
		for _, r := range s.subs {
			if err := to.Subscription(id, r); err != nil {
				return err
			}
		}
	}
	for _, r := range m.retained {
		if err := to.Retained(r); err != nil {
			return err
		}
	}
	for _, r := range m.delayed {
		if err := to.Delayed(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *memSession) load() core.SessionRecord {
	r := s.record
	seqs := s.seqs()
	r.QueueEnd, r.QueueHead, r.Queued = s.end, s.end, len(seqs)
	if len(seqs) > 0 {
		r.QueueHead = seqs[0]
	}
	for id := range s.received {
		r.Received = append(r.Received, id)
	}
	for id, topic := range s.numbers {
		r.Registrations = append(r.Registrations, core.Registration{ID: id, Topic: topic})
	}
	for key, value := range s.attached {
		r.Attachments = append(r.Attachments, core.Attachment{Key: key, Value: value})
	}
	return r
}

// Queued is how many entries the queue of a session holds.
func (m *MemStore) Queued(clientID string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[clientID]; s != nil {
		return len(s.queue)
	}
	return 0
}

// Received is how many identifiers of inbound QoS 2 messages a session holds.
func (m *MemStore) Received(clientID string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[clientID]; s != nil {
		return len(s.received)
	}
	return 0
}

// Health implements core.Store.
func (m *MemStore) Health() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return core.ErrStoreClosed
	}
	return m.fail
}

// Stats implements core.Store.
func (m *MemStore) Stats() core.StoreStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.stats
	for _, s := range m.sessions {
		st.Queued += int64(len(s.queue))
	}
	st.Engine, st.Sessions, st.Retained = "memory", int64(len(m.sessions)), int64(len(m.retained))
	st.Delayed = int64(len(m.delayed))
	return st
}

// Reopen makes the store usable again after Close, with what it held.
func (m *MemStore) Reopen() {
	m.mu.Lock()
	m.closed = false
	m.mu.Unlock()
}

// Close implements core.Store.
func (m *MemStore) Close() error {
	m.Release()
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	return nil
}

var _ core.Store = (*MemStore)(nil)
