package aclfile

import (
	"github.com/fairlead-iot/fairlead/core"
)

// Rules is a list of access rules, immutable and safe for concurrent use. Its
// questions allocate nothing and take no lock.
type Rules struct {
	publish   table
	subscribe table
	count     int
	warnings  []string
}

// rule is one rule for one action.
type rule struct {
	verdict core.Verdict
	line    int
	clauses []clause // all must hold; none: everyone
	topics  []pattern
}

// table is the rules for one action, in order, found by who asks.
type table struct {
	rules  []rule
	any    []int32            // rules that are not for one user or one client
	user   map[string][]int32 // by user name
	client map[string][]int32 // by ClientID
}

// add appends a rule. One that names one user or client goes under the name:
// files with a rule for each device stay as fast as short ones.
func (t *table) add(r rule) {
	n := int32(len(t.rules))
	t.rules = append(t.rules, r)
	for i := range r.clauses {
		c := &r.clauses[i]
		switch {
		case c.prefix:
		case c.kind == userIs:
			t.user = put(t.user, c.text, n)
			return
		case c.kind == clientIs:
			t.client = put(t.client, c.text, n)
			return
		}
	}
	t.any = append(t.any, n)
}

func put(m map[string][]int32, key string, n int32) map[string][]int32 {
	if m == nil {
		m = map[string][]int32{}
	}
	m[key] = append(m[key], n)
	return m
}

// walk goes through the rules that may be about one asker, in order.
type walk struct{ any, user, client []int32 }

func (t *table) walk(id *core.Identity) walk {
	w := walk{any: t.any}
	if t.user != nil {
		w.user = t.user[id.Username]
	}
	if t.client != nil {
		w.client = t.client[id.ClientID]
	}
	return w
}

// next gives the number of the next rule, or -1.
func (w *walk) next() int32 {
	list := &w.any
	if len(w.user) > 0 && (len(*list) == 0 || w.user[0] < (*list)[0]) {
		list = &w.user
	}
	if len(w.client) > 0 && (len(*list) == 0 || w.client[0] < (*list)[0]) {
		list = &w.client
	}
	if len(*list) == 0 {
		return -1
	}
	n := (*list)[0]
	*list = (*list)[1:]
	return n
}

// about tells whether the rule is about the asker.
func (r *rule) about(a *asker) bool {
	for i := range r.clauses {
		if !r.clauses[i].holds(a) {
			return false
		}
	}
	return true
}

// Len is how many rules there are.
func (r *Rules) Len() int { return r.count }

// Warnings are rules that are doubtful, one line each with file and line: those
// that can never be reached, a file without any. The slice is the caller's to
// read.
func (r *Rules) Warnings() []string { return r.warnings }

// Authorize answers core.Authorizer's question. It keeps neither id nor topic.
func (r *Rules) Authorize(id *core.Identity, a core.Action, topic string) core.Verdict {
	v, _ := r.Decide(id, a, topic)
	return v
}

// Decide is Authorize and gives the line of the rule that decided, 0 for none.
func (r *Rules) Decide(id *core.Identity, a core.Action, topic string) (core.Verdict, int) {
	switch a {
	case core.ActionPublish:
		return r.publish.name(id, topic)
	case core.ActionDeliver:
		return r.subscribe.name(id, topic)
	case core.ActionSubscribe:
		v, line, _ := r.subscribe.filter(id, topic)
		return v, line
	}
	return core.Deny, 0
}

// Covers answers core.Authorizer's question about a subscription: Deny when it
// would be refused now, Allow when it is allowed and every topic of it may be
// delivered, else Ignore.
func (r *Rules) Covers(id *core.Identity, filter string) core.Verdict {
	v, _, partial := r.subscribe.filter(id, filter)
	if v == core.Allow && partial {
		return core.Ignore
	}
	return v
}

// name finds the first rule about the asker that matches a Topic Name.
func (t *table) name(id *core.Identity, name string) (core.Verdict, int) {
	who := newAsker(id)
	w := t.walk(id)
	for n := w.next(); n >= 0; n = w.next() {
		r := &t.rules[n]
		if !r.about(&who) {
			continue
		}
		for i := range r.topics {
			if r.topics[i].matches(id, name) {
				return r.verdict, r.line
			}
		}
	}
	return core.Ignore, 0
}

// filter finds the first rule about the asker that covers a Topic Filter.
// partial tells that a deny before it overlaps the filter: then some of what
// the filter matches may not be delivered.
func (t *table) filter(id *core.Identity, filter string) (v core.Verdict, line int, partial bool) {
	who := newAsker(id)
	w := t.walk(id)
	for n := w.next(); n >= 0; n = w.next() {
		r := &t.rules[n]
		if !r.about(&who) {
			continue
		}
		for i := range r.topics {
			p := &r.topics[i]
			if p.covers(id, filter) {
				return r.verdict, r.line, partial
			}
			if r.verdict == core.Deny && !partial {
				partial = p.overlaps(id, filter)
			}
		}
	}
	return core.Ignore, 0, partial
}
