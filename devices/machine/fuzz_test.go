package machine

import (
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// judge holds events against what was published and asked.
type judge struct {
	t      *testing.T
	over   bool
	open   map[uint64]bool // tokens of messages
	asked  map[uint64]bool // tokens of subscriptions
	bytes  int             // handed out by events
	events int
}

func (j *judge) event(n int) {
	if j.bytes, j.events = j.bytes+n, j.events+1; j.over {
		j.t.Error("an event after the connection's end")
	}
}
func (j *judge) Connected(a *packet.Connack)             { j.event(0); j.over = a.Reason.Failed() }
func (j *judge) Message(p *packet.Publish, topic []byte) { j.event(len(p.Payload) + len(p.Topic)) }
func (j *judge) Sent(token uint64)                       { j.event(0) }
func (j *judge) Dropped(token uint64, _ error)           { j.done(j.open, token, 0) }
func (j *judge) Disconnected(p *packet.Disconnect)       { j.event(0); j.over = true }
func (j *judge) Acked(token uint64, _ packet.ReasonCode, text []byte) {
	j.done(j.open, token, len(text))
}
func (j *judge) Subscribed(token uint64, codes []packet.ReasonCode, text []byte) {
	j.done(j.asked, token, len(codes)+len(text))
}
func (j *judge) Unsubscribed(token uint64, codes []packet.ReasonCode, text []byte) {
	j.done(j.asked, token, len(codes)+len(text))
}

func (j *judge) done(open map[uint64]bool, token uint64, n int) {
	j.event(n)
	if !open[token] {
		j.t.Errorf("token %d ends that is not open", token)
	}
	delete(open, token)
}

// FuzzInput feeds any server's bytes, in two parts, to a machine that has messages and
// subscriptions under way: it never panics, ends at a fault, keeps its events in order,
// writes only packets that a server can read, and keeps no more than it was given.
func FuzzInput(f *testing.F) {
	for _, s := range []string{
		accepted5, resumed5, "20 06 00 00 03 21 0001", "20 03 00 87 00", "20 02 00 01", "20 02 01 00",
		accepted5 + "40 02 0001 90 04 0003 00 00 50 02 0002 70 02 0002 b0 04 0004 00 11",
		accepted5 + "30 06 0001 61 00 6869 34 06 0001 62 0008 00 62 02 0008 32 06 0001 61 0009 00",
		accepted5 + "30 07 0001 61 03 23 0001 30 06 0000 03 23 0001 e0 09 8e 07 1f 0004 676f6e65",
		accepted5 + "b0 05 0003 00 00 11 d0 00 36 00",
	} {
		for how := range byte(8) {
			f.Add(unhex(f, s), how, uint16(len(s)/4))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, how byte, cut uint16) {
		v := []packet.Version{packet.V5, packet.V311, packet.V31, packet.V5}[how&3]
		j := &judge{t: t, open: map[uint64]bool{1: true, 2: true, 3: true}, asked: map[uint64]bool{7: true, 8: true}}
		turn := &Turn{Handler: j, Now: 1}
		m := &Machine{}
		m.Init(&Config{Version: v, MaxInflight: 2, TopicAliasMaximum: 2, ReceiveMaximum: 3, ManualAck: how&4 != 0, Clean: how&8 != 0})
		for token := range j.open {
			if err := m.Publish(turn, &packet.Publish{Topic: []byte("a"), QoS: byte(1 + token%2)}, token); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Connect(turn, &Identity{ClientID: []byte("c")}); err != nil {
			t.Fatal(err)
		}
		rest := in[min(int(cut), len(in)):]
		used, err := m.Input(turn, in[:len(in)-len(rest)])
		if m.Online() {
			_ = m.Subscribe(turn, &packet.Subscribe{Filters: []packet.Subscription{{Filter: []byte("f")}}}, 7)
			_ = m.Unsubscribe(turn, &packet.Unsubscribe{Filters: [][]byte{[]byte("f")}}, 8)
		}
		if err == nil {
			used, err = m.Input(turn, in[used:])
		}
		if used > len(in) || err != nil && m.Online() {
			t.Errorf("used %d of %d bytes, %v", used, len(in), err)
		}
		if j.bytes > len(in)+2 || j.events > len(in)+8 {
			t.Errorf("%d events with %d bytes out of %d bytes", j.events, j.bytes, len(in))
		}
		if m.session != nil && (m.session.messages != len(j.open) || m.session.size > 4096+2*len(in)) {
			t.Errorf("%d messages kept of %d, in %d bytes", m.session.messages, len(j.open), m.session.size)
		}
		readable(t, turn.Out, v)
		m.Lost()
		if n := m.Unacknowledged(); n != len(j.open) {
			t.Errorf("%d messages left, want %d", n, len(j.open))
		}
	})
}

// readable wants nothing but whole packets that a server can decode.
func readable(t *testing.T, b []byte, v packet.Version) {
	for len(b) > 0 {
		f, n, err := packet.Next(b, 0)
		if err != nil || n == 0 {
			t.Fatalf("wrote %x: %v", b, err)
		}
		if err := packet.New(f.Type).Decode(v, f.Header, f.Body); err != nil {
			t.Fatalf("wrote %x: %v", b[:n], err)
		}
		b = b[n:]
	}
}
