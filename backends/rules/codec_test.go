package rules

import (
	"reflect"
	"strings"
	"testing"
)

func entries() []entry {
	all := strings.Repeat("\x00\xff", 300)
	m := &Message{MsgID: "M", Topic: "t", Payload: []byte(all), QoS: 2, Retain: true, Sender: "c", Arrived: -1, Expires: 1 << 60}
	other := *m
	other.Topic, other.Sender, other.Payload = "other", "", []byte{}
	return []entry{
		{Job: Job{ClientID: "c", Username: "u", Protocol: "mqtt", Peer: "::1", Time: 1 << 50}, rule: 1 << 63, run: 7, seq: 300},
		{Job: Job{ClientID: "c", Topic: "t", QoS: 1, Message: m}, rule: 5},
		{Job: Job{ClientID: all, Topic: "t", Message: &other}, seq: 1},
	}
}

func TestCodec(t *testing.T) {
	for _, e := range entries() {
		b := e.encode(nil)
		if len(b) > e.size() {
			t.Errorf("%d bytes, at most %d", len(b), e.size())
		}
		var got entry
		if err := got.decode(b); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%v:\n%+v\nwant\n%+v", err, got, e)
		}
		for n := range b {
			if new(entry).decode(b[:n]) == nil {
				t.Errorf("%d of %d bytes are an entry", n, len(b))
			}
		}
		b[0]++
		if new(entry).decode(b) == nil {
			t.Error("another version is read")
		}
	}
}

// Bytes on disk are read by later releases: these never change.
func TestCodecGolden(t *testing.T) {
	e := entry{Job: Job{ClientID: "c", Topic: "t", QoS: 1, Time: 3, Message: &Message{MsgID: "M", Topic: "t", Payload: []byte("p"), QoS: 1, Sender: "c", Arrived: 2}}, rule: 1, run: 2, seq: 3}
	const want = "\x01\x0d\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x03\x06\x01c\x00\x00\x00\x01t\x01\x04\x00\x01M\x01p"
	if got := string(e.encode(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r := Rule{Hook: MessagePublish, Topic: "#", Function: OnMessagePublish, Ack: AckSync}
	if id := ruleID(&r); id != 0x98031f30408eb917 {
		t.Errorf("the rule's name is %#x", id)
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range entries() {
		f.Add(e.encode(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again entry
		if e.decode(b) != nil {
			return
		}
		if err := again.decode(e.encode(nil)); err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%v: %+v became %+v", err, e, again)
		}
	})
}

func TestProgress(t *testing.T) {
	var p progress
	for i := range uint64(200) {
		if n := p.next(); n != i+1 {
			t.Fatal(n)
		}
	}
	want := func(n uint64) {
		t.Helper()
		if got := p.reached(); got != n {
			t.Errorf("reached %d, want %d", got, n)
		}
	}
	want(0)
	p.finish(2, 3, 70, 64)
	want(0)
	p.finish(1, 1, 0)
	want(3)
	for i := uint64(4); i < 64; i++ {
		p.finish(i)
	}
	want(64)
	for i := uint64(200); i > 64; i-- {
		p.finish(i)
	}
	want(200)
	if len(p.done) > 1 {
		t.Errorf("%d words are kept", len(p.done))
	}
}
