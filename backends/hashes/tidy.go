package hashes

import (
	"runtime"
	"runtime/metrics"
)

const (
	// tidyBelow is the live heap above which the memory of a hash is little beside
	// the garbage that the collector allows anyway.
	tidyBelow = 128 << 20
	// tidyAbove is the memory of a hash below which the collector's pace will do.
	tidyAbove = 4 << 10 // KiB
)

// makeHere makes a hash in a process that does other things, too.
func makeHere(r *Request, password []byte) ([]byte, error) {
	hash, err := r.Hash(password)
	tidy(r.Memory)
	return hash, err
}

// tidy collects the memory of a hash of so many KiB that was made. 19 MiB are dead
// then, but a small heap would grow to several times its size before the collector
// looked, and guessing passwords would cost a hundred megabytes. A small heap is
// collected in a fraction of the time of a hash.
func tidy(kib uint32) {
	if kib < tidyAbove {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Uint64() < tidyBelow {
		runtime.GC()
	}
}
