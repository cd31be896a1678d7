package protocols

import "testing"

// TestStrangersComeLast: in a turn that finds work of strangers and of clients, the
// clients are served and answered first, whatever came sooner.
func TestStrangersComeLast(t *testing.T) {
	for _, wait := range []string{"block", "park"} {
		t.Run(wait, func(t *testing.T) {
			h := start(t, wait, &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
			var busy, usual [2]*client // one on each loop
			for _, all := range []*[2]*client{&busy, &usual} {
				for i := range all {
					all[i] = h.dial()
					all[i].say("hello\n")
					all[i].hears("welcome\n")
				}
			}
			stranger := h.dial()
			for range 5 {
				await(t, h.adapter.made, "a machine")
			}
			for _, c := range busy {
				c.say("work\n")
				await(t, h.adapter.work, "a line of work")
			}
			stranger.say("hello\nwork\n") // both loops are busy: it waits in the kernel, in front
			for _, c := range usual {
				c.say("hi\n")
			}
			for range busy {
				h.adapter.worked <- struct{}{}
			}
			await(t, h.adapter.work, "the stranger's work")
			for _, c := range usual {
				c.hears("hi\n")
			}
			h.adapter.worked <- struct{}{}
			stranger.hears("welcome\n")
		})
	}
}

// TestGreedyComeLast: whoever had more than its share is put behind the others with
// what it sends next as well.
func TestGreedyComeLast(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	a := h.dial()
	a.say("hello\nwork\nmore\n")
	await(t, h.adapter.work, "a line of work")
	h.adapter.worked <- struct{}{}
	a.hears("welcome\nmore\n")
	for i := range 3 { // put off once, read all the same
		a.say("still here\n")
		a.hears("still here\n")
		if i == 1 {
			a.say("work\nagain\n")
			await(t, h.adapter.work, "a line of work")
			h.adapter.worked <- struct{}{}
			a.hears("again\n")
		}
	}
}
