package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/fairlead-iot/fairlead/core/route"
)

// subscription is one subscription of one session: a pointer-free record whose
// number is the value in the route table. Written inside routes.Update only, read
// under a reader lock.
type subscription struct {
	session uint32 // index of its Session
	entry   route.Entry
	next    uint32 // the session's next subscription, 0 for none
	prev    uint32 // the one before, 0 for the first
	chain   uint32 // the next in its chain of the index, 0 for none
	subID   uint32 // Subscription Identifier, 0 for none
	group   uint32 // number of its shared group, 0 for none
	checked uint32 // low bits of the rules' version under which covered holds
	qos     uint8
	flags   subFlags
}

type subFlags uint16

const (
	subNoLocal subFlags = 1 << iota
	subRetainAsPublished
	subFastlane
	subLocal
	subCovered // every topic it matches may be delivered: no check per message
	subExclusive
	subDurable // its session is durable, which never changes
	subMounted // its session has a mount point
	subShy     // begins with a wildcard below it: does not match names that begin with '$' there
	subProxy   // the configuration subscribed it, not the client
	subTwin    // the client has the same filter both ways
	subLimited // LimitSubscribers may end it
	subPaced   // of a replay: it takes its own measure, and none of it is dropped for want of room
)

// groupTag marks a value of the route table as the number of a shared group.
const groupTag = 1 << 31

const chunkSize = 1024

// subscriptions holds the records, the table of sessions and the shared groups.
type subscriptions struct {
	chunks   []*[chunkSize]subscription
	index    subIndex
	freeSub  uint32 // head of the free list, linked by next
	used     uint32 // records ever used; number 0 is never given
	sessions []*[chunkSize]*Session
	freeIdx  []uint32
	nextIdx  uint32
	groups   []*group
	freeGrp  []uint32
	byName   map[groupKey]uint32
	// exclusive gives the session, by index, that holds a $exclusive/ filter.
	exclusive map[string]uint32
	strategy  strategy
	live      int64
}

type groupKey struct{ filter, share string }

func (ss *subscriptions) init(strategyName string) {
	ss.byName = make(map[groupKey]uint32)
	ss.exclusive = make(map[string]uint32)
	ss.index.init()
	ss.used, ss.nextIdx = 1, 1
	ss.groups = make([]*group, 1)
	ss.strategy, _ = parseStrategy(strategyName)
}

func (ss *subscriptions) at(n uint32) *subscription { return &ss.chunks[n/chunkSize][n%chunkSize] }

func (ss *subscriptions) session(i uint32) *Session { return ss.sessions[i/chunkSize][i%chunkSize] }

func (ss *subscriptions) alloc() uint32 {
	ss.live++
	if n := ss.freeSub; n != 0 {
		ss.freeSub = ss.at(n).next
		*ss.at(n) = subscription{}
		return n
	}
	n := ss.used
	if int(n/chunkSize) == len(ss.chunks) {
		ss.chunks = append(ss.chunks, new([chunkSize]subscription))
	}
	ss.used++
	return n
}

func (ss *subscriptions) release(n uint32) {
	ss.live--
	*ss.at(n) = subscription{next: ss.freeSub}
	ss.freeSub = n
}

// enter gives s its index.
func (ss *subscriptions) enter(routes *route.Table, s *Session) {
	routes.Update(func(*route.Tx) {
		if n := len(ss.freeIdx); n > 0 {
			s.index = ss.freeIdx[n-1]
			ss.freeIdx = ss.freeIdx[:n-1]
		} else {
			s.index = ss.nextIdx
			ss.nextIdx++
		}
		for int(s.index/chunkSize) >= len(ss.sessions) {
			ss.sessions = append(ss.sessions, new([chunkSize]*Session))
		}
		ss.sessions[s.index/chunkSize][s.index%chunkSize] = s
	})
}

// updateSlice is how many changes one Update makes: it holds every reader lock.
const updateSlice = 64

// leave removes every subscription of s, and frees its index. At its end; nothing is added
// to s afterwards.
func (ss *subscriptions) leave(routes *route.Table, s *Session, peers Peers) {
	for ss.leaveSome(routes, s, peers) {
	}
}

// leaveSome removes some subscriptions of s as leave does; more says that others are left.
func (ss *subscriptions) leaveSome(routes *route.Table, s *Session, peers Peers) (more bool) {
	routes.Update(func(tx *route.Tx) {
		for i := 0; i < updateSlice && s.firstSub != 0; i++ {
			ss.drop(tx, s, s.firstSub, peers)
		}
		s.gone = true
		if more = s.firstSub != 0; !more {
			ss.sessions[s.index/chunkSize][s.index%chunkSize] = nil
			ss.freeIdx = append(ss.freeIdx, s.index)
		}
	})
	return more
}

