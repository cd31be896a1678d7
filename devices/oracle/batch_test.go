package oracle

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func randomEvent(r *rand.Rand, at int64) Event {
	e := Event{
		At: at, Kind: Kind(r.IntN(int(Ends) + 1)), Device: r.Uint32N(6), Topic: []string{"", "a", "a/b", "a/c", "$SYS/x", "+/b", "a/#", "#", "$share/g/a/+"}[r.IntN(9)],
		Seq: r.Uint64N(12), Hash: r.Uint32N(3), Size: r.Uint32N(3), QoS: uint8(r.IntN(3)), Code: []uint8{0, 1, 2, 4, 5, 0x80, 0x87}[r.IntN(7)],
		Marked: r.IntN(2) > 0, Retain: r.IntN(3) == 0, Dup: r.IntN(3) == 0, Present: r.IntN(2) > 0, Clean: r.IntN(2) > 0, Silent: r.IntN(4) == 0,
	}
	if r.IntN(3) == 0 {
		e.Expiry, e.Delay, e.KeepAlive = r.Uint32N(9), r.Uint32N(9), uint16(r.UintN(9))
	}
	if e.Kind == Received {
		e.Publisher, e.Sent = r.Uint32N(6), at-int64(r.IntN(1000))
	}
	return e
}

func TestBatchRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var enc Encoder
	var wire []byte
	var want [][]Event
	at := int64(1 << 60)
	for range 50 {
		var batch []Event
		for range r.IntN(40) {
			at += r.Int64N(1e9)
			batch = append(batch, randomEvent(r, at))
		}
		want = append(want, batch)
		wire = enc.AppendBatch(wire, batch, at)
		at++
	}
	dec := NewDecoder(bytes.NewReader(wire))
	for i, batch := range want {
		got, before, err := dec.ReadBatch(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, batch) {
			t.Fatalf("batch %d:\ngot  %+v\nwant %+v", i, got, batch)
		}
		if len(batch) > 0 && before != batch[len(batch)-1].At {
			t.Fatalf("batch %d: watermark %d", i, before)
		}
	}
	if _, _, err := dec.ReadBatch(nil); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
}

func TestBatchDictionaryBeginsAnew(t *testing.T) {
	enc := Encoder{bytes: maxDictBytes, numbers: map[string]uint64{"old": 0}}
	wire := enc.AppendBatch(nil, []Event{{Topic: "new"}, {Topic: "new"}}, 0)
	got, _, err := NewDecoder(bytes.NewReader(wire)).ReadBatch(nil)
	if err != nil || len(got) != 2 || got[1].Topic != "new" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestBatchSize(t *testing.T) {
	var enc Encoder
	batch := make([]Event, 1000)
	for i := range batch {
		batch[i] = Event{At: 1<<60 + int64(i)*1000, Kind: Received, Device: 20000, Topic: "site/7/device/1234/up", Seq: uint64(i), Hash: 77, Size: 100, QoS: 1, Publisher: 19000, Sent: 1 << 60, Marked: true}
	}
	if n := len(enc.AppendBatch(nil, batch, 0)); n > 32*len(batch) {
		t.Fatalf("%d bytes for %d events", n, len(batch))
	}
}

func TestBatchDamage(t *testing.T) {
	var enc Encoder
	good := enc.AppendBatch(nil, []Event{{At: 5, Kind: Publishing, Topic: "a", Seq: 3}, {At: 6, Topic: "b"}}, 7)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x41
		if _, _, err := NewDecoder(bytes.NewReader(bad)).ReadBatch(nil); err == nil {
			t.Errorf("a change of byte %d was not noticed", i)
		}
		if _, _, err := NewDecoder(bytes.NewReader(good[:i])).ReadBatch(nil); i > 0 && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrBatch) {
			t.Errorf("cut at byte %d: %v", i, err)
		}
	}
	future := bytes.Clone(good)
	future[0]++
	if _, _, err := NewDecoder(bytes.NewReader(future)).ReadBatch(nil); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: %v", err)
	}
}

func FuzzReadBatch(f *testing.F) {
	var enc Encoder
	f.Add(enc.AppendBatch(nil, []Event{{At: 5, Kind: Publishing, Topic: "a", Seq: 3}, {At: 6, Topic: "a", Expiry: 2}}, 7))
	f.Add([]byte{1, 0x80, 0x80, 0x80, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		dec := NewDecoder(bytes.NewReader(data))
		var batch []Event
		for {
			var before int64
			var err error
			if batch, before, err = dec.ReadBatch(batch[:0]); err != nil {
				return
			}
			again, w, err := NewDecoder(bytes.NewReader(new(Encoder).AppendBatch(nil, batch, before))).ReadBatch(nil)
			if err != nil || w != before || len(again) != len(batch) || len(batch) > 0 && !reflect.DeepEqual(again, batch) {
				t.Fatalf("not the same after writing: %v\n%+v\n%+v", err, batch, again)
			}
		}
	})
}

// FuzzJudge feeds events that make no sense: it must neither panic nor contradict itself.
func FuzzJudge(f *testing.F) {
	f.Add(uint64(1), uint16(300))
	f.Add(uint64(7), uint16(3000))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		a, b := senseless(seed, int(n)), senseless(seed, int(n))
		if !reflect.DeepEqual(a, b) {
			t.Fatal("two verdicts for the same events")
		}
		if c := a.Total; c.Expected < c.Delivered {
			t.Fatalf("more delivered than expected: %+v", c)
		}
	})
}

func senseless(seed uint64, n int) *Verdict {
	r := rand.New(rand.NewPCG(seed, 1))
	cfg := Config{Devices: []Device{{Name: "a"}, {Name: "b"}, {Name: "c", Slow: true}, {Name: "d"}, {Name: "d"}}}
	if seed%3 == 0 {
		cfg.MaxMessages, cfg.MaxDeliveries, cfg.MaxRows, cfg.MaxTopics = 9, 9, 4, 4
	}
	j := newJudge(cfg.withDefaults())
	at := int64(0)
	for range n {
		at += r.Int64N(3e8)
		e := randomEvent(r, at)
		j.step(&e)
	}
	return j.finish(at)
}
