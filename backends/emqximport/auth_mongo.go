package emqximport

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// documents takes over the collections, selectors and fields of MongoDB.
func (a *authReader) documents() (out []Setting) {
	users, super, access := a.selection("auth_query", "mqtt_user"), a.selection("super_query", "mqtt_user"), a.selection("acl_query", "mqtt_acl")
	fields := []string{"password"}
	if e := a.line("auth_query.password_field"); e != nil {
		fields = strings.FieldsFunc(e.value, func(r rune) bool { return r == ',' || r == ' ' })
	}
	superField := "is_superuser"
	if e := a.line("super_query.super_field"); e != nil {
		superField = e.value
	}
	if !users.good || !slices.ContainsFunc(fields, func(f string) bool { return f != "" }) || len(fields) > 2 {
		a.refused = "their auth_query was not taken"
		return nil
	}
	columns := [][2]string{{"username", "username"}, {"password", fields[0]}}
	if len(fields) > 1 {
		columns = append(columns, [2]string{"salt", fields[1]})
	}
	same := super.on && super.good && super.collection == users.collection && super.filter == users.filter
	if same {
		columns = append(columns, [2]string{"is_superuser", superField})
	}
	out = append(out, Setting{"auth_query", users.project(columns)})
	if super.on && super.good && !same {
		out = append(out, Setting{"super_query", super.project([][2]string{{"is_superuser", superField}})})
	}
	switch {
	case !access.on:
		out = append(out, Setting{"acl_query", []string{}})
	case !access.good:
		a.refused = "their acl_query was not taken, without which they could do everything"
	default:
		out = append(out, Setting{"acl_query", []string{`{"find": ` + quoteJSON(access.collection) + `, "filter": ` + access.filter + `}`}})
	}
	return out
}

// selection is which documents a query is about.
type selection struct {
	on, good           bool
	collection, filter string
}

// selection reads the keys PREFIX.collection and PREFIX.selector, numbered or not: these
// are alternatives.
func (a *authReader) selection(prefix, collection string) selection {
	s := selection{good: true, collection: collection}
	said := a.lines[prefix] != nil
	if e := a.line(prefix); e != nil {
		switch s.on = true; e.value {
		case "off", "false":
			s.on = false
		case "on", "true":
		default:
			a.note(e, "is neither on nor off", "mend it, and import again")
			s.good = false
		}
	}
	if e := a.line(prefix + ".collection"); e != nil {
		s.on, s.collection = s.on || !said, e.value
	}
	var alternatives []string
	for _, e := range a.selectors(prefix + ".selector") {
		filter := a.filter(e)
		s.good = s.good && filter != ""
		alternatives = append(alternatives, filter)
	}
	switch len(alternatives) {
	case 0:
		s.filter = `{"username": "${username}"}`
	case 1:
		s.filter = alternatives[0]
	default:
		s.filter = `{"$or": [` + strings.Join(alternatives, ", ") + `]}`
	}
	return s
}

// selectors are the lines of a key, and of the numbers below it, in their order.
func (a *authReader) selectors(key string) (list []*entry) {
	for name, e := range a.lines {
		if name == key || strings.HasPrefix(name, key+".") {
			list = append(list, e)
			delete(a.lines, name)
		}
	}
	slices.SortFunc(list, func(x, y *entry) int {
		return cmp.Or(cmp.Compare(len(x.key), len(y.key)), strings.Compare(x.key, y.key))
	})
	return list
}

// filter makes a document of FIELD=TEXT, FIELD=TEXT; "" for one that cannot be.
func (a *authReader) filter(e *entry) string {
	var fields []string
	for pair := range strings.SplitSeq(e.value, ",") {
		field, value, found := strings.Cut(pair, "=")
		field, value = strings.TrimSpace(field), strings.TrimSpace(value)
		value, err := withVariables(value)
		if !found || field == "" || strings.ContainsAny(field, "$\"") || err != nil {
			a.note(e, "the selector was left out: it is not FIELD=%u and the like", "write the query by hand, see docs/identities.md")
			return ""
		}
		fields = append(fields, quoteJSON(field)+": "+quoteJSON(value))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// project is the query that gives one document with the fields renamed, and no others.
func (s *selection) project(columns [][2]string) string {
	plain := true
	var names, renamed []string
	for _, c := range columns {
		plain = plain && c[0] == c[1]
		names = append(names, quoteJSON(c[0])+": 1")
		renamed = append(renamed, quoteJSON(c[0])+": "+quoteJSON("$"+c[1]))
	}
	if plain {
		return `{"find": ` + quoteJSON(s.collection) + `, "filter": ` + s.filter + `, "projection": {"_id": 0, ` + strings.Join(names, ", ") + `}, "limit": 1}`
	}
	return `{"aggregate": ` + quoteJSON(s.collection) + `, "pipeline": [{"$match": ` + s.filter + `}, {"$limit": 1}, {"$project": {"_id": 0, ` + strings.Join(renamed, ", ") + `}}], "cursor": {}}`
}

func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a text cannot fail
	}
	return strings.TrimSuffix(b.String(), "\n")
}
