package core

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// RewriteRule is one table [[core.rewrite]]: it changes topics as clients say them.
// Of the rules whose Source matches the last one counts, as in EMQX; where its Re does
// not match, the topic stays as it is.
type RewriteRule struct {
	Action string `toml:"action" oneof:"publish,subscribe,all" doc:"what it is for: publish (Wills too), subscribe (UNSUBSCRIBE too), all"`
	Source string `toml:"source" doc:"topic filter of the topics it is for; of the rules that match a topic the last one counts"`
	Re     string `toml:"re" doc:"regular expression (RE2); a topic that it does not match stays as it is, and no other rule is tried"`
	Dest   string `toml:"dest" doc:"what the topic becomes: $1, $2 … are what the groups of re have found, %c is the client id, %u the user name"`
}

// SetDefaults makes a rule one for everything.
func (r *RewriteRule) SetDefaults(string) { r.Action = rewriteAll }

// The actions of a RewriteRule.
const (
	rewritePublish   = "publish"
	rewriteSubscribe = "subscribe"
	rewriteAll       = "all"
)

// maxRewrites bounds the rules: each topic is held against all of them.
const maxRewrites = 1000

// Validate reports everything that is wrong with the rule.
func (r *RewriteRule) Validate() error {
	_, err := r.compile()
	return err
}

// rewrite is a compiled rule.
type rewrite struct {
	source             string
	re                 *regexp.Regexp
	dest               []destPart
	publish, subscribe bool
}

// destPart is a piece of a destination: text, or what stands in its place.
type destPart struct {
	kind  byte // 0 text, '$' a group, 'c' the client id, 'u' the user name
	text  string
	group int
}

// compile gives the rule in its working form, or all its faults.
func (r *RewriteRule) compile() (c rewrite, err error) {
	var errs []error
	c.publish = r.Action == rewritePublish || r.Action == rewriteAll
	c.subscribe = r.Action == rewriteSubscribe || r.Action == rewriteAll
	if !c.publish && !c.subscribe {
		errs = append(errs, fmt.Errorf("action = %q: must be publish, subscribe or all", r.Action))
	}
	c.source = r.Source
	if _, err := (topic.Limits{Length: topic.MaxLength}).ParseFilter(r.Source); err != nil {
		errs = append(errs, fmt.Errorf("source = %q: is no topic filter: %w", r.Source, err))
	}
	groups := -1
	if c.re, err = regexp.Compile(r.Re); err != nil {
		errs = append(errs, fmt.Errorf("re = %q: %w", r.Re, err))
	} else if groups = c.re.NumSubexp(); r.Re == "" {
		errs = append(errs, errors.New(`re: is empty; write "^(.+)$" for everything`))
	}
	c.dest = parseDest(r.Dest)
	return c, errors.Join(append(errs, r.checkDest(c.dest, groups))...)
}

func (r *RewriteRule) checkDest(parts []destPart, groups int) error {
	if len(parts) == 0 {
		return errors.New("dest: is empty; name the topic to go to")
	}
	for _, p := range parts {
		switch {
		case p.kind == '$' && groups >= 0 && p.group > groups:
			return fmt.Errorf("dest = %q: $%d stands for nothing, re has %d groups", r.Dest, p.group, groups)
		case p.kind == 0 && r.Action != rewriteSubscribe && strings.ContainsAny(p.text, "+#"):
			return fmt.Errorf("dest = %q: a message cannot be published to a wildcard", r.Dest)
		case p.kind == 0 && strings.ContainsRune(p.text, 0):
			return fmt.Errorf("dest = %q: holds the null character", r.Dest)
		}
	}
	return nil
}

// parseDest takes a destination apart. A '$' without a number is text, and so is a
// '%' without c or u.
func parseDest(s string) (parts []destPart) {
	text := 0
	add := func(to, next int, p destPart) {
		if to > text {
			parts = append(parts, destPart{text: s[text:to]})
		}
		if p.kind != 0 {
			parts = append(parts, p)
		}
		text = next
	}
	for i := 0; i+1 < len(s); {
		end := i + 1
		switch {
		case s[i] == '%' && (s[end] == 'c' || s[end] == 'u'):
			add(i, end+1, destPart{kind: s[end]})
			i = end + 1
			continue
		case s[i] == '$':
			for end < len(s) && end < i+4 && s[end] >= '0' && s[end] <= '9' {
				end++
			}
			if n, err := strconv.Atoi(s[i+1 : end]); err == nil {
				add(i, end, destPart{kind: '$', group: n})
				i = end
				continue
			}
		}
		i++
	}
	add(len(s), len(s), destPart{})
	return parts
}

// compileRewrites gives the rules with the last one first. A rule that cannot be
// compiled, which Validate tells of, lets nothing through that its source matches.
func compileRewrites(rules []RewriteRule) []rewrite {
	out := make([]rewrite, 0, len(rules))
	for i := len(rules) - 1; i >= 0; i-- {
		c, err := rules[i].compile()
		if err != nil {
			c.re, c.dest, c.publish, c.subscribe = regexp.MustCompile(""), nil, true, true
		}
		out = append(out, c)
	}
	return out
}

// rewriteOf gives the rule that counts for a topic or filter, or nil.
func (g *Gateway) rewriteOf(name string, subscribing bool) *rewrite {
	for i := range g.rewrites {
		r := &g.rewrites[i]
		switch {
		case subscribing && r.subscribe && topic.MatchFilter(r.source, name):
			return r
		case !subscribing && r.publish && topic.Match(r.source, name):
			return r
		}
	}
	return nil
}

// apply gives what name becomes for who; fault says why it can become nothing.
func (r *rewrite) apply(name string, who *placer) (to string, fault string) {
	found := r.re.FindStringSubmatchIndex(name)
	if found == nil {
		return name, ""
	}
	var out strings.Builder
	for _, p := range r.dest {
		value := p.text
		switch p.kind {
		case '$':
			if at := found[2*p.group]; at >= 0 {
				value = name[at:found[2*p.group+1]]
			}
		case 'c', 'u':
			if value = who.id; p.kind == 'u' {
				value = who.user
			}
			if !topic.Fills(value, out.Len() == 0) {
				return "", fmt.Sprintf("rewriting needs a %%%c that is not empty and holds no / + #", p.kind)
			}
		}
		out.WriteString(value)
	}
	return out.String(), ""
}
