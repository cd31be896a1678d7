package oracle

import "strings"

// topic is a Topic Name that the fleet uses.
type topic struct {
	id       uint32
	name     string
	filters  []*filter    // that match it
	found    uint32       // generation of the filters when they were looked up
	streams  []int32      // who publishes here
	wills    []*willClass // to be published here
	versions []version    // what may stand as the retained message
	hashes   []sentHash   // of payloads sent here, the last few
	many     bool         // there were more hashes than are kept
	unmarked bool         // messages came here without a mark
	kept     bool         // in the tree of retained topics
}

// sentHash is a content, and whether it was sent more than once.
type sentHash struct {
	hash  uint32
	often bool
}

// filter is a Topic Filter without its share.
type filter struct {
	levels []string
	subs   []*sub
	group  *group // of a shared one
}

// topics finds what matches what.
type topics struct {
	limit      int
	byName     map[string]*topic
	numbered   []*topic
	byFilter   map[string]*filter // as written, with the share
	filters    filterNode
	generation uint32 // of filters
	retained   topicNode
}

type filterNode struct {
	children map[string]*filterNode
	here     []*filter
}

type topicNode struct {
	children map[string]*topicNode
	topic    *topic
}

// topic gives the topic of that name; nil when there are too many.
func (ts *topics) topic(name string) *topic {
	if t := ts.byName[name]; t != nil {
		return t
	}
	if len(ts.byName) >= ts.limit {
		return nil
	}
	t := &topic{id: uint32(len(ts.byName)), name: name}
	ts.byName[name] = t
	ts.numbered = append(ts.numbered, t)
	return t
}

// filter gives the filter as it is written; nil when there are too many.
func (ts *topics) filter(written string) (f *filter, fresh bool) {
	if f := ts.byFilter[written]; f != nil {
		return f, false
	}
	if len(ts.byFilter) >= ts.limit {
		return nil, false
	}
	f = &filter{levels: strings.Split(unshared(written), "/")}
	ts.byFilter[written] = f
	n := &ts.filters
	for _, level := range f.levels {
		if n.children == nil {
			n.children = map[string]*filterNode{}
		}
		if n.children[level] == nil {
			n.children[level] = &filterNode{}
		}
		n = n.children[level]
	}
	n.here = append(n.here, f)
	ts.generation++
	return f, true
}

// unshared takes the $share/NAME/ off a filter. [MQTT-4.8.2-1]
func unshared(written string) string {
	if rest, ok := strings.CutPrefix(written, "$share/"); ok {
		if _, filter, ok := strings.Cut(rest, "/"); ok {
			return filter
		}
	}
	return written
}

func shared(written string) bool { return unshared(written) != written }

// matching are the filters that match t. They are looked up again only after a filter
// was added.
func (ts *topics) matching(t *topic) []*filter {
	if t.found != ts.generation {
		t.found, t.filters = ts.generation, t.filters[:0]
		ts.filters.match(t, t.name, true)
	}
	return t.filters
}

// match collects below n for the rest of t's name. A wildcard at the first level does
// not match a name that begins with $. [MQTT-4.7.2-1]
func (n *filterNode) match(t *topic, rest string, first bool) {
	if n.children == nil {
		return
	}
	level, after, more := strings.Cut(rest, "/")
	down := func(child *filterNode) {
		switch {
		case child == nil:
		case more:
			child.match(t, after, false)
		default:
			t.filters = append(t.filters, child.here...)
			if all := child.children["#"]; all != nil { // "a/#" matches "a"
				t.filters = append(t.filters, all.here...)
			}
		}
	}
	if level != "+" && level != "#" {
		down(n.children[level])
	}
	if first && strings.HasPrefix(level, "$") {
		return
	}
	down(n.children["+"])
	if all := n.children["#"]; all != nil {
		t.filters = append(t.filters, all.here...)
	}
}

// matches tells whether the filter is among those that match t.
func (ts *topics) matches(f *filter, t *topic) bool {
	for _, have := range ts.matching(t) {
		if have == f {
			return true
		}
	}
	return false
}

// keep puts t among the topics that have, or had, a retained message.
func (ts *topics) keep(t *topic) {
	if t.kept {
		return
	}
	t.kept = true
	n := &ts.retained
	for level := range strings.SplitSeq(t.name, "/") {
		if n.children == nil {
			n.children = map[string]*topicNode{}
		}
		if n.children[level] == nil {
			n.children[level] = &topicNode{}
		}
		n = n.children[level]
	}
	n.topic = t
}

// below gives found the topics of the tree that levels match, in no certain order.
func (n *topicNode) below(levels []string, first bool, found func(*topic)) {
	if len(levels) == 0 {
		if n.topic != nil {
			found(n.topic)
		}
		return
	}
	switch levels[0] {
	case "#":
		n.all(first, found)
	case "+":
		for name, child := range n.children {
			if !first || !strings.HasPrefix(name, "$") {
				child.below(levels[1:], false, found)
			}
		}
	default:
		if child := n.children[levels[0]]; child != nil {
			child.below(levels[1:], false, found)
		}
	}
}

func (n *topicNode) all(first bool, found func(*topic)) {
	if n.topic != nil && !first {
		found(n.topic)
	}
	for name, child := range n.children {
		if !first || !strings.HasPrefix(name, "$") {
			child.all(false, found)
		}
	}
}
