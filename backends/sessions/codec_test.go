package sessions_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

func noted() []sessions.Change {
	return []sessions.Change{
		{Part: []byte{}, Clear: true, Sets: []sessions.Pair{{Key: []byte("k"), Value: []byte{}}, {Key: bytes.Repeat([]byte{0}, 300), Value: []byte("v")}}},
		{Part: []byte("p"), Deletes: [][]byte{[]byte("a"), []byte("b")}},
		{Part: []byte("q")},
	}
}

func TestChanges(t *testing.T) {
	text := sessions.AppendChanges(nil, noted())
	got, err := sessions.ReadChanges(text)
	if diff := cmp.Diff(noted(), got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	for n := range text {
		if got, err := sessions.ReadChanges(text[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are %v", n, len(text), got)
		}
	}
	if _, err := sessions.ReadChanges(append(text, 0)); err == nil {
		t.Error("a byte too many is taken")
	}
}

func FuzzReadChanges(f *testing.F) {
	f.Add(sessions.AppendChanges(nil, noted()))
	f.Add([]byte{0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, text []byte) {
		changes, err := sessions.ReadChanges(text)
		if err != nil {
			return
		}
		again, err := sessions.ReadChanges(sessions.AppendChanges(nil, changes))
		if diff := cmp.Diff(changes, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}
