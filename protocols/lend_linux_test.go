package protocols

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// guestsOf asks the first loop how many others are lent to it. The second one is
// given a turn: only in a turn it thinks of lending itself.
func guestsOf(ls *loops) int {
	ls.all[1].post(func(*loop) {})
	n := make(chan int, 1)
	ls.all[0].post(func(l *loop) { n <- len(l.guests) })
	return <-n
}

// TestFirstTurnDoesNotDecide: what a loop did before its first window says nothing of how
// busy it is.
func TestFirstTurnDoesNotDecide(t *testing.T) {
	ls := &loops{}
	l, err := newLoop(ls, "auto")
	if err != nil {
		t.Fatal(err)
	}
	defer l.closeDescriptors()
	ls.all = []*loop{l}
	l.now = time.Now()
	l.balance()
	if l.waiting.raw != nil || l.busy.Load() != 0 {
		t.Errorf("it parks: %v, busy %d %%", l.waiting.raw != nil, l.busy.Load())
	}
}

// An idle loop lends itself, is given back under load, and its connections,
// timers, completions and ends never notice.
func TestLentLoopServesOn(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0"})
	ls := h.server.engines[0].(*loops)
	var clients []*client
	for range 8 {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		clients = append(clients, c)
	}
	for round := range 4 {
		awaitCount(t, func() bool { return guestsOf(ls) == 1 })
		for i, c := range clients {
			c.say(fmt.Sprintf("lent %d %d\n", round, i))
			c.hears(fmt.Sprintf("lent %d %d\n", round, i))
		}
		ls.all[0].post(func(l *loop) { l.giveBack() })
		for i, c := range clients {
			c.say(fmt.Sprintf("own %d %d\n", round, i))
			c.hears(fmt.Sprintf("own %d %d\n", round, i))
		}
	}
	awaitCount(t, func() bool { return guestsOf(ls) == 1 })
	for range clients {
		m := await(t, h.adapter.made, "machine")
		m.conn.Complete(core.Completion{Token: 7})
	}
	for i, c := range clients {
		c.hears("completed 7\n")
		if i%2 == 0 {
			c.say("timer 200ms\n")
			if got := c.hearsEnd(); got != "too quiet\n" {
				t.Fatalf("heard %q", got)
			}
			c.Close()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go h.server.Drain(ctx, nil)
	for i, c := range clients {
		if i%2 == 1 {
			if got := c.hearsEnd(); got != "stop server_shutting_down\n" {
				t.Fatalf("heard %q", got)
			}
			c.Close()
		}
	}
	await(t, h.server.tally.whenIdle(), "the end of all connections")
}

// Stopping while a loop is lent gives it back first.
func TestStopWhileLent(t *testing.T) {
	for range 3 {
		h := start(t, "auto", &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0"})
		for range 4 {
			c := h.dial()
			c.say("hello\n")
			c.hears("welcome\n")
		}
		awaitCount(t, func() bool { return guestsOf(h.server.engines[0].(*loops)) == 1 })
		h.stop()
		for range 4 {
			await(t, h.adapter.closed, "Closed")
		}
	}
}
