package protocols

import "testing"

// TestHeldGrowsOnce: a packet that comes in many reads grows through buffers that another
// one's left, and holds at most half more than what came and one read.
func TestHeldGrowsOnce(t *testing.T) {
	var p helds
	part := make([]byte, readSize)
	run := func() {
		h := p.keep(part)
		for n := readSize; n < 1<<20; n += readSize {
			if len(h.b) != n {
				t.Fatalf("%d bytes held of %d", len(h.b), n)
			}
			h = p.grow(h, readSize)
			if room := len(h.rest()); room < readSize || room > n/2+2*readSize {
				t.Fatalf("room for %d bytes behind %d", room, n)
			}
			h.b = append(h.b, part...)
		}
		p.put(h)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 10 { // 16 without; the race detector has the pool lose some
		t.Errorf("%v allocations", n)
	}
}
