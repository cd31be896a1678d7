package sessions_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

func TestShortKey(t *testing.T) {
	const most = 40
	seen := map[string]string{}
	for n := 1; n < 100; n++ {
		for _, last := range "ab" {
			key := strings.Repeat("x", n-1) + string(last)
			short, long := sessions.ShortKey([]byte(key), most)
			if long != (n > most) || !long && string(short) != key || long && len(short) != most+1 {
				t.Errorf("%d bytes: %q, %v", n, short, long)
			}
			if other, twice := seen[string(short)]; twice {
				t.Errorf("%q and %q have the same", key, other)
			}
			seen[string(short)] = key
		}
	}
	key := bytes.Repeat([]byte{'x'}, 99)
	if short, _ := sessions.ShortKey(key[:50], most); len(short) != most+1 || slices.ContainsFunc(key, func(b byte) bool { return b != 'x' }) {
		t.Error("the key was written to")
	}
}

func TestCheckNamespace(t *testing.T) {
	for _, good := range []string{"a", "gateway-1.example:1883", strings.Repeat("n", 64)} {
		if err := sessions.CheckNamespace(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a b", "{a}", "a\x00", "ä", "a\n", strings.Repeat("n", 65)} {
		if err := sessions.CheckNamespace(bad); err == nil || !strings.HasPrefix(err.Error(), "namespace: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPager(t *testing.T) {
	var p sessions.Pager
	if p.Rows() != 16 {
		t.Fatalf("begins with %d rows", p.Rows())
	}
	for range 20 {
		p.Read(p.Rows(), p.Rows()*100)
	}
	if p.Rows() != 4096 {
		t.Errorf("rows of 100 bytes: %d at once", p.Rows())
	}
	p.Read(64, 64*16<<20)
	if p.Rows() != 1 {
		t.Errorf("rows of 16 MiB: %d at once", p.Rows())
	}
	p.Read(0, 0)
	p.Read(1, 1<<20)
	if p.Rows() != 2 {
		t.Errorf("after one of 1 MiB: %d at once", p.Rows())
	}
}
