package core

import (
	"math/rand/v2"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// subIndex finds the subscription that a session holds by one filter, whatever
// else it holds: a session with many subscriptions must not make each further one
// dear, because the route table is changed under every reader lock. It is one hash
// table for all sessions, without pointers, chained through the records; it grows
// by one bucket at a time, so that no subscription pays for the others.
type subIndex struct {
	seed   uint64 // chains are no client's to choose
	heads  []*[chunkSize]uint32
	bits   uint8  // 1<<bits buckets, and
	split  uint32 // as many more: the first ones are split already
	chosen uint32 // records in the table
}

// subKey is what tells the subscriptions of all sessions apart.
type subKey struct {
	session uint32
	entry   route.Entry
	group   uint32
	kind    subFlags
}

// subKinds are the prefixes that make a subscription another one.
const subKinds = subFastlane | subLocal | subExclusive

func (s *subscription) key() subKey {
	return subKey{s.session, s.entry, s.group, s.flags & subKinds}
}

func (x *subIndex) init() {
	x.seed = rand.Uint64()
	x.heads = []*[chunkSize]uint32{new([chunkSize]uint32)}
	x.bits, x.split, x.chosen = 10, 0, 0 // one chunk
}

// head is where the chain of k begins.
func (x *subIndex) head(k subKey) *uint32 {
	h := mix(mix(x.seed^uint64(k.session)<<32^uint64(k.entry)) ^ uint64(k.group)<<8 ^ uint64(k.kind))
	n := uint32(h) & (1<<x.bits - 1)
	if n < x.split {
		n = uint32(h) & (2<<x.bits - 1)
	}
	return &x.heads[n/chunkSize][n%chunkSize]
}

// mix is the finisher of a 64-bit hash: each bit of v moves half of the others.
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// get gives the number of the record with k, or 0.
func (x *subIndex) get(ss *subscriptions, k subKey) uint32 {
	n := *x.head(k)
	for n != 0 && ss.at(n).key() != k {
		n = ss.at(n).chain
	}
	return n
}

// put adds record n, which is filled in and not in the table.
func (x *subIndex) put(ss *subscriptions, n uint32) {
	if x.chosen >= 1<<x.bits+x.split {
		x.grow(ss)
	}
	x.chosen++
	sub := ss.at(n)
	head := x.head(sub.key())
	sub.chain, *head = *head, n
}

// remove takes record n out.
func (x *subIndex) remove(ss *subscriptions, n uint32) {
	at := x.head(ss.at(n).key())
	for *at != n {
		at = &ss.at(*at).chain
	}
	*at = ss.at(n).chain
	x.chosen--
}

// grow splits one bucket into two.
func (x *subIndex) grow(ss *subscriptions) {
	n := x.heads[x.split/chunkSize][x.split%chunkSize]
	x.heads[x.split/chunkSize][x.split%chunkSize] = 0
	if int(1<<x.bits+x.split)/chunkSize == len(x.heads) {
		x.heads = append(x.heads, new([chunkSize]uint32))
	}
	if x.split++; x.split == 1<<x.bits {
		x.bits, x.split = x.bits+1, 0
	}
	for n != 0 {
		sub := ss.at(n)
		next, head := sub.chain, x.head(sub.key())
		sub.chain, *head = *head, n
		n = next
	}
}

// find gives the number of s's subscription that p names, or 0. Inside Update.
func (ss *subscriptions) find(tx *route.Tx, s *Session, p *topic.Subscription) uint32 {
	entry, ok := tx.Find(string(p.Filter))
	if !ok {
		return 0
	}
	k := subKey{session: s.index, entry: entry, kind: prefixes(p)}
	if p.Shared() {
		if k.group = ss.byName[groupKey{string(p.Filter), p.Share}]; k.group == 0 {
			return 0
		}
	}
	return ss.index.get(ss, k)
}

func prefixes(p *topic.Subscription) (f subFlags) {
	if p.Fastlane {
		f |= subFastlane
	}
	if p.Local {
		f |= subLocal
	}
	if p.Exclusive {
		f |= subExclusive
	}
	return f
}

// link puts record n, which is filled in, into its session's list and the index.
func (ss *subscriptions) link(s *Session, n uint32) {
	sub := ss.at(n)
	sub.prev, sub.next = 0, s.firstSub
	if sub.next != 0 {
		ss.at(sub.next).prev = n
	}
	s.firstSub = n
	s.subCount.Add(1)
	ss.index.put(ss, n)
}

// unlink takes record n out of both.
func (ss *subscriptions) unlink(s *Session, n uint32) {
	sub := ss.at(n)
	ss.index.remove(ss, n)
	if sub.next != 0 {
		ss.at(sub.next).prev = sub.prev
	}
	if sub.prev != 0 {
		ss.at(sub.prev).next = sub.next
	} else {
		s.firstSub = sub.next
	}
	s.subCount.Add(^uint32(0))
}
