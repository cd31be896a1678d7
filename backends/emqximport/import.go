package emqximport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// File is one file of EMQ X. The name is that without directories, such as
// emqx_backend_redis.conf; it says what the file is about.
type File struct {
	Name string
	Text []byte
}

// Note is something that was not taken over as it stood.
type Note struct {
	File string
	Line int    // from 1; 0: the file as a whole
	Key  string // "" for a line that has none
	Why  string
	Do   string
}

// String is FILE:LINE: KEY: WHY; DO.
func (n Note) String() string {
	at := n.File
	if n.Line > 0 {
		at = fmt.Sprintf("%s:%d", n.File, n.Line)
	}
	if n.Key != "" {
		at += ": " + n.Key
	}
	return at + ": " + n.Why + "; " + n.Do
}

func (e *entry) note(why, do string) Note {
	return Note{File: e.file, Line: e.line, Key: e.key, Why: why, Do: do}
}

// Result is what files come to.
type Result struct {
	Backends []Backend // those with a pool
	Notes    []Note    // in the order of the files and their lines
}

// Backend is what goes below [backends.NAME].
type Backend struct {
	Name  string
	Pools []Pool
	Rules []rules.Rule // valid, alone and together
}

// Pool is what goes below [backends.NAME.pools.POOL].
type Pool struct {
	Name     string
	Settings []Setting
}

// Setting is one key of a pool.
type Setting struct {
	Key   string
	Value any // string, int, bool or []string
}

// Knows tells whether a file of this name is one that Read looks into.
func Knows(name string) bool {
	return database(name) != nil || unsupported(name) != nil
}

// Read takes over what it can of the files, in their order.
func Read(files []File) *Result {
	r := &Result{}
	for _, f := range files {
		switch {
		case database(f.Name) != nil:
			r.readBackend(f, database(f.Name))
		case unsupported(f.Name) != nil:
			r.refuse(f, unsupported(f.Name))
		default:
			r.Notes = append(r.Notes, Note{File: f.Name, Why: "nothing of this file is taken over", Do: "look into the documentation for what it sets, and set that by hand"})
		}
	}
	return r
}

func (r *Result) readBackend(f File, d *dialect) {
	entries, notes := parse(f)
	b := &reader{dialect: d, out: Backend{Name: d.name}, notes: notes, file: f.Name}
	b.sort(entries)
	b.pools()
	b.rules()
	slices.SortStableFunc(b.notes, func(x, y Note) int { return x.Line - y.Line })
	r.Notes = append(r.Notes, b.notes...)
	if len(b.out.Pools) > 0 {
		r.Backends = append(r.Backends, b.out)
	}
}

// refuse names every setting of a file that has no place.
func (r *Result) refuse(f File, u *refusal) {
	entries, notes := parse(f)
	for i := range entries {
		notes = append(notes, entries[i].note(u.why, u.do))
	}
	slices.SortStableFunc(notes, func(x, y Note) int { return x.Line - y.Line })
	r.Notes = append(r.Notes, notes...)
}

// refusal is why files of a kind are not taken over.
type refusal struct{ prefix, why, do string }

const (
	sources = "sources of identities are not taken over"
	tables  = "the gateway can read the same tables: write their section by docs/identities.md"
)

// unsupported is why nothing of a known file is taken over.
func unsupported(name string) *refusal {
	for _, u := range []refusal{
		{"emqx_bridge_kafka.", "bridges to Kafka are not yet supported", "keep the file for a release that has them"},
		{"emqx_bridge_rabbit.", "bridges to RabbitMQ are not yet supported", "keep the file for a release that has them"},
		{"emqx_auth_username.", "users do not stand in the configuration", "make each with fairlead passwd FILE USER and name the file in auth.passwd_file"},
		{"emqx_auth_clientid.", "client ids with a password do not stand in the configuration", "make a user for each with fairlead passwd --client-id ID FILE USER and name the file in auth.passwd_file"},
		{"emqx_auth_mysql.", sources, tables},
		{"emqx_auth_pgsql.", sources, tables},
		{"emqx_auth_", "this source of identities is not yet supported", "make users with fairlead passwd FILE USER, name the file in auth.passwd_file, and access rules in auth.acl_file"},
	} {
		if strings.HasPrefix(name, u.prefix) && strings.HasSuffix(name, ".conf") {
			return &u
		}
	}
	return nil
}
