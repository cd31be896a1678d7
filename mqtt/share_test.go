package mqtt

import (
	"strings"
	"testing"
)

// TestShareOfATurn: what a client causes bounds how much of its input is taken at
// once, and nothing of it is lost.
func TestShareOfATurn(t *testing.T) {
	r := opened(t, connect311)
	in := unhex(t, strings.Repeat("30 04 0001 61 78", 3))
	for _, c := range []struct {
		work  []int
		taken int
	}{{nil, 3}, {[]int{50, 1000}, 2}, {[]int{1 << 20}, 1}} {
		r.gw.publishWork, r.gw.published = c.work, nil
		r.raw(in)
		if n := len(r.gw.published); n != c.taken || r.used != c.taken*len(in)/3 || r.a.Again != (c.taken < 3) {
			t.Errorf("with publishes of %v units: %d taken, %d bytes of %d used, again %v", c.work, n, r.used, len(in), r.a.Again)
		}
	}
}
