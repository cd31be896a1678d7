package protocols

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

// FuzzPeerTable holds the table against a map, for peers of which many share a hash.
func FuzzPeerTable(f *testing.F) {
	f.Add([]byte{1, 2, 3, 129, 4, 130, 1, 1, 2})
	f.Add(bytes.Repeat([]byte{5, 69, 133, 7}, 60))
	f.Fuzz(func(t *testing.T, ops []byte) {
		table := newPeerTable()
		naive := map[byte]uint32{} // slots by peer
		owner := map[uint32]byte{} // peers by slot
		// A narrow hash makes runs that wrap around.
		hash := func(k byte) uint32 { return uint32(k) % 5 * 0xfffffff }
		check := func(k byte) {
			want, have := naive[k]
			got, ok := table.find(hash(k), func(s uint32) bool { return owner[s] == k && naive[k] == s })
			if ok != have || ok && got != want || table.count != len(naive) {
				t.Fatalf("%d is at %d, %v of %d; want %d, %v of %d", k, got, ok, table.count, want, have, len(naive))
			}
		}
		for i, op := range ops {
			k := op & 0x7f
			slot, have := naive[k]
			switch {
			case op&0x80 == 0 && !have:
				table.add(hash(k), uint32(i))
				naive[k], owner[uint32(i)] = uint32(i), k
			case op&0x80 != 0:
				if !have {
					slot = uint32(len(ops)) // nobody's
				}
				table.remove(hash(k), slot)
				delete(naive, k)
			}
			check(k)
		}
		for k := range byte(128) {
			check(k)
		}
	})
}

func TestPeersOfOneHash(t *testing.T) {
	table := newPeerTable()
	a := netip.MustParseAddrPort("192.0.2.1:1884")
	h := table.hash(a, nil)
	for name, other := range map[string]uint32{
		"port": table.hash(netip.MustParseAddrPort("192.0.2.1:1885"), nil), "node": table.hash(a, []byte{1}),
	} {
		if other == h {
			t.Errorf("another %s, the same hash", name)
		}
	}
	second := newPeerTable()
	if second.hash(a, nil) == h {
		t.Error("two tables have one seed")
	}
}

// FuzzHello takes hellos apart and puts them together: what pion is given as the first
// hello must be one, and carry the second one's parameters.
func FuzzHello(f *testing.F) {
	f.Add(helloOf(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parseHello(b)
		if !ok {
			return
		}
		now := time.Unix(1_800_000_000, 0)
		peer := netip.MustParseAddrPort("192.0.2.7:5000")
		k := newCookies()
		if answer := k.request(nil, peer, &h, now); len(answer) > len(b)+cookieSize {
			t.Fatalf("%d bytes answer %d", len(answer), len(b))
		}
		h.sequence++
		first, ok := parseHello(h.withoutCookie())
		if !ok || len(first.cookie) != 0 || !bytes.Equal(bytes.Join(first.parameters, nil), bytes.Join(h.parameters, nil)) {
			t.Fatalf("%v %+v", ok, first)
		}
		if k.valid(peer, &h, now) {
			t.Fatal("a cookie that was never made")
		}
		h.cookie = k.make(peer, &h, windowOf(now))
		for late, want := range map[time.Duration]bool{0: true, cookieTime: true, 2 * cookieTime: false, 256 * cookieTime: false} {
			if k.valid(peer, &h, now.Add(late)) != want {
				t.Fatalf("valid after %s is not %v", late, want)
			}
		}
		other := netip.MustParseAddrPort("192.0.2.7:5001")
		if k.valid(other, &h, now) {
			t.Fatal("valid for another")
		}
	})
}
