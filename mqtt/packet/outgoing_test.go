package packet

import (
	"bytes"
	"fmt"
	"testing"
)

// publishOf is what o says, as the plain struct.
func publishOf(o *Outgoing, p *Properties) *Publish {
	w := &Publish{Topic: o.Topic, Payload: o.Payload, PacketID: o.PacketID, QoS: o.QoS, Dup: o.Dup, Retain: o.Retain}
	if p != nil {
		w.Properties = *p
	}
	if o.HasExpiry {
		w.Properties.SetMessageExpiry(o.Expiry)
	}
	if o.TopicAlias != 0 {
		w.Properties.SetTopicAlias(o.TopicAlias)
	}
	for _, id := range o.SubscriptionIDs {
		w.Properties.AddSubscriptionID(id)
	}
	return w
}

// decodePublish reads back one whole PUBLISH.
func decodePublish(t *testing.T, v Version, b []byte) *Publish {
	t.Helper()
	f, n, err := Next(b, 0)
	if err != nil || n != len(b) {
		t.Fatalf("Next(% x) = %d, %v; want the whole of %d bytes", b, n, err, len(b))
	}
	p := new(Publish)
	if err := p.Decode(v, f.Header, f.Body); err != nil {
		t.Fatalf("decode % x: %v", b, err)
	}
	return p
}

// Outgoing says the same as Publish for the same content; only the order of properties differs.
func TestOutgoingEqualsPublish(t *testing.T) {
	var props Properties
	props.SetContentType([]byte("text/plain"))
	props.SetCorrelationData([]byte{0, 1, 2})
	props.AddUser([]byte("k"), []byte("v"))
	props.AddUser([]byte("k"), []byte("w"))
	outs := map[string]*Outgoing{
		"QoS 0":             {Topic: []byte("a/b"), Payload: []byte("x")},
		"QoS 1":             {Topic: []byte("a/b"), Payload: []byte("x"), QoS: 1, PacketID: 7, Dup: true, Retain: true},
		"no payload":        {Topic: []byte("a")},
		"alias":             {TopicAlias: 3, QoS: 2, PacketID: 0xFFFF},
		"expiry":            {Topic: []byte("a"), HasExpiry: true, Expiry: 0},
		"subscriptions":     {Topic: []byte("a"), SubscriptionIDs: []uint32{1, 127, 128, MaxRemaining}},
		"all":               {Topic: []byte("a"), HasExpiry: true, Expiry: 1, TopicAlias: 1, SubscriptionIDs: []uint32{9}},
		"DUP without a QoS": {Topic: []byte("a"), Dup: true},
	}
	for name, o := range outs {
		for _, v := range []Version{V31, V311, V5} {
			if len(o.Topic) == 0 && v != V5 {
				continue
			}
			t.Run(name+" "+v.String(), func(t *testing.T) {
				o.Shared = props.AppendShared(nil)
				if len(o.Shared) != props.SharedSize() {
					t.Errorf("SharedSize %d, wrote %d", props.SharedSize(), len(o.Shared))
				}
				got := o.Append(nil, v)
				if len(got) != o.Size(v) {
					t.Errorf("Size %d, wrote %d", o.Size(v), len(got))
				}
				p := publishOf(o, &props)
				want := p.Append(nil, v)
				if again := decodePublish(t, v, got).Append(nil, v); !bytes.Equal(again, want) {
					t.Errorf("Outgoing % x\nPublish  % x", again, want)
				}
			})
		}
	}
}

func TestReaddress(t *testing.T) {
	for _, size := range []int{0, 100, 200, 20_000} {
		o := Outgoing{Topic: []byte("a/b/c"), QoS: 1, PacketID: 1, Payload: make([]byte, size)}
		for _, v := range []Version{V311, V5} {
			for _, dup := range []bool{true, false} {
				frame := o.Append(nil, v)
				Readdress(frame, 0x1234, dup)
				want := o
				want.PacketID, want.Dup = 0x1234, dup
				if !bytes.Equal(frame, want.Append(nil, v)) {
					t.Errorf("%d bytes, version %s, dup %t: differs from an encoding of its own", size, v, dup)
				}
			}
		}
	}
}

// A message goes to two receivers: the shared properties are encoded once, the rest differs.
func ExampleOutgoing() {
	var in Publish // as decoded from the publisher
	in.Topic, in.Payload = []byte("hall/temp"), []byte("21.5")
	in.Properties.SetContentType([]byte("text/plain"))
	in.Properties.SetMessageExpiry(60)
	in.Properties.AddUser([]byte("unit"), []byte("C"))

	out := Outgoing{
		Topic:     in.Topic,
		Payload:   in.Payload,
		Shared:    in.Properties.AppendShared(nil),
		HasExpiry: in.Properties.Present.Has(PropMessageExpiry),
		Expiry:    in.Properties.MessageExpiry - 5, // seconds it waited
	}
	out.QoS, out.PacketID, out.SubscriptionIDs = 1, 10, []uint32{4}
	fmt.Printf("% x\n", out.AppendHead(nil, V5))

	out.QoS, out.Topic, out.TopicAlias, out.SubscriptionIDs = 0, nil, 2, nil
	fmt.Printf("% x\n", out.AppendHead(nil, V5))

	// Output:
	// 32 30 00 09 68 61 6c 6c 2f 74 65 6d 70 00 0a 1e 03 00 0a 74 65 78 74 2f 70 6c 61 69 6e 26 00 04 75 6e 69 74 00 01 43 02 00 00 00 37 0b 04
	// 30 26 00 00 1f 03 00 0a 74 65 78 74 2f 70 6c 61 69 6e 26 00 04 75 6e 69 74 00 01 43 02 00 00 00 37 23 00 02
}
