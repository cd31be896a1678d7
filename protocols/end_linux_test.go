package protocols

import (
	"net/netip"
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
	peers := map[netip.AddrPort]bool{} // of the first loop
	inLoop(h, func(l *loop) {
		for _, c := range l.slots {
			if c != nil {
				peers[c.peer] = true
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
	if len(peers) != len(clients)/2 {
		t.Errorf("the loop had %d of %d clients", len(peers), len(clients))
	}
	for _, c := range clients {
		if peers[netAddrPort(c.LocalAddr())] {
			c.hearsEnd()
			continue
		}
		c.say("still here\n")
		c.hears("still here\n")
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
	peers := map[netip.AddrPort]bool{} // of the first loop
	inLoop(h, func(l *loop) {
		for _, c := range l.slots {
			if c == nil {
				continue
			}
			peers[c.peer] = true
			switch {
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
	if len(peers) != 2 {
		t.Errorf("the loop had %d of four clients", len(peers))
	}
	for i, c := range append(known[:], strangers[:]...) {
		ended := peers[netAddrPort(c.LocalAddr())]
		switch stranger := i >= len(known); {
		case ended && stranger:
			if said := c.hearsEnd(); said != "" {
				t.Errorf("a stranger was told %q", said)
			}
		case ended:
			c.hears("stop server_shutting_down\n")
		default:
			c.say("still here\n")
			c.hears("still here\n")
		}
	}
}
