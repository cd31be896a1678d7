package aclfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// subject reads clauses up to the action, whose word begins what it returns;
// nil when no action was found, which has been noted then. at is the column
// for a word that is missing altogether.
func (p *parser) subject(s *statement, words []word, at int) []word {
	everyone, expectClause := false, false
	for len(words) > 0 {
		w, taken := words[0], 1
		keyword := p.keyword(w, len(s.clauses) > 0 || everyone)
		switch {
		case keyword == "":
			return nil
		case slices.Contains(actionWords(), keyword):
			p.checkSubject(s, w, everyone, expectClause)
			s.action(keyword)
			return words
		case keyword == "and":
			if expectClause || len(s.clauses) == 0 {
				p.fault(w, "and stands between two clauses", "")
			}
			expectClause = true
		case keyword == "all":
			everyone, expectClause = true, false
		default:
			expectClause = false
			taken = p.clause(s, keyword, words)
		}
		at, words = end(words[taken-1]), words[taken:]
	}
	p.fault(word{column: at}, "the action is missing", "write publish, subscribe or pubsub, and then the topics")
	return nil
}

// keyword reads a word that must be a keyword of a subject or an action, or
// else what it was probably meant to be; "" when there is no guess.
func (p *parser) keyword(w word, begun bool) string {
	candidates := append(subjectWords(), actionWords()...)
	if !w.quoted && (w.text == "and" || slices.Contains(candidates, w.text)) {
		return w.text
	}
	if begun {
		return p.unknown(w, "here the action must stand, or a further clause", append(actionWords(), append(subjectWords()[1:], "and")...))
	}
	return p.unknown(w, "here must stand whom the rule is about", candidates)
}

// checkSubject notes what is wrong with the clauses as a whole.
func (p *parser) checkSubject(s *statement, action word, everyone, expectClause bool) {
	switch {
	case expectClause:
		p.fault(action, "a clause must follow and", "")
	case everyone && len(s.clauses) > 0:
		p.fault(action, "all stands together with other clauses", "leave all out: the rule is about those whom the clauses name")
	case !everyone && len(s.clauses) == 0:
		p.fault(action, "before the action must stand whom the rule is about", "write all, or one of: "+strings.Join(subjectWords()[1:], ", "))
	}
}

// clause reads one clause and returns how many words it took.
func (p *parser) clause(s *statement, keyword string, words []word) int {
	c := clause{kind: noUser}
	taken := 1
	if keyword != "anonymous" {
		if len(words) == 1 || words[1].reserved() {
			p.fault(word{column: end(words[0])}, "after "+keyword+" a value is missing", "a name that is also a keyword is written in quotes")
			s.clauses = append(s.clauses, c) // so that it does not seem to be missing too
			return 1
		}
		c = p.clauseValue(keyword, words[1])
		taken = 2
	}
	p.checkRepeated(s, c, words[0])
	s.clauses = append(s.clauses, c)
	return taken
}

// reserved: a value that reads like a keyword is more likely a value forgotten.
func (w word) reserved() bool {
	return !w.quoted && (w.text == "and" || slices.Contains(actionWords(), w.text) || slices.Contains(subjectWords(), w.text))
}

// checkRepeated notes clauses that cannot hold together.
func (p *parser) checkRepeated(s *statement, c clause, w word) {
	address := func(k clauseKind) bool { return k == addressIn || k == noAddress }
	user := func(k clauseKind) bool { return k == userIs || k == noUser }
	for _, old := range s.clauses {
		if old.kind == c.kind || address(old.kind) && address(c.kind) || user(old.kind) && user(c.kind) {
			p.fault(w, "the rule has such a clause already, and all clauses of a rule must hold at once", "write two rules")
			return
		}
	}
}

// clauseValue reads the word after user, client, listener or address.
func (p *parser) clauseValue(keyword string, w word) clause {
	switch keyword {
	case "address":
		return p.address(w)
	case "user":
		return p.named(userIs, w)
	case "client":
		return p.named(clientIs, w)
	}
	return p.named(listenerIs, w)
}

func (p *parser) named(kind clauseKind, w word) clause {
	c := clause{kind: kind, text: strings.Clone(w.text)}
	if w.text == "" {
		p.fault(w, "the name is empty", "who gives no user name is anonymous")
	}
	if w.quoted {
		return c
	}
	if name, ok := strings.CutSuffix(c.text, "*"); ok {
		c.text, c.prefix = name, true
	}
	switch {
	case strings.Contains(c.text, "*"):
		p.fault(w, "'*' may stand at the end of a name only", "put the name in quotes if it holds a '*'")
	case c.text == "%u" || c.text == "%c" || strings.HasPrefix(c.text, "${"):
		p.fault(w, "placeholders stand in topics only", "put the name in quotes if that is the name")
	case strings.HasSuffix(c.text, ","):
		p.fault(w, "the name ends in ','", "each rule has one name; put it in quotes if it ends so")
	}
	return c
}

// address reads an IP address, a network, or one of the two words.
func (p *parser) address(w word) clause {
	c := clause{kind: addressIn}
	switch {
	case w.is("none"):
		c.kind = noAddress
	case w.is("loopback"):
		c.nets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	default:
		c.nets = p.network(w)
	}
	return c
}

func (p *parser) network(w word) []netip.Prefix {
	if ip, err := netip.ParseAddr(w.text); err == nil {
		if ip.Zone() != "" {
			p.fault(w, "an address must not have a zone", "write "+ip.WithZone("").String())
		}
		ip = ip.Unmap().WithZone("")
		return []netip.Prefix{netip.PrefixFrom(ip, ip.BitLen())}
	}
	n, err := netip.ParsePrefix(w.text)
	if err != nil {
		hint := "expected is an address such as 10.0.0.7 or fd00::7, a network such as 10.0.0.0/8, loopback, or none"
		if meant := nearest(w.text, []string{"loopback", "none"}); meant != "" {
			hint = "did you mean " + meant + "?"
		}
		p.fault(w, "is no IP address", hint)
		return nil
	}
	if n.Addr().Is4In6() {
		if n.Bits() < 96 {
			p.fault(w, "IPv4 addresses never match an IPv6 network", "write the network as IPv4, such as 10.0.0.0/8")
			return nil
		}
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	if n != n.Masked() {
		p.fault(w, fmt.Sprintf("the address has bits beyond /%d", n.Bits()), fmt.Sprintf("did you mean %s or %s?", n.Masked(), n.Addr()))
	}
	return []netip.Prefix{n}
}
