package coap

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestGolden codes the messages of the examples in RFC 7252 appendix A, RFC 7641
// appendix A and RFC 7959 section 3, both ways. [CoAP-3.2-1] [Block-2.2-1]
func TestGolden(t *testing.T) {
	const temperature = "74656d7065726174757265"
	for _, c := range []struct{ name, bytes, line string }{
		{"confirmable request", "40 01 7d34 bb" + temperature, "CON GET 32052 /temperature"},
		{"piggybacked answer", "60 45 7d34 ff 32322e332043", "ACK 2.05 32052 '22.3 C'"},
		{"request with token", "41 01 7d35 20 bb" + temperature, "CON GET 32053 tok=20 /temperature"},
		{"answer with token", "61 45 7d35 20 ff 32322e332043", "ACK 2.05 32053 tok=20 '22.3 C'"},
		{"empty acknowledgement", "60 00 7d38", "ACK EMPTY 32056"},
		{"separate answer", "41 45 ad7b 53 ff 32322e332043", "CON 2.05 44411 tok=53 '22.3 C'"},
		{"non-confirmable request", "51 01 7d40 75 bb" + temperature, "NON GET 32064 tok=75 /temperature"},
		{"non-confirmable answer", "51 45 ad7c 75 ff 32322e332043", "NON 2.05 44412 tok=75 '22.3 C'"},
		{"registration of an observer", "41 01 0001 4a 60 5b" + temperature, "CON GET 1 tok=4a /temperature obs=0"},
		{"notification", "51 45 0002 4a 61 09 81 0f ff 31382e352043656c", "NON 2.05 2 tok=4a obs=9 maxage=15 '18.5 Cel'"},
		{"first block of an answer", "60 45 04d2 d1 0a 0b ff 78", "ACK 2.05 1234 b2=0/m/128 'x'"},
		{"request of a block", "40 01 04d3 b6 737461747573 c1 12", "CON GET 1235 /status b2=1/-/64"},
		{"block of a request", "40 03 04d4 b7 6f7074696f6e73 d1 03 1b ff 78", "CON PUT 1236 /options b1=1/m/128 'x'"},
		{"block number above 15", "40 01 0001 d2 0a 01 06", "CON GET 1 b2=16/-/1024"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.bytes, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := build(t, c.line); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded %x, want %x", c.name, got, want)
		}
		if path := strings.Contains(c.line, "/temp") || strings.Contains(c.line, "/status") || strings.Contains(c.line, "/options"); !path {
			if got := show(want); got != c.line {
				t.Errorf("%s: decoded %s, want %s", c.name, got, c.line)
			}
		}
	}
}

// TestNumber: [Observe-4.4-1].
func TestNumber(t *testing.T) {
	const mask = 1<<24 - 1
	o := &observation{}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	last := o.number(now)
	for i := range 400_000 {
		switch {
		case i%7 == 0:
			now += 1
		case i%1000 == 0:
			now += 100_000
		}
		next := o.number(now)
		if ahead := (next - last) & mask; ahead == 0 || ahead >= 1<<23 {
			t.Fatalf("after %d comes %d", last, next)
		}
		last = next
	}
}

// TestNumberOfNextRun: what the next run of the gateway says is newer, at any time of the
// clock's round of 37 hours. [Observe-4.4-1]
func TestNumberOfNextRun(t *testing.T) {
	const mask, round = 1<<24 - 1, 8 << 24
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for now := begin; now < begin+round; now += round / 1000 {
		before, after := &observation{}, &observation{}
		before.number(now)
		last := before.number(now)
		if next := after.number(now + 30); (next-last)&mask >= 1<<23 || next == last {
			t.Fatalf("at %d, after %d comes %d", now, last, next)
		}
	}
}

// TestMessageIDs: [CoAP-4.4-1] [CoAP-4.4-2].
func TestMessageIDs(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	a := New(DefaultConfig(), gw.Gateway)
	first := map[uint16]bool{}
	for range 64 {
		m := a.NewMachine(&protocols.ConnInfo{}, nil).(*Machine)
		first[m.nextID] = true
		seen := map[uint16]bool{}
		for range 1 << 16 {
			id := m.newID()
			if seen[id] {
				t.Fatalf("%d comes twice", id)
			}
			seen[id] = true
		}
	}
	if len(first) < 48 {
		t.Errorf("64 peers begin at %d numbers", len(first))
	}
}

// TestTypes: every Content-Format goes to a Content Type and back. [CoAP-5.10.3-1]
func TestTypes(t *testing.T) {
	f := newFormats()
	for n := range int64(65536) {
		if got := f.number(f.name(n)); got != n {
			t.Fatalf("%d is %q and comes back as %d", n, f.name(n), got)
		}
	}
	for name, want := range map[string]int64{"Application/JSON": 50, "text/plain; charset=UTF-8": 0, "text/plain": 0, "": none, "image/png": none, "coap-format/70000": none, "coap-format/": none} {
		if got := f.number(name); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
}

// TestCodes: every reason has a code, and no refusal is told as a success.
func TestCodes(t *testing.T) {
	for r := core.Success; int(r) < core.ReasonCount; r++ {
		failed := code(r) >= 0x80
		if fine := r == core.Success || r == core.NoMatchingSubscribers || r == core.NormalDisconnect; failed == fine {
			t.Errorf("%s is told as %d.%02d", r, code(r)>>5, code(r)&31)
		}
	}
}

// TestConfig: [CoAP-4.6-1]: no block is larger than 1024 bytes.
func TestConfig(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c = Config{BlockSize: 2048, AckRandom: 9, Notify: "x", Echo: "x", Bridge: "a/b", Topics: "ps", Collection: "ps"}
	err := c.Validate()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, part := range []string{"ack_timeout", "ack_random_factor", "block_size = 2048", `notify = "x"`, `echo = "x"`, `bridge = "a/b"`, "is the path of topics already", "max_recent", "observer_check"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in:\n%v", part, err)
		}
	}
}

// TestEcho: values are one peer's and one minute's. [Echo-2.3-1] [Echo-2.3-2]
func TestEcho(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	a, other := New(DefaultConfig(), gw.Gateway), New(DefaultConfig(), gw.Gateway)
	peer := (&end{info: &protocols.ConnInfo{Peer: port(1)}}).Peer()
	v := a.echoValue(1000, peer)
	if !a.echoes(1000_000, peer, v) || !a.echoes(1060_999, peer, v) {
		t.Error("a fresh value is refused")
	}
	if a.echoes(1061_000, peer, v) || a.echoes(999_999, peer, v) || a.echoes(1000_000, port(2), v) || other.echoes(1000_000, peer, v) {
		t.Error("a value of another time, peer or gateway is taken")
	}
}
