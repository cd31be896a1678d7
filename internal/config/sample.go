package config

import (
	"bytes"
	"reflect"
	"strings"
)

// Sample writes src, a pointer to a struct, as a file with each doc tag as the
// comment of its key: from the defaults it is the sample file. Loaded over the
// defaults it gives them back, but for secrets, which are written as comments.
// Of a table of tables the first shows every key, the others what is set.
func Sample(src any) []byte { return write(src, true) }

// Marshal writes src, a pointer to a struct, as a file with every key and
// without comments. Loaded over anything it gives back what src held, but for
// secrets, which are left out with a comment, and for pointers that are nil.
func Marshal(src any) []byte { return write(src, false) }

// writer writes one file.
type writer struct {
	bytes.Buffer
	docs  bool
	off   bool // inside an example: its keys are written but not in force
	brief bool // inside a table whose like was written already: only what is set
}

func write(src any, docs bool) []byte {
	w := &writer{docs: docs}
	w.table("", structOf(src), 0)
	return append(bytes.TrimSpace(w.Bytes()), '\n')
}

// table writes the keys of a struct or map: first the plain ones, as TOML
// wants it, then the tables.
func (w *writer) table(path string, v reflect.Value, depth int) {
	if depth > maxDepth {
		return
	}
	entries := entriesOf(v)
	for _, e := range entries {
		if !e.table() {
			w.plain(e)
		}
	}
	for _, e := range entries {
		if e.table() {
			w.section(path, e, depth)
		}
	}
}

// entry is one key of a table with its value; pointers are followed.
type entry struct {
	key string
	v   reflect.Value
	f   field
}

func (e entry) table() bool {
	t := e.v.Type()
	if t.Kind() == reflect.Pointer && !readsText(t) {
		t = t.Elem()
	}
	return isTable(t) || t.Kind() == reflect.Slice && isTable(t.Elem())
}

func entriesOf(v reflect.Value) []entry {
	var entries []entry
	add := func(key string, v reflect.Value, f field) {
		if v.Kind() == reflect.Pointer && !readsText(v.Type()) && !v.IsNil() {
			v = v.Elem()
		}
		entries = append(entries, entry{key, v, f})
	}
	if v.Kind() == reflect.Map {
		for _, key := range sortedKeys(v) {
			add(key.String(), v.MapIndex(key), field{})
		}
		return entries
	}
	for _, f := range fieldsOf(v.Type()) {
		add(f.key, v.FieldByIndex(f.index), f)
	}
	return entries
}

// plain writes key = value.
func (w *writer) plain(e entry) {
	if w.brief && (e.v.IsZero() || e.v.Kind() == reflect.Slice && e.v.Len() == 0) {
		return
	}
	w.comment(e.f.doc)
	key := join("", e.key)
	switch {
	case e.f.secret && !e.v.IsZero():
		w.line("# " + key + " is set and not shown")
	case e.f.secret:
		w.line("#" + key + ` = ""`)
		w.line("#" + key + `_file = ""`)
	case e.v.Kind() == reflect.Pointer && e.v.IsNil():
		w.line("# " + key + " is not set; it may be " + wanted(e.v.Type(), e.f))
	default:
		w.line(key + " = " + literal(e.v, e.f))
	}
}

// section writes a table, or the tables of a list.
func (w *writer) section(path string, e entry, depth int) {
	path = join(path, e.key)
	switch {
	case w.brief && e.v.IsZero() && e.f.key != "":
		return
	case e.v.Kind() == reflect.Pointer:
		w.example(path, "["+path+"]", e.f.doc, e.v.Type().Elem(), depth)
	case e.v.Kind() == reflect.Slice:
		for i := range e.v.Len() {
			w.heading("[["+path+"]]", e.f.doc)
			w.table(path, reflect.Indirect(e.v.Index(i)), depth+1)
		}
		if e.v.Len() == 0 {
			w.example(path, "[["+path+"]]", e.f.doc, e.v.Type().Elem(), depth)
		}
	case e.v.Kind() == reflect.Map && e.v.Len() == 0:
		name := join(path, "NAME")
		w.example(name, "["+name+"]", e.f.doc, e.v.Type().Elem(), depth)
	case e.v.Kind() == reflect.Map && entriesOf(e.v)[0].table():
		w.blank()
		w.comment(e.f.doc)
		w.tables(path, e.v, depth+1)
	default:
		w.heading("["+path+"]", e.f.doc)
		w.table(path, e.v, depth+1)
	}
}

// tables writes a table of tables.
func (w *writer) tables(path string, v reflect.Value, depth int) {
	outer := w.brief
	for _, e := range entriesOf(v) {
		w.section(path, e, depth)
		_, itself := reflect.New(e.v.Type()).Interface().(Defaulter)
		w.brief = w.docs && !itself // zero may not be what the element begins as
	}
	w.brief = outer
}

// example writes, as a comment, how a table that does not exist would begin.
func (w *writer) example(path, heading, doc string, t reflect.Type, depth int) {
	if !w.docs || w.off || w.brief {
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !isTable(t) || t.Kind() != reflect.Struct {
		return
	}
	v := reflect.New(t).Elem()
	setDefaults(v, "NAME")
	w.off = true
	w.heading(heading, doc)
	w.table(path, v, depth+1)
	w.off = false
}

func (w *writer) heading(text, doc string) {
	w.blank()
	w.comment(doc)
	w.line(text)
}

// blank parts sections by one empty row.
func (w *writer) blank() {
	if w.Len() > 0 && !bytes.HasSuffix(w.Bytes(), []byte("\n\n")) {
		w.WriteByte('\n')
	}
}

// line writes one row. '#' without a space marks what may be switched on by
// taking it away, "# " what is meant for people.
func (w *writer) line(text string) {
	if w.off && !strings.HasPrefix(text, "#") {
		text = "#" + text
	}
	w.WriteString(text)
	w.WriteByte('\n')
}

// comment writes a doc tag in rows of at most 80 columns.
func (w *writer) comment(doc string) {
	if !w.docs || w.brief || doc == "" {
		return
	}
	row := "#"
	for word := range strings.FieldsSeq(doc) {
		if len(row)+1+len(word) > 80 && row != "#" {
			w.line(row)
			row = "#"
		}
		row += " " + word
	}
	w.line(row)
}
