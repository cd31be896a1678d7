package spool

import "slices"

// bytesPerRecord is for how small records a chunk has room for all their ends;
// with smaller ones it is full earlier.
const bytesPerRecord = 64

// chunk holds consecutive records of a lane in one buffer.
type chunk struct {
	first uint64 // number of its first record
	data  []byte
	ends  []uint32 // where each record ends in data
}

func newChunk(size int) *chunk {
	return &chunk{data: make([]byte, 0, size), ends: make([]uint32, 0, max(1, size/bytesPerRecord))}
}

// cost is what the chunk takes of the bound of memory.
func (c *chunk) cost() int64 { return chunkCost(cap(c.data)) }

func chunkCost(size int) int64 { return int64(size) + 4*int64(max(1, size/bytesPerRecord)) }

func (c *chunk) end() uint64 { return c.first + uint64(len(c.ends)) }

func (c *chunk) room(n int) bool {
	return len(c.data)+n <= cap(c.data) && len(c.ends) < cap(c.ends)
}

func (c *chunk) push(record []byte) {
	c.data = append(c.data, record...)
	c.ends = append(c.ends, uint32(len(c.data)))
}

// record gives the record with the number, which must be there.
func (c *chunk) record(seq uint64) []byte {
	i := seq - c.first
	from := uint32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.data[from:c.ends[i]:c.ends[i]]
}

// reset empties the chunk for records from first on.
func (c *chunk) reset(first uint64) {
	c.first, c.data, c.ends = first, c.data[:0], c.ends[:0]
}

// push puts a record behind the others; false if memory has no room. Called with
// the lane's lock held, like the rest of this file.
func (l *Lane) push(record []byte) bool {
	last := l.lastChunk()
	if last != nil && len(last.ends) == 0 {
		last.first = l.tail // what came behind it may have been dropped
	}
	if last == nil || last.end() != l.tail || !last.room(len(record)) {
		if last = l.grow(len(record)); last == nil {
			return false
		}
	}
	last.push(record)
	l.tail++
	return true
}

func (l *Lane) lastChunk() *chunk {
	if len(l.chunks) == 0 {
		return nil
	}
	return l.chunks[len(l.chunks)-1]
}

// grow adds a chunk for a record of n bytes, nil if the bound forbids it and
// nothing may be dropped.
func (l *Lane) grow(n int) *chunk {
	c := l.spare
	if size := l.s.chunkSize; c == nil || n > size {
		c = l.allocate(max(n, size))
		if c == nil {
			return nil
		}
	} else {
		l.spare = nil
	}
	c.reset(l.tail)
	l.chunks = append(l.chunks, c)
	return c
}

func (l *Lane) allocate(size int) *chunk {
	cost := chunkCost(size)
	for l.s.memory.Add(cost) > l.s.opts.MaxMemory {
		l.s.memory.Add(-cost)
		if l.spare != nil {
			l.s.memory.Add(-l.spare.cost())
			l.spare = nil
			continue
		}
		if l.evict() {
			continue
		}
		if l.s.opts.Overflow != DropOldest || !l.dropChunk() {
			return nil
		}
	}
	return newChunk(size)
}

// dropChunk gives up the oldest records in memory that nobody has come to yet,
// neither the consumer nor the writer.
func (l *Lane) dropChunk() bool {
	from := max(l.read, l.encoded)
	for i, c := range l.chunks {
		if c.first < from || len(c.ends) == 0 {
			continue
		}
		l.counts.DroppedMemory += uint64(len(c.ends))
		l.s.holes.Add(1)
		l.s.memory.Add(-c.cost())
		l.chunks = slices.Delete(l.chunks, i, i+1)
		return true
	}
	return false
}

// release frees the chunks of which every record is committed. Nobody holds a
// piece of them any more.
func (l *Lane) release() {
	low, n := l.low(), 0
	for ; n < len(l.chunks) && l.chunks[n].end() <= low; n++ {
		c := l.chunks[n]
		if n == len(l.chunks)-1 && cap(c.data) == l.s.chunkSize {
			c.reset(l.tail)
			break
		}
		if l.spare == nil && cap(c.data) == l.s.chunkSize {
			l.spare = c
		} else {
			l.s.memory.Add(-c.cost())
		}
	}
	l.chunks = slices.Delete(l.chunks, 0, n)
}

// evict frees the oldest chunk if all of it is on disk. A consumer may still hold
// a piece of it, so it is left to the collector.
func (l *Lane) evict() bool {
	if len(l.chunks) == 0 || len(l.chunks[0].ends) == 0 || l.chunks[0].end() > l.durable {
		return false
	}
	l.s.memory.Add(-l.chunks[0].cost())
	l.chunks = slices.Delete(l.chunks, 0, 1)
	return true
}

// inMemory finds the chunk with the first record whose number is not below seq:
// that number, and false if there is none.
func (l *Lane) inMemory(seq uint64) (*chunk, uint64, bool) {
	i, _ := slices.BinarySearchFunc(l.chunks, seq, func(c *chunk, seq uint64) int {
		if c.end() <= seq {
			return -1
		}
		return 1
	})
	for ; i < len(l.chunks); i++ {
		if c := l.chunks[i]; len(c.ends) > 0 {
			return c, max(seq, c.first), true
		}
	}
	return nil, 0, false
}

// memoryFrom gives the lowest number that memory holds, or the next one if it
// holds nothing.
func (l *Lane) memoryFrom() uint64 {
	if _, seq, ok := l.inMemory(0); ok {
		return seq
	}
	return l.tail
}
