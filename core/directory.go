package core

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// directory finds sessions by ClientID. Sharded: a look-up takes one short lock
// that no other lock is taken under, except that a session's own lock may be.
type directory struct {
	seed   maphash.Seed
	count  atomic.Int64
	shards [directoryShards]struct {
		mu sync.Mutex
		m  map[string]*Session
	}
	users sessionCounts
}

// sessionCounts is how many sessions each user has. It counts only where there is a
// limit: a fleet of a million users would pay for a table that nobody reads. Clients
// without a user are not counted.
type sessionCounts struct {
	limit int // 0 for none
	mu    sync.Mutex
	m     map[string]int
}

// add counts a session of user; false, and not counted, beyond the limit unless it is
// there already and only found again.
func (c *sessionCounts) add(user string, found bool) bool {
	if c.limit == 0 || user == "" {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[user] >= c.limit && !found {
		return false
	}
	c.m[user]++
	return true
}

func (c *sessionCounts) remove(user string) {
	if c.limit == 0 || user == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[user]--; c.m[user] == 0 {
		delete(c.m, user)
	}
}

const directoryShards = 64

func (d *directory) init(perUser int) {
	d.users = sessionCounts{limit: perUser, m: make(map[string]int)}
	d.seed = maphash.MakeSeed()
	for i := range d.shards {
		d.shards[i].m = make(map[string]*Session)
	}
}

func (d *directory) shard(id string) int {
	return int(maphash.String(d.seed, id) % directoryShards)
}

// get gives the session of id, or nil.
func (d *directory) get(id string) *Session {
	sh := &d.shards[d.shard(id)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.m[id]
}

// swap puts next in the place of old (nil: none); it fails when another is there.
func (d *directory) swap(id string, old, next *Session) bool {
	sh := &d.shards[d.shard(id)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m[id] != old {
		return false
	}
	switch {
	case next == nil:
		delete(sh.m, id)
		d.count.Add(-1)
	case old == nil:
		d.count.Add(1)
		fallthrough
	default:
		sh.m[id] = next
	}
	return true
}

// each calls fn for the sessions of one shard after the other, without a lock.
func (d *directory) each(fn func(*Session) bool) {
	var batch []*Session
	for i := range d.shards {
		sh := &d.shards[i]
		sh.mu.Lock()
		batch = batch[:0]
		for _, s := range sh.m {
			batch = append(batch, s)
		}
		sh.mu.Unlock()
		for _, s := range batch {
			if !fn(s) {
				return
			}
		}
	}
}
