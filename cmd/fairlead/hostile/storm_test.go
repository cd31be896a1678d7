package hostile

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// stormHeld is how many sockets of a storm are open at once.
const stormHeld = 4000

// TestStorms are the attacks of strangers that come faster than any client would, from
// one address.
func TestStorms(t *testing.T) {
	run(t, []attack{
		{name: "socket storm", does: "opens sockets from one address as fast as it can and resets the oldest of 4,000", holds: "others come in between", wage: func(t *testing.T, at *arena) { storm(t, at, nil) }, many: true},
		{name: "CONNECT storm", does: "the same with a CONNECT on each", holds: "others come in between, and nothing is left", wage: connectStorm, many: true},
	})
}

func connectStorm(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_sessions"]
	storm(t, at, func(i int) []byte { return bytesOf(greeting(fmt.Sprint("storm-", i))) })
	eventually(t, "the end of the sessions", func() bool { return at.metrics(t)["fairlead_sessions"] == before })
}

// storm opens sockets until the attack's time is over. first gives what is said on one.
func storm(t *testing.T, at *arena, first func(i int) []byte) {
	to, err := net.ResolveTCPAddr("tcp4", at.mqtt)
	if err != nil {
		t.Fatal(err)
	}
	held := make([]gust, 0, stormHeld)
	defer func() {
		for _, g := range held {
			g.reset()
		}
	}()
	n := 0
	for stop := time.Now().Add(span()); time.Now().Before(stop); n++ {
		g, err := blow(to)
		if err != nil {
			t.Fatalf("socket %d: %v", n, err)
		}
		if first != nil {
			g.say(first(n))
		}
		if len(held) < stormHeld {
			held = append(held, g)
			continue
		}
		oldest := &held[n%stormHeld]
		oldest.reset()
		*oldest = g
	}
	t.Logf("%d sockets", n)
}
