package core

import "github.com/fairlead-iot/fairlead/core/route"

// seekSteps is how many steps of the route table one look for a message's receivers may
// take, before others are served: about half of a share.
const seekSteps = 500

// Search is what was found of the receivers of a message that Publish has left, see
// [Publish.Search]. An adapter has one for each stream of packets; the zero value is ready
// for use. It takes memory only while it is unfinished: some kilobytes, at most four
// bytes for each of core.max_match_work.
type Search struct{ found route.Search }

// Unfinished says that Publish has left the message: the same call comes again.
func (s *Search) Unfinished() bool { return s.found.Unfinished() }

// Topic gives the Topic Name that an unfinished search is for, as its string is there
// already; "" for none. A rewritten one is not what the client sent.
func (s *Search) Topic() string { return s.found.Topic() }

// seek looks for the filters that p matches, before anything is done about it. false: not
// all are found yet. What they lead to is decided once they are.
func (g *Gateway) seek(t *Turn, l Link, p *Publish, w *way) (done bool) {
	if t.reader.Known(p.Topic) {
		return true
	}
	if w.reason != Success || w.delay > 0 || g.mayPublishTo(t, l, p) != Success {
		return true // it goes nowhere
	}
	w.permitted = true
	work, done := t.reader.Seek(p.Topic, &p.Search.found, seekSteps)
	t.Spend(work / workSteps)
	return done
}

// forget frees what the search holds; s may be nil.
func (s *Search) forget() {
	if s != nil && s.found.Begun() {
		s.found = route.Search{}
	}
}

// matches calls fn with the filters that match the topic: those that seek found for the
// publish at work.
func (t *Turn) matches(topic string, fn func(*route.Matches)) {
	if t.sought == nil {
		t.reader.Match(topic, fn)
		return
	}
	t.reader.Found(topic, &t.sought.found, fn)
}
