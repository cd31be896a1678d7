package spool

import "fmt"

// Stats are the figures of a spool since Open, in records where nothing else is
// said. Recovered + Appended = Committed + DroppedDisk + DroppedMemory + Damaged +
// Waiting; a start that found damage may count some of it twice, in Recovered and
// in Damaged.
type Stats struct {
	Recovered uint64 // found on disk by Open and not committed
	Appended  uint64 // taken by Append
	Spilled   uint64 // written to disk
	ReadDisk  uint64 // served from disk
	Committed uint64
	Retried   uint64 // given back by Retry

	DroppedDisk    uint64 // by DropOldest, from disk at its bound
	DroppedMemory  uint64 // by DropOldest, from memory, which was full before the disk had taken them
	RefusedFull    uint64 // memory full, disk at its bound
	RefusedFailing uint64 // memory full, disk failing
	RefusedBusy    uint64 // memory full, disk slower than what comes
	RefusedClosed  uint64 // after Close
	RefusedLarge   uint64 // larger than MaxRecord

	Damaged   uint64 // checksum or file wrong: never served; at most so many
	TornBytes uint64 // cut off by Open: unfinished at a crash

	Waiting     uint64 // in memory or on disk, with those under way
	UnderWay    uint64 // with consumers
	MemoryBytes int64  // buffers held
	DiskBytes   int64  // segment files
}

// Stats gives the figures. Lanes are asked one after another, so that sums may be
// off by what happens meanwhile.
func (s *Spool) Stats() Stats {
	var sum Stats
	for _, l := range s.lanes {
		l.mu.Lock()
		one := l.counts
		one.Waiting, one.UnderWay = l.onDisk()+l.inMemoryUnread()+uint64(len(l.out)), uint64(l.served)
		l.mu.Unlock()
		sum.add(&one)
	}
	sum.MemoryBytes, sum.DiskBytes = s.memory.Load(), s.disk.Load()
	return sum
}

func (s *Stats) add(o *Stats) {
	s.Recovered += o.Recovered
	s.Appended += o.Appended
	s.Spilled += o.Spilled
	s.ReadDisk += o.ReadDisk
	s.Committed += o.Committed
	s.Retried += o.Retried
	s.DroppedDisk += o.DroppedDisk
	s.DroppedMemory += o.DroppedMemory
	s.RefusedFull += o.RefusedFull
	s.RefusedFailing += o.RefusedFailing
	s.RefusedBusy += o.RefusedBusy
	s.RefusedClosed += o.RefusedClosed
	s.RefusedLarge += o.RefusedLarge
	s.Damaged += o.Damaged
	s.TornBytes += o.TornBytes
	s.Waiting += o.Waiting
	s.UnderWay += o.UnderWay
}

// onDisk counts the records that are to be served from disk.
func (l *Lane) onDisk() (n uint64) {
	memory := l.memoryFrom()
	for _, g := range l.segs {
		if from, to := max(g.base, l.read), min(g.end, memory); from < to {
			n += to - from
		}
	}
	return n
}

// inMemoryUnread counts the records in memory that were not served.
func (l *Lane) inMemoryUnread() (n uint64) {
	for _, c := range l.chunks {
		if from := max(c.first, l.read); from < c.end() {
			n += c.end() - from
		}
	}
	return n
}

// lostError says at Close how many records could not be written.
type lostError uint64

func (n lostError) Error() string {
	return fmt.Sprintf("spool: %d records were in memory only and are lost", uint64(n))
}
