package emqximport

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// readACL takes over acl.conf: Erlang terms {allow|deny, WHO, ACTION, [TOPIC…]}. [G.4]
func (r *Result) readACL(f File) {
	note := func(line int, why string) {
		r.Notes = append(r.Notes, Note{File: f.Name, Line: line, Why: why, Do: "write the rule by docs/acl.md"})
	}
	text := strings.TrimPrefix(string(f.Text), "\ufeff")
	if !utf8.ValidString(text) {
		note(0, "the file is not UTF-8; none of its rules was taken")
		return
	}
	s := &scanner{rest: text, line: 1}
	closed := false
	for s.space(); s.rest != "" && !closed; s.space() {
		line := s.line
		t, err := s.term(0)
		if whole := s.dot(); err == nil && !whole {
			err = errors.New("no dot ends it")
		}
		var lines []string
		if err == nil {
			lines, err = aclLines(t)
		}
		switch {
		case err == nil:
			r.Access = append(r.Access, lines...)
			closed = len(t.items) == 2
		case len(t.items) > 0 && t.items[0].text == "allow":
			note(line, "the rule was left out: "+err.Error())
		default: // what it was to deny must not be allowed by those that follow
			note(line, "the rule was not taken, and everything is denied from there on, as it may deny: "+err.Error())
			r.Access = append(r.Access, "deny all pubsub #", "deny all pubsub $SYS/#")
			closed = true
		}
	}
	r.closed = closed
}

// closeAccess says what becomes of what no access rule names: acl_nomatch.
func (r *Result) closeAccess() {
	switch {
	case r.closed || r.noMatch == nil && len(r.Access) == 0:
	case r.noMatch == nil:
		r.Notes = append(r.Notes, Note{File: aclFile, Why: "what no rule names is denied here, while EMQ X asks acl_nomatch of emqx.conf, which is allow if nothing else is said",
			Do: "end the file of access rules with: allow all pubsub #, if that is meant"})
	case r.noMatch.value == "allow":
		r.Access = append(r.Access, "allow all pubsub #", "allow all pubsub $SYS/#")
		r.Notes = append(r.Notes, r.noMatch.note("was taken: everybody may do what no rule names, as before", "take the last lines of the file of access rules away once rules name what is wanted"))
	default: // what no rule names is denied, also where there is no rule
		r.Access = append(r.Access, "deny all pubsub #", "deny all pubsub $SYS/#")
	}
}

// aclLines makes rules of one term, in the order in which they count.
func aclLines(t term) (lines []string, err error) {
	if t.kind != tuple || len(t.items) != 2 && len(t.items) != 4 {
		return nil, errors.New("it is neither {allow|deny, WHO, ACTION, TOPICS} nor {allow|deny, all}")
	}
	verdict := t.items[0].text
	if verdict != "allow" && verdict != "deny" {
		return nil, fmt.Errorf("%q is neither allow nor deny", verdict)
	}
	if len(t.items) == 2 {
		if t.items[1].text != "all" {
			return nil, fmt.Errorf("%q stands where all is wanted", t.items[1].text)
		}
		return []string{verdict + " all pubsub #", verdict + " all pubsub $SYS/#"}, nil
	}
	action := t.items[2].text
	if action != "publish" && action != "subscribe" && action != "pubsub" {
		return nil, fmt.Errorf("%q is none of publish, subscribe and pubsub", action)
	}
	subjects, err := subjectsOf(t.items[1])
	if err != nil {
		return nil, err
	}
	topics, err := topicsOf(t.items[3], verdict == "allow")
	if err != nil {
		return nil, err
	}
	for _, who := range subjects {
		for _, what := range topics {
			lines = append(lines, verdict+" "+strings.Join(who, " and ")+" "+action+" "+what)
		}
	}
	return lines, nil
}

// maxSubjects bounds what nested alternatives come to.
const maxSubjects = 100

