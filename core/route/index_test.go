package route

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// idsUnder returns all cells under a tag, in order.
func idsUnder(x *index, tag uint32) (ids []uint32) {
	p := x.probe(tag)
	for id := p.next(); id != 0; id = p.next() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// TestIndexAgainstOracle adds and removes at random, with tags that repeat and
// tags that crowd at the end of a segment.
func TestIndexAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	x, oracle := newIndex(), map[uint32][]uint32{}
	var tags []uint32
	total := 0
	for id := uint32(1); id < 30_000; id++ {
		tag := rng.Uint32()
		switch rng.IntN(4) {
		case 0:
			tag |= 0xffff0000
		case 1:
			tag %= 5000
		}
		before := x.segments
		x.add(tag, id)
		if x.segments > before+2 {
			t.Fatalf("one insertion split %d segments", x.segments-before)
		}
		oracle[tag] = append(oracle[tag], id)
		tags = append(tags, tag)
		total++
		if rng.IntN(3) == 0 {
			tag := tags[rng.IntN(len(tags))]
			if ids := oracle[tag]; len(ids) > 0 {
				x.remove(tag, ids[0])
				oracle[tag] = ids[1:]
				total--
			}
		}
	}
	for tag, want := range oracle {
		if got := idsUnder(x, tag); !slices.Equal(got, want) {
			t.Fatalf("tag %x: %v, want %v", tag, got, want)
		}
	}
	if x.used != total {
		t.Errorf("used %d, want %d", x.used, total)
	}
	for tag, ids := range oracle {
		for _, id := range ids {
			x.remove(tag, id)
		}
	}
	checkEmptyIndex(t, x)
}

func checkEmptyIndex(t *testing.T, x *index) {
	for _, seg := range x.dir {
		if seg.used != 0 || seg.slots != [segmentSlots]slot{} {
			t.Fatal("slots in use in an empty index")
		}
	}
	if x.used != 0 {
		t.Errorf("used %d", x.used)
	}
}

func TestTrieNodesAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	x, oracle := newTrieNodes(), map[uint64]uint32{}
	var hashes []uint64
	for i := uint32(1); i < 20_000; i++ {
		hash := max(rng.Uint64(), 1)
		if rng.IntN(3) == 0 {
			hash |= 0xffff << 48
		}
		if _, ok := oracle[hash]; ok {
			continue
		}
		x.add(node{hash: hash, end: i})
		oracle[hash] = i
		hashes = append(hashes, hash)
		if rng.IntN(2) == 0 {
			gone := hashes[rng.IntN(len(hashes))]
			if _, ok := oracle[gone]; ok {
				x.remove(gone)
				delete(oracle, gone)
			}
		}
	}
	for _, hash := range hashes {
		want, ok := oracle[hash]
		n := x.find(hash)
		if (n != nil) != ok || ok && n.end != want {
			t.Fatalf("hash %x: %v, want %d", hash, n, want)
		}
	}
	for hash := range oracle {
		x.remove(hash)
	}
	if x.used != 0 {
		t.Errorf("used %d when empty", x.used)
	}
}
