package route

import "strings"

// Cursor is where a Scan stands. The zero value stands at the beginning. It is
// not tied to anything in the tree: it may be dropped at any time, and the tree
// may change between two calls. It belongs to one scan at a time.
type Cursor struct {
	filter string
	levels []string // of the filter, without a '#' at its end
	multi  bool     // there was one
	begun  bool
	hidden bool     // names that begin with '$' are passed by
	limit  uint32   // places numbered from here on came later
	path   []uint32 // the place where the scan stands and those above it, without the root
	down   bool     // it goes on with that place's children, else with the next place
	name   []byte
	ends   []int // where in name each level of path ends
}

// Reset makes the cursor stand at the beginning again.
func (c *Cursor) Reset() { c.begun = false }

// begin reads the filter.
func (c *Cursor) begin(filter string, limit uint32) {
	c.filter, c.levels, c.multi = filter, c.levels[:0], false
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = cut(rest)
		if level == "#" && !more {
			c.multi = true
			break
		}
		c.levels = append(c.levels, level)
	}
	c.hidden = strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#") // [MQTT-4.7.2-1]
	c.begun, c.limit, c.down = true, limit, true
	c.path, c.name, c.ends = c.path[:0], c.name[:0], c.ends[:0]
}

// literal returns the only level that may stand at the depth; ok is false when
// it may be any.
func (c *Cursor) literal(depth int) (level string, ok bool) {
	if depth >= len(c.levels) || c.levels[depth] == "+" {
		return "", false
	}
	return c.levels[depth], true
}

// deeper reports whether names that go on from here can match.
func (c *Cursor) deeper() bool { return c.multi || len(c.path) < len(c.levels) }

// matches reports whether the filter matches the name where the cursor stands.
func (c *Cursor) matches() bool {
	depth := len(c.path)
	return !c.conceals() && (depth == len(c.levels) || c.multi && depth > len(c.levels))
}

// conceals reports whether the name is none for a leading wildcard.
func (c *Cursor) conceals() bool { return c.hidden && len(c.name) > 0 && c.name[0] == '$' }

// push goes down to a child of the place where the cursor stands.
func (c *Cursor) push(id uint32, text []byte) {
	if len(c.path) > 0 {
		c.name = append(c.name, '/')
	}
	c.name = append(c.name, text...)
	c.path, c.ends = append(c.path, id), append(c.ends, len(c.name))
	c.down = c.deeper() && !c.conceals()
}

// pop goes up to the parent, whose children from the cursor's on are still to
// come; it returns the number of the place it left.
func (c *Cursor) pop() uint32 {
	last := len(c.path) - 1
	id, end := c.path[last], 0
	if last > 0 {
		end = c.ends[last-1]
	}
	c.path, c.ends, c.name = c.path[:last], c.ends[:last], c.name[:end]
	return id
}
