package hashes

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestWorkRefuses(t *testing.T) {
	good := appendRequest(nil, cheap(), []byte("secret"))
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[requestPrefix+at] = to
		return b
	}
	for name, request := range map[string][]byte{
		"half a length": good[:1], "half": good[:20], "too long": {0xff, 0xff}, "too short": {0, 3, 1, 2, 3}, "empty": {0, 0},
		"no algorithm": changed(0, 0), "unknown algorithm": changed(0, 4), "bcrypt with costs": changed(0, 2), "a sum": changed(1, byte(crypto.SHA256)),
		"dear": changed(2, 1), "threads": changed(10, 0), "rounds": changed(14, 1), "long key": changed(15, 65), "short key": changed(15, 15),
		"short salt": changed(16, 7), "salt beyond": changed(16, 23),
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
	for _, r := range all() {
		f.Add(appendRequest(nil, r, []byte("secret"))[requestPrefix:])
		f.Add(appendRequest(nil, r, nil)[requestPrefix:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, password, err := parseRequest(b)
		if err != nil {
			return
		}
		if r.Validate() != nil || len(password) > MaxPassword || len(r.Salt) > maxSalt {
			t.Fatalf("beyond the bounds: %+v, a password of %d bytes", r, len(password))
		}
		again := appendRequest(nil, &r, password)
		if !bytes.Equal(again[requestPrefix:], b) {
			t.Errorf("%x was written as %x", b, again)
		}
		got, err := readRequest(bytes.NewReader(again), make([]byte, requestPrefix+maxRequest))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%x was read as %x, %v", again, got, err)
		}
		hash := make([]byte, r.Size)
		if got := answerHash(appendAnswer(nil, b, hash), b); !bytes.Equal(got, hash) {
			t.Errorf("the hash %x came as %x", hash, got)
		}
	})
}
