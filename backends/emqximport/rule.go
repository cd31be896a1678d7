package emqximport

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// limits are those of all rules of a file.
type limits struct {
	newest   int
	age      time.Duration
	expiry   time.Duration
	expiring bool // an expiry was said
}

// redisExpiry is EMQ X's where none is said. [A.2]
const redisExpiry = 2 * time.Hour

// limit takes over a limit of all rules; false: the key is none.
func (r *reader) limit(e *entry, key string) bool {
	switch {
	case key == "max_returned_count":
		r.limits.newest = r.newest(e, e.value)
	case key == "time_range":
		r.limits.age = r.age(e, e.value)
	case key == "msg.expired_after" && r.expires:
		d, ok := duration(e.value)
		if !ok {
			r.note(e, "is no number of seconds", "set expiry of the rules of message.publish")
			return true
		}
		r.limits.expiry, r.limits.expiring = d, d > 0
	default:
		return false
	}
	return true
}

func (r *reader) newest(e *entry, s string) int {
	if s == "infinity" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<30 {
		r.note(e, "max_returned_count is neither a whole number nor infinity", "set max_returned of the rules of on_message_fetch")
		return 0
	}
	return n
}

func (r *reader) age(e *entry, s string) time.Duration {
	if s == "infinity" {
		return 0
	}
	d, ok := duration(s)
	if !ok {
		r.note(e, "time_range is neither a time such as 2h nor infinity", "set time_range of the rules of on_message_fetch")
		return 0
	}
	return d
}

// maxDuration keeps sums of parts within what a time can be: a hundred years.
const maxDuration = 100 * 365 * 24 * time.Hour

// duration reads 1d2h, 30s and the like; a number alone is seconds.
func duration(s string) (d time.Duration, ok bool) {
	if n, err := strconv.Atoi(s); err == nil {
		limit := int64(maxDuration / time.Second)
		return time.Duration(max(n, 0)) * time.Second, int64(n) <= limit
	}
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.Atoi(s[:digits])
		unit := s[digits:]
		unit = unit[:len(unit)-len(strings.TrimLeft(unit, "msdhwMSDHW"))]
		length, known := units()[strings.ToLower(unit)]
		if err != nil || !known || n > int(maxDuration/length) {
			return 0, false
		}
		if d += time.Duration(n) * length; d > maxDuration {
			return 0, false
		}
		s, ok = s[digits+len(unit):], true
	}
	return d, ok
}

func units() map[string]time.Duration {
	return map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute,
		"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
}

// written is a rule as EMQ X has it.
type written struct {
	Topic   string          `json:"topic"`
	Action  json.RawMessage `json:"action"`
	Pool    string          `json:"pool"`
	Expired *json.Number    `json:"expired_time"`
	Offline *struct {
		Age    any `json:"time_range"`
		Newest any `json:"max_returned_count"`
	} `json:"offline_opts"`
	Format string `json:"payload_format"`
}

// rules takes over the rules, in the order in which EMQ X asks them.
func (r *reader) rules() {
	if len(r.out.Pools) == 0 {
		for i := range r.hooks {
			r.note(&r.hooks[i], "no pool was taken over that could do it", "add one to the file, such as backend."+r.prefixes[len(r.prefixes)-1]+".pool1.server")
		}
		return
	}
	r.order()
	for i := range r.hooks {
		r.rule(&r.hooks[i])
	}
	if len(r.out.Rules) == 0 {
		first := Note{File: r.file, Why: "no rule was taken over, and without one the gateway does what EMQ X does by default", Do: "write the rules that you want below [[backends." + r.name + ".rules]], or take the pool away"}
		r.notes = append(r.notes, first)
	}
}

// hookOf parts backend.DATABASE.hook.HOOK.N; n is large where N is no number.
func (r *reader) hookOf(e *entry) (hook string, n int) {
	_, below := r.below(e.key)
	hook = strings.TrimPrefix(below, "hook.")
	at := strings.LastIndexByte(hook, '.')
	if at < 0 {
		return hook, 0
	}
	n, err := strconv.Atoi(hook[at+1:])
	if err != nil {
		n = 1 << 30
	}
	return hook[:at], n
}

// order puts the rules of one hook by their numbers, and hooks as they come.
func (r *reader) order() {
	place := map[string]int{}
	for i := range r.hooks {
		hook, _ := r.hookOf(&r.hooks[i])
		if _, seen := place[hook]; !seen {
			place[hook] = i
		}
	}
	slices.SortStableFunc(r.hooks, func(a, b entry) int {
		ha, na := r.hookOf(&a)
		hb, nb := r.hookOf(&b)
		return cmp.Or(place[ha]-place[hb], cmp.Compare(na, nb))
	})
}

// rule takes over one, if the gateway would take it together with those before it.
func (r *reader) rule(e *entry) {
	var w written
	if err := decode(e.value, &w); err != nil {
		r.note(e, "the rule is no valid JSON: "+err.Error(), "mend the rule, and import again")
		return
	}
	r.unknown(e, e.value, "", "topic", "action", "pool", "expired_time", "offline_opts", "payload_format")
	hook, _ := r.hookOf(e)
	rule := rules.Rule{Hook: rules.Hook(hook), Topic: w.Topic, Pool: w.Pool}
	if !r.action(e, &w, &rule) {
		return
	}
	r.reach(e, &w, &rule)
	r.expiry(e, &w, &rule)
	r.format(e, &w, &rule)
	if err := r.check(rule); err != nil {
		for _, fault := range strings.Split(err.Error(), "\n") {
			fault = strings.TrimPrefix(strings.TrimPrefix(fault, "rules[0]."), "rules[1].")
			r.note(e, "the rule was left out: "+strings.ReplaceAll(fault, "; ", ": "), "mend the rule, and import again")
		}
		return
	}
	r.out.Rules, r.taken = append(r.out.Rules, rule), append(r.taken, e.key)
}

