package tabletest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// tryOrder: what stands in one Write is done in its order.
func tryOrder(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	for i, c := range []struct {
		writes []sessions.Write
		want   map[pair]string
	}{
		{nil, map[pair]string{}},
		{[]sessions.Write{set("p", "a", "1"), set("p", "b", "2"), set("q", "a", "3")}, map[pair]string{{"p", "a"}: "1", {"p", "b"}: "2", {"q", "a"}: "3"}},
		{[]sessions.Write{set("p", "a", "4"), set("p", "a", "5")}, map[pair]string{{"p", "a"}: "5", {"p", "b"}: "2", {"q", "a"}: "3"}},
		{[]sessions.Write{set("p", "a", "6"), del("p", "a")}, map[pair]string{{"p", "b"}: "2", {"q", "a"}: "3"}},
		{[]sessions.Write{del("p", "b"), set("p", "b", "7")}, map[pair]string{{"p", "b"}: "7", {"q", "a"}: "3"}},
		{[]sessions.Write{set("p", "c", "8"), drop("p")}, map[pair]string{{"q", "a"}: "3"}},
		{[]sessions.Write{set("p", "a", "9"), set("p", "b", "9"), del("p", "a"), drop("p"), set("p", "a", "10")}, map[pair]string{{"p", "a"}: "10", {"q", "a"}: "3"}},
		{[]sessions.Write{drop("p"), set("p", "x", "11"), set("p", "a", "12"), del("p", "x"), drop("q"), drop("q")}, map[pair]string{{"p", "a"}: "12"}},
		{[]sessions.Write{drop("p"), drop("none"), del("none", "none"), del("q", "none")}, map[pair]string{}},
		{[]sessions.Write{set("p", "a", "13"), drop("p"), set("p", "b", "14"), drop("p"), set("p", "c", "15")}, map[pair]string{{"p", "c"}: "15"}},
	} {
		b.write(c.writes...)
		b.want(c.want)
		if t.Failed() {
			t.Fatalf("step %d: %+v", i, c.writes)
		}
	}
}

// tryEmpty: an empty value is there, a missing key is not; a part may be empty, too.
func tryEmpty(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	b.write(set("p", "empty", ""), sessions.Write{Part: nil, Key: []byte("k"), Value: nil}, set("p", "k", "v"))
	b.want(map[pair]string{{"p", "empty"}: "", {"", "k"}: "", {"p", "k"}: "v"})
	if got := b.get("p", "none", "Empty", "empty ", "k\x00"); len(got) > 0 {
		t.Errorf("missing keys are there: %q", got)
	}
	if got := b.get("none", "k"); len(got) > 0 {
		t.Errorf("a missing part has %q", got)
	}
	if got := b.get("p"); len(got) > 0 {
		t.Errorf("no key gives %q", got)
	}
	b.write(drop(""), set("p", "k", ""))
	b.want(map[pair]string{{"p", "empty"}: "", {"p", "k"}: ""})
}

