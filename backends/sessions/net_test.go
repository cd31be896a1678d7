package sessions_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
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

// However writes meet, both nets leave what the writes leave one by one; a DeletePart by
// its last key becomes Deletes.
func TestNet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		stood, plain, byKey := map[[2]string]string{}, map[[2]string]string{}, map[[2]string]string{}
		for part := range 3 {
			for key := range r.IntN(3) {
				stood[[2]string{string('p' + rune(part)), string('a' + rune(key))}] = "old"
			}
		}
		maps.Copy(plain, stood)
		maps.Copy(byKey, stood)
		ws := make([]sessions.Write, r.IntN(12))
		for i := range ws {
			ws[i] = sessions.Write{Kind: sessions.WriteKind(r.IntN(3)), Part: []byte{'p' + byte(r.IntN(3))}, Key: []byte{'a' + byte(r.IntN(4))}, Value: []byte{byte(i)}}
			if ws[i].Kind == sessions.DeletePart {
				ws[i].Key = lastKey(stood, ws[i].Part)
			}
		}
		change(plain, sessions.Net(ws))
		change(byKey, sessions.NetByKey(ws))
		for _, w := range ws {
			maps.DeleteFunc(stood, func(at [2]string, _ string) bool {
				return at[0] == string(w.Part) && (w.Kind == sessions.DeletePart || at[1] == string(w.Key))
			})
			if w.Kind == sessions.Set {
				stood[[2]string{string(w.Part), string(w.Key)}] = string(w.Value)
			}
		}
		if !maps.Equal(plain, stood) || !maps.Equal(byKey, stood) {
			t.Fatalf("%q leave %q, by Net %q, by NetByKey %q", ws, stood, plain, byKey)
		}
	}
	if c := sessions.NetByKey([]sessions.Write{{Kind: sessions.DeletePart, Part: []byte("p"), Key: []byte("k")}}); c[0].Clear || len(c[0].Deletes) != 1 {
		t.Errorf("the last key of a part is deleted by %+v", c)
	}
}

// lastKey names the key of a part that has one, nil for others.
func lastKey(stood map[[2]string]string, part []byte) (key []byte) {
	n := 0
	for at := range stood {
		if at[0] == string(part) {
			n++
			key = []byte(at[1])
		}
	}
	if n != 1 {
		return nil
	}
	return key
}

func change(all map[[2]string]string, changes []sessions.Change) {
	for _, c := range changes {
		if c.Clear {
			maps.DeleteFunc(all, func(at [2]string, _ string) bool { return at[0] == string(c.Part) })
		}
		for _, key := range c.Deletes {
			delete(all, [2]string{string(c.Part), string(key)})
		}
		for _, p := range c.Sets {
			all[[2]string{string(c.Part), string(p.Key)}] = string(p.Value)
		}
	}
}
