package coap

import (
	"slices"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// link is one link of a list in link format.
type link struct {
	href string
	rt   []string // resource types
	ct   []int64  // Content-Formats
	obs  bool
}

// append writes l behind dst. [Link-2-1]
func (l *link) append(dst []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(append(append(dst, '<'), l.href...), '>')
	if len(l.rt) > 0 {
		dst = append(append(append(dst, `;rt="`...), strings.Join(l.rt, " ")...), '"')
	}
	switch {
	case len(l.ct) == 1:
		dst = strconv.AppendInt(append(dst, ";ct="...), l.ct[0], 10)
	case len(l.ct) > 1:
		dst = append(append(append(dst, `;ct="`...), strings.Join(l.formats(), " ")...), '"')
	}
	if l.obs {
		dst = append(dst, ";obs"...)
	}
	return dst
}

func (l *link) formats() (out []string) {
	for _, n := range l.ct {
		out = append(out, strconv.FormatInt(n, 10))
	}
	return out
}

// matches says that l passes a filter query: name=value, where value may end in an
// asterisk. [Link-4.1-1]
func (l *link) matches(query string) bool {
	name, value, ok := strings.Cut(query, "=")
	if !ok {
		return true
	}
	var have []string
	switch name {
	case "href":
		have = []string{l.href}
	case "rt":
		have = l.rt
	case "ct":
		have = l.formats()
	case "obs":
		return l.obs
	}
	prefix, open := strings.CutSuffix(value, "*")
	return slices.ContainsFunc(have, func(s string) bool {
		return s == value || open && strings.HasPrefix(s, prefix)
	})
}

// filters are the queries that a list is asked for: those that tell who asks are none.
func (q *request) filters() (out []string) {
	for _, f := range q.query {
		name, _, _ := strings.Cut(f, "=")
		switch name {
		case "c", "clientid", "u", "username", "p", "password", "t", "token":
		default:
			out = append(out, f)
		}
	}
	return out
}

// links are what /.well-known/core tells.
func (c *Config) links() []link {
	all := []link{
		{href: "/" + c.Topics, rt: []string{"core.ps"}, ct: []int64{formatLinks}},
		{href: "/" + c.Bridge},
		{href: "/" + c.Bridge + "/connection", obs: true},
	}
	if c.Collection != "" {
		all = append(all, link{href: "/" + c.Collection, rt: []string{"core.ps.coll"}, ct: []int64{formatLinks, int64(c.PubSubCT)}})
	}
	return all
}

// answerGroup answers a request to a group: by discovery, or not at all. [CoAP-8.2-1]
func (m *Machine) answerGroup(t *core.Turn, a *protocols.Actions, q *request) {
	at := m.adapter.cfg.locate(q.path)
	if _, bad := m.admissible(q, at); !bad && at.surface == discovery {
		m.discover(t, a, q, q.asking())
	}
}

// discover answers GET /.well-known/core. [Link-4-1]
func (m *Machine) discover(t *core.Turn, a *protocols.Actions, q *request, x asking) {
	if q.accept >= 0 && q.accept != formatLinks {
		m.reply(t, a, x, failure(codes.NotAcceptable, "this is application/link-format"))
		return
	}
	var out []byte
	filters := q.filters()
	for _, l := range m.adapter.cfg.links() {
		if !slices.ContainsFunc(filters, func(f string) bool { return !l.matches(f) }) {
			out = l.append(out)
		}
	}
	if len(out) == 0 && m.group() { // [CoAP-8.2-2]
		return
	}
	r := answer(codes.Content)
	r.format = formatLinks
	m.reply(t, a, x, m.cut(r, out, q.block2))
}
