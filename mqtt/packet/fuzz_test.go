package packet

import (
	"bytes"
	"testing"
)

// seed gives a target the golden packets of its types, good and bad.
func seed(f *testing.F, types ...Type) {
	f.Helper()
	for _, g := range goldens(f) {
		h, n, err := ReadHeader(g.bytes)
		if err != nil || n == 0 || len(g.bytes) > 4096 {
			continue
		}
		for _, ty := range types {
			if h.Type == ty {
				f.Add(byte(g.version), byte(ty)<<4|h.Flags, g.bytes[n:])
			}
		}
	}
}

// fuzzPacket runs one target: no panic, no memory beyond what the body's length and the limits explain, no reading beyond
// the body; and what has been decoded says the same after another turn through the wire.
func fuzzPacket(f *testing.F, types ...Type) {
	seed(f, types...)
	reused := map[Type]Packet{}
	f.Fuzz(func(t *testing.T, version, first byte, body []byte) {
		v := V31 + Version(version)%3
		h := Header{Type: types[int(first>>4)%len(types)], Flags: first & 15, Remaining: uint32(len(body))}
		if reused[h.Type] == nil {
			reused[h.Type] = New(h.Type)
		}
		p, q := New(h.Type), reused[h.Type]
		before := bytes.Clone(body)
		err := p.Decode(v, h, body)
		if again := q.Decode(v, h, body); again != err {
			t.Fatalf("%v in a fresh struct, %v in one used before", err, again)
		}
		if !bytes.Equal(before, body) {
			t.Fatal("Decode changed the body")
		}
		checkMemory(t, p, len(body))
		if err == nil {
			checkTurn(t, v, p, q)
		}
	})
}

// checkMemory bounds what Decode holds. Lists grow by doubling at most, from a small start.
func checkMemory(t *testing.T, p Packet, body int) {
	t.Helper()
	lim := DefaultLimits()
	blocks, filters := []*Properties(nil), 0
	switch p := p.(type) {
	case *Connect:
		blocks = []*Properties{&p.Properties, &p.Will.Properties}
	case *Publish:
		blocks = []*Properties{&p.Properties}
	case *Subscribe:
		blocks, filters = []*Properties{&p.Properties}, cap(p.Filters)
	case *Unsubscribe:
		blocks, filters = []*Properties{&p.Properties}, cap(p.Filters)
	case *Suback:
		blocks, filters = []*Properties{&p.Properties}, cap(p.Codes)/8
	case *Unsuback:
		blocks, filters = []*Properties{&p.Properties}, cap(p.Codes)/8
	}
	if filters > 2*min(body, lim.Filters)+8 {
		t.Errorf("%d bytes made room for %d filters or codes", body, filters)
	}
	for _, b := range blocks {
		if n := min(body, lim.PropertyBytes); cap(b.spare) > 2*n+64 || cap(b.SubscriptionIDs) > n+8 {
			t.Errorf("%d bytes made room for %d and %d of properties", body, cap(b.spare), cap(b.SubscriptionIDs))
		}
	}
}

// checkTurn sends p through the wire: the second reading means the same and writes the same.
func checkTurn(t *testing.T, v Version, p, q Packet) {
	t.Helper()
	if c, ok := p.(*Connect); ok {
		v = c.Version
	}
	if m, ok := p.(*Publish); ok && m.QoS == 0 {
		m.Dup = false // the one thing that is read, in MQTT 3.1, and not written
	}
	meaning, wire := describe(p), p.Append(nil, v)
	if p.Size(v) != len(wire) {
		t.Errorf("Size %d, wrote %d", p.Size(v), len(wire))
	}
	f, n, err := Next(wire, uint32(len(wire)))
	if err != nil || n != len(wire) {
		t.Fatalf("own frame % x: %d, %v", wire, n, err)
	}
	if err := q.Decode(v, f.Header, f.Body); err != nil {
		t.Fatalf("own packet % x: %v", wire, err)
	}
	if got := describe(q); got != meaning {
		t.Errorf("%s became %s", meaning, got)
	}
	if again := q.Append(nil, v); !bytes.Equal(again, wire) {
		t.Errorf("% x became % x", wire, again)
	}
	if c, ok := q.(Validator); ok {
		if err := c.Validate(v); err != nil {
			t.Errorf("decoded and not valid: %v", err)
		}
	}
}

