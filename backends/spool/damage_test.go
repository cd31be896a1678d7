package spool

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// written makes a directory of n records in several segments.
func written(t *testing.T, opts Options, n uint64) {
	t.Helper()
	s := open(t, opts)
	for i := range n {
		if s.Append(0, number(i, 60)) != 1 {
			t.Fatal("refused")
		}
		if i%10 == 9 {
			if err := flushed(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func (d *disk) clone() *disk {
	c := newDisk()
	for name, node := range d.now {
		data := slices.Clone(node.data)
		c.now[name] = &inode{data: data, synced: data}
	}
	return c
}

// Any byte of any segment may be wrong: what is served was appended, in order;
// at most what lies in the damaged place is missing, and it is counted.
func TestFlippedBits(t *testing.T) {
	const n = 110
	opts := Options{Dir: "d", Segment: minSegment, FS: newDisk()}
	written(t, opts, n)
	d := opts.FS.(*disk)
	step := 1
	if testing.Short() {
		step = 13
	}
	segments := d.files(segmentSuffix)
	if len(segments) < 2 {
		t.Fatal(segments)
	}
	for which, name := range segments {
		for at := 0; at < len(d.now[name].data); at += step {
			c := d.clone()
			c.now[name].data[at] ^= 1 << (at % 8)
			synctest.Test(t, func(t *testing.T) {
				s := open(t, Options{Dir: "d", Segment: minSegment, FS: c})
				got := drain(t, s.Lane(0))
				st := s.Stats()
				missing := n - uint64(len(got))
				last := which == len(segments)-1
				switch {
				case !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got):
					t.Errorf("out of order: %v", got)
				case missing != st.Damaged && (st.TornBytes == 0 || !last):
					t.Errorf("%d missing, %+v", missing, st)
				case missing > 1 && at >= headBytes:
					t.Errorf("a flipped bit costs %d records", missing)
				case missing == 0:
					t.Errorf("a wrong byte was not noticed")
				}
				if t.Failed() {
					t.Fatalf("%s, byte %d", name, at)
				}
			})
		}
	}
}

// A torn end is cut, at any byte, and appending goes on behind it.
func TestTornEnd(t *testing.T) {
	opts := Options{Dir: "d", FS: newDisk()}
	written(t, opts, 10)
	d := opts.FS.(*disk)
	name := d.files(segmentSuffix)[0]
	frame := frameBytes + 60
	for size := range len(d.now[name].data) {
		synctest.Test(t, func(t *testing.T) {
			c := d.clone()
			c.now[name].data = c.now[name].data[:size]
			opts := Options{Dir: "d", MaxMemory: 1 << 20, MaxBytes: 1 << 30, FS: c}
			s := open(t, opts)
			checkLedger(t, s, opts)
			whole := uint64(max(0, (size-headBytes)/frame))
			fill(t, s, 0, 100, 3, 60)
			s.Close()
			s = open(t, Options{Dir: "d", FS: c})
			if got, want := drain(t, s.Lane(0)), append(count(0, whole), 100, 101, 102); !slices.Equal(got, want) {
				t.Fatalf("cut to %d bytes: %v, want %v", size, got, want)
			}
			if st := s.Stats(); st.Damaged != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// Somebody sends payloads that look like frames, and the frame around one is
// damaged: they are not taken for records.
func TestForgedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := Options{Dir: "d", FS: newDisk()}
		s := open(t, opts)
		s.Append(0, number(0, 60))
		s.Append(0, appendFrame(appendFrame(nil, 0, 1, []byte("forged")), 0, 2, []byte("forged")))
		s.Append(0, number(2, 60))
		s.Close()
		d := opts.FS.(*disk)
		d.now[d.files(segmentSuffix)[0]].data[headBytes+frameBytes+60] ^= 1
		s = open(t, opts)
		if got := drain(t, s.Lane(0)); !slices.Equal(got, []uint64{0, 2}) || s.Stats().Damaged != 1 {
			t.Errorf("%v, %+v", got, s.Stats())
		}
	})
}

// A wrong position costs repetition, never a record.
func TestDamagedPosition(t *testing.T) {
	opts := Options{Dir: "d", FS: newDisk()}
	written(t, opts, 20)
	s := open(t, opts)
	batch, err := s.Lane(0).Next(t.Context(), 10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	s.Lane(0).Commit(len(batch))
	s.Close()
	d := opts.FS.(*disk)
	for at := range d.now["d/"+positionName].data {
		synctest.Test(t, func(t *testing.T) {
			c := d.clone()
			log, logger := newLogged()
			if s := open(t, Options{Dir: "d", FS: c}); s.Stats().Recovered != 10 {
				t.Fatalf("%+v", s.Stats())
			}
			c = d.clone()
			c.now["d/"+positionName].data[at] ^= 0x10
			s := open(t, Options{Dir: "d", FS: c, Log: logger})
			if got := drain(t, s.Lane(0)); !slices.Equal(got, count(0, 20)) || log.with("positions") != 1 {
				t.Fatalf("byte %d: %v", at, got)
			}
		})
	}
}

func TestFormatRefused(t *testing.T) {
	for _, tt := range []struct {
		name, content, want string
	}{
		{"newer", "fairlead-spool 2\nlanes 1\n", "it has format 2"},
		{"newer and other", "fairlead-spool 7 zstd\n", "it has format 7"},
		{"nonsense", "hello", `says "hello" instead of`},
		{"no lanes", "fairlead-spool 1\nlanes 0\n", "instead of"},
		{"more behind", "fairlead-spool 1\nlanes 1\nx\n", "instead of"},
		{"missing", "", "is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := Options{Dir: "d", FS: newDisk()}
			written(t, opts, 3)
			d := opts.FS.(*disk)
			d.now["d/"+formatName].data = []byte(tt.content)
			if tt.content == "" {
				delete(d.now, "d/"+formatName)
			}
			before := d.ops
			_, err := Open(opts)
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "move the directory away") {
				t.Errorf("Open: %v", err)
			}
			if d.ops != before {
				t.Error("a refused directory was changed")
			}
			if len(d.locked) != 0 {
				t.Error("the lock is still held")
			}
		})
	}
}

// The number of lanes stays while records are there, and changes after.
func TestLanesKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := Options{Dir: "d", Lanes: 3, FS: newDisk()}
		s := open(t, opts)
		for i := range uint64(30) {
			s.Append(i, number(i, 60))
		}
		s.Close()
		opts.Lanes = 5
		s = open(t, opts)
		if s.Lanes() != 3 {
			t.Fatalf("%d lanes", s.Lanes())
		}
		for i := range 3 {
			batch, _ := s.Lane(i).Next(t.Context(), 100, 1<<20)
			if len(batch) != 10 || numberOf(t, batch[0]) != uint64(i) {
				t.Errorf("lane %d: %d records", i, len(batch))
			}
			s.Lane(i).Commit(10)
		}
		s.Close()
		if s = open(t, opts); s.Lanes() != 5 || s.Stats().Waiting != 0 {
			t.Fatalf("%d lanes, %+v", s.Lanes(), s.Stats())
		}
	})
}

