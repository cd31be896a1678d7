package packet

import (
	"bytes"
	"reflect"
	"testing"
)

// fuzzTypes runs one target: no panic, nothing read beyond the body, and what was decoded
// says the same after another turn through the wire.
func fuzzTypes(f *testing.F, types ...Type) {
	for _, g := range goldens(f) {
		if frame, err := Parse(g.bytes); err == nil {
			for i, ty := range types {
				if frame.Type == ty {
					f.Add(byte(i), frame.Body)
				}
			}
		}
	}
	var before, wire, again []byte
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		if Size(len(body)) > MaxSize {
			return
		}
		ty := types[int(kind)%len(types)]
		before = append(before[:0], body...)
		p := New(ty)
		if err := p.Decode(Frame{ty, body}); err != nil {
			return
		}
		if !bytes.Equal(before, body) {
			t.Fatal("Decode changed the body")
		}
		wire = p.Append(wire[:0])
		q, err := decode(wire)
		if err != nil {
			t.Fatalf("own message % x: %v", wire, err)
		}
		// Words are slow, and tell nil from empty no more than the wire does.
		if !reflect.DeepEqual(p, q) && describe(p) != describe(q) {
			t.Errorf("%s became %s", describe(p), describe(q))
		}
		if again = q.Append(again[:0]); !bytes.Equal(again, wire) {
			t.Errorf("% x became % x", wire, again)
		}
	})
}

func FuzzDiscovery(f *testing.F) { fuzzTypes(f, TypeAdvertise, TypeSearchGW, TypeGWInfo) }
func FuzzConnect(f *testing.F)   { fuzzTypes(f, TypeConnect, TypeConnack) }
func FuzzWill(f *testing.F) {
	fuzzTypes(f, TypeWillTopic, TypeWillTopicUpd, TypeWillMsg, TypeWillMsgUpd, TypeWillTopicResp, TypeWillMsgResp)
}
func FuzzRegister(f *testing.F) { fuzzTypes(f, TypeRegister, TypeRegack) }
func FuzzPublish(f *testing.F) {
	fuzzTypes(f, TypePublish, TypePuback, TypePubrec, TypePubrel, TypePubcomp)
}
func FuzzSubscribe(f *testing.F) {
	fuzzTypes(f, TypeSubscribe, TypeSuback, TypeUnsubscribe, TypeUnsuback)
}
func FuzzPresence(f *testing.F) {
	fuzzTypes(f, TypePingreq, TypePingresp, TypeDisconnect, TypeWillTopicReq, TypeWillMsgReq)
}

// FuzzDatagram reads any bytes as a datagram, with and without a capsule.
func FuzzDatagram(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.bytes)
		f.Add(append([]byte{5, 0xFE, 0, 1, 2}, g.bytes...))
	}
	var before, again []byte
	f.Fuzz(func(t *testing.T, b []byte) {
		before = append(before[:0], b...)
		p, message, ok, err := SplitForwarded(b)
		if ok && err == nil {
			if again = append(p.Append(again[:0]), message...); !bytes.Equal(again, b) {
				t.Fatalf("% x became % x", b, again)
			}
		}
		if m, err := decode(message); err == nil {
			if again = m.Append(again[:0]); len(again) > len(message) {
				t.Fatalf("%d bytes became %d", len(message), len(again))
			}
		}
		if !bytes.Equal(before, b) {
			t.Fatal("the datagram was changed")
		}
	})
}
