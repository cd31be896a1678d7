package aclfile

import (
	"errors"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// limits of a topic in a rule; the line is bounded anyway.
func limits() topic.Limits { return topic.Limits{Levels: 1024, Length: maxLine} }

// topics reads what follows the action.
func (p *parser) topics(s *statement, words []word) {
	count := len(words)
	for i := 0; i < len(words); i++ {
		w, literal := words[i], false
		if w.is("eq") {
			if i+1 == len(words) {
				p.fault(word{column: end(w)}, "after eq a topic filter is missing", `the topic that is called eq is written "eq"`)
				return
			}
			i++
			w, literal = words[i], true
		}
		// '#' begins a comment in most files: taken for a topic, it would open
		// everything, and the words of the comment would be topics too.
		if w.is("#") && !p.bareHash(words, i, literal, count) {
			return
		}
		p.topic(s, w, literal)
	}
}

// bareHash tells whether an unquoted '#' is certainly meant as a topic.
func (p *parser) bareHash(words []word, i int, literal bool, count int) bool {
	alone := count == 1
	if literal {
		alone = i+1 == len(words) || words[i+1].is("eq")
	}
	if !alone {
		p.fault(words[i], "a bare '#' stands among other words; a rule has no comment at its end", `put the comment on a line of its own; if every topic is meant, write a rule with # alone, or "#" in quotes`)
	}
	return alone
}

// topic reads one topic filter.
func (p *parser) topic(s *statement, w word, literal bool) {
	if _, err := limits().ParseFilter(w.text); err != nil {
		p.fault(w, reason(err), suggestion(w.text, err))
		return
	}
	if !w.quoted {
		if problem, hint := habit(w.text); problem != "" {
			p.fault(w, problem, hint)
			return
		}
	}
	if problem, hint := meaningless(s, w.text, literal); problem != "" {
		p.fault(w, problem, hint)
		return
	}
	s.topics = append(s.topics, newPattern(strings.Clone(w.text), literal))
}

// reason is the error of package topic without its prefix.
func reason(err error) string {
	return "the topic " + strings.TrimPrefix(strings.TrimPrefix(err.Error(), "topic: "), "topic ")
}

// suggestion puts wildcards into levels of their own: "a/b#" to "a/b/#".
func suggestion(filter string, err error) string {
	if !errors.Is(err, topic.ErrWildcardPosition) {
		return ""
	}
	head, ok := strings.CutSuffix(filter, "#")
	if !ok || head == "" || strings.ContainsAny(head, "#+") || strings.HasSuffix(head, "/") {
		return ""
	}
	return "did you mean " + head + "/#?"
}

// habit finds what is a valid filter but was learnt elsewhere and would
// silently match nothing here.
func habit(filter string) (problem, hint string) {
	for level := range strings.SplitSeq(filter, "/") {
		if level == "*" || level == "**" {
			return "'*' is no wildcard in topics", "write + for one level, # for all that follow; put the topic in quotes if '*' is meant"
		}
	}
	switch {
	case strings.Contains(filter, "${"):
		return "'${' begins no placeholder here", "write %c for the client's id, %u for the user name; put the topic in quotes if '${' is meant"
	case strings.Contains(filter, "%C") || strings.Contains(filter, "%U"):
		return "placeholders are written in small letters", "write %c for the client's id, %u for the user name; put the topic in quotes if that is its text"
	case strings.HasSuffix(filter, ","):
		return "the topic ends in ','", "topics are separated by blanks; put the topic in quotes if it ends so"
	}
	return "", ""
}

// meaningless finds what could never have an effect.
func meaningless(s *statement, filter string, literal bool) (problem, hint string) {
	wild := strings.ContainsAny(filter, "+#")
	first, _, _ := strings.Cut(filter, "/")
	switch {
	case literal && wild && s.verdict == core.Allow:
		return "eq with a wildcard stands in deny rules only", "leave eq out: who may subscribe to it receives all that it matches"
	case literal && wild && !s.subscribe:
		return "eq with a wildcard is about subscriptions, and the rule about publishing", "leave eq out to mean the topics"
	case literal && cutPieces(filter) != nil:
		return "after eq, %c and %u have no meaning", "leave eq out"
	case strings.HasPrefix(first, "$") && cutPieces(first) != nil:
		return "%c and %u cannot stand in a first level that begins with '$'", "put the placeholder into a level of its own"
	case prefixed(filter):
		return first + " is a prefix, which is taken off before the rules are asked", "write the topic filter that follows it"
	}
	return "", ""
}

// prefixed tells whether a filter carries a prefix that core takes off.
func prefixed(filter string) bool {
	for _, prefix := range []string{"$share/", "$queue/", "$fastlane/", "$local/", "$exclusive/", "$delayed/"} {
		if strings.HasPrefix(filter, prefix) {
			return true
		}
	}
	return false
}
