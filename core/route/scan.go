package route

// Scan calls fn with names that the filter matches and their values, in no
// order, and returns when it has looked at most places, when fn has returned
// false, or at the end: then done is true. The next call with the same cursor
// and filter goes on behind the last name; one with another filter begins anew.
// A name that is there from the first call to the last is reported exactly
// once; one that comes or goes meanwhile may be reported or not. A scan ends
// however the tree changes.
//
// fn runs under the tree's read lock, so that the values mean what they meant
// when it is called: it must be short, must not block and must not call methods
// of the tree. The name is fn's to keep.
func (t *Topics) Scan(filter string, cur *Cursor, most int, fn func(topic string, v uint32) bool) (done bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if !cur.begun || cur.filter != filter {
		cur.begin(filter, t.nodes.top)
	} else {
		t.regain(cur)
	}
	for range max(most, 1) {
		id, ok := t.next(cur)
		if !ok {
			cur.begun = false
			return true
		}
		p := t.nodes.at(id)
		if p.named && cur.matches() && !fn(string(cur.name), p.value) {
			return false
		}
	}
	return false
}

// next moves the cursor to the next place where a matching name can be or can
// lead through, and returns its number.
func (t *Topics) next(c *Cursor) (uint32, bool) {
	from := uint32(0)
	if !c.down {
		if len(c.path) == 0 {
			return 0, false
		}
		from = c.pop() + 1
	}
	for {
		parent, depth := t.root, len(c.path)
		if depth > 0 {
			parent = c.path[depth-1]
		}
		if id := t.childFrom(c, parent, from); id != 0 {
			c.push(id, t.text(id))
			return id, true
		}
		if depth == 0 {
			c.down = false
			return 0, false
		}
		from = c.pop() + 1
	}
}

// childFrom returns the first child of a place numbered from on that the filter
// lets through, 0 for none. Numbers order the children: those that stay keep
// theirs, so the cursor needs to know no more of its siblings than its own.
func (t *Topics) childFrom(c *Cursor, parent, from uint32) uint32 {
	if level, ok := c.literal(len(c.path)); ok {
		if id := t.child(parent, level); id >= from && id < c.limit {
			return id
		}
		return 0
	}
	id, ok := t.kids.seek(t.nodes.at(parent).children(), from)
	if !ok || id >= c.limit {
		return 0
	}
	return id
}

// regain makes the cursor's path true again after the tree may have changed: it
// keeps the places that still stand where they stood, and of what is gone only
// the number, behind which the scan goes on.
func (t *Topics) regain(c *Cursor) {
	path, down := c.path, c.down
	c.path, c.ends, c.name = c.path[:0], c.ends[:0], c.name[:0]
	c.limit = min(c.limit, t.nodes.top) // a restored one may say anything
	parent := t.root
	for i, id := range path {
		level, fixed := c.literal(i)
		if id >= c.limit || t.nodes.at(id).parent != parent || fixed && string(t.text(id)) != level {
			c.push(id, nil)
			c.down = false
			return
		}
		c.push(id, t.text(id))
		parent = id
	}
	c.down = down
}
