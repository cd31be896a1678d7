package emqximport

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// authDatabase is the database that a file emqx_auth_*.conf takes identities from, and
// what its keys begin with.
func authDatabase(name string) (d *dialect, prefix string) {
	switch name {
	case "emqx_auth_redis.conf":
		d, prefix = redis(), "auth.redis."
	case "emqx_auth_mysql.conf":
		d, prefix = mysql(), "auth.mysql."
	case "emqx_auth_pgsql.conf":
		d, prefix = postgres(), "auth.pgsql."
	case "emqx_auth_mongo.conf":
		d, prefix = mongodb(), "auth.mongo."
	default:
		return nil, ""
	}
	d.file = name
	for key, s := range map[string]setting{
		"pool": {"pool_size", count}, "user": {"username", text}, "username": {"username", text}, "query_timeout": {"timeout", span},
		"enable_ssl": {"tls", flag}, "ssl.enable": {"tls", flag}, "ssl_opts.cacertfile": {"tls_ca_file", file}, "ssl_opts.cafile": {"tls_ca_file", file},
		"ssl_opts.certfile": {"tls_cert_file", file}, "ssl_opts.keyfile": {"tls_key_file", file},
	} {
		d.settings[key] = s
	}
	return d, prefix
}

// authReader works on one file of identities from a database.
type authReader struct {
	*reader
	pool    *pool
	prefix  string
	lines   map[string]*entry // of queries, by what stands behind the prefix
	refused string            // why identities must not be taken; "" for they may
	out     []Setting
}

// readAuth takes over a pool and the queries for users and access rules.
func (r *Result) readAuth(f File, d *dialect, prefix string) {
	entries, notes := parse(f)
	at := slices.IndexFunc(r.Backends, func(b Backend) bool { return b.Name == d.name })
	b := Backend{Name: d.name}
	if at >= 0 {
		b = r.Backends[at]
	}
	own := &reader{dialect: d, notes: notes, file: f.Name, o: &r.o}
	a := &authReader{reader: own, prefix: prefix, lines: map[string]*entry{},
		pool: &pool{Pool: Pool{Name: usersPool(b.Pools)}, r: own, by: map[string]*entry{}}}
	for i := range entries {
		a.sort(&entries[i])
	}
	own.keep(a.pool)
	if len(own.out.Pools) > 0 {
		if d.name == "redis" { // commands come by the pools of data rules
			p := &own.out.Pools[0]
			p.Settings = append(p.Settings, Setting{"channel", ""})
		}
		a.identities(len(b.Pools) == 0)
		b.Pools = append(b.Pools, own.out.Pools...)
		b.Identities = a.out
		if at < 0 {
			r.Backends = append(r.Backends, b)
		} else {
			r.Backends[at] = b
		}
	}
	slices.SortStableFunc(own.notes, func(x, y Note) int { return x.Line - y.Line })
	r.Notes = append(r.Notes, own.notes...)
}

// usersPool names the pool of identities. It comes behind all others by name: rules without
// a pool are done by the first.
func usersPool(pools []Pool) string {
	name := "users"
	for slices.ContainsFunc(pools, func(p Pool) bool { return name <= p.Name }) {
		name = "z" + name
	}
	return name
}

// queryKeys are those that do not belong to the pool, as far as the first dot.
var queryKeys = []string{"auth_cmd", "super_cmd", "acl_cmd", "auth_query", "super_query", "acl_query", "authquery", "superquery", "aclquery", "password_hash", "passwd"}

func (a *authReader) sort(e *entry) {
	below, ours := strings.CutPrefix(e.key, a.prefix)
	first, _, _ := strings.Cut(below, ".")
	switch {
	case !ours:
		a.note(e, "does not belong to this file", leave)
	case slices.Contains(queryKeys, first):
		for old, now := range map[string]string{"authquery": "auth_query", "superquery": "super_query", "aclquery": "acl_query", "passwd.hash": "password_hash"} {
			if rest, is := strings.CutPrefix(below, old); is {
				below = now + rest // as in the first releases
			}
		}
		a.lines[below] = e
	case first == "topology":
		a.note(e, "connections are kept by the driver", "set timeout of the pool where it takes too long to notice that a server is away")
	case below == "encoding" && strings.EqualFold(e.value, "utf8"): // as it is here
	default:
		a.pool.take(e, below)
	}
}

func (a *authReader) set(key string, value any) { a.out = append(a.out, Setting{key, value}) }

