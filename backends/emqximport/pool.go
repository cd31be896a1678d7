package emqximport

import (
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader works on one file.
type reader struct {
	*dialect
	file    string
	o       *Options
	out     Backend
	notes   []Note
	members map[string][]entry // of pools; key is SETTING
	names   []string           // of pools, as they come
	hooks   []entry            // key is HOOK.N
	taken   []string           // keys of out.Rules
	limits  limits             // of all rules
}

func (r *reader) note(e *entry, why, do string) { r.notes = append(r.notes, e.note(why, do)) }

const (
	noPlace = "there is no such setting"
	leave   = "leave it out, or look in the documentation for one that does the like"
)

// sort parts the settings of pools, rules and limits.
func (r *reader) sort(entries []entry) {
	r.members = map[string][]entry{}
	for _, e := range entries {
		part, below := r.below(e.key)
		first, _, deeper := strings.Cut(below, ".")
		switch {
		case part == "":
			r.note(&e, "does not belong to this database", leave)
		case first == "hook" && deeper:
			r.hooks = append(r.hooks, e)
		case first == "topology":
			r.note(&e, "connections are kept by the driver", "set timeout of the pool where it takes too long to notice that a server is away")
		case r.limit(&e, below):
		case !deeper:
			r.note(&e, noPlace, leave)
		default:
			if r.members[first] == nil {
				r.names = append(r.names, first)
			}
			r.members[first] = append(r.members[first], e)
		}
	}
}

// below parts backend.DATABASE.REST.
func (r *reader) below(key string) (database, rest string) {
	for _, p := range r.prefixes {
		if rest, ok := strings.CutPrefix(key, "backend."+p+"."); ok {
			return p, rest
		}
	}
	return "", ""
}

// pool is one on its way.
type pool struct {
	Pool
	r     *reader
	first *entry            // of its lines
	by    map[string]*entry // where each of our keys comes from
}

var poolNames = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func (r *reader) pools() {
	for _, name := range r.names {
		lines := r.members[name]
		p := &pool{Pool: Pool{Name: name}, r: r, first: &lines[0], by: map[string]*entry{}}
		if !poolNames.MatchString(name) {
			r.note(p.first, "the pool's name holds more than letters, digits, _ and -", "give it another")
			continue
		}
		for i := range lines {
			_, below := r.below(lines[i].key)
			_, key, _ := strings.Cut(below, ".")
			p.take(&lines[i], key)
		}
		r.keep(p)
	}
}

// keep makes a whole of a pool, if there is anything to it.
func (r *reader) keep(p *pool) {
	if len(p.Settings) == 0 {
		return // there is a note for each line
	}
	p.finishTLS()
	if r.finish != nil {
		r.finish(p)
	}
	r.out.Pools = append(r.out.Pools, p.Pool)
}

// take takes over one setting, or says why not.
func (p *pool) take(e *entry, key string) {
	s, known := p.r.settings[key]
	switch {
	case !known && key == "auto_reconnect":
		p.r.note(e, "the gateway connects again by itself", "set backends.retry_min and backends.retry_max for other pauses")
		return
	case !known && key == "logger":
		p.r.note(e, "the driver has no log of its own", "set log.level")
		return
	case !known:
		p.r.note(e, noPlace, leave)
		return
	case p.by[s.key] != nil:
		p.r.note(e, "says again what "+p.by[s.key].key+" says", "keep one of them")
		return
	}
	value, why := s.kind.read(e.value, p.r.port)
	if why != "" {
		p.r.note(e, why, "mend it; "+s.key+" of the pool has its default until then")
		return
	}
	if s.kind == file {
		name, there := p.r.o.whole(e.value)
		if value = name; !there {
			p.r.note(e, "was taken, but the file cannot be found: its path is meant from the directory of EMQ X", "write the whole path in "+s.key)
		}
	}
	p.set(s.key, value, e)
}

func (p *pool) set(key string, value any, from *entry) {
	p.by[key] = from
	p.Settings = append(p.Settings, Setting{key, value})
}

func (p *pool) get(key string) any {
	for _, s := range p.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return nil
}

func (p *pool) list(key string) []string {
	l, _ := p.get(key).([]string)
	return l
}

// drop takes key away again, and says why.
func (p *pool) drop(key, why, do string) {
	from := p.by[key]
	if from == nil {
		return
	}
	delete(p.by, key)
	p.Settings = slices.DeleteFunc(p.Settings, func(s Setting) bool { return s.Key == key })
	p.r.note(from, why, do)
}

// finishTLS drops what has no meaning without TLS.
func (p *pool) finishTLS() {
	if p.get("tls") != true {
		for _, key := range []string{"tls_ca_file", "tls_cert_file", "tls_key_file"} {
			p.drop(key, "has no meaning without ssl", "set tls = true of the pool and "+key+", if TLS is meant")
		}
	}
	if (p.by["tls_cert_file"] == nil) != (p.by["tls_key_file"] == nil) {
		for _, key := range []string{"tls_cert_file", "tls_key_file"} {
			p.drop(key, "certfile and keyfile go together, one is missing", "set tls_cert_file and tls_key_file of the pool")
		}
	}
}

// oneOf drops a word that is none of words.
func (p *pool) oneOf(key string, words ...string) {
	if v, ok := p.get(key).(string); ok && !slices.Contains(words, v) {
		p.drop(key, "is none of "+strings.Join(words, ", "), "set "+key+" of the pool")
	}
}

// single keeps the first of several servers.
func (p *pool) single(key string) {
	list := p.list(key)
	if len(list) < 2 {
		return
	}
	p.r.note(p.by[key], "names several servers, but the type is single; the first was taken", "set type of the pool, if it is not a single one")
	for i := range p.Settings {
		if p.Settings[i].Key == key {
			p.Settings[i].Value = list[:1]
		}
	}
}

func finishRedis(p *pool) {
	p.oneOf("type", "single", "sentinel", "cluster")
	if p.get("type") == nil && p.get("sentinel") != nil {
		p.set("type", "sentinel", p.by["sentinel"]) // 2.4 has no type [A.2]
	}
	switch p.get("type") {
	case "sentinel":
		if p.get("sentinel") == nil {
			p.drop("type", "is sentinel, but the name of the master is missing", "set type and sentinel of the pool; it is single until then")
			p.single("server")
		}
		return
	case "cluster":
		if p.get("database") != 0 {
			p.drop("database", "a cluster has database 0 only", "nothing, if the data may stand there")
		}
	default:
		p.single("server")
	}
	p.drop("sentinel", "has no meaning but with type = sentinel", "set type of the pool, if there are sentinels")
}

func finishMongo(p *pool) {
	p.oneOf("type", "single", "unknown", "sharded", "rs")
	p.oneOf("w_mode", "safe", "unsafe")
	p.oneOf("r_mode", "master", "slave_ok")
	if p.get("type") == "rs" && p.get("rs_set_name") == nil {
		p.drop("type", "is rs, but rs_set_name is missing", "set type and rs_set_name of the pool; it is single until then")
	}
	if t := p.get("type"); t == nil || t == "single" {
		p.single("server")
	}
	if user := p.by["username"]; user != nil && p.get("auth_source") == nil {
		p.set("auth_source", "mqtt", user) // EMQ X's default; ours is admin [A.5]
	}
}

// read gives the value that a text means.
func (k kind) read(s, port string) (value any, why string) {
	if s == "" {
		return nil, "is empty"
	}
	switch k {
	case count, number:
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || k == count && (n < 1 || n > 1000) || n > 1<<20 {
			if k == count {
				return nil, "is no whole number between 1 and 1000"
			}
			return nil, "is no whole number from 0"
		}
		return n, ""
	case flag:
		switch s {
		case "true", "on":
			return true, ""
		case "false", "off":
			return false, ""
		}
		return nil, "is neither true nor false"
	case span:
		d, ok := duration(s)
		if !ok || d < time.Millisecond || d > time.Minute {
			return nil, "is no time between 1ms and 1m"
		}
		return d, ""
	case server, servers:
		list, why := readServers(s, port)
		switch {
		case why != "":
			return nil, why
		case k == servers:
			return list, ""
		case len(list) > 1:
			return nil, "names several servers, there can be one"
		}
		return list[0], ""
	}
	return s, ""
}

func readServers(s, port string) (list []string, why string) {
	for _, one := range strings.Split(s, ",") {
		one = strings.TrimSpace(one)
		if n, err := strconv.Atoi(one); err == nil && n > 0 { // a port of this machine
			one = net.JoinHostPort("127.0.0.1", one)
		}
		if one != "" && !strings.Contains(one, ":") {
			one = net.JoinHostPort(one, port)
		}
		if _, p, err := net.SplitHostPort(one); err != nil || p == "" {
			return nil, "is no HOST:PORT"
		}
		list = append(list, one)
	}
	return list, ""
}