// decode reads one JSON value that a comment may follow.
func decode(s string, into any) error {
	d := json.NewDecoder(strings.NewReader(s))
	err := d.Decode(into)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("it ends too soon")
	case errors.As(err, &kind):
		return fmt.Errorf("%q cannot be a JSON %s", kind.Field, kind.Value)
	case err != nil:
		return err
	}
	if rest := strings.TrimSpace(s[d.InputOffset():]); rest != "" && rest[0] != '#' {
		return errors.New("something follows the object")
	}
	return nil
}

// unknown names keys of an object that have no place.
func (r *reader) unknown(e *entry, object, path string, known ...string) {
	var keys map[string]json.RawMessage
	if decode(object, &keys) != nil {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(known, k) {
			r.note(e, fmt.Sprintf("%q of the rule has no place", path+k), leave)
		}
	}
}

// action fills in what is done; false: it cannot be.
func (r *reader) action(e *entry, w *written, rule *rules.Rule) bool {
	var a struct {
		Function string     `json:"function"`
		SQL      statements `json:"sql"`
		CQL      statements `json:"cql"`
		Commands statements `json:"commands"`
		Format   string     `json:"payload_format"`
	}
	if w.Action == nil || json.Unmarshal(w.Action, &a) != nil {
		r.note(e, "\"action\" of the rule is missing, or no object with function, sql, cql or commands", "mend the rule, and import again")
		return false
	}
	r.unknown(e, string(w.Action), "action.", "function", "sql", "cql", "commands", "payload_format")
	rule.Function = rules.Function(a.Function)
	rule.Statements = slices.Concat([]string(a.SQL), a.CQL, a.Commands)
	if len(a.Commands) > 0 && rule.Statements[0] == "pipeline" {
		rule.Statements = rule.Statements[1:] // they are sent together anyhow [A.1]
	}
	if w.Format == "" {
		w.Format = a.Format
	}
	return true
}

// statements are a list of texts, or one text.
type statements []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *statements) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = statements{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// reach fills in how far a fetch goes back: the rule's own limits before those of all.
func (r *reader) reach(e *entry, w *written, rule *rules.Rule) {
	fetches := strings.HasPrefix(string(rule.Function), string(rules.OnMessageFetch))
	if w.Offline != nil && !fetches {
		r.note(e, "offline_opts has a meaning with on_message_fetch only", "take it out of the rule")
	}
	if !fetches {
		return
	}
	rule.MaxReturned, rule.TimeRange = r.limits.newest, r.limits.age
	if w.Offline == nil {
		return
	}
	if w.Offline.Newest != nil {
		rule.MaxReturned = r.newest(e, plain(w.Offline.Newest))
	}
	if w.Offline.Age != nil {
		rule.TimeRange = r.age(e, plain(w.Offline.Age))
	}
}

// plain is a JSON number or text as text.
func plain(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// expiry fills in how long what a rule writes is kept.
func (r *reader) expiry(e *entry, w *written, rule *rules.Rule) {
	stores := rule.Hook == rules.MessagePublish && rule.Function != "" && rule.Function != rules.OnRetainDelete
	switch {
	case w.Expired != nil && !(stores && r.expires):
		r.note(e, "expired_time has a meaning with functions of Redis that store messages only", "take it out of the rule")
	case !stores || !r.expires:
	case w.Expired != nil:
		d, ok := duration(w.Expired.String())
		if !ok {
			r.note(e, "expired_time is no whole number of seconds", "set expiry of the rule")
		}
		if rule.Expiry = d; d == 0 {
			rule.Expiry = redisExpiry
		}
	case r.limits.expiring:
		rule.Expiry = r.limits.expiry
	default:
		rule.Expiry = redisExpiry
	}
}

// format fills in what a payload becomes. [A.5]
func (r *reader) format(e *entry, w *written, rule *rules.Rule) {
	switch w.Format {
	case "":
	case "mongo_json":
		rule.Format = "json"
	case "plain_text":
		rule.Format = "text"
	default:
		r.note(e, "payload_format is neither mongo_json nor plain_text", "set payload_format of the rule to bytes, text or json")
	}
}

// check asks what the gateway itself will ask.
func (r *reader) check(rule rules.Rule) error {
	if err := rule.Validate(); err != nil {
		return err
	}
	var names []string
	for _, p := range r.out.Pools {
		names = append(names, p.Name)
	}
	d := &rules.Driver{Name: r.name, Functions: r.functions, Statement: r.statement}
	if err := rules.Check(d, names, []rules.Rule{rule}); err != nil {
		return err
	}
	for i, before := range r.out.Rules { // by pairs: all at once each time would take cubic time
		if before.Hook != rule.Hook || before.Pool != rule.Pool {
			continue
		}
		if err := rules.Check(d, names, []rules.Rule{before, rule}); err != nil {
			return errors.New(strings.ReplaceAll(err.Error(), "rules[0]", r.taken[i]))
		}
	}
	return nil
}
