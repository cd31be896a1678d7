package route

import (
	"encoding/binary"
	"testing"
)

func TestRestoreRefuses(t *testing.T) {
	numbers := func(ns ...uint64) (b []byte) {
		for _, n := range ns {
			b = binary.AppendUvarint(b, n)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "half": numbers(1), "limit of 33 bits": numbers(1, 1<<32), "no number": {1, 9, 0x80},
		"place 0": numbers(1, 9, 0), "place beyond the limit": numbers(1, 9, 9), "deeper than the filter": numbers(0, 9, 2, 3, 4),
	} {
		if err := new(Cursor).Restore("a/+", b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := new(Cursor).Restore("a/+", numbers(0, 9, 2, 3)); err != nil {
		t.Error(err)
	}
}

// FuzzRestore goes on from anywhere: the scan ends, and gives what matches, nothing twice.
func FuzzRestore(f *testing.F) {
	topics := NewTopics()
	for i, name := range []string{"a", "a/b", "a/b/c", "a//c", "", "/", "$SYS/x", "b/b", "b/gone/c", "c"} {
		topics.Put(name, uint32(i))
	}
	topics.Delete("b/gone/c")
	for _, filter := range []string{"#", "+/b", "a/b/c", "+/+/c", "$SYS/#"} {
		var c Cursor
		for done := false; !done; {
			done = topics.Scan(filter, &c, 1, func(string, uint32) bool { return true })
			f.Add(filter, c.Append(nil))
		}
	}
	f.Fuzz(func(t *testing.T, filter string, from []byte) {
		if len(filter) > maxFilter {
			return
		}
		var c Cursor
		if c.Restore(filter, from) != nil {
			return
		}
		seen := map[string]bool{}
		for i := 0; !topics.Scan(filter, &c, 1, func(name string, _ uint32) bool {
			if seen[name] || !naiveMatch(filter, name) {
				t.Fatalf("%q: %q, seen %v", filter, name, seen)
			}
			seen[name] = true
			return true
		}); i++ {
			if i > 100 {
				t.Fatalf("%q does not end", filter)
			}
		}
	})
}
