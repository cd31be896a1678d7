package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// What a publisher's acknowledgement may wait for.
const (
	AckNone  = "none"
	AckSpool = "spool"
	AckSync  = "sync"
)

// faults collects what is wrong, each with its key.
type faults []error

func (f *faults) add(key, format string, a ...any) {
	*f = append(*f, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, a...)))
}

// Validate reports everything that is wrong with the rule, whatever its database.
func (r *Rule) Validate() error {
	var f faults
	hook, function := hookOf(r.Hook), functionOf(r.Function)
	known := slices.Contains(hooks(), hook)
	if !known {
		f.add("hook", "%q is no hook%s", r.Hook, didYouMean(string(r.Hook), hooks()))
	}
	r.checkTopic(&f, hook)
	switch {
	case function == "" && len(r.Statements) == 0:
		f.add("function", "is empty, and so is statements: name what is to be done")
	case function != "" && len(r.Statements) > 0:
		f.add("statements", "stand beside function = %q; keep one of them", r.Function)
	case function != "":
		checkFunction(&f, hook, known, function)
	case known:
		checkVariables(&f, hook, r.Statements)
	}
	r.checkAck(&f, hook)
	if r.OnRefused != "" && r.OnRefused != RefusedDrop && r.OnRefused != RefusedKeep {
		f.add("on_refused", "%q must be drop or keep", r.OnRefused)
	}
	r.checkLimits(&f, function)
	return errors.Join(f...)
}

func (r *Rule) checkTopic(f *faults, hook Hook) {
	if r.Topic == "" {
		return
	}
	if _, err := (topic.Limits{Length: topic.MaxLength}).ParseFilter(r.Topic); err != nil {
		f.add("topic", "%q is no topic filter: %s", r.Topic, err)
	}
	if !hasTopic(hook) {
		f.add("topic", "%s has no topic to match %q", hook, r.Topic)
	}
}

func hasTopic(h Hook) bool {
	return h != ClientConnected && h != ClientDisconnected && h != SessionCreated && h != SessionTerminated
}

func checkFunction(f *faults, hook Hook, known bool, function Function) {
	w, exists := workOf(function)
	if !exists {
		var names []Function
		for _, w := range works() {
			names = append(names, w.function)
		}
		f.add("function", "%q is no function%s", function, didYouMean(string(function), names))
		return
	}
	if known && !slices.Contains(w.hooks, hook) {
		f.add("function", "%s belongs to %s, not to %s", function, list(w.hooks), hook)
	}
}

func list[T ~string](names []T) string {
	var texts []string
	for _, n := range names {
		texts = append(texts, string(n))
	}
	return strings.Join(texts, " or ")
}

func checkVariables(f *faults, hook Hook, statements []string) {
	for i, text := range statements {
		key := fmt.Sprintf("statements[%d]", i)
		if strings.TrimSpace(text) == "" {
			f.add(key, "is empty")
			continue
		}
		t, err := ParseTemplate(text)
		if err != nil {
			f.add(key, "%s", err)
			continue
		}
		has := variablesOf(hook)
		for _, p := range t {
			if p.Variable != "" && !slices.Contains(has, p.Variable) {
				f.add(key, "%s has no ${%s}; it has %s", hook, p.Variable, list(has))
			}
		}
	}
}

func (r *Rule) checkAck(f *faults, hook Hook) {
	switch r.Ack {
	case "", AckNone:
	case AckSpool, AckSync:
		if hook != MessagePublish {
			f.add("ack", "%q belongs to message.publish: nobody waits for an acknowledgement of %s", r.Ack, hook)
		}
	default:
		f.add("ack", "%q must be none, spool or sync", r.Ack)
	}
}