func TestValidate(t *testing.T) {
	if err := (Options{Dir: "d"}).Validate(); err != nil {
		t.Error(err)
	}
	err := Options{Lanes: 300, MaxMemory: 1, MaxBytes: 1, Segment: 1, Sync: "x", Overflow: "y"}.Validate()
	for _, want := range []string{"dir is empty", "lanes = 300", "max_memory = 1", "max_bytes = 1", "segment = 1", `sync = "x"`, `overflow = "y"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %s", err, want)
		}
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("Open takes what Validate refuses")
	}
}

// The scanner reads what anybody may have put into a file: it ends, and what it
// gives agrees with its checksum, in order.
func FuzzSegment(f *testing.F) {
	h := head{base: 5, salt: 0x1234567}
	var good []byte
	for i := range uint64(5) {
		good = appendFrame(good, h.salt, 5+i, number(i, 8+int(i)))
	}
	f.Add(good, uint16(0), byte(0))
	f.Add(good, uint16(30), byte(1))
	f.Add(good[:len(good)-3], uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, body []byte, at uint16, flip byte) {
		data := append(h.append(nil), body...)
		data[int(at)%len(data)] ^= flip
		file := &memFile{newDisk(), "x", &inode{data: data}}
		if got, ok, err := readHead(file); err != nil || ok && got != h {
			t.Fatalf("%+v, %v", got, err)
		}
		sc := newScanner(file, h, int64(len(data)))
		next, end := h.base, int64(headBytes)
		for {
			got, err := sc.record()
			if err != nil {
				break
			}
			again := appendFrame(nil, h.salt, got.seq, got.data)
			if got.seq < next || sc.good < end+int64(len(again)) || string(data[sc.good-int64(len(again)):sc.good]) != string(again) {
				t.Fatalf("record %d (%q) is not in the file behind %d", got.seq, got.data, end)
			}
			next, end = got.seq+1, sc.good
		}
		if !sc.torn() && sc.good != int64(len(data)) && len(data) >= headBytes {
			t.Fatal("what is left is not called torn")
		}
	})
}
