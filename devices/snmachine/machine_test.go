package snmachine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// bench is a machine between a clock and a gateway that the test plays.
type bench struct {
	t      *testing.T
	m      Machine
	turn   Turn
	said   []string // what the machine sent, as words
	events []string
}

func newBench(t *testing.T, cfg Config) *bench {
	b := &bench{t: t}
	b.turn.Handler = b
	b.m.Init(&cfg, "mote")
	return b
}

func (b *bench) Send(d []byte) {
	f, err := packet.Parse(d)
	if err != nil {
		b.t.Fatal(err)
	}
	p := packet.New(f.Type)
	if err := p.Decode(f); err != nil {
		b.t.Fatal(err)
	}
	b.said = append(b.said, strings.TrimSpace(f.Type.String()+" "+words(p)))
}

// words are the fields that the tests look at.
func words(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Connect:
		return fmt.Sprintf("%s will=%t clean=%t %ds", p.ClientID, p.Will, p.CleanSession, p.Duration)
	case *packet.WillTopic:
		return string(p.Topic)
	case *packet.WillMsg:
		return string(p.Message)
	case *packet.Register:
		return fmt.Sprintf("%d %s", p.MessageID, p.Topic)
	case *packet.Topicack:
		return fmt.Sprintf("%d id=%d %d", p.MessageID, p.TopicID, p.Code)
	case *packet.Publish:
		return fmt.Sprintf("%d kind=%d id=%d qos=%d dup=%t %s", p.MessageID, p.IDType, p.TopicID, p.QoS, p.Dup, p.Data)
	case *packet.Ack:
		return fmt.Sprint(p.MessageID)
	case *packet.Subscribe:
		return fmt.Sprintf("%d kind=%d dup=%t %s", p.MessageID, p.IDType, p.Dup, p.Topic)
	case *packet.Pingreq:
		return string(p.ClientID)
	case *packet.Disconnect:
		return fmt.Sprintf("%t %d", p.Sleeps, p.Duration)
	}
	return ""
}

func (b *bench) event(format string, a ...any) {
	b.events = append(b.events, fmt.Sprintf(format, a...))
}
func (b *bench) Connected() { b.event("connected") }
func (b *bench) Message(p *packet.Publish, topic string) {
	b.event("message %s %s qos=%d", topic, p.Data, p.QoS)
}
func (b *bench) Done(token uint64, r Result) { b.event("done %d code=%d qos=%d", token, r.Code, r.QoS) }
func (b *bench) Asleep()                     { b.event("asleep") }
func (b *bench) Ended(err error)             { b.event("ended %v", err) }

// hear gives the machine a message of the gateway.
func (b *bench) hear(p packet.Packet) { b.m.Input(&b.turn, p.Append(nil)) }

// pass lets time go by, as a loop does that keeps the machine's alarms.
func (b *bench) pass(d time.Duration) {
	end := b.turn.Now + int64(d)
	for next := b.m.Timer(&b.turn); next != 0 && next <= end; next = b.m.Timer(&b.turn) {
		b.turn.Now = max(next, b.turn.Now)
	}
	b.turn.Now = end
}

// want compares what was said and what happened since the last call.
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

// connected gives a bench whose client is active.
func connected(t *testing.T, cfg Config) *bench {
	b := newBench(t, cfg)
	b.must(b.m.Connect(&b.turn, nil))
	b.hear(&packet.Connack{})
	b.said, b.events = nil, nil
	return b
}

func TestConnectWithWill(t *testing.T) {
	b := newBench(t, Config{KeepAlive: 60})
	b.must(b.m.Connect(&b.turn, &Will{Topic: "dead", Message: []byte("gone")}))
	b.want("CONNECT mote will=true clean=false 60s")
	b.hear(&packet.Bare{Type: packet.TypeWillTopicReq})
	b.hear(&packet.Bare{Type: packet.TypeWillMsgReq})
	b.hear(&packet.Connack{})
	b.want("WILLTOPIC dead", "WILLMSG gone", "connected")
	b.hear(&packet.Connack{}) // a late repetition
	b.want()
}