// subjectsOf makes alternatives of clauses that must all hold.
func subjectsOf(t term) (alternatives [][]string, err error) {
	if t.kind == atom && t.text == "all" {
		return [][]string{{"all"}}, nil
	}
	if t.kind != tuple || len(t.items) != 2 {
		return nil, errors.New("whom it is about cannot be read")
	}
	kind, value := t.items[0].text, t.items[1]
	switch kind {
	case "and":
		alternatives = [][]string{nil}
		for _, item := range value.items {
			some, err := subjectsOf(item)
			if err != nil {
				return nil, err
			}
			alternatives = both(alternatives, some)
		}
	case "or", "ipaddrs":
		for _, item := range value.items {
			if kind == "ipaddrs" {
				item = term{kind: tuple, items: []term{{text: "ipaddr"}, item}}
			}
			some, err := subjectsOf(item)
			if err != nil {
				return nil, err
			}
			alternatives = append(alternatives, some...)
		}
	default:
		clause, err := clauseOf(kind, value)
		return [][]string{{clause}}, err
	}
	if len(alternatives) == 0 || len(alternatives[0]) == 0 || len(alternatives) > maxSubjects {
		return nil, fmt.Errorf("it is about nobody, or in more than %d ways", maxSubjects)
	}
	return alternatives, nil
}

// both joins each of a with each of b; all is left out beside others.
func both(a, b [][]string) (out [][]string) {
	for _, x := range a {
		for _, y := range b {
			switch one := append(append([]string(nil), x...), y...); {
			case len(x) == 1 && x[0] == "all":
				out = append(out, y)
			case len(y) == 1 && y[0] == "all" && len(x) > 0:
				out = append(out, x)
			default:
				out = append(out, one)
			}
		}
		if len(out) > maxSubjects {
			break
		}
	}
	return out
}

func clauseOf(kind string, value term) (string, error) {
	word := map[string]string{"user": "user", "client": "client", "clientid": "client", "username": "user", "ipaddr": "address"}[kind]
	switch {
	case word == "":
		return "", fmt.Errorf("%q is nothing that a rule can be about here", kind)
	case value.kind == atom && value.text == "all":
		return "all", nil // as in EMQ X, also who has no user name
	case value.kind != str || value.text == "":
		return "", fmt.Errorf("the %s is no text", kind)
	case word == "address":
		_, err1 := netip.ParsePrefix(value.text)
		_, err2 := netip.ParseAddr(value.text)
		if err1 != nil && err2 != nil {
			return "", fmt.Errorf("%q is no address and no network", value.text)
		}
		return "address " + value.text, nil
	}
	name, err := quoteWord(value.text)
	return word + " " + name, err
}

// quoteWord writes a text as one word that is no keyword.
func quoteWord(s string) (string, error) {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf("%q holds what no rule can", s)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`, nil
}

// topicsOf are the topics of a rule. A bare # stands alone in its line.
func topicsOf(t term, allow bool) (topics []string, err error) {
	if t.kind != list || len(t.items) == 0 {
		return nil, errors.New("its topics are no list")
	}
	for _, item := range t.items {
		literal := item.kind == tuple && len(item.items) == 2 && item.items[0].text == "eq"
		if literal {
			item = item.items[1]
		}
		if item.kind != str {
			return nil, errors.New("a topic of it is neither a text nor {eq, TEXT}")
		}
		if _, err := (topic.Limits{}).ParseFilter(item.text); err != nil {
			return nil, fmt.Errorf("%q is no topic filter: %w", item.text, err)
		}
		word := item.text
		if strings.ContainsAny(word, " \"\\") || word == "eq" {
			if word, err = quoteWord(item.text); err != nil {
				return nil, err
			}
		}
		switch {
		case literal && allow && strings.ContainsAny(item.text, "+#"):
			return nil, fmt.Errorf("{eq, %q} can be denied, but not allowed: it would be allowed to subscribe to all of it", item.text)
		case literal:
			word = "eq " + word
		}
		topics = append(topics, word)
	}
	return topics, nil
}
