package sessions

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// stampRecorder takes what a builder writes.
type stampRecorder struct {
	writer
	value []byte
}

// Set implements image.Writer.
func (r *stampRecorder) Set(_, value []byte) { r.value = bytes.Clone(value) }

// LaterStamp is what a program of the next format might leave.
func LaterStamp() []byte {
	return sealedStamp(append(image.AppendUvarint(nil, format+1), "whatever"...))
}

// FirstStamp is what a program of the first format left.
func FirstStamp() []byte {
	return sealedStamp(appendStamp(nil, &stamp{format: 1, number: 7, name: "older", since: 1, who: "a"}))
}

func sealedStamp(body []byte) []byte {
	var b image.Builder
	var r stampRecorder
	b.Begin(nil, &r)
	b.Put(stampKey(), body)
	return r.value
}

// What place splits, join makes whole; and no two keys come to one place.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		keys := map[string]string{}
		for range 20 {
			var key []byte
			sid, number := rapid.Uint64().Draw(r, "sid"), rapid.Uint64().Draw(r, "number")
			name := rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(r, "name")
			switch rapid.IntRange(0, 5).Draw(r, "kind") {
			case 0:
				key = image.AppendEntryKey(nil, sid, number)
			case 1:
				key = image.AppendBodyKey(nil, number)
			case 2:
				key = append([]byte{image.FamilyRetained}, name...)
			case 3:
				key = append([]byte{image.FamilyDelayed}, image.AppendBodyKey(nil, number)[1:]...)
			case 4:
				key = append(append(image.AppendSession(nil, sid), 2), name...)
			default:
				key = stampKey()
			}
			part, rest := place(nil, key)
			if len(part) > 32 || len(rest) == 0 {
				r.Fatalf("%q comes to part %q, key %q", key, part, rest)
			}
			if whole, ok := join(nil, part, rest); !ok || !bytes.Equal(whole, key) {
				r.Fatalf("%q in %q becomes %q, %v; it was %q", rest, part, whole, ok, key)
			}
			at := string(part) + "\x00" + string(rest)
			if was, taken := keys[at]; taken && was != string(key) {
				r.Fatalf("%q and %q come to one place", was, key)
			}
			keys[at] = string(key)
		}
	})
}

// What stands where it does not belong is no record, and joining it does not fail.
func FuzzJoin(f *testing.F) {
	f.Add([]byte("Q1234567812345678"), []byte("12345678"))
	f.Add([]byte("S12345678"), []byte("\x02filter"))
	f.Add([]byte("b\x00\x00\x00\x00\x00\x00\x00\x00"), []byte("\x00\x00\x00\x00\x00\x00\x00\x07"))
	f.Add([]byte("t\x01"), []byte("topic"))
	f.Fuzz(func(t *testing.T, part, rest []byte) {
		whole, ok := join(nil, part, rest)
		if !ok {
			return
		}
		if p, r := place(nil, whole); !bytes.Equal(p, part) || !bytes.Equal(r, rest) {
			t.Fatalf("%q in %q is %q, which belongs as %q into %q", rest, part, whole, r, p)
		}
	})
}
