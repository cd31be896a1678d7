package route

import "slices"

// kind tells what the word of a list holds.
type kind uint32

const (
	none  kind = iota // the list is empty
	one               // its only value
	flat              // a cell: [count, values…], sorted
	tall              // a cell: [count of values, count of chunks, chunks…]
	kinds             // how many there are
)

const (
	chunkValues = 255             // values of a chunk; with its count it has 1 KiB
	flatValues  = chunkValues     // most values of a flat list
	backToFlat  = flatValues / 2  // a tall list this short becomes flat again
	joinValues  = chunkValues / 2 // two neighbours this short together become one
)

// list is a set of 32-bit numbers in ascending order: nothing, one number, a
// sorted array, or an array of sorted chunks. Its memory is in a lists heap;
// the owner keeps kind and word.
type list struct {
	kind kind
	word uint32
}

// lists is the heap behind any number of lists. A chunk or flat array is a cell
// that starts with its count.
type lists struct{ *heap[uint32] }

func newLists() lists { return lists{newHeap[uint32](1)} }

// array returns the values of a flat list or of a chunk.
func (ls lists) array(r uint32) []uint32 {
	c := ls.at(ref(r))
	return c[1 : 1+c[0]]
}

// chunks returns the chunks of a tall list.
func (ls lists) chunks(r uint32) []uint32 {
	c := ls.at(ref(r))
	return c[2 : 2+c[1]]
}

// count returns how many values l has.
func (ls lists) count(l list) int {
	switch l.kind {
	case none:
		return 0
	case one:
		return 1
	default:
		return int(ls.at(ref(l.word))[0])
	}
}

// seek returns the least value of l that is ≥ v.
func (ls lists) seek(l list, v uint32) (uint32, bool) {
	switch l.kind {
	case one:
		return l.word, l.word >= v
	case flat:
		return seekArray(ls.array(l.word), v)
	case tall:
		chunks := ls.chunks(l.word)
		i := ls.chunkFor(chunks, v)
		if got, ok := seekArray(ls.array(chunks[i]), v); ok || i+1 == len(chunks) {
			return got, ok
		}
		return ls.array(chunks[i+1])[0], true
	}
	return 0, false
}

func seekArray(a []uint32, v uint32) (uint32, bool) {
	i, _ := slices.BinarySearch(a, v)
	if i == len(a) {
		return 0, false
	}
	return a[i], true
}

// chunkFor returns the chunk where v belongs: the last one that does not begin
// above v, or the first.
func (ls lists) chunkFor(chunks []uint32, v uint32) int {
	lo, hi := 0, len(chunks)
	for hi-lo > 1 {
		mid := int(uint(lo+hi) / 2)
		if ls.array(chunks[mid])[0] <= v {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// drop frees all memory of l.
func (ls lists) drop(l list) {
	if l.kind == tall {
		for _, c := range ls.chunks(l.word) {
			ls.release(ref(c))
		}
	}
	if l.kind >= flat {
		ls.release(ref(l.word))
	}
}

// store writes values into a new cell and returns it.
func (ls lists) store(values ...uint32) uint32 {
	r := ls.alloc(1 + len(values))
	c := ls.at(r)
	c[0] = uint32(len(values))
	copy(c[1:], values)
	return uint32(r)
}

// storeChunk is store into a cell that has room for a full chunk.
func (ls lists) storeChunk(values []uint32) uint32 {
	r := ls.alloc(1 + chunkValues)
	c := ls.at(r)
	c[0] = uint32(len(values))
	copy(c[1:], values)
	return uint32(r)
}

// add puts v into l and returns the list as it is then, and whether v is new.
func (ls lists) add(l list, v uint32) (list, bool) {
	switch l.kind {
	case none:
		return list{one, v}, true
	case one:
		if l.word == v {
			return l, false
		}
		return list{flat, ls.store(min(l.word, v), max(l.word, v))}, true
	case flat:
		return ls.addFlat(l, v)
	default:
		return l, ls.addTall(&l, v)
	}
}

func (ls lists) addFlat(l list, v uint32) (list, bool) {
	a := ls.array(l.word)
	i, found := slices.BinarySearch(a, v)
	if found {
		return l, false
	}
	if len(a) == flatValues {
		tallest := ls.rise(a)
		ls.release(ref(l.word))
		ls.addTall(&tallest, v)
		return tallest, true
	}
	if ls.room(ref(l.word)) < len(a)+2 {
		r := ls.alloc(len(a) + 2)
		copy(ls.at(r), ls.at(ref(l.word))[:1+len(a)])
		ls.release(ref(l.word))
		l.word = uint32(r)
	}
	insertAt(ls.at(ref(l.word)), i, v)
	return l, true
}

// insertAt puts v at place i of a counted array whose cell has room.
func insertAt(c []uint32, i int, v uint32) {
	c[0]++
	a := c[1 : 1+c[0]]
	copy(a[i+1:], a[i:])
	a[i] = v
}

// removeAt takes the value at place i out of a counted array.
func removeAt(c []uint32, i int) {
	a := c[1 : 1+c[0]]
	copy(a[i:], a[i+1:])
	c[0]--
}

// remove takes v out of l and returns the list as it is then, and whether v
// was in it.
func (ls lists) remove(l list, v uint32) (list, bool) {
	switch l.kind {
	case none:
		return l, false
	case one:
		if l.word != v {
			return l, false
		}
		return list{}, true
	case flat:
		return ls.removeFlat(l, v)
	default:
		return ls.removeTall(l, v)
	}
}

func (ls lists) removeFlat(l list, v uint32) (list, bool) {
	a := ls.array(l.word)
	i, found := slices.BinarySearch(a, v)
	if !found {
		return l, false
	}
	old := ref(l.word)
	removeAt(ls.at(old), i)
	a = a[:len(a)-1]
	switch {
	case len(a) == 1:
		l = list{one, a[0]}
	case classOf(len(a)+1) != classOf(len(a)+2):
		l.word = ls.store(a...)
	default:
		return l, true
	}
	ls.release(old)
	return l, true
}
