package mqtt

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// bounded is a source that lets nobody in, and remembers the longest password that it saw.
type bounded struct{ longest chan int }

func (bounded) Name() string         { return "bounded" }
func (bounded) LongestPassword() int { return 100 }

func (b bounded) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	b.longest <- len(c.Password)
	return core.Deny, nil, nil
}

// garbage is how many bytes one run of f allocates: the least of some measurements, as the
// gateway beside it may be busy with its own.
func garbage(f func()) int {
	const runs = 20
	least := math.MaxInt
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			f()
		}
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc)/runs)
	}
	return least
}

// sent is p as an MQTT 5 client sends it.
func sent(p packet.Packet) []byte { return p.Append(nil, packet.V5) }

// a hostile packet is this long, and costs no more than that to refuse.
const (
	hostileText = 60_000
	cheap       = 16 << 10
)

// TestLongTextsAreRefusedCheaply: of what is too long nobody makes a copy.
func TestLongTextsAreRefusedCheaply(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	long := []byte(strings.Repeat("x", hostileText))
	for _, one := range []struct {
		name  string
		bytes []byte
		want  core.Reason
	}{
		{"PUBLISH", sent(&packet.Publish{Topic: long, Payload: long}), core.TopicNameInvalid},
		{"SUBSCRIBE", sent(&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: long}}}), core.TopicFilterInvalid},
		{"UNSUBSCRIBE", sent(&packet.Unsubscribe{PacketID: 1, Filters: [][]byte{long}}), core.Success},
	} {
		m := connected(t, gw)
		var a protocols.Actions
		counted := gw.Stats().Reasons[one.want]
		n := garbage(func() {
			a.Reset()
			if m.Input(gw.T, one.bytes, &a) != len(one.bytes) || a.Close {
				t.Fatalf("%s: not taken", one.name)
			}
		})
		if n > cheap {
			t.Errorf("%s: %d bytes of garbage", one.name, n)
		}
		if one.want != core.Success && gw.Stats().Reasons[one.want] == counted {
			t.Errorf("%s: not refused as %s", one.name, one.want)
		}
	}
}

// connected gives the machine of a client that was let in.
func connected(t *testing.T, gw *coretest.Gateway) *Machine {
	t.Helper()
	m := New(DefaultConfig(), gw.Gateway).NewMachine(&protocols.ConnInfo{}, &fakeConn{}).(*Machine)
	var a protocols.Actions
	m.Input(gw.T, sent(&packet.Connect{ClientID: []byte("c"), CleanStart: true}), &a)
	if m.state != open {
		t.Fatal("not let in")
	}
	return m
}

// TestLongConnectsAreRefusedCheaply: ClientIDs and passwords that nobody can have are not
// copied, and a source learns that they are too long.
func TestLongConnectsAreRefusedCheaply(t *testing.T) {
	source := bounded{make(chan int, 1)}
	gw := coretest.Start(t, nil, func(o *core.Options) { o.Authenticators = []core.Authenticator{source} })
	long := []byte(strings.Repeat("x", hostileText))
	adapter := New(DefaultConfig(), gw.Gateway)
	for name, c := range map[string]*packet.Connect{
		"ClientID": {ClientID: long, CleanStart: true},
		"password": {ClientID: []byte("c"), CleanStart: true, HasUsername: true, Username: []byte("u"), HasPassword: true, Password: long},
	} {
		in := sent(c)
		n := garbage(func() {
			var a protocols.Actions
			m := adapter.NewMachine(&protocols.ConnInfo{}, &fakeConn{}).(*Machine)
			if m.Input(gw.T, in, &a); c.HasPassword {
				if n := <-source.longest; n != 101 {
					t.Fatalf("the source got %d bytes", n)
				}
			} else if m.reason != core.ClientIDNotValid {
				t.Fatalf("ended as %s", m.reason)
			}
		})
		if n > cheap {
			t.Errorf("%s: %d bytes of garbage", name, n)
		}
	}
}

// TestRepeatedFiltersAreKnown: who says one filter again and again makes no garbage.
func TestRepeatedFiltersAreKnown(t *testing.T) {
	gw := coretest.Start(t, nil, nil)
	m := connected(t, gw)
	p, u := &packet.Subscribe{PacketID: 1}, &packet.Unsubscribe{PacketID: 1}
	for range 100 {
		p.Filters = append(p.Filters, packet.Subscription{Filter: []byte("a/filter/of/usual/length")})
		u.Filters = append(u.Filters, p.Filters[0].Filter)
	}
	for _, in := range [][]byte{sent(p), sent(u)} {
		var a protocols.Actions
		if n := testing.AllocsPerRun(20, func() { a.Reset(); m.Input(gw.T, in, &a) }); n > 10 {
			t.Errorf("%v allocations for a hundred filters", n)
		}
	}
}

// TestRefusedTopicIsTold: what explains a refusal is no part of the buffer, which is
// another's afterwards.
func TestRefusedTopicIsTold(t *testing.T) {
	gw := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxTopicLevels = 2 })
	for _, topic := range []string{"deep/a/b", strings.Repeat("long/", 1000)} {
		m := connected(t, gw)
		in := sent(&packet.Publish{Topic: []byte(topic)})
		var a protocols.Actions
		m.Input(gw.T, in, &a)
		for i := range in {
			in[i] = '!'
		}
		got := gw.Explain(1, func(r *core.Record) bool { return r.Reason == core.TopicNameInvalid })
		if len(got) != 1 || got[0].Topic[:5] != topic[:5] || strings.Contains(got[0].Topic, "!") {
			t.Errorf("told of %q: %+v", topic[:5], got)
		}
	}
}
