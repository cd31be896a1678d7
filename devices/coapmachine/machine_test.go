package coapmachine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// bench is a machine between a clock and a gateway that the test plays.
type bench struct {
	t      *testing.T
	m      Machine
	turn   Turn
	said   []string // what the machine sent, as words
	last   message.Message
	events []string
}

func newBench(t *testing.T, cfg Config) *bench {
	b := &bench{t: t}
	b.turn.Handler = b
	b.m.Init(&cfg, Identity{ClientID: "meter"}, 0)
	return b
}

func (b *bench) Send(d []byte) {
	var m message.Message
	if !decode(bytes.Clone(d), &m) {
		b.t.Fatalf("sent %x", d)
	}
	b.last = m
	path, _ := m.Options.Path()
	queries, _ := m.Options.Queries()
	s := fmt.Sprintf("%s %s %d %s?%s", m.Type, m.Code, m.MessageID, path, strings.Join(queries, "&"))
	if m.Code == codes.Empty {
		s = fmt.Sprintf("%s %d", m.Type, m.MessageID)
	}
	for _, id := range []message.OptionID{message.Observe, message.Block1, message.Block2, message.Echo} {
		if v, err := m.Options.GetBytes(id); err == nil {
			s += fmt.Sprintf(" %s=%x", id, v)
		}
	}
	if len(m.Payload) > 20 {
		s += fmt.Sprintf(" (%d)", len(m.Payload))
	} else if len(m.Payload) > 0 {
		s += " " + string(m.Payload)
	}
	b.said = append(b.said, s)
}

func (b *bench) event(format string, a ...any) {
	b.events = append(b.events, fmt.Sprintf(format, a...))
}
func (b *bench) Connected() { b.event("connected") }
func (b *bench) Message(n *Notification) {
	if len(n.Payload) > 20 {
		b.event("message %s (%d) qos=%d retained=%t", n.Filter, len(n.Payload), n.QoS, n.Retained)
		return
	}
	b.event("message %s %s qos=%d retained=%t", cmp.Or(n.Filter, n.Topic), n.Payload, n.QoS, n.Retained)
}
func (b *bench) Done(token uint64, code codes.Code, text string) {
	b.event("%s", strings.TrimSpace(fmt.Sprintf("done %d %s %s", token, code, text)))
}
func (b *bench) Ended(err error) { b.event("ended %v", err) }

type option struct {
	id message.OptionID
	v  []byte
}

// answer gives the machine an acknowledgement with the answer to what it asked last.
func (b *bench) answer(code codes.Code, payload string, options ...option) {
	b.hear(message.Acknowledgement, code, uint16(b.last.MessageID), b.last.Token, payload, options...)
}

func (b *bench) hear(kind message.Type, code codes.Code, id uint16, token []byte, payload string, options ...option) {
	m := message.Message{Type: kind, Code: code, MessageID: int32(id), Token: token, Payload: []byte(payload)}
	for _, o := range options {
		m.Options = append(m.Options, message.Option{ID: o.id, Value: o.v})
	}
	b.m.Input(&b.turn, encode(nil, &m))
}

