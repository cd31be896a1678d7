package topic

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"sport/tennis", "sport/tennis", true},
		{"sport/tennis", "sport", false},
		{"sport", "sport/tennis", false},
		{"sport", "Sport", false},
		{"sport/#", "sport", true},
		{"sport/#", "sport/tennis/player1", true},
		{"sport/#", "sports", false},
		{"#", "a/b", true},
		{"#", "/", true},
		{"+", "sport", true},
		{"+", "/sport", false},
		{"/+", "/sport", true},
		{"+/+", "/sport", true},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"sport/+/player1", "sport/tennis/player1", true},
		{"+/tennis/#", "sport/tennis", true},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
		{"#", "$SYS/up", false},      // [MQTT-4.7.2-1]
		{"+/up", "$SYS/up", false},   // [MQTT-4.7.2-1]
		{"$SYS/#", "$SYS/up", true},  //
		{"$SYS/+", "$SYS/up", true},  //
		{"a/+/c", "a/$b/c", true},    // only the first level is special
		{"+/#", "a", true},           //
		{"/#", "a", false},           //
		{"", "", true},               // not valid, must not panic
		{"", "$x", false},            //
		{"a/b/c/d", "a/b/c/", false}, //
	} {
		if got := Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.name, got)
		}
	}
}

func TestMatchFilter(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{
		{"#", "a/+/#", true},
		{"#", "$SYS/a", false},
		{"#", "+", true},
		{"+/#", "#", true},
		{"+/+/#", "/#", true},
		{"+", "#", false},
		{"a/+/#", "a/#", false},
		{"a/#", "a", true},
		{"a/#", "a/#", true},
		{"a/+", "a/b", true},
		{"a/b", "a/+", false},
		{"a/+/c", "a/+/c", true},
		{"+/b", "$x/b", false},
		{"$x/+", "$x/b", true},
		{"$x/+", "+/b", false},
	} {
		if got := MatchFilter(c.outer, c.inner); got != c.want {
			t.Errorf("MatchFilter(%q, %q) = %v", c.outer, c.inner, got)
		}
	}
}

// The oracle: a filter over a small alphabet is the set of names it matches,
// written out. The level "z" stands in no filter, so it plays all the names a
// filter does not mention, and names are one level deeper than filters.
func allNames(depth int) []string {
	levels := []string{"a", "b", "", "$a", "z", "$z"}
	names := slices.Clone(levels)
	for last := levels; depth > 1; depth-- {
		var next []string
		for _, head := range last {
			for _, level := range levels {
				next = append(next, head+"/"+level)
			}
		}
		names, last = append(names, next...), next
	}
	return slices.DeleteFunc(names, func(s string) bool { return s == "" })
}

// naiveMatch is the wording of the specification over split levels.
func naiveMatch(filter, name string) bool {
	if name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if f[len(f)-1] == "#" {
		f = f[:len(f)-1]
		if len(n) < len(f) {
			return false
		}
		n = n[:len(f)]
	}
	return slices.EqualFunc(f, n, func(f, n string) bool { return f == "+" || f == n })
}

func drawFilter(t *rapid.T, label string) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "$a", "+"}), 0, 3).Draw(t, label)
	if len(levels) == 0 || rapid.Bool().Draw(t, label+" ends in #") {
		levels = append(levels, "#")
	}
	if f := strings.Join(levels, "/"); f != "" {
		return f
	}
	return "a"
}

func TestMatchAgainstOracle(t *testing.T) {
	names := allNames(4)
	rapid.Check(t, func(t *rapid.T) {
		f := drawFilter(t, "filter")
		for _, n := range names {
			if got, want := Match(f, n), naiveMatch(f, n); got != want {
				t.Fatalf("Match(%q, %q) = %v", f, n, got)
			}
		}
	})
}

func TestCoverAgainstOracle(t *testing.T) {
	names := allNames(4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawFilter(t, "a"), drawFilter(t, "b")
		covers, overlaps := true, false
		for _, n := range names {
			x, y := naiveMatch(a, n), naiveMatch(b, n)
			covers, overlaps = covers && (x || !y), overlaps || x && y
		}
		if got := MatchFilter(a, b); got != covers {
			t.Fatalf("MatchFilter(%q, %q) = %v", a, b, got)
		}
		if got := Overlaps(a, b); got != overlaps {
			t.Fatalf("Overlaps(%q, %q) = %v", a, b, got)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	name := []byte("fleet/t1/device/état")
	for what, f := range map[string]func(){
		"ValidateName":      func() { _ = ValidateName(name) },
		"Match":             func() { Match("fleet/+/device/#", "fleet/t1/device/up") },
		"MatchFilter":       func() { MatchFilter("fleet/+/device/#", "fleet/t1/device/+") },
		"Overlaps":          func() { Overlaps("fleet/+/device/#", "+/t1/device/+") },
		"ParseSubscription": func() { _, _ = ParseSubscription("$fastlane/$share/g/a/+/#", Limits{}) },
		"Expand":            func() { Expand("a/b/100%/x", "c", "u") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("#", "$SYS")
	f.Add("$SYS/#", "$SYS")
	f.Fuzz(func(t *testing.T, filter, name string) {
		sub, err := Limits{}.ParseFilter(filter)
		if err != nil || ValidateName([]byte(name)) != nil {
			Match(filter, name) // anything goes but a panic
			MatchFilter(filter, name)
			Overlaps(filter, name)
			return
		}
		want := naiveMatch(string(sub), name)
		// A name is a filter that matches itself and nothing else.
		if Match(filter, name) != want || MatchFilter(filter, name) != want || Overlaps(name, filter) != want {
			t.Fatalf("%q, %q: Match %v, MatchFilter %v, Overlaps %v; want %v", filter, name,
				Match(filter, name), MatchFilter(filter, name), Overlaps(name, filter), want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !Match("fleet/+/device-000123/#", "fleet/tenant-17/device-000123/telemetry") {
			b.Fatal("no match")
		}
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		name, pattern, client, user, want string
		ok                                bool
	}{
		{name: "nothing to do", pattern: "a/b", want: "a/b", ok: true},
		{name: "client", pattern: "d/%c/up", client: "x1", want: "d/x1/up", ok: true},
		{name: "user", pattern: "%u/#", user: "joe", want: "joe/#", ok: true},
		{name: "both, twice", pattern: "%c/%u/%c", client: "c", user: "u", want: "c/u/c", ok: true},
		{name: "inside a level", pattern: "d-%c/x", client: "c", want: "d-c/x", ok: true},
		{name: "other percents stay", pattern: "100%/%%/%x/%", want: "100%/%%/%x/%", ok: true},
		{name: "a value is not expanded again", pattern: "%c", client: "%u", user: "x", want: "%u", ok: true},
		{name: "dollar inside", pattern: "a/%c", client: "$b", want: "a/$b", ok: true},
		{name: "unused values do not matter", pattern: "a/%c", client: "b", user: "#", want: "a/b", ok: true},
		{name: "empty", pattern: "a/%u", client: "c"},
		{name: "slash", pattern: "a/%c", client: "b/c"},
		{name: "plus", pattern: "a/%c", client: "+"},
		{name: "hash", pattern: "a/%c", client: "x#"},
		{name: "leads into $SYS", pattern: "%u/#", user: "$SYS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Expand(c.pattern, c.client, c.user)
			if got != c.want || ok != c.ok {
				t.Errorf("%q, %v; want %q, %v", got, ok, c.want, c.ok)
			}
		})
	}
}