func FuzzConnect(f *testing.F)     { fuzzPacket(f, TypeConnect) }
func FuzzConnack(f *testing.F)     { fuzzPacket(f, TypeConnack) }
func FuzzPublish(f *testing.F)     { fuzzPacket(f, TypePublish) }
func FuzzAck(f *testing.F)         { fuzzPacket(f, TypePuback, TypePubrec, TypePubrel, TypePubcomp) }
func FuzzSubscribe(f *testing.F)   { fuzzPacket(f, TypeSubscribe) }
func FuzzSuback(f *testing.F)      { fuzzPacket(f, TypeSuback) }
func FuzzUnsubscribe(f *testing.F) { fuzzPacket(f, TypeUnsubscribe) }
func FuzzUnsuback(f *testing.F)    { fuzzPacket(f, TypeUnsuback) }
func FuzzPing(f *testing.F)        { fuzzPacket(f, TypePingreq, TypePingresp) }
func FuzzDisconnect(f *testing.F)  { fuzzPacket(f, TypeDisconnect) }
func FuzzAuth(f *testing.F)        { fuzzPacket(f, TypeAuth) }

// FuzzProperties reads any bytes as any property block.
func FuzzProperties(f *testing.F) {
	for _, s := range []string{`00`, `02 01 01`, `0e 26 0001 "k" 0001 "v" 1f 0003 "why"`, `09 0b 01 0b 8001 23 0001 01`} {
		b, err := parseBytes(s)
		if err != nil {
			f.Fatal(err)
		}
		for k := range blocks {
			f.Add(byte(k), b)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		k := block(kind) % blocks
		var p, q Properties
		c := cursor{b: data}
		p.decode(&c, k, nil)
		if c.err != nil {
			return
		}
		used := len(data) - len(c.b)
		wire := p.append(nil, k)
		if len(wire) != p.size(k) || len(wire) != used {
			t.Errorf("read %d bytes, size %d, wrote %d", used, p.size(k), len(wire))
		}
		c = cursor{b: wire}
		q.decode(&c, k, nil)
		if c.err != nil || len(c.b) != 0 || describeProperties(&p) != describeProperties(&q) {
			t.Errorf("%s became %s, %v", describeProperties(&p), describeProperties(&q), c.err)
		}
		if e := p.fit(k); e != nil {
			t.Errorf("decoded and does not fit: %v", e)
		}
	})
}

// FuzzStream cuts a stream into packets, whole and piecemeal: both see the same packets and stop at the same fault.
func FuzzStream(f *testing.F) {
	var all []byte
	for _, g := range goldens(f) {
		if len(g.bytes) < 200 {
			f.Add(g.bytes, byte(1))
			all = append(all, g.bytes...)
		}
	}
	f.Add(all, byte(7))
	const most = 1 << 16
	f.Fuzz(func(t *testing.T, stream []byte, step byte) {
		at, seen := 0, 0
		for end := 0; end < len(stream); {
			end = min(end+1+int(step), len(stream))
			for {
				f, n, err := Next(stream[at:end], most)
				whole, m, wholeErr := Next(stream[at:], most)
				if err != nil && err != wholeErr {
					t.Fatalf("%v in a part, %v in the whole", err, wholeErr)
				}
				if err != nil {
					return
				}
				if n == 0 {
					break
				}
				if n != m || f.Header != whole.Header || !bytes.Equal(f.Body, whole.Body) || f.Size() != n {
					t.Fatalf("packet %d: %d bytes in a part, %d in the whole", seen, n, m)
				}
				at, seen = at+n, seen+1
			}
		}
		if _, n, err := Next(stream[at:], most); n != 0 || err != nil {
			t.Errorf("left over: %d, %v", n, err)
		}
	})
}
