package image

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The spans agree with a map, whatever comes and goes.
func TestSpansAgainstMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var ps spans
		oracle := map[uint64]uint64{}
		next := uint64(0)
		for range rapid.IntRange(1, 200).Draw(r, "steps") {
			seq := rapid.Uint64Range(0, 30).Draw(r, "seq")
			if rapid.Bool().Draw(r, "at the end") {
				seq = next
				next++
			}
			if rapid.IntRange(0, 2).Draw(r, "remove") == 0 {
				body, found := ps.remove(seq)
				want, known := oracle[seq]
				if body != want || found != known {
					r.Fatalf("remove(%d) = %d, %v; want %d, %v", seq, body, found, want, known)
				}
				delete(oracle, seq)
			} else {
				body := uint64(rapid.IntRange(0, 2).Draw(r, "body"))
				was, replaced := ps.add(seq, body)
				want, known := oracle[seq]
				if was != want || replaced != known {
					r.Fatalf("add(%d) = %d, %v; want %d, %v", seq, was, replaced, want, known)
				}
				oracle[seq] = body
			}
			compareSpans(r, ps, oracle)
		}
	})
}

func compareSpans(r *rapid.T, ps spans, oracle map[uint64]uint64) {
	if ps.length() != uint64(len(oracle)) {
		r.Fatalf("length %d, want %d", ps.length(), len(oracle))
	}
	have := map[uint64]uint64{}
	for i, p := range ps {
		if p.count == 0 || p.bodies != nil && uint64(len(p.bodies)) != p.count {
			r.Fatalf("span %d is %+v", i, p)
		}
		if i > 0 && ps[i-1].end() >= p.first {
			r.Fatalf("span %d does not lie behind the one before it, or touches it: %+v", i, ps)
		}
		for j := range p.count {
			have[p.first+j] = 0
			if p.bodies != nil {
				have[p.first+j] = p.bodies[j]
			}
		}
	}
	for seq, body := range oracle {
		if got, ok := have[seq]; !ok || got != body {
			r.Fatalf("entry %d has body %d (%v), want %d", seq, got, ok, body)
		}
		if _, found := ps.find(seq); !found {
			r.Fatalf("find(%d) does not find", seq)
		}
	}
}

// A queue that is acknowledged in order costs one span, and nothing when empty.
func TestSpansStaySmall(t *testing.T) {
	var ps spans
	for seq := range uint64(100_000) {
		ps.add(seq, 0)
		if seq >= 100 {
			ps.remove(seq - 100)
		}
	}
	if len(ps) != 1 || ps[0].bodies != nil || ps.length() != 100 {
		t.Errorf("%d spans, %d entries", len(ps), ps.length())
	}
	for seq := range uint64(100_000) {
		ps.remove(seq)
	}
	if ps != nil {
		t.Errorf("an empty queue holds %v", ps)
	}
}

func BenchmarkSpans(b *testing.B) {
	b.ReportAllocs()
	var ps spans
	for seq := range uint64(1000) {
		ps.add(seq, 7)
	}
	seq := uint64(1000)
	for b.Loop() {
		ps.add(seq, 7)
		ps.remove(seq - 1000)
		seq++
	}
	if !slices.Equal(ps[0].bodies[:1], []uint64{7}) {
		b.Fatal(ps)
	}
}