func TestConnectRefused(t *testing.T) {
	b := newBench(t, Config{})
	b.must(b.m.Connect(&b.turn, nil))
	b.hear(&packet.Connack{Code: packet.NotSupported})
	b.want("CONNECT mote will=false clean=false 0s", "ended connection refused: rejected: not supported")
}

// TestConnectBackOff: the waits are 1, 2, 4 s, and then the gateway is taken for lost.
func TestConnectBackOff(t *testing.T) {
	b := newBench(t, Config{Retry: time.Second, Retries: 2})
	b.must(b.m.Connect(&b.turn, nil))
	const connect = "CONNECT mote will=false clean=false 0s"
	b.pass(999 * time.Millisecond)
	b.want(connect)
	b.pass(time.Millisecond)
	b.pass(1999 * time.Millisecond)
	b.want(connect)
	b.pass(time.Millisecond)
	b.pass(3999 * time.Millisecond)
	b.want(connect)
	b.pass(2 * time.Millisecond)
	b.want("ended " + ErrNoAnswer.Error())
}

// TestPublishRegisters: one transaction after the other, the id asked for once.
func TestPublishRegisters(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Publish(&b.turn, "a/b", []byte("one"), 1, false, 7))
	b.must(b.m.Publish(&b.turn, "a/b", []byte("two"), 0, false, 8))
	b.must(b.m.Publish(&b.turn, "a/b", []byte("three"), 2, false, 9))
	b.want("REGISTER 1 a/b")
	b.hear(&packet.Topicack{Type: packet.TypeRegack, TopicID: 5, MessageID: 1})
	b.want("PUBLISH 1 kind=0 id=5 qos=1 dup=false one")
	b.hear(&packet.Topicack{Type: packet.TypePuback, TopicID: 5, MessageID: 1})
	b.want("PUBLISH 0 kind=0 id=5 qos=0 dup=false two", "PUBLISH 3 kind=0 id=5 qos=2 dup=false three", "done 7 code=0 qos=0", "done 8 code=0 qos=0")
	b.hear(&packet.Ack{Type: packet.TypePubrec, MessageID: 3})
	b.hear(&packet.Ack{Type: packet.TypePubcomp, MessageID: 3})
	b.want("PUBREL 3", "done 9 code=0 qos=0")
}

// TestPublishAgain: [SN-6.13-1] [SN-6.13-2], and over a new connection of the session.
func TestPublishAgain(t *testing.T) {
	b := connected(t, Config{Retry: time.Second, Retries: 1})
	b.must(b.m.Publish(&b.turn, "zz", []byte("x"), 1, false, 1))
	b.pass(time.Second)
	b.pass(time.Millisecond)
	b.want("PUBLISH 1 kind=2 id=31354 qos=1 dup=false x", "PUBLISH 1 kind=2 id=31354 qos=1 dup=true x")
	b.pass(3 * time.Second)
	b.want("ended " + ErrNoAnswer.Error())
	b.must(b.m.Connect(&b.turn, nil))
	b.hear(&packet.Connack{})
	b.want("CONNECT mote will=false clean=false 0s", "PUBLISH 1 kind=2 id=31354 qos=1 dup=true x", "connected")
	b.hear(&packet.Topicack{Type: packet.TypePuback, MessageID: 1})
	b.want("done 1 code=0 qos=0")
}

// TestPublishUnknownID: [SN-6.6-4]: the topic is registered again, once.
func TestPublishUnknownID(t *testing.T) {
	b := connected(t, Config{})
	b.m.learn(5, "t")
	b.must(b.m.Publish(&b.turn, "t", []byte("x"), 1, false, 1))
	b.hear(&packet.Topicack{Type: packet.TypePuback, TopicID: 5, MessageID: 1, Code: packet.InvalidTopicID})
	b.want("PUBLISH 1 kind=0 id=5 qos=1 dup=false x", "REGISTER 1 t")
	b.hear(&packet.Topicack{Type: packet.TypeRegack, TopicID: 6, MessageID: 1})
	b.hear(&packet.Topicack{Type: packet.TypePuback, TopicID: 6, MessageID: 1, Code: packet.InvalidTopicID})
	b.want("PUBLISH 1 kind=0 id=6 qos=1 dup=false x", "done 1 code=2 qos=0")
}

