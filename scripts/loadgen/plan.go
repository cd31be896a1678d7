package main

import "fmt"

// plan says who publishes what to whom.
//
// A stream is one publisher's messages to one audience, each of which arrives once: with a receiver of its own, or
// with the whole of a shared group. A lane is one publisher's messages to one receiver, which must stay in order
// even where the group shares them.
type plan struct {
	pubs    int
	subs    int
	topics  []string // by publisher
	filters []string // by receiver
	copies  int      // deliveries that each message makes
	paired  bool
	shared  bool
}

// newPlan lays out the mode. Topics begin with the run's own name, so that nothing left over from another run is
// taken for ours.
func newPlan(o *options, run uint32) *plan {
	p := &plan{pubs: o.pubs, subs: o.subs, copies: 1, paired: o.mode == modePairs, shared: o.mode == modeShared}
	base := fmt.Sprintf("loadgen/%08x", run)
	for i := range p.pubs {
		p.topics = append(p.topics, fmt.Sprintf("%s/%d", base, i))
	}
	for i := range p.subs {
		p.filters = append(p.filters, p.filter(o.mode, base, i))
	}
	if o.mode == modeFanin || o.mode == modeFanout {
		p.copies = p.subs
	}
	return p
}

func (p *plan) filter(mode, base string, receiver int) string {
	switch {
	case mode == modeShared:
		return "$share/loadgen/" + base + "/+"
	case mode == modeFanin, mode == modeFanout && p.pubs > 1:
		return base + "/+"
	case mode == modeFanout:
		return base + "/0"
	}
	return fmt.Sprintf("%s/%d", base, receiver)
}

// stream numbers the stream that a receiver has from a publisher; ok is false where it should hear nothing.
func (p *plan) stream(receiver, publisher int) (n int, ok bool) {
	switch {
	case p.paired:
		return publisher, receiver == publisher
	case p.shared:
		return publisher, true
	}
	return receiver*p.pubs + publisher, true
}

func (p *plan) streams() int {
	if p.paired || p.shared {
		return p.pubs
	}
	return p.pubs * p.subs
}

func (p *plan) lane(receiver, publisher int) int {
	if p.paired {
		return publisher
	}
	return receiver*p.pubs + publisher
}

func (p *plan) lanes() int {
	if p.paired {
		return p.pubs
	}
	return p.pubs * p.subs
}