// drop ends subscription n of s.
func (ss *subscriptions) drop(tx *route.Tx, s *Session, n uint32, peers Peers) {
	sub := ss.at(n)
	ss.unlink(s, n)
	if !ss.unpair(sub) {
		ss.dropExclusive(tx, sub)
	}
	local, filter := sub.flags&subLocal != 0, ""
	if peers != nil {
		filter = tx.Filter(sub.entry)
	}
	v, share := n, ""
	if sub.group != 0 {
		gr := ss.groups[sub.group]
		share = gr.key.share
		if !gr.remove(s, sub.flags) {
			v = 0 // others are left: the group stays
		} else {
			v = sub.group | groupTag
			delete(ss.byName, gr.key)
			ss.groups[sub.group] = nil
			ss.freeGrp = append(ss.freeGrp, sub.group)
		}
	}
	if v != 0 {
		if last, _ := tx.Remove(sub.entry, v); (last || share != "") && peers != nil && !local {
			peers.Announce(filter, share, false)
		}
	}
	ss.release(n)
}

// group is a shared subscription: its members and whose turn it is.
// [MQTT-4.8.2-*]
type group struct {
	key      groupKey
	strategy strategy

	mu      sync.Mutex
	members []member
	cursor  int
	sticky  *Session
}

// member is one subscription of a group. A session may be in it more than once, by
// filters that differ in their other prefixes.
type member struct {
	session *Session
	sub     subscription // a copy: the options that hold
}

func (m *member) is(s *Session, kind subFlags) bool {
	return m.session == s && m.sub.flags&subKinds == kind&subKinds
}

func (gr *group) put(s *Session, sub subscription) {
	gr.mu.Lock()
	defer gr.mu.Unlock()
	for i := range gr.members {
		if gr.members[i].is(s, sub.flags) {
			gr.members[i].sub = sub
			return
		}
	}
	gr.members = append(gr.members, member{s, sub})
}

// remove takes s's subscription of a kind out; empty says that nobody is left.
func (gr *group) remove(s *Session, kind subFlags) (empty bool) {
	gr.mu.Lock()
	defer gr.mu.Unlock()
	for i := range gr.members {
		if gr.members[i].is(s, kind) {
			gr.members = append(gr.members[:i], gr.members[i+1:]...)
			break
		}
	}
	if gr.sticky == s {
		gr.sticky = nil
	}
	return len(gr.members) == 0
}

// strategy is how a shared group picks among members of equal credit.
type strategy uint8

const (
	roundRobin strategy = iota
	random
	sticky
	hashClientID
	hashTopic
)

func parseStrategy(s string) (strategy, error) {
	switch s {
	case "round_robin", "local": // on one node every member is local
		return roundRobin, nil
	case "random":
		return random, nil
	case "sticky":
		return sticky, nil
	case "hash_clientid":
		return hashClientID, nil
	case "hash_topic":
		return hashTopic, nil
	}
	return 0, fmt.Errorf("shared_strategy = %q: must be round_robin, random, sticky, hash_clientid, hash_topic or local", s)
}

// pick chooses who gets m: the strategy's choice if it has credit, else the next
// that has; a member without free window only when none has, one that is offline
// only when none is connected. Those passed are not chosen.
func (gr *group) pick(g *Gateway, m *Message, passed []*Session) (member, bool) {
	gr.mu.Lock()
	defer gr.mu.Unlock()
	n := len(gr.members)
	if n == 0 {
		return member{}, false
	}
	first := gr.first(g, m, n)
	best, at := creditNone, -1
	for i := range n {
		k := (first + i) % n
		s := gr.members[k].session
		if slices.Contains(passed, s) {
			continue
		}
		if c := s.credit.Load(); c > best {
			best, at = c, k
			if c == creditFree {
				break
			}
		}
	}
	if at < 0 {
		return member{}, false
	}
	gr.cursor = at + 1
	gr.sticky = gr.members[at].session
	return gr.members[at], true
}

// first is where the strategy begins to look.
func (gr *group) first(g *Gateway, m *Message, n int) int {
	switch gr.strategy {
	case random:
		return rand.N(n)
	case sticky:
		for i := range gr.members {
			if gr.members[i].session == gr.sticky {
				return i
			}
		}
	case hashClientID:
		return int(g.hash(m.Publisher) % uint64(n))
	case hashTopic:
		return int(g.hash(m.Topic) % uint64(n))
	}
	return gr.cursor % n
}