func TestPublishCongestion(t *testing.T) {
	b := connected(t, Config{CongestionWait: time.Minute})
	b.must(b.m.Publish(&b.turn, "zz", nil, 1, false, 1))
	b.hear(&packet.Topicack{Type: packet.TypePuback, MessageID: 1, Code: packet.Congestion})
	b.pass(59 * time.Second)
	b.want("PUBLISH 1 kind=2 id=31354 qos=1 dup=false")
	b.pass(2 * time.Second)
	b.want("PUBLISH 1 kind=2 id=31354 qos=1 dup=true")
}

func TestPublishUnconnected(t *testing.T) {
	b := newBench(t, Config{Predefined: map[uint16]string{9: "plant/1"}})
	b.must(b.m.PublishUnconnected(&b.turn, "plant/1", []byte("x"), false))
	b.want("PUBLISH 0 kind=1 id=9 qos=3 dup=false x")
	if err := b.m.PublishUnconnected(&b.turn, "other", nil, false); !errors.Is(err, ErrNeedsID) {
		t.Fatal(err)
	}
}

// TestReceive: ids come by SUBACK and REGISTER; QoS 2 counts once; an unknown id is told.
func TestReceive(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Subscribe(&b.turn, "$share/g/a", 1, 1))
	b.hear(&packet.Suback{MessageID: 1, TopicID: 3, QoS: 1})
	b.want("SUBSCRIBE 1 kind=0 dup=false $share/g/a", "done 1 code=0 qos=1")
	b.hear(&packet.Publish{QoS: 1, TopicID: 3, MessageID: 20, Data: []byte("x")})
	b.want("PUBACK 20 id=3 0", "message a x qos=1")
	b.hear(&packet.Publish{QoS: 2, TopicID: 4, MessageID: 21, Data: []byte("y")})
	b.want("PUBACK 21 id=4 2")
	b.hear(&packet.Register{TopicID: 4, MessageID: 22, Topic: []byte("b")})
	b.hear(&packet.Publish{QoS: 2, TopicID: 4, MessageID: 21, Data: []byte("y")})
	b.hear(&packet.Publish{QoS: 2, TopicID: 4, MessageID: 21, Dup: true, Data: []byte("y")})
	b.hear(&packet.Ack{Type: packet.TypePubrel, MessageID: 21})
	b.want("REGACK 22 id=4 0", "PUBREC 21", "PUBREC 21", "PUBCOMP 21", "message b y qos=2")
}

func TestUnsubscribe(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Unsubscribe(&b.turn, "a/+", 4))
	b.hear(&packet.Ack{Type: packet.TypeUnsuback, MessageID: 1})
	b.want("UNSUBSCRIBE 1 kind=0 dup=false a/+", "done 4 code=0 qos=0")
}

// TestSleep: what is published meanwhile waits for the next connection.
func TestSleep(t *testing.T) {
	b := connected(t, Config{KeepAlive: 10})
	b.must(b.m.Sleep(&b.turn, 60))
	b.hear(&packet.Disconnect{})
	b.want("DISCONNECT true 60", "asleep")
	b.must(b.m.Publish(&b.turn, "zz", []byte("x"), 0, false, 1))
	b.pass(50 * time.Second) // no keep alive
	b.want()
	b.must(b.m.Wake(&b.turn))
	b.hear(&packet.Publish{QoS: 1, IDType: packet.ShortName, TopicID: 0x7a7a, MessageID: 9, Data: []byte("q")})
	b.hear(&packet.Bare{Type: packet.TypePingresp})
	b.want("PINGREQ mote", "PUBACK 9 id=31354 0", "message zz q qos=1", "asleep")
	b.must(b.m.Connect(&b.turn, nil))
	b.hear(&packet.Connack{})
	b.want("CONNECT mote will=false clean=false 10s", "PUBLISH 0 kind=2 id=31354 qos=0 dup=false x", "connected", "done 1 code=0 qos=0")
}