func (b *bench) pass(d time.Duration) {
	end := b.turn.Now + int64(d)
	for next := b.m.Timer(&b.turn); next != 0 && next <= end; next = b.m.Timer(&b.turn) {
		b.turn.Now = max(next, b.turn.Now)
	}
	b.turn.Now = end
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	got := append(b.said, b.events...)
	b.said, b.events = nil, nil
	if !slices.Equal(got, lines) {
		b.t.Fatalf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// connected gives a bench whose client is logged in with the token "tk".
func connected(t *testing.T, cfg Config) *bench {
	b := newBench(t, cfg)
	b.must(b.m.Connect(&b.turn))
	b.answer(codes.Created, "tk")
	b.said, b.events = nil, nil
	return b
}

func TestLogin(t *testing.T) {
	b := newBench(t, Config{Expiry: 60})
	b.must(b.m.Connect(&b.turn))
	b.want("Confirmable POST 1 /mqtt/connection?c=meter&expiry=60")
	b.answer(codes.Unauthorized, "", option{message.Echo, []byte{7}})
	b.answer(codes.Created, "tk")
	b.want("Confirmable POST 2 /mqtt/connection?c=meter&expiry=60 Echo=07", "connected")
	b.m.Disconnect(&b.turn)
	b.answer(codes.Deleted, "")
	b.want("Confirmable DELETE 3 /mqtt/connection?c=meter&t=tk", "ended <nil>")
}

func TestLoginRefused(t *testing.T) {
	b := newBench(t, Config{})
	b.must(b.m.Connect(&b.turn))
	b.answer(codes.Unauthorized, "no")
	b.want("Confirmable POST 1 /mqtt/connection?c=meter", "ended connection refused: 4.01 Unauthorized: no")
}

// TestPublish: one request after the other [CoAP-4.7-1]; an answer may come apart.
func TestPublish(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Publish(&b.turn, &Publication{Topic: "a/b", Payload: []byte("x"), QoS: 1, Retain: true}, 5))
	b.must(b.m.Publish(&b.turn, &Publication{Topic: "a/b", Payload: []byte("y"), HasExpiry: true, Expiry: 9}, 6))
	b.want("Confirmable PUT 2 /ps/a/b?c=meter&t=tk&q=1&r=true x")
	token := b.last.Token
	b.hear(message.Acknowledgement, codes.Empty, 2, nil, "")
	b.pass(20 * time.Second) // it is not sent again
	b.hear(message.Confirmable, codes.Changed, 99, token, "")
	b.want("Acknowledgement 99", "Confirmable PUT 3 /ps/a/b?c=meter&t=tk&q=0&e=9 y", "done 5 Changed")
	b.answer(codes.Forbidden, "not you")
	b.want("done 6 Forbidden not you")
}

// TestRetransmission: [CoAP-4.2-1] [CoAP-4.2-3]: the same message, after 2–3, 4–6 s …, and
// by the next connection.
func TestRetransmission(t *testing.T) {
	b := connected(t, Config{Retransmits: 2})
	b.must(b.m.Publish(&b.turn, &Publication{Topic: "t", QoS: 1}, 5))
	const put = "Confirmable PUT 2 /ps/t?c=meter&t=tk&q=1"
	b.pass(1999 * time.Millisecond)
	b.want(put)
	b.pass(1001 * time.Millisecond)
	b.want(put)
	b.pass(6 * time.Second)
	b.want(put)
	b.pass(12 * time.Second)
	b.want("ended " + ErrNoAnswer.Error())
	b.must(b.m.Connect(&b.turn))
	b.answer(codes.Created, "t2")
	b.want("Confirmable POST 3 /mqtt/connection?c=meter", "Confirmable PUT 4 /ps/t?c=meter&t=t2&q=1", "connected")
}

func TestBusy(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Publish(&b.turn, &Publication{Topic: "t", QoS: 1}, 5))
	b.answer(codes.ServiceUnavailable, "", option{message.MaxAge, []byte{30}})
	b.pass(29 * time.Second)
	b.want("Confirmable PUT 2 /ps/t?c=meter&t=tk&q=1")
	b.pass(2 * time.Second)
	b.want("Confirmable PUT 3 /ps/t?c=meter&t=tk&q=1")
}

// TestUploadBlocks: [Block-2.5-3], and the smaller size that the gateway asks for.
func TestUploadBlocks(t *testing.T) {
	b := connected(t, Config{BlockSize: 64})
	b.must(b.m.Publish(&b.turn, &Publication{Topic: "t", QoS: 1, Payload: bytes.Repeat([]byte("x"), 100)}, 5))
	b.want("Confirmable PUT 2 /ps/t?c=meter&t=tk&q=1 Block1=0a (64)")
	b.answer(codes.Continue, "", option{message.Block1, []byte{0x09}})
	b.want("Confirmable PUT 3 /ps/t?c=meter&t=tk&q=1 Block1=29 (32)")
	b.answer(codes.Continue, "", option{message.Block1, []byte{0x29}})
	b.want("Confirmable PUT 4 /ps/t?c=meter&t=tk&q=1 Block1=31 xxxx")
	b.answer(codes.Changed, "", option{message.Block1, []byte{0x31}})
	b.want("done 5 Changed")
}

// TestObserve: notifications come once, and are acknowledged; what is large is fetched.
func TestObserve(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Subscribe(&b.turn, "a/+", 1, 5))
	token := b.last.Token
	b.answer(codes.Content, "now", option{message.Observe, []byte{1}})
	b.want("Confirmable GET 2 /ps/a/+?c=meter&t=tk Observe=", "done 5 Content", "message a/+ now qos=0 retained=true")
	for range 2 {
		b.hear(message.Confirmable, codes.Content, 700, token, "x", option{message.Observe, []byte{2}})
	}
	b.want("Acknowledgement 700", "Acknowledgement 700", "message a/+ x qos=1 retained=false")
	b.hear(message.Confirmable, codes.Content, 701, token, strings.Repeat("a", 16), option{message.Observe, []byte{3}}, option{message.Block2, []byte{0x08}})
	b.want("Confirmable GET 3 /ps/a/+?c=meter&t=tk Block2=10")
	b.answer(codes.Content, strings.Repeat("b", 16), option{message.Block2, []byte{0x10}})
	b.want("Acknowledgement 701", "message a/+ (32) qos=1 retained=false")
	b.must(b.m.Unsubscribe(&b.turn, "a/+", 6))
	b.answer(codes.Content, "")
	b.want("Confirmable GET 4 /ps/a/+?c=meter&t=tk Observe=01", "done 6 Content")
	b.hear(message.Confirmable, codes.Content, 702, token, "late")
	b.want("Reset 702") // [Observe-3.6-1]
}