// identities fills in the section; only, that no data rules have come by another file.
func (a *authReader) identities(only bool) {
	var queries []Setting
	if a.name == "mongodb" {
		queries = a.documents()
	} else {
		queries = a.texts()
	}
	hash, why := a.hash()
	if why != "" {
		a.refused = why
	}
	for _, key := range slices.Sorted(maps.Keys(a.lines)) {
		a.note(a.lines[key], noPlace, leave)
	}
	a.set("enabled", a.refused == "")
	if only && a.refused == "" {
		a.set("only", true)
	}
	a.set("pool", a.pool.Name)
	a.out = append(a.out, queries...)
	if a.name == "redis" || a.name == "mongodb" {
		a.set("acl_nomatch", "ignore") // EMQ X asks acl.conf then
	}
	a.set("password_hash", hash)
	if a.refused != "" {
		a.notes = append(a.notes, Note{File: a.file, Why: "identities of this database are not enabled, as " + a.refused, Do: "mend [backends." + a.name + ".identities] and set enabled = true"})
	}
}

// line takes the line of a key; nil for none.
func (a *authReader) line(keys ...string) *entry {
	for _, key := range keys {
		if e := a.lines[key]; e != nil {
			delete(a.lines, key)
			return e
		}
	}
	return nil
}

// hash takes over how passwords stand there.
func (a *authReader) hash() (scheme, why string) {
	e := a.line("password_hash", "auth_query.password_hash")
	if e == nil {
		return "plain", "" // what EMQ X takes them for
	}
	if _, err := identity.ParseScheme(e.value); err != nil {
		a.note(e, "is no hash that is known here", "set password_hash of the identities, see docs/identities.md")
		return "sha256", "their password_hash was not taken"
	}
	return e.value, ""
}

// texts takes over queries of SQL, and commands of Redis.
func (a *authReader) texts() (out []Setting) {
	user, super, access := a.line("auth_query", "auth_cmd"), a.line("super_query", "super_cmd"), a.line("acl_query", "acl_cmd")
	// The documented ones are ours, which give all at once.
	if !documented(user) || !documented(super) {
		if text := a.query(user, "auth_query"); text != "" {
			out = append(out, Setting{"auth_query", text})
		} else {
			a.refused = "their auth_query was not taken"
		}
		if text := a.query(super, "super_query"); text != "" {
			out = append(out, Setting{"super_query", text})
		}
	}
	switch text := a.query(access, "acl_query"); {
	case documented(access):
	case text != "":
		out = append(out, Setting{"acl_query", []string{text}})
	case access != nil:
		a.refused = "their acl_query was not taken, without which they could do everything"
	default:
		out = append(out, Setting{"acl_query", []string{}}) // EMQ X asks for no rules then
	}
	return out
}

// documented says that a query is one that the documentation of EMQ X has.
func documented(e *entry) bool {
	return e != nil && slices.Contains([]string{
		"select password from mqtt_user where username = '%u' limit 1",
		"select is_superuser from mqtt_user where username = '%u' limit 1",
		"select allow, ipaddr, username, clientid, access, topic from mqtt_acl where ipaddr = '%a' or username = '%u' or username = '$all' or clientid = '%c'",
		"HGET mqtt_user:%u password", "HMGET mqtt_user:%u password", "HMGET mqtt_user:%u password salt",
		"HGET mqtt_user:%u is_superuser", "HGETALL mqtt_acl:%u",
	}, strings.Join(strings.Fields(e.value), " "))
}

// query gives a query with our variables; "" for one that cannot be taken.
func (a *authReader) query(e *entry, key string) string {
	if e == nil {
		return ""
	}
	text := strings.Join(strings.Fields(e.value), " ")
	if a.name != "redis" {
		text = withoutQuotes(text)
	}
	text, err := withVariables(text)
	if err == nil {
		err = (&rules.Identities{Query: a.statement}).Check(text)
	}
	if err != nil {
		a.note(e, "the query was left out: "+strings.ReplaceAll(err.Error(), "; ", ": "), "write it as "+key+" of the identities, see docs/identities.md")
		return ""
	}
	return text
}

// placeholders of EMQ X that have a variable here.
func placeholders() map[byte]string {
	return map[byte]string{'u': "${username}", 'c': "${clientid}", 'a': "${peerhost}"}
}

// withoutQuotes takes the quotes away from placeholders that are all of a text: values are
// bound.
func withoutQuotes(text string) string {
	for letter := range placeholders() {
		for _, quote := range []string{"'", `"`} {
			text = strings.ReplaceAll(text, quote+"%"+string(letter)+quote, "%"+string(letter))
		}
	}
	return text
}

var errPlaceholder = errors.New("a placeholder of it, such as that of a certificate's name, has nothing like it here")

// withVariables puts variables in the place of placeholders.
func withVariables(text string) (string, error) {
	if strings.Contains(text, "${") {
		return "", errors.New("it holds ${, which begins a variable here")
	}
	for _, unknown := range []string{"%cn", "%dn", "%C", "%d", "%P", "%A", "%t"} {
		if strings.Contains(text, unknown) {
			return "", errPlaceholder
		}
	}
	for letter, variable := range placeholders() {
		text = strings.ReplaceAll(text, "%"+string(letter), variable)
	}
	return text, nil
}