// TestWakeUnknown: [SN-6.14-10]: a gateway that does not know the client says so.
func TestWakeUnknown(t *testing.T) {
	b := connected(t, Config{})
	b.must(b.m.Sleep(&b.turn, 60))
	b.hear(&packet.Disconnect{})
	b.must(b.m.Wake(&b.turn))
	b.hear(&packet.Disconnect{})
	b.want("DISCONNECT true 60", "PINGREQ mote", "asleep", "ended "+ErrDisconnected.Error())
}

func TestKeepAlive(t *testing.T) {
	b := connected(t, Config{KeepAlive: 10, Retry: time.Second})
	b.pass(9 * time.Second)
	b.want()
	b.pass(1100 * time.Millisecond)
	b.want("PINGREQ")
	b.hear(&packet.Bare{Type: packet.TypePingresp})
	b.pass(5 * time.Second)
	b.want()
	b.hear(&packet.Pingreq{})
	b.want("PINGRESP")
}

func TestDisconnect(t *testing.T) {
	b := connected(t, Config{})
	b.m.Disconnect(&b.turn)
	b.hear(&packet.Disconnect{})
	b.want("DISCONNECT false 0", "ended <nil>")
}

// TestCleanForgets: topic ids of a session that is gone mean nothing.
func TestCleanForgets(t *testing.T) {
	b := connected(t, Config{Clean: true})
	b.m.learn(5, "t")
	b.must(b.m.Publish(&b.turn, "t", []byte("x"), 1, false, 1))
	b.hear(&packet.Disconnect{})
	b.must(b.m.Connect(&b.turn, nil))
	b.hear(&packet.Connack{})
	b.want("PUBLISH 1 kind=0 id=5 qos=1 dup=false x", "CONNECT mote will=false clean=true 0s", "REGISTER 1 t", "ended "+ErrDisconnected.Error(), "connected")
}

func TestQueueBound(t *testing.T) {
	b := newBench(t, Config{MaxQueue: 1})
	b.must(b.m.Publish(&b.turn, "t", nil, 1, false, 1))
	if err := b.m.Publish(&b.turn, "t", nil, 1, false, 2); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if err := b.m.Publish(&b.turn, "t", make([]byte, 70000), 1, false, 2); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
}

// quiet takes everything.
type quiet struct{}

func (quiet) Send([]byte)                     {}
func (quiet) Connected()                      {}
func (quiet) Message(*packet.Publish, string) {}
func (quiet) Done(uint64, Result)             {}
func (quiet) Asleep()                         {}
func (quiet) Ended(error)                     {}

// FuzzInput: whatever comes, the machine goes on and its memory is bounded.
func FuzzInput(f *testing.F) {
	f.Add([]byte{3, 5, 0})
	f.Add([]byte{3, 5, 0, 8, 13, 0, 1, 0, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Machine
		turn := Turn{Handler: quiet{}}
		m.Init(&Config{Retry: time.Second}, "mote")
		_ = m.Connect(&turn, &Will{Topic: "w"})
		_ = m.Publish(&turn, "t", []byte("x"), 2, false, 1)
		for len(b) > 0 {
			n := min(max(int(b[0]), 1), len(b))
			m.Input(&turn, b[:n])
			b = b[n:]
			turn.Now += int64(time.Second)
			if next := m.Timer(&turn); next != 0 && next < turn.Now {
				t.Fatalf("alarm at %d, now is %d", next, turn.Now)
			}
			if m.Waiting() > 1 || len(m.received) > maxReceived {
				t.Fatal("more waits than was asked for")
			}
		}
	})
}
