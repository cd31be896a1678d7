package mysql

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// matchLike is LIKE with | before what means itself.
func matchLike(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '%':
		return matchLike(pattern[1:], text) || text != "" && matchLike(pattern, text[1:])
	case pattern[0] == '|':
		pattern = pattern[1:]
	case pattern[0] == '_':
		return text != "" && matchLike(pattern[1:], text[1:])
	}
	return text != "" && text[0] == pattern[0] && matchLike(pattern[1:], text[1:])
}

// LIKE leaves nothing out that the filter matches, and not everything in.
func TestServiceLikeLeavesNothingOut(t *testing.T) {
	names := []string{"a", "a/b", "a/b/c", "a//c", "/a", "/", "a%b", "a_b", "a|b", "axb", "x/a%", "$SYS/a", "a/b/", "ab/c"}
	left := 0
	for _, filter := range []string{"#", "+", "a/#", "a/+", "+/b", "+/+/c", "a/+/c/#", "/+", "+/#", "a%b/#", "a_b/#", "a|b/#", "x/a%/#", "a/b/+"} {
		for _, name := range names {
			may := matchLike(like(filter), name)
			if topic.Match(filter, name) && !may {
				t.Errorf("%s: %q leaves %s out", filter, like(filter), name)
			}
			if !may {
				left++
			}
		}
	}
	if left < 80 {
		t.Errorf("only %d left out", left)
	}
}