// tryBytes: parts, keys and values are bytes, whatever they mean to the database.
func tryBytes(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	var every strings.Builder
	want := map[pair]string{}
	for i := range 256 {
		c := string([]byte{byte(i)})
		every.WriteString(c)
		want[pair{c, "k"}] = c
		want[pair{"p", c}] = c
		want[pair{c + c, c + "k"}] = "v" + c
	}
	for _, odd := range []string{"a", "A", "a ", "a  ", "a\x00", "a\x00\x00", "\x00a", "\u00e4", "a\u0308", "\u00c4", "ß", "ss", "\xff\xff", "\xc3\x28", "'; drop table t; --", `\`, `\x41`, "{x}", "*", "a*", "[a]", "$1", "${x}", "\r\n+OK\r\n", "null"} {
		want[pair{odd, odd}] = odd
		want[pair{"odd", odd}] = odd + odd
	}
	want[pair{strings.Repeat("\xff", 32), "longest part"}] = every.String()
	want[pair{"p", every.String()}] = every.String()
	var ws []sessions.Write
	for at, value := range want {
		ws = append(ws, set(at.part, at.key, value))
	}
	b.write(ws...)
	b.want(want)
	for _, part := range []string{"a", "\x00", "odd", `\`} { // and nothing that looks like it
		b.write(drop(part))
		for at := range want {
			if at.part == part {
				delete(want, at)
			}
		}
	}
	b.want(want)
}

// tryLongKeys: keys that are longer than an index holds are told apart by each byte.
func tryLongKeys(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	want := map[pair]string{}
	for _, n := range []int{31, 32, 255, 256, 257, 767, 768, 999, 1000, 1001, 1002, 1023, 1024, 1025, 2700, 2704, 3072, 8191, 16384, 65535, 65536, 65600} {
		key := repeat("", n)
		want[pair{"p", key}] = fmt.Sprint(n)
		want[pair{"p", key[:n-1] + "y"}] = fmt.Sprint(n, " the last byte is another")
		want[pair{"p", "y" + key[1:]}] = fmt.Sprint(n, " the first byte is another")
		want[pair{"q", key}] = fmt.Sprint(n, " in another part")
		if stands, long := sessions.ShortKey([]byte(key), 1000); long {
			want[pair{"p", string(stands)}] = fmt.Sprint(n, " what stands for it")
		}
	}
	var ws []sessions.Write
	for at, value := range want {
		ws = append(ws, set(at.part, at.key, "old"), set(at.part, at.key, value))
	}
	b.write(ws...)
	b.want(want)
	gone := repeat("", 65600)
	b.write(del("p", gone), drop("q"))
	for at := range want {
		if at.part == "q" || at.key == gone {
			delete(want, at)
		}
	}
	b.want(want)
}

// tryLargeValues: a value may be large, and so may all of a Write.
func tryLargeValues(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	largest := s.Largest
	if largest == 0 {
		largest = 16 << 20
	}
	want := map[pair]string{
		{"p", "1 MiB"}:   noise(1 << 20),
		{"p", "largest"}: noise(largest),
		{"q", "small"}:   "v",
	}
	for i := range 12 {
		want[pair{"r", fmt.Sprint(i)}] = noise(1 << 20)
	}
	var ws []sessions.Write
	for at, value := range want {
		ws = append(ws, set(at.part, at.key, value))
	}
	b.write(ws...)
	b.want(want)
	for at := range want {
		want[at] = "small now"
		b.write(set(at.part, at.key, "small now"))
	}
	b.want(want)
}

// noise is n bytes that do not shrink.
func noise(n int) string {
	b := make([]byte, n)
	x := uint64(n)*2862933555777941757 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return string(b)
}

// tryManyKeys: one Get, and one Write, of many keys; f's error ends a Get.
func tryManyKeys(t *testing.T, s Site) {
	b, _ := s.fresh(t)
	want := map[pair]string{}
	var ws []sessions.Write
	var ask [][]byte
	for i := range scanPairs / 10 {
		at := pair{"p", fmt.Sprintf("key %d", i)}
		ask = append(ask, []byte(at.key))
		if i%3 == 0 {
			want[at] = fmt.Sprint(i)
			ws = append(ws, set(at.part, at.key, want[at]))
		}
	}
	b.write(ws...)
	got := map[pair]string{}
	if err := b.Get(within(t), []byte("p"), ask, func(key, value []byte) error {
		got[pair{"p", string(key)}] = string(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	compare(t, "get", got, want)
	enough := errors.New("enough")
	calls := 0
	err := b.Get(within(t), []byte("p"), ask, func(key, value []byte) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("get: %d calls and %v, want the error of the first", calls, err)
	}
	if len(b.get("p", "key 0", "key 1")) != 1 {
		t.Error("after that, a get does not see one of two")
	}
}

// tryNamespaces: gateways that share a database see nothing of each other.
func tryNamespaces(t *testing.T, s Site) {
	a, _ := s.fresh(t)
	b, _ := s.fresh(t)
	a.write(set("p", "k", "of a"), set("p", "l", "of a"))
	b.write(set("p", "k", "of b"), drop("q"))
	b.write(del("p", "l"), drop("r"))
	a.want(map[pair]string{{"p", "k"}: "of a", {"p", "l"}: "of a"})
	b.want(map[pair]string{{"p", "k"}: "of b"})
	b.write(drop("p"))
	a.want(map[pair]string{{"p", "k"}: "of a", {"p", "l"}: "of a"})
}
