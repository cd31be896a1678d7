package route

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func valuesOf(ls lists, l list) []uint32 {
	var it Iter
	it.set(ls, l)
	return drain(&it)
}

// listMachine runs a list and a Go map side by side.
type listMachine struct {
	ls     lists
	l      list
	oracle map[uint32]bool
}

func (m *listMachine) add(t rapid.TB, v uint32) {
	l, added := m.ls.add(m.l, v)
	if added == m.oracle[v] {
		t.Fatalf("add %d: %v", v, added)
	}
	m.l, m.oracle[v] = l, true
}

func (m *listMachine) remove(t rapid.TB, v uint32) {
	l, removed := m.ls.remove(m.l, v)
	if removed != m.oracle[v] {
		t.Fatalf("remove %d: %v", v, removed)
	}
	m.l = l
	delete(m.oracle, v)
}

func (m *listMachine) check(t rapid.TB) {
	want := slices.Sorted(maps.Keys(m.oracle))
	if got := valuesOf(m.ls, m.l); !slices.Equal(want, got) {
		t.Fatalf("-want +got\n%s", cmp.Diff(want, got))
	}
	if m.ls.count(m.l) != len(want) {
		t.Fatalf("count %d, want %d", m.ls.count(m.l), len(want))
	}
	if n := len(want); (m.l.kind == none) != (n == 0) || (m.l.kind == one) != (n == 1) || n > flatValues && m.l.kind != tall || n <= backToFlat && m.l.kind == tall {
		t.Fatalf("%d values are of kind %d", n, m.l.kind)
	}
}

func (m *listMachine) seek(t rapid.TB, from uint32) {
	want, found := ^uint32(0), false
	for v := range m.oracle {
		if v >= from {
			want, found = min(want, v), true
		}
	}
	got, ok := m.ls.seek(m.l, from)
	if ok != found || ok && got != want {
		t.Fatalf("seek %d: %d, %v; want %d, %v", from, got, ok, want, found)
	}
}

func TestListAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &listMachine{ls: newLists(), oracle: map[uint32]bool{}}
		value := rapid.Uint32Range(0, 1500)
		t.Repeat(map[string]func(*rapid.T){
			"add":    func(t *rapid.T) { m.add(t, value.Draw(t, "v")) },
			"remove": func(t *rapid.T) { m.remove(t, value.Draw(t, "v")) },
			"addRun": func(t *rapid.T) {
				from, n, step := value.Draw(t, "from"), rapid.Uint32Range(1, 400).Draw(t, "n"), rapid.Uint32Range(1, 5).Draw(t, "step")
				for i := range n {
					m.add(t, from+i*step)
				}
			},
			"removeRun": func(t *rapid.T) {
				from, n := value.Draw(t, "from"), rapid.Uint32Range(1, 2000).Draw(t, "n")
				for i := range n {
					m.remove(t, from+i)
				}
			},
			"seek": func(t *rapid.T) { m.seek(t, value.Draw(t, "v")) },
			"":     func(t *rapid.T) { m.check(t) },
		})
	})
}

// TestListGrowsAndShrinks goes through all kinds and sizes, in order and at
// random, and looks that no memory is lost.
func TestListGrowsAndShrinks(t *testing.T) {
	const n = 30_000
	for _, c := range []struct {
		name  string
		bytes float64 // most for a value
		order func(i int) uint32
	}{
		{"ascending", 4.5, func(i int) uint32 { return uint32(i) }},
		{"descending", 9.5, func(i int) uint32 { return uint32(n - i) }},
		{"scattered", 7, func(i int) uint32 { return uint32(i) * 2654435761 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &listMachine{ls: newLists(), oracle: map[uint32]bool{}}
			for i := range n {
				m.add(t, c.order(i))
			}
			m.check(t)
			// What is idle, and three pages that are not full, do not count.
			used := m.ls.bytes - (len(m.ls.idle)+3)*pageUnits*4
			if per := float64(used) / n; per > c.bytes {
				t.Errorf("%.1f bytes a value, want ≤ %.1f", per, c.bytes)
			}
			for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
				m.remove(t, c.order(i))
				if len(m.oracle)%9973 == 0 || len(m.oracle) < 5 {
					m.check(t)
				}
			}
			if m.ls.cellFrom(0) != 0 {
				t.Error("cells in use by an empty list")
			}
		})
	}
}

func TestListDrop(t *testing.T) {
	for _, n := range []int{0, 1, 2, 255, 256, 5000} {
		m := &listMachine{ls: newLists(), oracle: map[uint32]bool{}}
		for i := range n {
			m.add(t, uint32(i))
		}
		m.ls.drop(m.l)
		if m.ls.cellFrom(0) != 0 {
			t.Errorf("%d values: cells in use after drop", n)
		}
	}
}
