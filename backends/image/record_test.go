package image

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-iot/fairlead/core"
)

func messageOptions() cmp.Options {
	return cmp.Options{cmpopts.IgnoreFields(core.Message{}, "Encoded"), cmpopts.IgnoreUnexported(core.Will{}), cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})}
}

func fullMessage() *core.Message {
	return &core.Message{
		Topic: "a/b", Payload: []byte{1, 2, 3}, Publisher: "pub", Username: "user", ID: 300, Published: 1000, Expires: 2000,
		QoS: 2, Retain: true, Properties: &core.Properties{
			PayloadFormat: 1, ContentType: "ct", ResponseTopic: "rt", CorrelationData: []byte{9},
			User: []core.UserProperty{{Name: "n", Value: "v"}},
		},
	}
}

// The bytes of format 1, built by hand: a change here is a change of the format.
func TestMessageGolden(t *testing.T) {
	tests := []struct {
		name string
		m    *core.Message
		want string
	}{
		{"least", &core.Message{Topic: "t"}, "00" + "00" + "00" + "0174" + "00" + "00" + "00"},
		{"full", fullMessage(), "1e" + "ac02" + "d00f" + "a01f" + "03612f62" + "03707562" + "0475736572" +
			"03" + "026374" + "027274" + "0109" + "01" + "016e" + "0176" + "03010203"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := appendMessage(nil, tt.m)
			if hex.EncodeToString(got) != tt.want {
				t.Fatalf("got  %x\nwant %s", got, tt.want)
			}
			r := &Reader{rest: got}
			back := readMessage(r)
			if err := r.End(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.m, back, messageOptions()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each bit of a record and of its key is guarded.
func TestEveryBitFlip(t *testing.T) {
	key := AppendEntryKey(nil, 7, 9)
	e := core.QueuedMessage{Seq: 9, Msg: fullMessage(), QoS: 1, SubIDs: []uint32{1, 300}}
	value := appendEntry(openRecord(nil), &e, 0)
	sealRecord(key, value)
	if _, err := Unseal(key, value); err != nil {
		t.Fatal(err)
	}
	for i := range len(value) * 8 {
		broken := bytes.Clone(value)
		broken[i/8] ^= 1 << (i % 8)
		if _, err := Unseal(key, broken); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d of the value is not guarded: %v", i, err)
		}
	}
	for i := range len(key) * 8 {
		other := bytes.Clone(key)
		other[i/8] ^= 1 << (i % 8)
		if _, err := Unseal(other, value); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d of the key is not guarded: %v", i, err)
		}
	}
	for n := range value {
		if _, err := Unseal(key, value[:n]); err == nil {
			t.Fatalf("a value cut to %d bytes passes", n)
		}
	}
}

// A record of a later version is told from a damaged one.
func TestLaterVersion(t *testing.T) {
	key := []byte{FamilyMeta, 'g'}
	value := openRecord(nil)
	value[0] = recordVersion + 1
	sealRecord(key, value)
	if _, err := Unseal(key, value); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v", err)
	}
}

// Every field that core has lasts, those that will be added to it as well.
func TestEveryField(t *testing.T) {
	var m core.Message
	fill(t, reflect.ValueOf(&m).Elem())
	r := &Reader{rest: appendMessage(nil, &m)}
	if diff := cmp.Diff(&m, readMessage(r), messageOptions()); diff != "" || r.End() != nil {
		t.Errorf("message: %s%v", diff, r.End())
	}
	var s core.SessionRecord
	fill(t, reflect.ValueOf(&s).Elem())
	s.QueueHead, s.QueueEnd, s.Queued, s.Received, s.Registrations, s.Attachments = 0, 0, 0, nil, nil, nil // Load's
	gotSession, err := readSessionRecord(&Reader{rest: appendSessionRecord(nil, &s)}, s.ClientID)
	if diff := cmp.Diff(s, gotSession, messageOptions()); diff != "" || err != nil {
		t.Errorf("session: %s%v", diff, err)
	}
	var sub core.SubscriptionRecord
	fill(t, reflect.ValueOf(&sub).Elem())
	gotSub, err := readSubscriptionRecord(&Reader{rest: appendSubscriptionRecord(nil, &sub)}, sub.Filter, sub.Proxy)
	if diff := cmp.Diff(sub, gotSub); diff != "" || err != nil {
		t.Errorf("subscription: %s%v", diff, err)
	}
	var d core.DelayedRecord
	fill(t, reflect.ValueOf(&d).Elem())
	gotDelayed, err := readDelayedRecord(&Reader{rest: appendDelayedRecord(nil, &d)})
	if diff := cmp.Diff(d, gotDelayed, messageOptions()); diff != "" || err != nil {
		t.Errorf("delayed: %s%v", diff, err)
	}
	var e core.QueuedMessage
	fill(t, reflect.ValueOf(&e).Elem())
	gotEntry, _, err := readEntry(&Reader{rest: appendEntry(nil, &e, 0)}, e.Seq, false)
	if diff := cmp.Diff(e, gotEntry, messageOptions()); diff != "" || err != nil {
		t.Errorf("entry: %s%v", diff, err)
	}
}

// fill gives every field a value that is not zero: 1 for numbers, since some of
// them stand for a QoS.
func fill(t *testing.T, v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("fe80::1%eth0")))
		return
	case atomic.Pointer[[]byte]:
		return // a cache
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("some text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // what is core's own does not last
				fill(t, v.Field(i))
			}
		}
	default:
		t.Fatalf("a field of kind %s: teach the codec and this test", v.Kind())
	}
}

