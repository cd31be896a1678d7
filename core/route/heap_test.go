package route

import (
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestClasses(t *testing.T) {
	for n := 1; n <= largeUnits; n++ {
		class := classOf(n)
		units := classUnits(class)
		if units < n || units > n+n/8+1 || classOf(units) != class {
			t.Fatalf("%d units: class %d of %d units", n, class, units)
		}
		if n > 1 && class < classOf(n-1) {
			t.Fatalf("%d units have a lower class than %d", n, n-1)
		}
	}
	if got := classOf(largeUnits); got != classCount-1 {
		t.Errorf("last class %d, want %d", got, classCount-1)
	}
	if got := classOf(largeUnits + 1); got != ownPage {
		t.Errorf("above: class %d", got)
	}
}

// TestHeapKeepsCells allocates and frees at random and looks whether any cell
// was given out twice, moved or lost.
func TestHeapKeepsCells(t *testing.T) {
	t.Run("bytes", rapid.MakeCheck(func(t *rapid.T) { checkHeap(t, newHeap[byte](4)) }))
	t.Run("words", rapid.MakeCheck(func(t *rapid.T) { checkHeap(t, newHeap[uint32](1)) }))
}

func checkHeap[T byte | uint32](t *rapid.T, h *heap[T]) {
	type owned struct {
		cell ref
		n    int
		mark T
	}
	var cells []owned
	size := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 3000), rapid.Just(20_000))
	t.Repeat(map[string]func(*rapid.T){
		"alloc": func(t *rapid.T) {
			o := owned{n: size.Draw(t, "units"), mark: T(len(cells) + 1)}
			if o.cell = h.alloc(o.n); o.cell == 0 || h.room(o.cell) < o.n {
				t.Fatalf("cell %d with room for %d, want %d", o.cell, h.room(o.cell), o.n)
			}
			c := h.at(o.cell)[:o.n*h.unit]
			for i := range c[:min(len(c), 8)] {
				c[i] = o.mark
			}
			c[len(c)/2], c[len(c)-1] = o.mark, o.mark
			cells = append(cells, o)
		},
		"release": func(t *rapid.T) {
			if len(cells) == 0 {
				t.Skip("nothing to free")
			}
			i := rapid.IntRange(0, len(cells)-1).Draw(t, "cell")
			h.release(cells[i].cell)
			cells = append(cells[:i], cells[i+1:]...)
		},
		"": func(t *rapid.T) {
			for _, o := range cells {
				c := h.at(o.cell)[:o.n*h.unit]
				for _, i := range []int{0, 1, len(c) / 2, len(c) - 1} {
					if i < len(c) && c[i] != o.mark {
						t.Fatalf("cell %d of %d units: %d where %d was written", o.cell, o.n, c[i], o.mark)
					}
				}
			}
		},
	})
	for _, o := range cells {
		h.release(o.cell)
	}
	if h.cellFrom(0) != 0 || h.bytes > idlePages*pageUnits*4 {
		t.Fatalf("all free, yet %d bytes, first cell %d", h.bytes, h.cellFrom(0))
	}
}

// TestHeapGivesMemoryBack fills and empties it with one size after the other.
func TestHeapGivesMemoryBack(t *testing.T) {
	h := newHeap[byte](4)
	const most = 24 * pageUnits // units in use at once
	for size := 3; size < 3000; size = size*2 + 1 {
		var cells []ref
		for range most / size {
			cells = append(cells, h.alloc(size))
		}
		if limit := (most + most/4 + pageUnits) * 4; h.bytes > limit+idlePages*pageUnits*4 {
			t.Errorf("size %d: %d bytes for %d", size, h.bytes, most*4)
		}
		rand.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		for _, c := range cells {
			h.release(c)
		}
		if h.bytes > idlePages*pageUnits*4 {
			t.Errorf("size %d: %d bytes when empty", size, h.bytes)
		}
	}
}

func TestCellFromVisitsEveryCell(t *testing.T) {
	h := newHeap[byte](4)
	want := map[ref]bool{}
	for i := range 5000 {
		want[storeText(h, strings.Repeat("x", i%700))] = true
	}
	large := storeText(h, strings.Repeat("y", 60_000))
	want[large] = true
	n := 0
	for c := h.cellFrom(0); c != 0; c = h.cellFrom(c + 1) {
		if !want[c] {
			t.Fatalf("%d is no cell", c)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d cells of %d", n, len(want))
	}
	if got := string(textAt(h, large)); got != strings.Repeat("y", 60_000) {
		t.Errorf("text of %d bytes", len(got))
	}
}
