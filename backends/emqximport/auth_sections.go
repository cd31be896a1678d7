package emqximport

import (
	"net"
	"slices"
	"strings"
	"time"
)

// sectionReader works on one file of a source of identities that is no database.
type sectionReader struct {
	r      *Result
	prefix string
	lines  map[string]*entry // by what stands behind the prefix
	notes  []Note
}

// readSection takes over emqx_auth_jwt.conf, _ldap.conf and _http.conf.
func (r *Result) readSection(f File, prefix string, take func(*sectionReader)) {
	entries, notes := parse(f)
	s := &sectionReader{r: r, prefix: prefix, lines: map[string]*entry{}, notes: notes}
	for i := range entries {
		e := &entries[i]
		if below, ours := strings.CutPrefix(e.key, prefix); ours {
			s.lines[below] = e
			continue
		}
		s.note(e, "does not belong to this file", leave)
	}
	take(s)
	for _, e := range s.lines {
		s.note(e, noPlace, leave)
	}
	slices.SortStableFunc(s.notes, func(x, y Note) int { return x.Line - y.Line })
	r.Notes = append(r.Notes, s.notes...)
}

// sectionOf is how a file of such a source is read; nil for none.
func sectionOf(name string) (prefix string, take func(*sectionReader)) {
	switch name {
	case "emqx_auth_jwt.conf":
		return "auth.jwt.", (*sectionReader).jwt
	case "emqx_auth_ldap.conf":
		return "auth.ldap.", (*sectionReader).ldap
	case "emqx_auth_http.conf":
		return "auth.http.", (*sectionReader).http
	}
	return "", nil
}

func (s *sectionReader) note(e *entry, why, do string) { s.notes = append(s.notes, e.note(why, do)) }

// line takes the line of a key; nil for none.
func (s *sectionReader) line(keys ...string) *entry {
	for _, key := range keys {
		if e := s.lines[key]; e != nil {
			delete(s.lines, key)
			return e
		}
	}
	return nil
}

// value takes the text of a key, "" for none.
func (s *sectionReader) value(keys ...string) string {
	if e := s.line(keys...); e != nil {
		return e.value
	}
	return ""
}

// minSecret is how long a secret must be here, in bytes.
const minSecret = 32

func (s *sectionReader) jwt() {
	var out []Setting
	keys := false
	if e := s.line("secret"); e != nil && e.value != "" {
		if keys = len(e.value) >= minSecret; keys {
			out = append(out, Setting{"secret", e.value})
		} else {
			s.note(e, "is shorter than 32 bytes, and could be guessed: it was left out", "have tokens signed by a longer one, and set auth.jwt.secret")
		}
	}
	if e := s.line("pubkey"); e != nil {
		keys = true
		name, there := s.r.o.whole(e.value)
		out = append(out, Setting{"key_files", []string{name}})
		if !there {
			s.note(e, "was taken, but the file cannot be found: its path is meant from the directory of EMQ X", "write the whole path in auth.jwt.key_files")
		}
	}
	if e := s.line("jwks"); e != nil {
		s.note(e, "keys of a URL must be bound to an issuer or an audience here: it was left out", "set jwks_url, and issuer or audience, of [auth.jwt]")
	}
	if from := s.line("from"); from != nil && (from.value == "username" || from.value == "password") {
		out = append(out, Setting{"from", from.value})
	}
	verify, names := s.claims()
	if len(verify) > 0 {
		out = append(out, Setting{"verify", verify})
	}
	if names {
		out = append(out, Setting{"username_claim", ""})
	}
	if !keys {
		s.notes = append(s.notes, Note{File: "emqx_auth_jwt.conf", Why: "no key was taken, so that no token is valid", Do: "write [auth.jwt] by docs/identities.md"})
		return
	}
	if !names {
		s.notes = append(s.notes, Note{File: "emqx_auth_jwt.conf", Why: "the claim sub is the user name here, whatever the client says", Do: "set username_claim of [auth.jwt], if it is another"})
	}
	s.r.Sections = append(s.r.Sections, Section{"auth.jwt", out})
}

