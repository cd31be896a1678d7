package scenario

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestMarkRoundTrip(t *testing.T) {
	for _, want := range []Mark{{}, {1, 2, 3}, {math.MaxUint32, math.MaxUint64, math.MaxInt64}, {7, 1 << 40, -1}, {7, 1, math.MinInt64}} {
		b := AppendMark([]byte("21.5 "), want)
		if len(b) != 5+MarkSize {
			t.Fatalf("a mark of %d bytes", len(b)-5)
		}
		for _, payload := range [][]byte{b, append(bytes.Clone(b), `"}`...), append(bytes.Clone(b), " and more ~ of it"...), append([]byte("~~~"), b...)} {
			if got, ok := FindMark(payload); !ok || got != want {
				t.Errorf("%q: %+v, %v, wanted %+v", payload, got, ok, want)
			}
		}
		PutMarkTime(b[5:], 12345)
		want.Time = 12345
		if got, ok := FindMark(b); !ok || got != want {
			t.Errorf("after PutMarkTime: %+v, %v, wanted %+v", got, ok, want)
		}
	}
}

func TestMarkIsPlain(t *testing.T) {
	b := AppendMark(nil, Mark{Device: 0xFFFFFFFF, Seq: math.MaxUint64, Time: -1})
	for _, c := range b {
		if c <= ' ' || c >= 0x7F || c == '"' || c == '\\' {
			t.Fatalf("%q holds a byte that JSON or a terminal takes for something else", b)
		}
	}
	if MarkSize > 40 {
		t.Errorf("a mark has %d bytes", MarkSize)
	}
}

func TestForeignPayloadsHaveNoMark(t *testing.T) {
	b := AppendMark(nil, Mark{5, 6, 7})
	if _, ok := FindMark([]byte(strings.Repeat("~", 300))); ok {
		t.Error("a row of tildes is taken for a mark")
	}
	for i := range b {
		for _, c := range []byte("AB~ \x00\xff") {
			broken := bytes.Clone(b)
			if broken[i] == c {
				continue
			}
			broken[i] = c
			if m, ok := FindMark(broken); ok {
				t.Errorf("%q is taken for a mark: %+v", broken, m)
			}
		}
		if _, ok := FindMark(b[:i]); ok {
			t.Errorf("%q is taken for a mark", b[:i])
		}
	}
	short := []byte("short")
	PutMarkTime(short, 1)
	if string(short) != "short" {
		t.Error("PutMarkTime changed what is no mark")
	}
}

func TestMarksDoNotAllocate(t *testing.T) {
	b := AppendMark(make([]byte, 0, 100), Mark{1, 2, 3})
	if n := testing.AllocsPerRun(100, func() {
		PutMarkTime(b, 9)
		if _, ok := FindMark(b); !ok {
			t.Error("the mark is gone")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFindMark(f *testing.F) {
	f.Add([]byte("~~~"))
	f.Add(AppendMark([]byte("a "), Mark{1, 2, 3}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, ok := FindMark(payload)
		if !ok {
			return
		}
		if again := AppendMark(nil, m); !bytes.Contains(payload, again) {
			t.Errorf("%+v was found in %q, and would be written %q", m, payload, again)
		}
	})
}

func BenchmarkFindMark(b *testing.B) {
	payload := append(bytes.Repeat([]byte("x"), 200), AppendMark(nil, Mark{1, 2, 3})...)
	for b.Loop() {
		FindMark(payload)
	}
}