func (r *Rule) checkLimits(f *faults, function Function) {
	w, _ := workOf(function)
	if r.MaxReturned < 0 {
		f.add("max_returned", "%d must not be negative; 0 is all", r.MaxReturned)
	}
	if r.TimeRange < 0 {
		f.add("time_range", "%s must not be negative; 0s is any age", r.TimeRange)
	}
	if r.Expiry < 0 {
		f.add("expiry", "%s must not be negative; 0s is for ever", r.Expiry)
	}
	if (r.MaxReturned > 0 || r.TimeRange > 0) && w.kind != fetches {
		f.add("max_returned", "and time_range belong to on_message_fetch")
	}
	if (r.EnforceACL || r.Required) && w.kind != looksUp {
		f.add("enforce_acl", "and required belong to on_subscribe_lookup")
	}
}

// Check reports what is wrong with rules of one backend together: functions and pools
// that it does not have, statements that it cannot read, and rules that do one thing
// twice. Each fault begins with its key, such as rules[2].function.
func Check(d *Driver, pools []string, rules []Rule) error {
	var f faults
	for i := range rules {
		checkDriver(&f, fmt.Sprintf("rules[%d].", i), d, pools, &rules[i])
	}
	checkTwice(&f, rules)
	return errors.Join(f...)
}

func checkDriver(f *faults, path string, d *Driver, pools []string, r *Rule) {
	function := functionOf(r.Function)
	if _, exists := workOf(function); exists && function != "" && !slices.Contains(d.Functions, function) {
		f.add(path+"function", "%s has no %s%s", d.Name, function, didYouMean(string(function), d.Functions))
	}
	if r.Pool != "" && !slices.Contains(pools, r.Pool) {
		f.add(path+"pool", "%q is no pool of this backend%s; there is %s", r.Pool, didYouMean(r.Pool, pools), list(pools))
	}
	if d.Statement == nil {
		return
	}
	for i, text := range r.Statements {
		if _, err := ParseTemplate(text); err != nil || strings.TrimSpace(text) == "" {
			continue // Validate tells
		}
		if err := d.Statement(text); err != nil {
			f.add(fmt.Sprintf("%sstatements[%d]", path, i), "%s", err)
		}
	}
}

// checkTwice finds rules by which messages would be stored twice, or be handed to one
// subscription twice. [A.1: on_message_store beside on_message_publish] Rules that do
// neither may come by the thousand and are compared with none.
func checkTwice(f *faults, rules []Rule) {
	var publishing, storing, fetching []int
	for i := range rules {
		switch function := functionOf(rules[i].Function); {
		case function == OnMessagePublish:
			publishing = append(publishing, i)
		case function == OnMessageStore:
			storing = append(storing, i)
		case strings.HasPrefix(string(function), string(OnMessageFetch)):
			fetching = append(fetching, i)
		}
	}
	for _, i := range publishing {
		for _, j := range storing {
			if first, second := min(i, j), max(i, j); meet(&rules[first], &rules[second]) {
				a, b := &rules[first], &rules[second]
				f.add(fmt.Sprintf("rules[%d].function", second), "%s and %s of rules[%d] store the same messages: messages of QoS 1 and 2 of %q would be there twice; keep %s, or separate their topics",
					b.Function, a.Function, first, either(b.Topic), OnMessageStore)
			}
		}
	}
	for n, i := range fetching {
		for _, j := range fetching[:n] {
			if a, b := &rules[j], &rules[i]; meet(a, b) {
				f.add(fmt.Sprintf("rules[%d].function", i), "%s and %s of rules[%d] both fetch for subscriptions of %q: messages would come twice; separate their topics", b.Function, a.Function, j, either(b.Topic))
			}
		}
	}
}

// meet says whether two rules work in one pool on a topic that both want.
func meet(a, b *Rule) bool { return a.Pool == b.Pool && overlap(a.Topic, b.Topic) }

func overlap(a, b string) bool {
	return a == "" || b == "" || topic.Overlaps(a, b)
}

func either(filter string) string {
	if filter == "" {
		return "#"
	}
	return filter
}

// normal is the rule with the spellings of this release.
func normal(r Rule) Rule {
	r.Hook, r.Function = hookOf(r.Hook), functionOf(r.Function)
	if r.Ack == "" {
		r.Ack = AckNone
	}
	return r
}
