package protocols

import (
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// inLoop runs f in the first loop, in the midst of a turn.
func inLoop(h *harness, f func(*loop)) {
	h.t.Helper()
	done := make(chan struct{})
	h.server.engines[0].(*loops).all[0].post(func(l *loop) {
		defer close(done)
		f(l)
	})
	await(h.t, done, "the loop")
}

// TestClosesInShares: what ended in numbers is closed in shares of time, the first
// first, and the loop does not wait for events while there is some left.
func TestClosesInShares(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	var clients []*client
	for range 12 {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		clients = append(clients, c)
	}
	inLoop(h, func(l *loop) {
		for _, c := range l.slots {
			if c != nil {
				l.end(c, core.ConnectionLost, false)
			}
		}
		all := len(l.over)
		if l.closeOver(&budget{end: time.Now()}) || len(l.over) != all || all == 0 || !l.waits() {
			t.Errorf("no time was left: %d of %d wait, the loop goes on: %v", len(l.over), all, l.waits())
		}
		first, second := l.over[0], l.over[1]
		if !l.closeOver(&budget{end: time.Now().Add(time.Hour)}) || len(l.over) != 0 || first.fd >= 0 || second.fd >= 0 || l.waits() {
			t.Errorf("with time enough %d are left", len(l.over))
		}
	})
	ended := 0
	for _, c := range clients {
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // those of the other loop say nothing
		if n, err := c.Read(make([]byte, 1)); n == 0 && err.Error() == "EOF" {
			ended++
		}
	}
	if ended != len(clients)/2 {
		t.Errorf("%d of %d clients saw their end", ended, len(clients))
	}
}

// TestStrangersCloseAtOnce: a stranger's close is paid from the time of who comes last;
// who has something to read yet is closed once that is written.
func TestStrangersCloseAtOnce(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	known := [2]*client{h.dial(), h.dial()} // one on each loop
	for _, c := range known {
		c.say("hello\n")
		c.hears("welcome\n")
	}
	strangers := [2]*client{h.dial(), h.dial()}
	for range 4 {
		await(t, h.adapter.made, "a machine")
	}
	inLoop(h, func(l *loop) {
		for _, c := range l.slots {
			switch {
			case c == nil:
			case c.accepted:
				l.stop(c, core.ServerShuttingDown)
				l.dismiss()
				if c.fd < 0 || len(l.over) != 1 {
					t.Error("a client was closed before it was told")
				}
			default:
				l.refuse(c, core.ConnectTimeout, "")
				n := len(l.over)
				l.dismiss()
				if c.fd >= 0 || len(l.over) != n-1 {
					t.Error("a stranger was not closed")
				}
			}
		}
	})
	said := 0
	for _, c := range append(known[:], strangers[:]...) {
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		b := make([]byte, 64)
		if n, _ := c.Read(b); string(b[:n]) == "stop server_shutting_down\n" {
			said++
		}
	}
	if said != 1 {
		t.Errorf("%d were told, one should be", said)
	}
}
