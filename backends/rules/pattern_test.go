package rules_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Prefix and Above bound what a filter matches; Pattern is it, as far as Go's regular
// expressions can say: they have no (?!).
func TestPatternsAgreeWithMatch(t *testing.T) {
	levels := []string{"", "a", "A", "b", "$SYS", "a.b", "x*", "ä", "a b", "\U0010FFFF", "\uD7FF", `\`, "(", "-", "%_"}
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(extra ...string) string {
		from := append(slices.Clone(levels), extra...)
		parts := make([]string, 1+random.IntN(4))
		for i := range parts {
			parts[i] = from[random.IntN(len(from))]
		}
		return strings.Join(parts, "/")
	}
	var matches, wild int
	for range 40000 {
		filter, name := draw("+", "+", "+"), draw()
		if random.IntN(3) == 0 {
			filter += "/#"
		}
		prefix, exact := rules.Prefix(filter)
		want := topic.Match(filter, name)
		if exact && want != (filter == name) || prefix != filter && exact {
			t.Fatalf("%q is said to be exact, prefix %q", filter, prefix)
		}
		above, bounded := rules.Above(prefix)
		if inside := name >= prefix && (!bounded || name < above); inside != strings.HasPrefix(name, prefix) || want && !inside {
			t.Fatalf("%q: bounds %q to %q, matching %q: %v", filter, prefix, above, name, want)
		}
		pattern := rules.Pattern(filter, `\z`)
		system := strings.HasPrefix(pattern, `^(?!\$)`) && strings.HasPrefix(name, "$")
		got := regexp.MustCompile(strings.Replace(pattern, `(?!\$)`, "", 1)).MatchString(name) && !system
		if got != want {
			t.Fatalf("%q matches %q: %v, pattern %s: %v", filter, name, want, pattern, got)
		}
		if want {
			matches++
			if !exact {
				wild++
			}
		}
	}
	if matches < 1000 || wild < 500 {
		t.Errorf("%d matches, %d of them by wildcards: too few to tell", matches, wild)
	}
}

// Whichever jobs are refused, all others are done, in order and once.
func TestInPartsFindsTheCulprits(t *testing.T) {
	refused := errors.New("refused")
	for _, bad := range [][]int{nil, {0}, {2499}, {7, 8}, {1, 1000, 1999}, {1234}} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			jobs := make([]rules.Job, 2500)
			for i := range jobs {
				jobs[i].Time = int64(i)
			}
			var done, culprits []int
			calls := 0
			try := func(_ context.Context, jobs []rules.Job) error {
				calls++
				for _, j := range jobs {
					if slices.Contains(bad, int(j.Time)) {
						return rules.Permanent(refused)
					}
				}
				for _, j := range jobs {
					done = append(done, int(j.Time))
				}
				return nil
			}
			for at := 0; at < len(jobs); {
				n, err := rules.InParts(t.Context(), jobs[at:], try)
				at += n
				if err != nil {
					culprits = append(culprits, at)
					at++
				}
			}
			if !slices.Equal(culprits, bad) || len(done)+len(bad) != len(jobs) || !slices.IsSorted(done) {
				t.Errorf("refused %v, want %v; done %d", culprits, bad, len(done))
			}
			if most := 4 + 24*len(bad); calls > most {
				t.Errorf("%d calls, want at most %d", calls, most)
			}
		})
	}
}

// Large payloads go in parts; what is away stays away after one try.
func TestInPartsBounds(t *testing.T) {
	jobs := make([]rules.Job, 10)
	for i := range jobs {
		jobs[i].Message = &rules.Message{Payload: make([]byte, 1<<20)}
	}
	var sizes []int
	n, err := rules.InParts(t.Context(), jobs, func(_ context.Context, jobs []rules.Job) error {
		sizes = append(sizes, len(jobs))
		return nil
	})
	if n != 10 || err != nil || !slices.Equal(sizes, []int{3, 3, 3, 1}) && !slices.Equal(sizes, []int{4, 4, 2}) {
		t.Errorf("%d done in %v: %v", n, sizes, err)
	}
	away, tries := errors.New("away"), 0
	n, err = rules.InParts(t.Context(), jobs, func(context.Context, []rules.Job) error { tries++; return away })
	if n != 0 || !errors.Is(err, away) || tries != 1 {
		t.Errorf("away: %d done after %d tries: %v", n, tries, err)
	}
}
