package route

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// cachedTable has one reader that remembers the topic.
func cachedTable(topic string, filters ...string) (*Table, *Reader) {
	table := New(Options{})
	table.Update(func(tx *Tx) {
		for _, f := range filters {
			tx.Add(f, 1)
		}
	})
	r := table.NewReader()
	r.Match(topic, func(*Matches) {})
	return table, r
}

// TestEpochs says which changes make a remembered result void.
func TestEpochs(t *testing.T) {
	const topic = "fleet/t1/d1/up"
	for _, c := range []struct {
		name, add string
		void      bool
	}{
		{"the topic itself", topic, true},
		{"below two levels", "fleet/t1/#", true},
		{"below three levels", "fleet/t1/d1/+", true},
		{"below four levels", "fleet/t1/d1/up/#", true},
		{"below one level", "fleet/+/d1/up", true},
		{"all", "#", true},
		{"first level open", "+/t1/d1/up", true},
		{"another exact filter", "fleet/t1/d1/down", false},
		{"another device", "fleet/t1/d2/#", false},
		{"another tenant", "fleet/t2/#", false},
		{"another tree", "site/+/alarm", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, r := cachedTable(topic, "fleet/t1/d1/#")
			hash := table.hash.text(topic)
			hit := func() bool { return r.use(r.lookup(hash, topic)) }
			if !hit() {
				t.Fatal("not remembered")
			}
			// Buckets are shared by chance: 1 in 4,096 for each of four.
			for range 3 {
				table.Update(func(tx *Tx) { tx.Add(c.add, 5) })
				added := hit()
				r.Match(topic, func(*Matches) {})
				table.Update(func(tx *Tx) { e, _ := tx.Find(c.add); tx.Remove(e, 5) })
				removed := hit()
				if added == !c.void && removed == !c.void {
					return
				}
				if c.void {
					t.Fatalf("valid after add %v, after remove %v", added, removed)
				}
				table, r = cachedTable(topic, "fleet/t1/d1/#")
				hash = table.hash.text(topic)
			}
			t.Error("void though nothing of it changed")
		})
	}
}

// TestCacheHitIsCurrent changes values of an entry, which voids nothing.
func TestCacheHitIsCurrent(t *testing.T) {
	table, r := cachedTable("a/b", "a/+")
	table.Update(func(tx *Tx) {
		for v := range uint32(300) {
			tx.Add("a/+", v)
		}
		tx.AddNode("a/+", 3)
	})
	if !r.use(r.lookup(table.hash.text("a/b"), "a/b")) {
		t.Error("values of an entry voided the cache")
	}
	r.Match("a/b", func(m *Matches) {
		if m.Count(0) != 300 || m.Nodes(0) != 8 {
			t.Errorf("%d values, nodes %x", m.Count(0), m.Nodes(0))
		}
	})
}

func TestCacheHoldsManyEntries(t *testing.T) {
	for _, n := range []int{fewEntries, fewEntries + 1, mostEntries, mostEntries + 1} {
		filters := make([]string, n)
		for i := range filters {
			filters[i] = "t" + strings.Repeat("/x", i) + "/#"
		}
		topic := "t" + strings.Repeat("/x", n)
		table, r := cachedTable(topic, filters...)
		if hit := r.use(r.lookup(table.hash.text(topic), topic)); hit != (n <= mostEntries && len(topic) <= longestCached) {
			t.Errorf("%d entries: remembered %v", n, hit)
		}
		r.Match(topic, func(m *Matches) {
			if m.Entries() != n {
				t.Errorf("%d entries, want %d", m.Entries(), n)
			}
		})
	}
}

func TestIntern(t *testing.T) {
	topic := "fleet/t1/d1/up"
	_, r := cachedTable(topic)
	got, ok := r.Intern([]byte(topic))
	if !ok || got != topic || unsafe.StringData(got) != unsafe.StringData(topic) {
		t.Errorf("%q, %v", got, ok)
	}
	if _, ok := r.Intern([]byte("fleet/t1/d1/down")); ok {
		t.Error("knows a topic that was never matched")
	}
	long := strings.Repeat("a", longestCached+1)
	r.Match(long, func(*Matches) {})
	if _, ok := r.Intern([]byte(long)); ok {
		t.Error("remembers a very long topic")
	}
	uncached := New(Options{CacheEntries: -1}).NewReader()
	uncached.Match(topic, func(*Matches) {})
	if _, ok := uncached.Intern([]byte(topic)); ok {
		t.Error("remembers without a cache")
	}
}

func TestMatchBytesCopies(t *testing.T) {
	table := New(Options{})
	table.Update(func(tx *Tx) { tx.Add("a/+", 1) })
	r := table.NewReader()
	buf := []byte("a/b")
	var kept string
	for range 2 { // from the table, then from the cache
		r.MatchBytes(buf, func(m *Matches) {
			kept = m.Topic()
			if m.Entries() != 1 {
				t.Errorf("%d entries", m.Entries())
			}
		})
	}
	buf[2] = 'c'
	if kept != "a/b" {
		t.Errorf("topic became %q", kept)
	}
	if _, ok := r.Intern([]byte("a/c")); ok {
		t.Error("the cache looks into the caller's buffer")
	}
}

func TestCacheSize(t *testing.T) {
	for n, want := range map[int]int{-1: 0, 0: DefaultCacheEntries, 1: cacheWays, 100: 128, 1 << 30: maxCacheSlots} {
		r := New(Options{CacheEntries: n}).NewReader()
		if len(r.cache) != want {
			t.Errorf("%d entries asked for, %d slots", n, len(r.cache))
		}
	}
	// A full cache still answers right.
	table := New(Options{CacheEntries: 4})
	table.Update(func(tx *Tx) { tx.Add("+", 1) })
	r := table.NewReader()
	for i := range 100 {
		r.Match(fmt.Sprint(i%10), func(m *Matches) {
			if m.Entries() != 1 || m.Topic() != fmt.Sprint(i%10) {
				t.Errorf("%d: %d entries of %q", i%10, m.Entries(), m.Topic())
			}
		})
	}
}

// TestTwoTopicsShareASet: they take turns and both stay.
func TestTwoTopicsShareASet(t *testing.T) {
	r := New(Options{CacheEntries: cacheWays}).NewReader()
	for _, topic := range []string{"a", "b", "a", "b"} {
		r.Match(topic, func(*Matches) {})
	}
	for _, topic := range []string{"a", "b"} {
		if _, ok := r.Intern([]byte(topic)); !ok {
			t.Errorf("%q was pushed out", topic)
		}
	}
	r.Match("c", func(*Matches) {})
	if _, ok := r.Intern([]byte("a")); ok {
		t.Error("the older one stayed")
	}
}