// Lengths that lie do not make the reader allocate.
func TestLyingLengths(t *testing.T) {
	huge := AppendUvarint(nil, 1<<62)
	tests := map[string][]byte{
		"topic":           append([]byte{0, 0, 0}, huge...),
		"user properties": append([]byte{flagProperties, 0, 0, 1, 't', 0, 0, 0, 0, 0}, huge...),
	}
	for name, record := range tests {
		allocs := testing.AllocsPerRun(10, func() {
			r := &Reader{rest: record}
			readMessage(r)
			if r.End() == nil {
				t.Errorf("%s: the record passes", name)
			}
		})
		if allocs > 10 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	r := &Reader{rest: append([]byte{entryInline}, huge...)}
	if _, _, err := readEntry(r, 0, false); err == nil {
		t.Error("subscription identifiers: the record passes")
	}
}

// What decodes is encoded to bytes that decode to the same; nothing panics.
func FuzzRecord(f *testing.F) {
	e := core.QueuedMessage{Seq: 1, Msg: fullMessage(), QoS: 2, Retain: true, SubIDs: []uint32{1, 2}}
	f.Add(byte(0), appendMessage(nil, fullMessage()))
	f.Add(byte(1), appendEntry(nil, &e, 0))
	f.Add(byte(1), appendEntry(nil, &e, 12))
	f.Add(byte(1), appendEntry(nil, &core.QueuedMessage{Released: true, QoS: 2}, 0))
	will := &core.Will{Topic: "w", Payload: []byte("x"), Delay: 1, Expiry: 2, HasExpiry: true, Properties: fullMessage().Properties}
	f.Add(byte(2), appendSessionRecord(nil, &core.SessionRecord{Username: "u", Epoch: 1, Will: will, WillAt: -1}))
	f.Add(byte(4), appendSubscriptionRecord(nil, &core.SubscriptionRecord{SubID: 7, SubscribeOptions: core.SubscribeOptions{QoS: 2, RetainHandling: 1}}))
	f.Add(byte(3), appendDelayedRecord(nil, &core.DelayedRecord{Msg: fullMessage(), Due: 9, Listener: "mqtt", Superuser: true}))
	f.Fuzz(func(t *testing.T, kind byte, record []byte) {
		first, encoded, ok := decodeAny(kind, record)
		if !ok {
			return
		}
		second, again, ok := decodeAny(kind, encoded)
		if !ok || !bytes.Equal(encoded, again) {
			t.Fatalf("%x decodes, is encoded to %x, and that to %x (%v)", record, encoded, again, ok)
		}
		if diff := cmp.Diff(first, second, messageOptions()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// decodeAny reads a record of one of the kinds and encodes what it read.
func decodeAny(kind byte, record []byte) (value any, encoded []byte, ok bool) {
	r := &Reader{rest: record}
	switch kind % 5 {
	case 0:
		m := readMessage(r)
		if r.End() != nil {
			return nil, nil, false
		}
		return m, appendMessage(nil, m), true
	case 1:
		e, body, err := readEntry(r, 5, false)
		return e, appendEntry(nil, &e, body), err == nil
	case 2:
		s, err := readSessionRecord(r, "c")
		return s, appendSessionRecord(nil, &s), err == nil
	case 3:
		d, err := readDelayedRecord(r)
		if err != nil {
			return nil, nil, false
		}
		return d, appendDelayedRecord(nil, &d), true
	default:
		s, err := readSubscriptionRecord(r, "f", false)
		return s, appendSubscriptionRecord(nil, &s), err == nil
	}
}

func BenchmarkMessage(b *testing.B) {
	m := fullMessage()
	m.Properties = nil
	m.Payload = make([]byte, 64)
	record := appendMessage(nil, m)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 256)
		for b.Loop() {
			buf = appendMessage(buf[:0], m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			readMessage(&Reader{rest: record})
		}
	})
}
