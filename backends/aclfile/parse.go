package aclfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core"
)

// Bounds of a file; what does not fit is refused when the file is read.
const (
	// MaxFile is the largest file in bytes.
	MaxFile = 16 << 20
	// MaxRules is the most rules a file may have.
	MaxRules = 100_000
	maxLine  = 16 << 10 // bytes of a line
)

// Parse reads rules; name is what faults and warnings call the file. The error
// is a Faults that lists all there are (at most 100); then no rules are
// returned. The rules keep nothing of content.
func Parse(name string, content []byte) (*Rules, error) {
	p := parser{name: name, rules: &Rules{}}
	if len(content) > MaxFile {
		p.faults = append(p.faults, Fault{File: name, Problem: fmt.Sprintf("has %d bytes, at most %d are read", len(content), MaxFile)})
		return nil, p.faults
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // some editors mark UTF-8 so
	for line := range bytes.Lines(content) {
		p.row++
		p.line(strings.TrimRight(string(line), "\r\n"))
		if len(p.faults) >= maxFaults {
			break
		}
	}
	if len(p.faults) > 0 {
		return nil, p.faults[:min(len(p.faults), maxFaults)]
	}
	if p.rules.count == 0 {
		p.warn(0, "there are no rules: nobody may publish or subscribe to anything")
	}
	return p.rules, nil
}

// parser gathers the rules and faults of one file.
type parser struct {
	name   string
	row    int
	rules  *Rules
	faults Faults
	reach  reach
}

// statement is a rule as it is read.
type statement struct {
	verdict   core.Verdict
	clauses   []clause
	publish   bool
	subscribe bool
	topics    []pattern
}

// fault notes a fault at a word.
func (p *parser) fault(w word, problem, hint string) {
	p.faults = append(p.faults, Fault{File: p.name, Line: p.row, Column: w.column, Word: w.text, Problem: problem, Hint: hint})
}

// unknown notes a word that is none of the words that may stand there, and
// gives the one that was probably meant, or "".
func (p *parser) unknown(w word, what string, candidates []string) string {
	meant := ""
	if !w.quoted {
		meant = nearest(w.text, candidates)
	}
	hint := "expected is one of: " + strings.Join(candidates, ", ")
	if meant != "" {
		hint = "did you mean " + meant + "?"
	}
	p.fault(w, what, hint)
	return meant
}

func (p *parser) warn(row int, text string) {
	at := p.name
	if row > 0 {
		at = fmt.Sprintf("%s:%d", p.name, row)
	}
	p.rules.warnings = append(p.rules.warnings, at+": "+text)
}

// line reads one line.
func (p *parser) line(text string) {
	if trimmed := strings.TrimLeft(text, " \t"); trimmed == "" || trimmed[0] == '#' {
		return
	}
	start := word{column: 1}
	switch {
	case len(text) > maxLine:
		p.fault(start, fmt.Sprintf("the line has %d bytes, at most %d are allowed", len(text), maxLine), "write several rules")
		return
	case !utf8.ValidString(text):
		p.fault(start, "the line is not UTF-8", "save the file as UTF-8")
		return
	}
	words, bad, ok := splitWords(text)
	if !ok {
		p.fault(bad, "a quotation must fill a whole word and end with '\"'", `inside, write \" for a quotation mark`)
		return
	}
	before := len(p.faults)
	s := p.statement(words)
	if len(p.faults) > before {
		return
	}
	if p.rules.count == MaxRules {
		p.fault(start, fmt.Sprintf("more than %d rules", MaxRules), "use %u, %c or a name that ends in '*' to say it with fewer")
		return
	}
	p.add(s)
}

// add compiles the statement into the tables.
func (p *parser) add(s statement) {
	p.reach.check(p, s)
	p.rules.count++
	r := rule{verdict: s.verdict, line: p.row, clauses: s.clauses, topics: s.topics}
	if s.publish {
		p.rules.publish.add(r)
	}
	if s.subscribe {
		p.rules.subscribe.add(r)
	}
}

func verdictWords() []string { return []string{"allow", "deny"} }
func actionWords() []string  { return []string{"publish", "subscribe", "pubsub"} }
func subjectWords() []string {
	return []string{"all", "user", "client", "address", "listener", "anonymous"}
}

// statement reads the words of a rule. It goes on after a fault where it can
// guess what was meant, so that one reading tells all faults.
func (p *parser) statement(words []word) (s statement) {
	first := words[0]
	verdict := first.text
	if first.quoted || !slices.Contains(verdictWords(), verdict) {
		if strings.HasPrefix(verdict, "{") {
			p.fault(first, "this is the syntax of another broker", `write {allow, {user, "u"}, subscribe, ["$SYS/#"]} as: allow user u subscribe $SYS/#`)
			return s
		}
		if verdict = p.unknown(first, "a rule begins with allow or deny", verdictWords()); verdict == "" {
			return s
		}
	}
	s.verdict = core.Allow
	if verdict == "deny" {
		s.verdict = core.Deny
	}
	rest := p.subject(&s, words[1:], end(first))
	if rest == nil {
		return s
	}
	if len(rest) == 1 {
		p.fault(word{column: end(rest[0])}, "the topic is missing", "write # for every topic but those that begin with '$'")
		return s
	}
	p.topics(&s, rest[1:])
	return s
}

// end is the column after a word, roughly where a missing word would stand.
func end(w word) int { return w.column + len(w.text) + 1 }

// action notes the action of a rule.
func (s *statement) action(text string) {
	s.publish = text != "subscribe"
	s.subscribe = text != "publish"
}
