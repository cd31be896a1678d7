package pebble

import (
	"hash/maphash"
	"sync"
)

// seqBlock is how many sequence numbers a session reserves at once. After a
// start the whole block counts as used, so that no number comes twice although
// the entries under it may be long acknowledged and gone.
const seqBlock = 1024

// session is what the table knows of a session.
type session struct {
	sid      uint64
	epoch    uint64
	reserved uint64 // sequence numbers below may have been used
	group    uint64 // number of the last group that wrote below sid
	queue    spans
}

// table is the in-memory image of what the disk holds, as far as the committer
// decides by it. It is the committer's alone, but for lookup.
type table struct {
	mu       sync.RWMutex // guards sessions against lookup; the committer reads without it
	sessions map[string]*session
	bodies   map[uint64]uint32 // references to each body
	retained map[uint64]struct{}
	delayed  map[uint64]struct{} // by message id
	seed     maphash.Seed
	lastSID  uint64
	lastBody uint64
	queued   int64
}

func newTable() *table {
	return &table{
		sessions: map[string]*session{},
		bodies:   map[uint64]uint32{},
		retained: map[uint64]struct{}{},
		delayed:  map[uint64]struct{}{},
		seed:     maphash.MakeSeed(),
	}
}

// lookup gives the sid of clientID. Any goroutine.
func (t *table) lookup(clientID string) (sid uint64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s, ok := t.sessions[clientID]
	if !ok {
		return 0, false
	}
	return s.sid, true
}

// create adds a session under a fresh sid.
func (t *table) create(clientID string) *session {
	t.lastSID++
	s := &session{sid: t.lastSID}
	t.insert(clientID, s)
	return s
}

func (t *table) insert(clientID string, s *session) {
	t.mu.Lock()
	t.sessions[clientID] = s
	t.mu.Unlock()
}

func (t *table) remove(clientID string) {
	t.mu.Lock()
	delete(t.sessions, clientID)
	t.mu.Unlock()
}

// refer counts one more reference to a body.
func (t *table) refer(body uint64) {
	if body != 0 {
		t.bodies[body]++
	}
}

// release counts one reference less; last says that none is left.
func (t *table) release(body uint64) (last bool) {
	n, ok := t.bodies[body]
	if !ok {
		return false
	}
	if n > 1 {
		t.bodies[body] = n - 1
		return false
	}
	delete(t.bodies, body)
	return true
}

// noteRetained counts a retained message, by a hash of its topic: only the
// number of topics is wanted, and ten million names would cost a gigabyte.
func (t *table) noteRetained(topic string, present bool) {
	h := maphash.String(t.seed, topic)
	if present {
		t.retained[h] = struct{}{}
	} else {
		delete(t.retained, h)
	}
}
