package loop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// serverFrame writes a frame as servers do, in the plainest way.
func serverFrame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

// decoded is what comes of in when it is cut at the given places.
func decoded(in []byte, next func(left int) int) (data []byte, controls string, err error) {
	var f frames
	for len(in) > 0 {
		n := next(len(in))
		part := bytes.Clone(in[:n])
		in = in[n:]
		got, err := f.decode(part, func(op byte, payload []byte) {
			controls += fmt.Sprintf("%x %q;", op, payload)
		})
		data = append(data, part[:got]...)
		if err != nil {
			return data, controls, err
		}
	}
	return data, controls, nil
}

func whole(left int) int { return left }
func single(int) int     { return 1 }

func TestFrames(t *testing.T) {
	long, longer := pattern(300), pattern(70_000)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name     string
		in       []byte
		data     []byte
		controls string
		err      error
	}{
		{"one", serverFrame(0x82, []byte("abc")), []byte("abc"), "", nil},
		{"empty", serverFrame(0x82, nil), nil, "", nil},
		{"16 bit length", serverFrame(0x82, long), long, "", nil},
		{"64 bit length", serverFrame(0x82, longer), longer, "", nil},
		{"two", join(serverFrame(0x82, long), serverFrame(0x82, []byte("x"))), join(long, []byte("x")), "", nil},
		{"fragments", join(serverFrame(0x02, []byte("a")), serverFrame(0x00, nil), serverFrame(0x80, []byte("b"))), []byte("ab"), "", nil},
		{"ping between fragments", join(serverFrame(0x02, []byte("a")), serverFrame(0x89, []byte("p")), serverFrame(0x80, []byte("b"))), []byte("ab"), `9 "p";`, nil},
		{"empty ping and pong", join(serverFrame(0x89, nil), serverFrame(0x8a, []byte("q"))), nil, `9 "";a "q";`, nil},
		{"close", serverFrame(0x88, []byte{3, 232}), nil, `8 "\x03\xe8";`, nil},
		{"text", serverFrame(0x81, []byte("a")), nil, "", errFrameText},
		{"masked", []byte{0x82, 0x81, 1, 2, 3, 4, 5}, nil, "", errFrameMasked},
		{"reserved bit", serverFrame(0xc2, nil), nil, "", errFrameBits},
		{"opcode 3", serverFrame(0x83, nil), nil, "", errFrameBits},
		{"opcode 11", serverFrame(0x8b, nil), nil, "", errFrameBits},
		{"continuation of nothing", serverFrame(0x80, nil), nil, "", errFrameOrder},
		{"message within another", join(serverFrame(0x02, nil), serverFrame(0x82, nil)), nil, "", errFrameOrder},
		{"fragmented ping", serverFrame(0x09, nil), nil, "", errFrameLength},
		{"long ping", serverFrame(0x89, make([]byte, 126)), nil, "", errFrameLength},
		{"close of one byte", serverFrame(0x88, []byte{3}), nil, "", errFrameLength},
		{"length beyond all", []byte{0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, nil, "", errFrameLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, next := range []func(int) int{whole, single} {
				data, controls, err := decoded(c.in, next)
				if !bytes.Equal(data, c.data) || controls != c.controls || !errors.Is(err, c.err) {
					t.Errorf("%d bytes, %s, %v; want %d, %s, %v", len(data), controls, err, len(c.data), c.controls, c.err)
				}
			}
		})
	}
}

func TestAppendFrameIsUndoneByItsMask(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 1000, 65_535, 65_536} {
		b := pattern(n)
		f := appendFrame([]byte("before"), opBinary, b)[len("before"):]
		head := 6
		switch f[1] & 0x7f {
		case 126:
			head = 8
		case 127:
			head = 14
		}
		if f[1]&0x80 == 0 {
			t.Fatalf("%d bytes: not masked", n)
		}
		key, payload := f[head-4:head], f[head:]
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		if !bytes.Equal(payload, b) {
			t.Errorf("%d bytes differ", n)
		}
	}
}

// FuzzFrames: however the bytes are split, the outcome is the same, and bounded by
// what came in.
func FuzzFrames(f *testing.F) {
	f.Add(serverFrame(0x82, []byte("abc")), uint64(1))
	f.Add(append(serverFrame(0x02, []byte("a")), serverFrame(0x89, []byte("p"))...), uint64(2))
	f.Add(serverFrame(0x88, []byte{3, 232, 'b', 'y', 'e'}), uint64(3))
	f.Add(serverFrame(0x82, make([]byte, 300)), uint64(4))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		data, controls, err := decoded(in, whole)
		if len(data) > len(in) {
			t.Fatalf("%d bytes of %d", len(data), len(in))
		}
		for _, next := range []func(int) int{single, func(left int) int { return 1 + rng.IntN(left) }} {
			d, c, e := decoded(in, next)
			if !bytes.Equal(d, data) || c != controls || e != err {
				t.Fatalf("split: %d bytes, %s, %v; whole: %d, %s, %v", len(d), c, e, len(data), controls, err)
			}
		}
	})
}
