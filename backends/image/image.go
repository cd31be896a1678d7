package image

import (
	"hash/maphash"
	"sync"
)

// seqBlock is how many sequence numbers a session reserves at once. After a
// start the whole block counts as used, so that no number comes twice although
// the entries under it may be long acknowledged and gone.
const seqBlock = 1024

// Block is how many numbers, of queue entries or of bodies, may lie in one part of a store
// that has parts: Block of them in a row, the first a multiple of it.
const Block = 1024

// Session is what the image knows of a session.
type Session struct {
	sid      uint64
	epoch    uint64
	reserved uint64 // sequence numbers below may have been used
	group    uint64 // number of the last group that wrote below sid
	queue    spans
}

// SID is the number that stands for the session in keys.
func (s *Session) SID() uint64 { return s.sid }

// Group is the [Builder.Group] that wrote last below the session.
func (s *Session) Group() uint64 { return s.group }

// Image is the picture in memory of what a store holds, as far as its writer
// decides by it. It is the writer's alone, but for Lookup.
type Image struct {
	mu       sync.RWMutex // guards sessions against Lookup; the writer reads without it
	sessions map[string]*Session
	bodies   map[uint64]uint32 // references to each body
	blocks   map[uint64]uint32 // bodies in each Block
	large    map[uint64]int64  // bytes of bodies above smallBody, as far as they are known
	retained map[uint64]struct{}
	delayed  map[uint64]struct{} // by message id
	seed     maphash.Seed
	lastSID  uint64
	lastBody uint64
	queued   int64
	journal  journal
}

// New makes the image of an empty store.
func New() *Image {
	return &Image{
		sessions: map[string]*Session{},
		bodies:   map[uint64]uint32{},
		blocks:   map[uint64]uint32{},
		large:    map[uint64]int64{},
		retained: map[uint64]struct{}{},
		delayed:  map[uint64]struct{}{},
		seed:     maphash.MakeSeed(),
	}
}

// Figures are how many of each an image counts.
type Figures struct{ Sessions, Queued, Retained, Delayed int64 }

// Figures counts.
func (im *Image) Figures() Figures {
	return Figures{Sessions: int64(len(im.sessions)), Queued: im.queued, Retained: int64(len(im.retained)), Delayed: int64(len(im.delayed))}
}

// Lookup gives the session of clientID, nil for none. Any goroutine; what the session
// holds is the writer's.
func (im *Image) Lookup(clientID string) *Session {
	im.mu.RLock()
	defer im.mu.RUnlock()
	return im.sessions[clientID]
}

// create adds a session under a fresh sid.
func (im *Image) create(clientID string) *Session {
	im.lastSID++
	s := &Session{sid: im.lastSID}
	im.insert(clientID, s)
	return s
}

func (im *Image) insert(clientID string, s *Session) {
	im.note(change{kind: inserted, id: clientID})
	im.mu.Lock()
	im.sessions[clientID] = s
	im.mu.Unlock()
}

// remove takes a session with its queue out; its bodies are released by themselves.
func (im *Image) remove(clientID string, s *Session) {
	im.note(change{kind: removed, id: clientID, session: s})
	im.queued -= int64(s.queue.length())
	im.mu.Lock()
	delete(im.sessions, clientID)
	im.mu.Unlock()
}

func (im *Image) setEpoch(s *Session, epoch uint64) {
	im.note(change{kind: epochSet, session: s, number: s.epoch})
	s.epoch = epoch
}

func (im *Image) reserve(s *Session, end uint64) {
	im.note(change{kind: reservation, session: s, number: s.reserved})
	s.reserved = end
}

// enqueue notes the entry seq with its body (0 for inline), to which it must refer
// already. If there was one at seq, it gives that one's body.
func (im *Image) enqueue(s *Session, seq, body uint64) (was uint64) {
	was, again := s.queue.add(seq, body)
	if again {
		im.note(change{kind: replaced, session: s, number: seq, body: was})
		return was
	}
	im.note(change{kind: enqueued, session: s, number: seq})
	im.queued++
	return 0
}

// dequeue takes the entry seq out and gives its body; found is false for an unknown one.
func (im *Image) dequeue(s *Session, seq uint64) (body uint64, found bool) {
	if body, found = s.queue.remove(seq); found {
		im.note(change{kind: dequeued, session: s, number: seq, body: body})
		im.queued--
	}
	return body, found
}

// refer counts one more reference to a body.
func (im *Image) refer(body uint64) {
	if body == 0 {
		return
	}
	im.note(change{kind: referred, body: body})
	n := im.bodies[body]
	if n == 0 {
		im.blocks[body/Block]++
	}
	im.bodies[body] = n + 1
}

// release counts one reference less; last says that none is left.
func (im *Image) release(body uint64) (last bool) {
	n, ok := im.bodies[body]
	if !ok {
		return false
	}
	im.note(change{kind: released, body: body, number: uint64(im.large[body])})
	if n > 1 {
		im.bodies[body] = n - 1
		return false
	}
	delete(im.bodies, body)
	delete(im.large, body)
	block := body / Block
	if im.blocks[block]--; im.blocks[block] == 0 {
		delete(im.blocks, block)
	}
	return true
}

// smallBody is what a body is taken for whose size nobody noted, in bytes.
const smallBody = 64 << 10

// sized notes how long the body is.
func (im *Image) sized(body uint64, bytes int64) {
	if bytes > smallBody {
		im.large[body] = bytes
	}
}

// BodySize is at least how many bytes the body has, if it was built or noted with its size.
func (im *Image) BodySize(body uint64) int64 { return max(smallBody, im.large[body]) }

// EmptyBlock tells whether no body is left in the Block of body.
func (im *Image) EmptyBlock(body uint64) bool { return im.blocks[body/Block] == 0 }

// noteRetained counts a retained message, by a hash of its topic: only the
// number of topics is wanted, and ten million names would cost a gigabyte.
func (im *Image) noteRetained(topic string, present bool) {
	im.member(retainedNoted, im.retained, maphash.String(im.seed, topic), present)
}

func (im *Image) noteDelayed(id uint64, present bool) {
	im.member(delayedNoted, im.delayed, id, present)
}

// member puts number into set or takes it out.
func (im *Image) member(kind changeKind, set map[uint64]struct{}, number uint64, present bool) {
	_, was := set[number]
	if was == present {
		return
	}
	im.note(change{kind: kind, number: number})
	if present {
		set[number] = struct{}{}
	} else {
		delete(set, number)
	}
}
