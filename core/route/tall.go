package route

import "slices"

// A tall list's cell holds the count of values, the count of chunks and the
// chunks in ascending order of their values. No chunk is empty.

// rise makes a tall list of the values of a flat one.
func (ls lists) rise(values []uint32) list {
	half := len(values) / 2
	low, high := ls.storeChunk(values[:half]), ls.storeChunk(values[half:])
	r := ls.alloc(8)
	copy(ls.at(r), []uint32{uint32(len(values)), 2, low, high})
	return list{tall, uint32(r)}
}

// addTall puts v into the tall list l and reports whether it is new.
func (ls lists) addTall(l *list, v uint32) bool {
	chunks := ls.chunks(l.word)
	at := ls.chunkFor(chunks, v)
	i, found := slices.BinarySearch(ls.array(chunks[at]), v)
	if found {
		return false
	}
	if len(ls.array(chunks[at])) == chunkValues {
		if i == chunkValues && at == len(chunks)-1 {
			// Numbers mostly come in ascending order: leave full chunks behind.
			ls.insertChunk(l, at+1, ls.storeChunk([]uint32{v}))
			ls.at(ref(l.word))[0]++
			return true
		}
		ls.splitChunk(l, at)
		return ls.addTall(l, v)
	}
	insertAt(ls.at(ref(chunks[at])), i, v)
	ls.at(ref(l.word))[0]++
	return true
}

// splitChunk moves the upper half of a full chunk into a new one behind it.
func (ls lists) splitChunk(l *list, at int) {
	full := ls.chunks(l.word)[at]
	upper := ls.storeChunk(ls.array(full)[chunkValues/2:])
	ls.at(ref(full))[0] = chunkValues / 2
	ls.insertChunk(l, at+1, upper)
}

// insertChunk makes a chunk the at-th of the tall list l.
func (ls lists) insertChunk(l *list, at int, chunk uint32) {
	c := ls.at(ref(l.word))
	n := int(c[1])
	if ls.room(ref(l.word)) < n+3 {
		// A quarter of room to spare, so that growing costs little on average.
		c = ls.resize(l, n+3+n/4)
	}
	c[1]++
	chunks := c[2 : 3+n]
	copy(chunks[at+1:], chunks[at:])
	chunks[at] = chunk
}

// resize gives the cell of the tall list l another size and returns it.
func (ls lists) resize(l *list, units int) []uint32 {
	old := ls.at(ref(l.word))
	r := ls.alloc(units)
	c := ls.at(r)
	copy(c, old[:2+old[1]])
	ls.release(ref(l.word))
	l.word = uint32(r)
	return c
}

// removeTall takes v out of the tall list l.
func (ls lists) removeTall(l list, v uint32) (list, bool) {
	chunks := ls.chunks(l.word)
	at := ls.chunkFor(chunks, v)
	i, found := slices.BinarySearch(ls.array(chunks[at]), v)
	if !found {
		return l, false
	}
	removeAt(ls.at(ref(chunks[at])), i)
	ls.at(ref(l.word))[0]--
	ls.joinChunk(&l, at)
	if ls.count(l) <= backToFlat {
		return ls.flatten(l), true
	}
	return l, true
}

// joinChunk merges the chunk at with a neighbour when both are small.
func (ls lists) joinChunk(l *list, at int) {
	chunks := ls.chunks(l.word)
	if at > 0 && !ls.joins(chunks, at) {
		at--
	}
	if at+1 >= len(chunks) || !ls.joins(chunks, at) {
		return
	}
	low, high := ls.at(ref(chunks[at])), ls.array(chunks[at+1])
	copy(low[1+low[0]:], high)
	low[0] += uint32(len(high))
	ls.release(ref(chunks[at+1]))
	copy(chunks[at+1:], chunks[at+2:])
	c := ls.at(ref(l.word))
	c[1]--
	if n := int(c[1]); ls.room(ref(l.word)) > 64+4*n {
		ls.resize(l, n+2+n/4)
	}
}

// joins reports whether the chunk at and the next should become one.
func (ls lists) joins(chunks []uint32, at int) bool {
	if at+1 >= len(chunks) {
		return false
	}
	a, b := len(ls.array(chunks[at])), len(ls.array(chunks[at+1]))
	return a == 0 || b == 0 || a+b <= joinValues
}

// flatten makes a flat list of a tall one that has become short.
func (ls lists) flatten(l list) list {
	var buf [backToFlat]uint32
	values := buf[:0]
	for _, c := range ls.chunks(l.word) {
		values = append(values, ls.array(c)...)
	}
	ls.drop(l)
	return list{flat, ls.store(values...)}
}
