package passwd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestWorkRefuses(t *testing.T) {
	h := decoy(cheap(), 16, 32).hash
	good := appendRequest(nil, &h, []byte("secret"))
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, request := range map[string][]byte{
		"half a length": good[:1], "half": good[:20], "too long": {0xff, 0xff}, "too short": {0, 3, 1, 2, 3}, "empty": {0, 0},
		"dear": changed(2, 1), "threads": changed(10, 0), "long key": changed(11, 65), "short key": changed(11, 15), "long salt": changed(12, 65),
		"short salt": changed(12, 7), "salt beyond": changed(12, 23),
		"password": append([]byte{0x04, requestHead + 16 + 1}, append(bytes.Clone(good[2:requestPrefix+requestHead+16]), make([]byte, MaxPassword+1)...)...),
	} {
		var out bytes.Buffer
		if err := work(bytes.NewReader(request), &out, func() {}); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, out.Len())
		}
	}
	var out bytes.Buffer
	if err := work(bytes.NewReader(append(bytes.Clone(good), good...)), &out, func() {}); err != nil || out.Len() != 2*(32+32) {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
	w := readerFunc(func([]byte) (int, error) { return 0, errors.New("broken") })
	if err := work(w, io.Discard, nil); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Error(err)
	}
}

// FuzzRequest: whatever comes, what is taken for a request is within the bounds and the
// only way to write it.
func FuzzRequest(f *testing.F) {
	h := decoy(DefaultParams(), 16, 32).hash
	f.Add(appendRequest(nil, &h, []byte("secret"))[requestPrefix:])
	h = decoy(Params{Memory: 64, Passes: 3, Threads: 8}, minSalt, maxKey).hash
	f.Add(appendRequest(nil, &h, nil)[requestPrefix:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, password, err := parseRequest(b)
		if err != nil {
			return
		}
		if h.validate() != nil || len(password) > MaxPassword || len(h.Salt) < minSalt || len(h.Salt) > maxSalt || len(h.Key) < minKey || len(h.Key) > maxKey {
			t.Fatalf("beyond the bounds: %+v, a password of %d bytes", h, len(password))
		}
		again := appendRequest(nil, &h, password)
		if !bytes.Equal(again[requestPrefix:], b) {
			t.Errorf("%x was written as %x", b, again)
		}
		got, err := readRequest(bytes.NewReader(again), make([]byte, requestPrefix+maxRequest))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%x was read as %x, %v", again, got, err)
		}
		if key := answerKey(appendAnswer(nil, b, h.Key), b); !bytes.Equal(key, h.Key) {
			t.Errorf("the key %x came as %x", h.Key, key)
		}
	})
}
