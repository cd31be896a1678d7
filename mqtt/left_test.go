package mqtt

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// overlap subscribes l to every mix of a and + in so many levels, and gives the topic.
func overlap(l *line, levels int) (topic string) {
	for mix := range 1 << levels {
		f := "h"
		for i := range levels {
			f += []string{"/a", "/+"}[mix>>i&1]
		}
		l.send(fmt.Sprintf("82 .. 0001 00 %04x %x 00", len(f), f))
		l.expect("90 04 0001 00 00")
	}
	return "h" + strings.Repeat("/a", levels)
}

// piece gives the machine b once and returns what it left.
func (l *line) piece(b []byte, a *protocols.Actions) []byte {
	l.in.Lock()
	defer l.in.Unlock()
	a.Reset()
	n := l.m.Input(l.gw.T, b, a)
	l.apply(a)
	return b[n:]
}

// TestLeftPublish: a PUBLISH whose receivers take long to find stays where it is, with all
// behind it, while other connections are served. What is limited and counted is so once.
func TestLeftPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := coretest.Start(t, nil, nil)
		many := dial(t, gw, connectAs("c1", "02", "00"), granted5)
		topic := overlap(many, 11)
		pub := dial(t, gw, connectAs("c2", "02", "00"), granted5)
		other := dial(t, gw, connectAs("c3", "02", "00"), granted5)
		other.send("82 .. 0001 00 0001 6f 00")
		other.expect("90 04 0001 00 00")
		// By an alias that the first one sets, with a small one behind each.
		name := fmt.Sprintf("%04x%x", len(topic), topic)
		dear := []string{unhexed(t, "32 .. "+name+" 0001 03 23 0001 31"), unhexed(t, "30 .. 0000 03 23 0001 32")}
		small := unhexed(t, "32 .. 0001 6f 0002 00 33")
		b := []byte(dear[0] + small + dear[1] + small)
		before := gw.Stats().Counters
		var a protocols.Actions
		pieces, tokens := 0, 5
		for len(b) > 0 {
			a.Limited, a.Messages = true, tokens
			whole := len(b)
			pub.in.Lock()
			b = b[pub.m.Input(gw.T, b, &a):]
			pub.in.Unlock()
			tokens = a.Messages
			if a.Again && len(b) == whole {
				pieces++
				many.expect("")
				other.send("30 .. 0001 6f 00" + fmt.Sprintf("%02x", pieces))
				other.expect("30 .. 0001 6f 00" + fmt.Sprintf("%02x", pieces))
			}
			pub.apply(&a)
			a.Reset()
			if pieces > 1000 {
				t.Fatal("no end")
			}
		}
		if pieces < 5 {
			t.Errorf("left %d times", pieces)
		}
		if tokens != 1 {
			t.Errorf("4 messages were counted as %d", 5-tokens)
		}
		after := gw.Stats().Counters
		if n := after[core.PacketsReceived] - before[core.PacketsReceived]; n != uint64(pieces+4) {
			t.Errorf("%d packets were counted of %d", n, pieces+4)
		}
		many.expect("30 .. " + name + " 00 31")
		many.expect("30 .. " + name + " 00 32")
		other.expect("30 05 0001 6f 00 33 30 05 0001 6f 00 33")
		pub.expect("40 02 0001 40 02 0002 40 02 0002")
		if pub.m.rare != nil && pub.m.rare.search.Unfinished() {
			t.Error("something is left of the search")
		}
	})
}

func unhexed(t *testing.T, s string) string { return string(unhex(t, s)) }

// TestLeftPublishOfOneWhoLeaves: nothing of it is published, and nothing is kept.
func TestLeftPublishOfOneWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := coretest.Start(t, nil, nil)
		many := dial(t, gw, connectAs("c1", "02", "00"), granted5)
		topic := overlap(many, 11)
		b := unhex(t, fmt.Sprintf("34 .. %04x%x 0001 00 31", len(topic), topic))
		for _, end := range []func(l *line){(*line).lose, func(*line) {
			dial(t, gw, connectAs("c2", "02", "00"), granted5) // takes over
			time.Sleep(time.Second)
		}} {
			pub := dial(t, gw, connectAs("c2", "02", "00"), granted5)
			var a protocols.Actions
			if left := pub.piece(b, &a); len(left) != len(b) || !a.Again {
				t.Fatalf("not left: %d of %d bytes, again %v", len(left), len(b), a.Again)
			}
			end(pub)
			if pub.stop == core.SessionTakenOver {
				pub.expectStop(core.SessionTakenOver, "e0 .. 8e 15 1f 0012"+hexOf([]byte("session taken over")))
			}
			if pub.m.rare != nil && pub.m.rare.search.Unfinished() {
				t.Error("something is left of the search")
			}
		}
		many.expect("")
		last := dial(t, gw, connectAs("c2", "02", "00"), granted5)
		last.send("34 .. 0001 6f 0001 00 31") // its identifier is free
		last.expect("50 03 0001 10")
	})
}

// TestLeftOnStreams: each data stream has a PUBLISH that is left, and each ends.
func TestLeftOnStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := coretest.Start(t, nil, nil)
		many := dial(t, gw, connectAs("c1", "02", "00"), granted5)
		topic := overlap(many, 11)
		l := begin(t, gw)
		l.m = New(DefaultConfig(), gw.Gateway).NewStreamMachine(&protocols.ConnInfo{Peer: l.Peer()}, l).(*Machine)
		l.send(connectAs("c2", "02", "00"))
		l.expect(granted5)
		var rest [3][]byte
		for s := range rest {
			name := strings.Replace(topic, "a", string(rune('a'+s)), 1)
			rest[s] = unhex(t, fmt.Sprintf("32 .. %04x%x %04x 00 31", len(name), name, s+1))
		}
		pauses := [3]int{}
		for round := 0; len(rest[0])+len(rest[1])+len(rest[2]) > 0; round++ {
			for s := range rest {
				var a protocols.Actions
				if s == 0 {
					rest[s] = rest[s][l.m.Input(gw.T, rest[s], &a):]
				} else {
					rest[s] = rest[s][l.m.InputStream(gw.T, protocols.Stream(s), rest[s], &a):]
				}
				if a.Again {
					pauses[s]++
				}
				l.apply(&a)
			}
			if round > 1000 {
				t.Fatal("no end")
			}
		}
		if min(pauses[0], pauses[1], pauses[2]) == 0 {
			t.Errorf("left %v times", pauses)
		}
		for _, s := range []string{"b", "c", "a"} { // that with most to find comes last
			name := strings.Replace(topic, "a", s, 1)
			many.expect(fmt.Sprintf("30 .. %04x%x 00 31", len(name), name))
		}
		l.expect("40 02 0002 40 02 0003 40 02 0001")
	})
}
