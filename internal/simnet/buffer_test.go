package simnet

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

// Blocks go through one pool from many goroutines; the race detector tells when one is
// touched after it was put back, and the bytes when two share one.
func TestBlocksAreNotShared(t *testing.T) {
	var p blocks
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			var k *block
			var want []byte
			got := make([]byte, 70_000)
			for range 2000 {
				b := bytes.Repeat([]byte{byte(r.Uint32())}, 1+r.IntN(300))
				k, want = p.add(k, b), append(want, b...)
				n := 0
				k, n = p.take(k, got[:1+r.IntN(600)])
				if !bytes.Equal(got[:n], want[:n]) {
					t.Error("other bytes came out than went in")
					return
				}
				want = want[n:]
				if (k == nil) != (len(want) == 0) || k.len() != len(want) {
					t.Errorf("holds %d, want %d", k.len(), len(want))
				}
			}
		})
	}
	wg.Wait()
}
