package core

import "github.com/fairlead-iot/fairlead/core/route"

// retainedCursor is one subscription's way through the retained messages: read on
// as the client takes them, never all at once, never cut short.
type retainedCursor struct {
	filter string
	cur    *route.Cursor
	tg     target
}

// replays are the replays of one session, one after the other. A client may have as
// many as subscriptions, so that beyond a few they are found by a map.
type replays struct {
	list []retainedCursor
	base int            // number of list[0]
	at   map[string]int // the number of each by its filter, nil while few
}

// fewReplays is up to how many are looked through one by one.
const fewReplays = 32

// begin begins a replay, or begins it anew: who repeats a subscription has one under
// way, however often. The first one's cursor is another's while it is feeding.
func (p *replays) begin(c retainedCursor, feeding bool) {
	if i := p.find(c.filter); i >= 0 {
		if c.cur = p.list[i].cur; feeding && i == 0 {
			c.cur = new(route.Cursor)
		} else {
			*c.cur = route.Cursor{}
		}
		p.list[i] = c
		return
	}
	c.cur = new(route.Cursor)
	p.list = append(p.list, c)
	switch n := len(p.list); {
	case p.at != nil:
		p.at[c.filter] = p.base + n - 1
	case n > fewReplays:
		p.at = make(map[string]int, 2*n)
		for i := range p.list {
			p.at[p.list[i].filter] = p.base + i
		}
	}
}

// find gives the place of the filter's replay, or -1.
func (p *replays) find(filter string) int {
	if p.at != nil {
		if n, ok := p.at[filter]; ok {
			return n - p.base
		}
		return -1
	}
	for i := range p.list {
		if p.list[i].filter == filter {
			return i
		}
	}
	return -1
}

func (p *replays) any() bool { return len(p.list) > 0 }

// done ends the first replay if it is the one of cur.
func (p *replays) done(cur *route.Cursor) {
	if len(p.list) == 0 || p.list[0].cur != cur {
		return
	}
	delete(p.at, p.list[0].filter)
	p.list[0] = retainedCursor{}
	p.list, p.base = p.list[1:], p.base+1
	if len(p.list) == 0 {
		*p = replays{}
	}
}
