package tabletest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// The size of what tryScan reads.
const (
	scanPairs  = 100_000
	scanParts  = 200
	scanValue  = 400
	scanMemory = 16 << 20 // of its 40 MB
	scanGroup  = 2000
)

// tryScan reads 100,000 pairs, each once, in memory that does not grow with them.
func tryScan(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	value := []byte(noise(scanValue))
	for first := 0; first < scanPairs; first += scanGroup {
		ws := make([]sessions.Write, scanGroup)
		for i := range ws {
			n := first + i
			part := n % scanParts
			if n%2 == 0 {
				part = 0 // one is far larger than the others
			}
			key := binary.BigEndian.AppendUint32(nil, uint32(n))
			ws[i] = sessions.Write{Part: fmt.Appendf(nil, "part %d", part), Key: key, Value: append(key, value...)}
		}
		b.write(ws...)
	}
	base, most := heap(), uint64(0)
	seen := make([]bool, scanPairs)
	calls := 0
	err := b.Scan(within(t), func(part, key, value []byte) error {
		n := binary.BigEndian.Uint32(key)
		want := n % scanParts
		if n%2 == 0 {
			want = 0
		}
		if seen[n] || len(value) != scanValue+4 || binary.BigEndian.Uint32(value) != n || string(part) != fmt.Sprintf("part %d", want) {
			return fmt.Errorf("pair %d of %q: seen %v, %d bytes", n, part, seen[n], len(value))
		}
		seen[n] = true
		if calls++; calls%10_000 == 0 {
			most = max(most, heap())
		}
		return nil
	})
	if err != nil || calls != scanPairs {
		t.Fatalf("scan gave %d pairs and %v, want %d", calls, err, scanPairs)
	}
	if most > base+scanMemory {
		t.Errorf("a scan holds %d MiB of them in memory, want at most %d", (most-base)>>20, scanMemory>>20)
	}
	enough := errors.New("enough")
	calls = 0
	if err := b.Scan(within(t), func(_, _, _ []byte) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
		t.Errorf("scan: %d calls and %v, want the error of the first", calls, err)
	}
}

// heap is how many bytes are in use, garbage apart.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
