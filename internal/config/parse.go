package config

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// kind is what was written, not what is wanted.
type kind uint8

const (
	kindTable kind = iota
	kindTables
	kindList
	kindText
	kindInteger
	kindFloat
	kindBool
	kindTime
	kindRaw // from the environment or --set: the wanted type decides how it is read
)

// node is a key's value as written, with its place.
type node struct {
	key   string
	path  string // dotted key, of tables in a document only
	kind  kind
	text  string  // of a scalar: strings decoded, all else as written
	items []*node // of a list, or of an array of tables
	keys  []*node // of a table, in order; add appends to it
	index map[string]*node

	keyAt place // of the key
	at    place // of the value

	header bool // the table stood as [header]
	closed bool // the table is inline, or made by a dotted key: no header may add to it
	inline bool // nothing may add to it
}

func (n *node) child(key string) *node { return n.index[key] }

func (n *node) add(child *node) {
	if n.index == nil {
		n.index = map[string]*node{}
	}
	n.index[child.key] = child
	n.keys = append(n.keys, child)
}

// document is a TOML text on its way to nodes. Keys given twice are faults;
// the first stays.
type document struct {
	name   string
	layer  int
	text   []byte
	rows   []int // offsets at which rows begin
	faults []Fault
	parser unstable.Parser
}

// parse reads a whole TOML text. The root comes back even with faults, with
// all that was understood.
func parse(name string, layer int, text []byte) (root *node, faults []Fault, readable bool) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin with a byte order mark
	d := &document{name: name, layer: layer, text: text, rows: []int{0}}
	for i, c := range text {
		if c == '\n' {
			d.rows = append(d.rows, i+1)
		}
	}
	root = &node{kind: kindTable}
	current := root
	d.parser.Reset(text)
	for d.parser.NextExpression() {
		current = d.expression(root, current, d.parser.Expression())
	}
	if d.parser.Error() != nil || len(d.faults) == 0 {
		// The decoder knows rules that the parser alone does not, such as
		// impossible dates, and the place of a syntax error.
		if err := toml.Unmarshal(text, &map[string]any{}); err != nil {
			return root, append(d.faults, d.syntaxFault(err)), d.parser.Error() == nil
		}
	}
	return root, d.faults, true
}

// table makes a table that a header or dotted key names.
func (t *node) table(part *node) *node {
	fresh := &node{key: part.key, path: join(t.path, part.key), kind: kindTable, keyAt: part.keyAt, at: part.keyAt}
	t.add(fresh)
	return fresh
}

// expression takes one line (or value over several lines) and returns the
// table that following keys belong to; nil when its header was at fault.
func (d *document) expression(root, current *node, e *unstable.Node) *node {
	switch e.Kind {
	case unstable.Table:
		return d.header(root, e, false)
	case unstable.ArrayTable:
		return d.header(root, e, true)
	case unstable.KeyValue:
		if current != nil {
			d.keyValue(current, e)
		}
	}
	return current
}

// header walks to the table that [a.b] or [[a.b]] opens.
func (d *document) header(root *node, e *unstable.Node, many bool) *node {
	parts := d.keyParts(e.Key())
	t := root
	for _, part := range parts[:len(parts)-1] {
		if t = d.descend(t, part); t == nil {
			return nil
		}
	}
	last := parts[len(parts)-1]
	old := t.child(last.key)
	if many {
		return d.oneMore(t, old, last)
	}
	switch {
	case old == nil:
		old = t.table(last)
	case old.kind != kindTable || old.closed || old.header:
		d.twice(t, last, old)
		return nil
	}
	old.header, old.keyAt, old.at = true, last.keyAt, last.keyAt
	return old
}

// oneMore adds a table to the array of tables that [[…]] names.
func (d *document) oneMore(t, list, part *node) *node {
	switch {
	case list == nil:
		list = t.table(part)
		list.kind = kindTables
	case list.kind != kindTables:
		d.twice(t, part, list)
		return nil
	}
	fresh := &node{key: part.key, path: list.path, kind: kindTable, keyAt: part.keyAt, at: part.keyAt, header: true}
	list.items = append(list.items, fresh)
	return fresh
}

// descend goes one step down a header's path, through the last table of an
// array of tables, and makes what is missing.
func (d *document) descend(t, part *node) *node {
	next := t.child(part.key)
	switch {
	case next == nil:
		next = t.table(part)
	case next.kind == kindTables:
		return next.items[len(next.items)-1]
	case next.kind != kindTable || next.closed:
		d.twice(t, part, next)
		return nil
	}
	return next
}

// keyValue adds `a.b = value` to a table.
func (d *document) keyValue(t *node, e *unstable.Node) {
	parts := d.keyParts(e.Key())
	for _, part := range parts[:len(parts)-1] {
		next := t.child(part.key)
		switch {
		case next == nil:
			next = t.table(part)
			next.closed = true
		case next.kind != kindTable || next.header || next.inline:
			d.twice(t, part, next)
			return
		}
		t = next
	}
	last := parts[len(parts)-1]
	if old := t.child(last.key); old != nil {
		d.twice(t, last, old)
		return
	}
	value := d.value(e.Value(), last.keyAt, join(t.path, last.key))
	value.key, value.keyAt = last.key, last.keyAt
	t.add(value)
}

func (d *document) twice(t, again, first *node) {
	problem := fmt.Sprintf("is given twice, first in row %d", first.keyAt.row)
	if len(d.faults) == maxFaults {
		return
	}
	d.faults = append(d.faults, again.keyAt.fault(join(t.path, again.key), problem, "keep one of them"))
}

// keyParts gives the parts of a dotted key as nodes without values.
func (d *document) keyParts(it unstable.Iterator) []*node {
	var parts []*node
	for it.Next() {
		k := it.Node()
		parts = append(parts, &node{key: string(k.Data), keyAt: d.place(k.Raw)})
	}
	return parts
}

// value copies a parsed value; the parser's own nodes live until the next
// expression only. Where the parser keeps no place (arrays), it is near.
func (d *document) value(v *unstable.Node, near place, path string) *node {
	n := &node{at: near, path: path}
	if v.Raw.Length > 0 {
		n.at = d.place(v.Raw)
	}
	switch v.Kind {
	case unstable.Array:
		n.kind = kindList
		for it := v.Children(); it.Next(); {
			n.items = append(n.items, d.value(it.Node(), n.at, path))
		}
		return n
	case unstable.InlineTable:
		n.kind = kindTable
		for it := v.Children(); it.Next(); {
			d.keyValue(n, it.Node())
		}
		n.closed, n.inline = true, true
		return n
	case unstable.String:
		n.kind = kindText
	case unstable.Integer:
		n.kind = kindInteger
	case unstable.Float:
		n.kind = kindFloat
	case unstable.Bool:
		n.kind = kindBool
	default:
		n.kind = kindTime
	}
	n.text = string(v.Data)
	return n
}

func (d *document) place(r unstable.Range) place {
	offset := int(r.Offset)
	row := sort.SearchInts(d.rows, offset+1)
	return place{layer: d.layer, source: d.name, row: row, col: offset - d.rows[row-1] + 1}
}
