package aclfile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// naiveRule is a rule for subscribing as the oracle sees it: text, expanded and
// matched anew at each question.
type naiveRule struct {
	user    string // "" for everyone
	verdict core.Verdict
	eq      bool
	filter  string
}

func (r naiveRule) String() string {
	words := []string{"allow"}
	if r.verdict == core.Deny {
		words[0] = "deny"
	}
	words = append(words, "all")
	if r.user != "" {
		words = append(words[:1], "user", r.user)
	}
	words = append(words, "subscribe")
	if r.eq {
		words = append(words, "eq")
	}
	return strings.Join(append(words, r.filter), " ")
}

// naive is the verdict on one topic: the first rule that matches its name.
func naive(rules []naiveRule, id *core.Identity, name string) core.Verdict {
	for _, r := range rules {
		if r.user != "" && r.user != id.Username || r.eq && strings.ContainsAny(r.filter, "+#") {
			continue
		}
		if filter, ok := topic.Expand(r.filter, id.ClientID, id.Username); ok && topic.Match(filter, name) {
			return r.verdict
		}
	}
	return core.Ignore
}

// checkSafe asks about a subscription and then about what it would be sent: no
// topic may come through that the rules for subscribing do not allow by name.
func checkSafe(t *testing.T, r *Rules, id *core.Identity, filter string, names []string) {
	t.Helper()
	sub, covers := r.Authorize(id, core.ActionSubscribe, filter), r.Covers(id, filter)
	if (sub == core.Deny) != (covers == core.Deny) || covers == core.Allow && sub != core.Allow {
		t.Fatalf("filter %s: subscribe %v, covers %v", filter, sub, covers)
	}
	for _, name := range names {
		if topic.Match(filter, name) && covers == core.Allow && r.Authorize(id, core.ActionDeliver, name) != core.Allow {
			t.Fatalf("filter %s is covered, but %s may not be delivered", filter, name)
		}
	}
}

// TestOracle tries random rules with every filter and every topic of a small
// alphabet.
func TestOracle(t *testing.T) {
	names, filters := alphabet()
	rules := append([]string{"%u", "a/%u", "%c/#", "+/%c", "%u%c", "a/%u/#", "$S/%u"}, filters...)
	id := &core.Identity{Username: "b", ClientID: "a"}
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	allowed, partial, covered := 0, 0, 0
	for seed := range uint64(rounds) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		set := randomRules(rnd, rules)
		var text strings.Builder
		for _, r := range set {
			fmt.Fprintln(&text, r)
		}
		r, err := Parse("acl", []byte(text.String()))
		if err != nil {
			t.Fatalf("seed %d:\n%s%v", seed, text.String(), err)
		}
		for _, name := range names {
			if got, want := r.Authorize(id, core.ActionDeliver, name), naive(set, id, name); got != want {
				t.Fatalf("seed %d:\n%sdeliver %s: %v, naive %v", seed, text.String(), name, got, want)
			}
		}
		for _, filter := range filters {
			checkSafe(t, r, id, filter, names)
			sub, covers := r.Authorize(id, core.ActionSubscribe, filter), r.Covers(id, filter)
			if sub == core.Allow {
				allowed++
			}
			if sub == core.Allow && covers == core.Ignore {
				partial++
			}
			for _, name := range names {
				if sub == core.Allow && covers == core.Allow && topic.Match(filter, name) {
					covered++
					if naive(set, id, name) != core.Allow {
						t.Fatalf("seed %d:\n%sfilter %s lets %s through", seed, text.String(), filter, name)
					}
				}
			}
			checkNotTooStrict(t, set, id, filter, sub, names)
		}
	}
	if allowed == 0 || partial == 0 || covered == 0 {
		t.Errorf("the test tries nothing: %d allowed, %d partial, %d covered", allowed, partial, covered)
	}
}

// checkNotTooStrict: with rules that only allow, a filter that one of them
// names is granted. (Without it an implementation that refuses all would pass.)
func checkNotTooStrict(t *testing.T, set []naiveRule, id *core.Identity, filter string, sub core.Verdict, names []string) {
	t.Helper()
	for _, r := range set {
		if r.verdict == core.Deny {
			return
		}
		expanded, ok := topic.Expand(r.filter, id.ClientID, id.Username)
		if ok && expanded == filter && (r.user == "" || r.user == id.Username) && sub != core.Allow {
			t.Fatalf("filter %s is refused though rule %q names it, topics %d", filter, r, len(names))
		}
	}
}

func randomRules(rnd *rand.Rand, filters []string) []naiveRule {
	set := make([]naiveRule, 1+rnd.IntN(6))
	for i := range set {
		r := naiveRule{verdict: core.Allow, filter: filters[rnd.IntN(len(filters))]}
		if rnd.IntN(2) == 0 {
			r.verdict = core.Deny
		}
		if rnd.IntN(3) == 0 {
			r.user = [...]string{"b", "z"}[rnd.IntN(2)]
		}
		r.eq = r.verdict == core.Deny && rnd.IntN(4) == 0 && !strings.Contains(r.filter, "%")
		set[i] = r
	}
	return set
}

// alphabet lists all topics of up to three levels over a, b, "" and, as first
// level, $S, and all filters over them.
func alphabet() (names, filters []string) {
	var grow func(levels []string)
	grow = func(levels []string) {
		if s := strings.Join(levels, "/"); s != "" {
			if _, err := (topic.Limits{}).ParseFilter(s); err == nil {
				filters = append(filters, s)
				if !strings.ContainsAny(s, "+#") {
					names = append(names, s)
				}
			}
		}
		if len(levels) == 3 || len(levels) > 0 && levels[len(levels)-1] == "#" {
			return
		}
		next := []string{"a", "b", "", "+", "#"}
		if len(levels) == 0 {
			next = append(next, "$S")
		}
		for _, level := range next {
			grow(append(levels[:len(levels):len(levels)], level))
		}
	}
	grow(nil)
	return names, filters
}

// TestPatternIsExpand holds the patterns, which never build the expanded text,
// against topic.Expand with the functions of package topic.
func TestPatternIsExpand(t *testing.T) {
	names, filters := alphabet()
	texts := []string{"%u", "%c/#", "a/%u", "+/%u/#", "%u/%c", "%c%u", "a/b%u", "%ub/+", "%%u", "%/%u", "a/%c%c/b", "100%/%u"}
	values := []string{"", "a", "b", "ab", "+", "#", "a/b", "$S", "$", "%c", "%"}
	tried := 0
	for _, text := range texts {
		p := newPattern(text, false)
		for _, u := range values {
			for _, c := range []string{"a", "b", "", "$S"} {
				id := &core.Identity{Username: u, ClientID: c}
				expanded, ok := topic.Expand(text, c, u)
				for _, name := range append(names, "100%/b", "%b", "%/a", "a/bab", "ab", "%%c", "%%") {
					tried++
					if got, want := p.matches(id, name), ok && topic.Match(expanded, name); got != want {
						t.Fatalf("%s with u=%q c=%q matches %s: %t, want %t", text, u, c, name, got, want)
					}
				}
				for _, f := range filters {
					if got, want := p.covers(id, f), ok && topic.MatchFilter(expanded, f); got != want {
						t.Fatalf("%s with u=%q c=%q covers %s: %t, want %t", text, u, c, f, got, want)
					}
					if got, want := p.overlaps(id, f), ok && topic.Overlaps(expanded, f); got != want {
						t.Fatalf("%s with u=%q c=%q overlaps %s: %t, want %t", text, u, c, f, got, want)
					}
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d questions", tried)
	}
}
