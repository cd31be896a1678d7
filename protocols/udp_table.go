package protocols

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
)

// peerTable finds the connection of a peer: the address that datagrams come from and
// the node behind it. It is an open-addressed table of 8 bytes an entry without
// pointers; what an entry means is the slot's owner's to say. Its hash is seeded, so
// nobody can choose addresses that collide. Not safe for concurrent use.
type peerTable struct {
	seed    maphash.Seed
	entries []uint64 // hash<<32 | slot+1; 0 for none
	count   int
}

// leastPeers is the smallest table; a power of two.
const leastPeers = 16

func newPeerTable() peerTable { return peerTable{seed: maphash.MakeSeed()} }

// hash is what find and add take for a peer.
func (t *peerTable) hash(a netip.AddrPort, node []byte) uint32 {
	var key [18]byte
	b := a.Addr().As16()
	copy(key[:], b[:])
	binary.BigEndian.PutUint16(key[16:], a.Port())
	h := maphash.Bytes(t.seed, key[:])
	if len(node) > 0 {
		h ^= maphash.Bytes(t.seed, node) * 0x9e3779b97f4a7c15
	}
	if zone := a.Addr().Zone(); zone != "" {
		h ^= maphash.String(t.seed, zone) * 0xd6e8feb86659fd93
	}
	return uint32(h ^ h>>32)
}

// find gives the slot of hash h for which same is true.
func (t *peerTable) find(h uint32, same func(slot uint32) bool) (slot uint32, ok bool) {
	if len(t.entries) == 0 {
		return 0, false
	}
	mask := uint32(len(t.entries) - 1)
	for i := h & mask; t.entries[i] != 0; i = (i + 1) & mask {
		if e := t.entries[i]; uint32(e>>32) == h {
			if slot := uint32(e) - 1; same(slot) {
				return slot, true
			}
		}
	}
	return 0, false
}

// add puts slot in, which must not be there.
func (t *peerTable) add(h, slot uint32) {
	if 4*(t.count+1) > 3*len(t.entries) {
		t.resize(max(leastPeers, 2*len(t.entries)))
	}
	t.put(uint64(h)<<32 | uint64(slot+1))
	t.count++
}

func (t *peerTable) put(e uint64) {
	mask := uint32(len(t.entries) - 1)
	i := uint32(e>>32) & mask
	for t.entries[i] != 0 {
		i = (i + 1) & mask
	}
	t.entries[i] = e
}

// resize moves all entries; they carry their hash, so no peer is looked at.
func (t *peerTable) resize(n int) {
	old := t.entries
	t.entries = make([]uint64, n)
	for _, e := range old {
		if e != 0 {
			t.put(e)
		}
	}
}

// remove takes slot out if it is in.
func (t *peerTable) remove(h, slot uint32) {
	if len(t.entries) == 0 {
		return
	}
	mask := uint32(len(t.entries) - 1)
	want := uint64(h)<<32 | uint64(slot+1)
	i := h & mask
	for ; t.entries[i] != want; i = (i + 1) & mask {
		if t.entries[i] == 0 {
			return
		}
	}
	t.close(i)
	t.count--
	if n := len(t.entries); n > leastPeers && 8*t.count < n {
		t.resize(n / 2)
	}
}

// close empties entry i and moves up what it kept from its own place, so that no
// mark of a removed entry ever stays.
func (t *peerTable) close(i uint32) {
	mask := uint32(len(t.entries) - 1)
	for j := (i + 1) & mask; t.entries[j] != 0; j = (j + 1) & mask {
		home := uint32(t.entries[j]>>32) & mask
		if (j-home)&mask >= (j-i)&mask {
			t.entries[i] = t.entries[j]
			i = j
		}
	}
	t.entries[i] = 0
}
