package emqximport

import (
	"fmt"
	"slices"
	"strconv"
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
	Sections []Section // others
	Tables   []Section // of which there may be several of one name
	Users    []User    // for a file of users
	Access   []string  // lines for a file of access rules, see docs/acl.md
	Notes    []Note    // in the order of the files and their lines

	o       Options
	closed  bool   // no access rule can follow those there are
	noMatch *entry // what becomes of a topic that no access rule names; nil where nothing says so
}

// Section is a table of our configuration.
type Section struct {
	Name     string // such as auth.jwt
	Settings []Setting
}

// Backend is what goes below [backends.NAME].
type Backend struct {
	Name  string
	Pools []Pool
	Rules []rules.Rule // valid, alone and together

	Identities []Setting // of [backends.NAME.identities]
}

// Pool is what goes below [backends.NAME.pools.POOL].
type Pool struct {
	Name     string
	Settings []Setting
}

// Setting is one key of a pool.
type Setting struct {
	Key   string
	Value any // string, int, bool, time.Duration or []string
}

// Knows tells whether a file of this name is one that Read looks into.
func Knows(name string) bool {
	d, _ := authDatabase(name)
	_, take := sectionOf(name)
	return d != nil || take != nil || database(name) != nil || brokerFile(name) || unsupported(name) != nil || name == aclFile || name == usernameFile || name == clientIDFile
}

// Files whose name alone says what they hold.
const (
	mainFile     = "emqx.conf"
	aclFile      = "acl.conf"
	usernameFile = "emqx_auth_username.conf"
	clientIDFile = "emqx_auth_clientid.conf"
)

// Read takes over what it can of the files: what the broker says first, then the others in
// their order.
func Read(files []File, o Options) *Result {
	r := &Result{o: o}
	files = r.withPlugins(files)
	r.readBroker(files)
	for _, f := range inOrder(files) {
		d, prefix := authDatabase(f.Name)
		section, take := sectionOf(f.Name)
		switch {
		case brokerFile(f.Name): // is done
		case take != nil:
			r.readSection(f, section, take)
		case d != nil:
			r.readAuth(f, d, prefix)
		case f.Name == aclFile:
			r.readACL(f)
		case f.Name == usernameFile:
			r.readUsers(f, "auth.user.", "username")
		case f.Name == clientIDFile:
			r.readUsers(f, "auth.client.", "clientid")
		case database(f.Name) != nil:
			r.readBackend(f, database(f.Name))
		case unsupported(f.Name) != nil:
			r.refuse(f, unsupported(f.Name))
		default:
			r.Notes = append(r.Notes, Note{File: f.Name, Why: "nothing of this file is taken over", Do: "look into the documentation for what it sets, and set that by hand"})
		}
	}
	r.closeAccess()
	slices.SortStableFunc(r.Sections, func(x, y Section) int { return rank(x.Name) - rank(y.Name) })
	return r
}

// rank is where a section stands.
func rank(section string) int {
	first, _, _ := strings.Cut(section, ".")
	order := []string{"node", "log", "auth", "listeners", "mqtt", "mqttsn", "coap", "core"}
	if at := slices.Index(order, first); at >= 0 {
		return at
	}
	return len(order)
}

// inOrder puts those of data rules before the others, which add to the same databases.
func inOrder(files []File) []File {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int {
		return strings.Compare(strconv.FormatBool(database(a.Name) == nil), strconv.FormatBool(database(b.Name) == nil))
	})
	return files
}

func (r *Result) readBackend(f File, d *dialect) {
	entries, notes := parse(f)
	b := &reader{dialect: d, out: Backend{Name: d.name}, notes: notes, file: f.Name, o: &r.o}
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

// unsupported is why nothing of a known file is taken over.
func unsupported(name string) *refusal {
	for _, u := range []refusal{
		{"emqx_bridge_kafka.", "bridges to Kafka are not yet supported", "keep the file for a release that has them"},
		{"emqx_bridge_rabbit.", "bridges to RabbitMQ are not yet supported", "keep the file for a release that has them"},
		{"emqx_auth_", "this source of identities is not yet supported", "make users with fairlead passwd FILE USER, name the file in auth.passwd_file, and access rules in auth.acl_file"},
	} {
		if strings.HasPrefix(name, u.prefix) && strings.HasSuffix(name, ".conf") {
			return &u
		}
	}
	return nil
}
