package protocols

import (
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// TestShares: a connection that has had its share of a turn waits until others were
// served, and then goes on with what it sent before, to the end and in order.
func TestShares(t *testing.T) {
	for _, kind := range []string{"block", "park", "pump"} {
		t.Run(kind, func(t *testing.T) {
			h := start(t, kind, &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
			a, b := h.dial(), h.dial()
			b.say("hello\n")
			b.hears("welcome\n")
			a.say("hello\n" + strings.Repeat("work\n", 4) + "end\nbye\n")
			next := func() { await(t, h.adapter.work, "a line of work") }
			next()
			b.say("hi\n") // it is in the kernel now, whichever loop reads it
			h.adapter.worked <- struct{}{}
			next()
			h.adapter.worked <- struct{}{}
			next() // of the third line: the turn after b came in is written
			b.hears("hi\n")
			h.adapter.worked <- struct{}{}
			next()
			h.adapter.worked <- struct{}{}
			a.hears("welcome\nend\nbye\n")
		})
	}
}

// TestLeft: what the machine leaves comes again, with nothing of it used, and what stands
// behind it stays there; alone in a read, too, and with its end in a later one.
func TestLeft(t *testing.T) {
	for _, kind := range []string{"block", "park", "pump"} {
		for _, transport := range []string{TCP, WebSocket} {
			t.Run(kind+" "+transport, func(t *testing.T) {
				h := start(t, kind, &ListenerConfig{Address: "127.0.0.1:0", Transport: transport})
				a := h.dial()
				a.say("hello\n")
				a.hears("welcome\n")
				a.say("leave 5\n")
				a.hears("left 5 times\n")
				a.say("one\nleave 3\ntwo\nleave 1\nlea")
				a.hears("one\nleft 3 times\ntwo\nleft 1 times\n")
				a.say("ve 2\nbye\n")
				a.hears("left 2 times\nbye\n")
			})
		}
	}
}

// TestShareOfThePaused: what a pause leaves goes on when it ends, once.
func TestShareOfThePaused(t *testing.T) {
	for _, kind := range []string{"block", "pump"} {
		t.Run(kind, func(t *testing.T) {
			h := start(t, kind, &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
			a := h.dial()
			a.say("hello\nwork\nwork\nnow\npause\nafter\n")
			for range 2 {
				await(t, h.adapter.work, "a line of work")
				h.adapter.worked <- struct{}{}
			}
			m := await(t, h.adapter.made, "the machine")
			a.hears("welcome\nnow\n")
			a.say("more\n")
			m.conn.Complete(core.Completion{Token: 1})
			a.hears("completed 1\nafter\nmore\n")
		})
	}
}
