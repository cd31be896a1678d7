package core

import "strings"

// way is how a client's message goes on after its topic was looked at.
type way struct {
	delay  uint32 // seconds until it is published, 0 for at once
	reason Reason // why it cannot be published, or Success
	detail string
}

// goesElsewhere says that a message to name may not simply be published there.
func (g *Gateway) goesElsewhere(name string) bool {
	return strings.HasPrefix(name, "$delayed/")
}

// place gives p as it is published: with its topic as the rules see it.
func (g *Gateway) place(p *Publish) (placed Publish, w way) {
	placed = *p
	w.delay, placed.Topic, w.reason, w.detail = g.parseDelayed(p.Topic)
	return placed, w
}