// TestObservationLasts: the gateway goes on with the token of a session that lasts.
func TestObservationLasts(t *testing.T) {
	for _, expiry := range []uint32{0, 60} {
		b := connected(t, Config{Expiry: expiry})
		b.must(b.m.Subscribe(&b.turn, "a", 1, 5))
		token := b.last.Token
		b.answer(codes.Content, "", option{message.Observe, []byte{1}})
		b.m.Lost()
		b.must(b.m.Connect(&b.turn))
		b.answer(codes.Created, "t2")
		b.said, b.events = nil, nil
		b.hear(message.Confirmable, codes.Content, 700, token, "x", option{message.Observe, []byte{2}})
		if expiry == 0 {
			b.want("Reset 700")
		} else {
			b.want("Acknowledgement 700", "message a x qos=1 retained=false")
		}
	}
}

// TestObserveConnection: what the gateway has subscribed comes with its topic, however many
// levels that has.
func TestObserveConnection(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Subscribe(&b.turn, "", 1, 5))
	b.want("Confirmable GET 2 /mqtt/connection?c=meter&t=tk Observe=")
	token := b.last.Token
	b.answer(codes.Content, "", option{message.Observe, []byte{1}})
	b.want("done 5 Content")
	levels := strings.Split("a"+strings.Repeat("/b", 100), "/")
	var options []option
	options = append(options, option{message.Observe, []byte{2}})
	for _, l := range append([]string{"ps"}, levels...) {
		options = append(options, option{message.LocationPath, []byte(l)})
	}
	b.hear(message.Confirmable, codes.Content, 700, token, "x", options...)
	b.want("Acknowledgement 700", "message "+strings.Join(levels, "/")+" x qos=1 retained=false")
	b.must(b.m.Unsubscribe(&b.turn, "", 6))
	b.want("Confirmable GET 3 /mqtt/connection?c=meter&t=tk Observe=01")
	b.answer(codes.Content, "")
	b.hear(message.Confirmable, codes.Content, 701, token, "x", option{message.Observe, []byte{3}})
	b.want("Reset 701", "done 6 Content")
}

// TestHeartbeat: it comes in silence, and tells that the gateway has forgotten.
func TestHeartbeat(t *testing.T) {
	b := connected(t, Config{KeepAlive: 60})
	b.pass(59 * time.Second)
	b.want()
	b.pass(time.Second)
	b.m.Timer(&b.turn)
	b.want("Confirmable PUT 2 /mqtt/connection?c=meter&t=tk")
	b.answer(codes.Changed, "")
	b.pass(61 * time.Second)
	b.answer(codes.Unauthorized, "unknown")
	b.want("Confirmable PUT 3 /mqtt/connection?c=meter&t=tk", "ended "+ErrUnknown.Error())
}

func TestPing(t *testing.T) {
	b := connected(t, Config{})
	b.hear(message.Confirmable, codes.Empty, 44, nil, "")
	b.want("Reset 44")
}

func TestBounds(t *testing.T) {
	b := newBench(t, Config{MaxQueue: 1, MaxBody: 100})
	b.must(b.m.Publish(&b.turn, &Publication{Topic: "t"}, 1))
	if err := b.m.Publish(&b.turn, &Publication{Topic: "t"}, 2); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	b = newBench(t, Config{MaxBody: 100})
	for _, p := range []*Publication{{Topic: strings.Repeat("t", 256)}, {Topic: "t", Payload: make([]byte, 101)}} {
		if err := b.m.Publish(&b.turn, p, 2); !errors.Is(err, ErrTooLong) {
			t.Fatal(err)
		}
	}
}

// quiet takes everything.
type quiet struct{}

func (quiet) Send([]byte)                     {}
func (quiet) Connected()                      {}
func (quiet) Message(*Notification)           {}
func (quiet) Done(uint64, codes.Code, string) {}
func (quiet) Ended(error)                     {}

// FuzzInput: whatever comes, the machine goes on and its memory is bounded. The first
// byte of each datagram is its length; tokens are those that the machine uses.
func FuzzInput(f *testing.F) {
	f.Add([]byte{10, 0x64, 0x41, 0, 1, 0, 0, 0, 1, 0xff, 'x'})
	f.Add([]byte{10, 0x64, 0x41, 0, 1, 0, 0, 0, 1, 0xff, 'x', 9, 0x64, 0x45, 0, 2, 0, 0, 0, 2, 0x60})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Machine
		turn := Turn{Handler: quiet{}}
		m.Init(&Config{Expiry: 9, KeepAlive: 9, MaxBody: 4096}, Identity{ClientID: "meter"}, 0)
		_ = m.Connect(&turn)
		_ = m.Subscribe(&turn, "a", 1, 1)
		_ = m.Publish(&turn, &Publication{Topic: "t", Payload: make([]byte, 2000), QoS: 1}, 1)
		for len(b) > 0 {
			n := min(max(int(b[0]), 1), len(b)-1)
			m.Input(&turn, b[1:1+n])
			b = b[1+n:]
			turn.Now += int64(time.Second)
			if next := m.Timer(&turn); next != 0 && next < turn.Now {
				t.Fatalf("alarm at %d, now is %d", next, turn.Now)
			}
			if len(m.seen) > maxSeen || len(m.observed) > 1 {
				t.Fatal("more is kept than there is")
			}
		}
	})
}
