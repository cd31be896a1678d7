package machine

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// bench is one machine whose bytes and events a test compares.
type bench struct {
	Machine
	t      testing.TB
	turn   Turn
	events []string
	// during, if not nil, is called in Message.
	during func(p *packet.Publish)
	joined func() // in Connected
}

func (b *bench) note(format string, args ...any) {
	b.events = append(b.events, fmt.Sprintf(format, args...))
}

func (b *bench) Connected(a *packet.Connack) {
	b.note("connected %#02x %v", byte(a.Reason), a.SessionPresent)
	if b.joined != nil {
		b.joined()
	}
}
func (b *bench) Message(p *packet.Publish, topic []byte) {
	b.note("message %s %s %d", topic, p.Payload, p.QoS)
	if b.during != nil {
		b.during(p)
	}
}
func (b *bench) Sent(token uint64) { b.note("sent %d", token) }
func (b *bench) Acked(token uint64, code packet.ReasonCode, text []byte) {
	b.note("acked %d %#02x %s", token, byte(code), text)
}
func (b *bench) Dropped(token uint64, why error) { b.note("dropped %d: %v", token, why) }
func (b *bench) Subscribed(token uint64, codes []packet.ReasonCode, text []byte) {
	b.note("subscribed %d %x %s", token, codes, text)
}
func (b *bench) Unsubscribed(token uint64, codes []packet.ReasonCode, text []byte) {
	b.note("unsubscribed %d %x %s", token, codes, text)
}
func (b *bench) Disconnected(p *packet.Disconnect) {
	b.note("disconnected %#02x %s", byte(p.Reason), p.Properties.ReasonString)
}

// unhex reads hexadecimal with spaces; ".." stands for the number of bytes behind it, as a
// Remaining Length.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	head, body, counted := strings.Cut(strings.ReplaceAll(s, " ", ""), "..")
	b, err := hex.DecodeString(head + body)
	if err != nil {
		t.Fatalf("test bytes %q: %v", s, err)
	}
	if counted {
		at := len(head) / 2
		b = append(binary.AppendUvarint(slices.Clone(b[:at]), uint64(len(b)-at)), b[at:]...)
	}
	return b
}

// newBench makes a machine that is not connected.
func newBench(t testing.TB, cfg Config) *bench {
	b := &bench{t: t}
	b.Init(&cfg)
	b.turn.Handler, b.turn.Now = b, 1
	return b
}

const (
	accepted5 = "20 03 00 00 00"
	resumed5  = "20 03 01 00 00"
	accepted3 = "20 02 00 00"
	resumed3  = "20 02 01 00"
)

// online is newBench and an accepted connection, with nothing left to compare.
func online(t testing.TB, cfg Config, connack string) *bench {
	t.Helper()
	b := newBench(t, cfg)
	b.connect(connack)
	b.events, b.turn.Out = nil, nil
	return b
}

// connect opens a connection whose CONNACK is given.
func (b *bench) connect(connack string) {
	b.t.Helper()
	if err := b.Connect(&b.turn, &Identity{ClientID: []byte("c1")}); err != nil {
		b.t.Fatal(err)
	}
	b.turn.Out = nil
	b.in(connack)
}

// in gives the machine a server's bytes, and wants no error.
func (b *bench) in(s string) {
	b.t.Helper()
	if err := b.feed(s); err != nil {
		b.t.Fatalf("in %s: %v", s, err)
	}
}

// feed gives the machine a server's bytes in two halves, so that rests are met.
func (b *bench) feed(s string) error {
	b.t.Helper()
	in := unhex(b.t, s)
	used, err := b.Input(&b.turn, in[:len(in)/2])
	if err != nil {
		return err
	}
	rest := in[used:]
	used, err = b.Input(&b.turn, rest)
	if err == nil && used != len(rest) {
		b.t.Fatalf("in %s: %d of %d bytes used", s, used, len(rest))
	}
	return err
}

// out wants these bytes to have been appended, and nothing else.
func (b *bench) out(want string) {
	b.t.Helper()
	if w := unhex(b.t, want); !slices.Equal(w, b.turn.Out) {
		b.t.Errorf("out\n got %x\nwant %x", b.turn.Out, w)
	}
	b.turn.Out = nil
}

// saw wants these events, and nothing else.
func (b *bench) saw(want ...string) {
	b.t.Helper()
	if !slices.Equal(want, b.events) {
		b.t.Errorf("events\n got %q\nwant %q", b.events, want)
	}
	b.events = nil
}

// publish publishes payload on topic "a" with this token.
func (b *bench) publish(qos byte, payload string, token uint64) {
	b.t.Helper()
	if err := b.Publish(&b.turn, &packet.Publish{Topic: []byte("a"), Payload: []byte(payload), QoS: qos}, token); err != nil {
		b.t.Fatal(err)
	}
}

// at moves the time to so many seconds after the begin.
func (b *bench) at(seconds float64) { b.turn.Now = 1 + int64(seconds*float64(time.Second)) }

// next is when Timer wants to be called, in seconds after the begin.
func (b *bench) timer() (next float64, err error) {
	n, err := b.Timer(&b.turn)
	if n == 0 {
		return 0, err
	}
	return float64(n-1) / float64(time.Second), err
}