// claims takes over what claims must be; names says that one must be the user name.
func (s *sectionReader) claims() (verify []string, names bool) {
	on := s.value("verify_claims")
	var list []*entry
	for key, e := range s.lines {
		if strings.HasPrefix(key, "verify_claims.") {
			list = append(list, e)
			delete(s.lines, key)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int { return a.line - b.line })
	if on != "on" && on != "true" {
		return nil, false
	}
	for _, e := range list {
		text, err := withVariables(e.value)
		if err != nil || strings.Contains(text, "${peerhost}") {
			s.note(e, "the claim is compared with something that has nothing like it here", "set verify of [auth.jwt]")
			continue
		}
		names = names || text == "${username}"
		verify = append(verify, strings.TrimPrefix(e.key, s.prefix+"verify_claims.")+"="+text)
	}
	return verify, names
}

func (s *sectionReader) ldap() {
	scheme, port := "ldap://", s.value("port")
	if on := s.value("ssl", "ssl.enable"); on == "true" || on == "on" {
		scheme = "ldaps://"
	}
	var servers []string
	for one := range strings.SplitSeq(s.value("servers"), ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if !strings.Contains(one, ":") && port != "" {
			one = net.JoinHostPort(one, port)
		}
		servers = append(servers, scheme+one)
	}
	out := []Setting{{"server", servers}}
	set := func(key, value string) {
		if value != "" {
			out = append(out, Setting{key, value})
		}
	}
	user, base := s.line("user_dn"), s.value("device_dn")
	switch {
	case len(servers) == 0 || user == nil && base == "":
		s.notes = append(s.notes, Note{File: "emqx_auth_ldap.conf", Why: "servers, or user_dn and device_dn, are missing", Do: "write [auth.ldap] by docs/identities.md"})
		return
	case user != nil: // 2.4
		dn, err := withVariables(user.value)
		if err != nil {
			s.note(user, err.Error(), "write [auth.ldap] by docs/identities.md")
			return
		}
		set("method", "bind")
		set("user_dn", dn)
		for _, none := range []string{"username_attribute", "enabled_attribute", "superuser_attribute", "publish_attribute", "subscribe_attribute", "pubsub_attribute"} {
			out = append(out, Setting{none, ""}) // it looks at no entry
		}
	default:
		name := s.value("username.attributetype")
		if name == "" {
			name = "uid"
		}
		class := s.value("match_objectclass")
		if class == "" {
			class = "mqttUser"
		}
		set("method", "compare")
		set("base_dn", base)
		set("filter", "(&(objectClass="+class+")("+name+"=${username}))")
		set("username_attribute", name)
		set("password_attribute", s.value("password.attributetype"))
	}
	set("bind_dn", s.value("bind_dn"))
	set("bind_password", s.value("bind_password"))
	if e := s.line("timeout"); e != nil {
		if d, ok := duration(e.value); ok && d >= time.Second && d <= time.Minute {
			out = append(out, Setting{"timeout", d})
		}
	}
	s.r.Sections = append(s.r.Sections, Section{"auth.ldap", out})
}

func (s *sectionReader) http() {
	var out []Setting
	if e := s.line("request.timeout", "timeout"); e != nil {
		if d, ok := duration(e.value); ok && d >= time.Millisecond && d <= time.Minute {
			out = append(out, Setting{"timeout", d})
		} else {
			s.note(e, "is no time between 1ms and 1m", "set timeout of [auth.http]")
		}
	}
	sections := []Section{{"auth.http", out}}
	for _, name := range []string{"auth_req", "super_req", "acl_req"} {
		e := s.line(name, name+".url")
		method, params := s.line(name+".method"), s.line(name+".params")
		switch {
		case e == nil:
			continue
		case !strings.HasPrefix(e.value, "http://") && !strings.HasPrefix(e.value, "https://") || strings.Contains(e.value, "%"):
			s.note(e, "is no URL as it must be here", "write [auth.http."+name+"] by docs/identities.md")
			if name != "super_req" { // without it more would be allowed
				return
			}
			continue
		}
		one := Section{Name: "auth.http." + name, Settings: []Setting{{"url", e.value}}}
		if method != nil && slices.Contains([]string{"get", "post", "put"}, method.value) {
			one.Settings = append(one.Settings, Setting{"method", method.value})
		}
		if params != nil {
			one.Settings = append(one.Settings, Setting{"params", s.params(params)})
		}
		sections = append(sections, one)
	}
	if len(sections) < 2 || sections[1].Name != "auth.http.auth_req" {
		s.notes = append(s.notes, Note{File: "emqx_auth_http.conf", Why: "auth_req is missing, so that nobody would be let in", Do: "write [auth.http] by docs/identities.md"})
		return
	}
	if len(out) == 0 {
		sections = sections[1:]
	}
	s.r.Sections = append(s.r.Sections, sections...)
}

// params are those of a request: NAME=%u and the like, with commas between them.
func (s *sectionReader) params(e *entry) (list []string) {
	for one := range strings.SplitSeq(e.value, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(one), "=")
		value = strings.NewReplacer("%cn", "%C", "%dn", "%d").Replace(value)
		known := []string{"%u", "%c", "%a", "%P", "%t", "%A", "%r", "%C", "%d"}
		if !found || name == "" || strings.Contains(value, "%") && !slices.Contains(known, value) {
			s.note(e, "a param of it has nothing like it here, and was left out", "have the server do without, or see params of [auth.http] in docs/identities.md")
			continue
		}
		list = append(list, name+"="+value)
	}
	return list
}
