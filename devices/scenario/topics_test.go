package scenario

import "testing"

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a/b", "a", false}, {"a", "a/b", false},
		{"#", "a/b", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false},
		{"+", "a", true}, {"+", "a/b", false}, {"+/+", "/x", true}, {"/+", "/x", true}, {"a/+", "a/", true}, {"a/+", "a", false},
		{"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"+/#", "a", true},
		{"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true},
	} {
		if matches([]byte(c.filter), []byte(c.topic)) != c.want {
			t.Errorf("%s takes %s: wanted %v", c.filter, c.topic, c.want)
		}
	}
}

func TestFiltersAreJudged(t *testing.T) {
	for filter, want := range map[string]bool{
		"#": true, "+": true, "a/+/b/#": true, "/": true, "$share/g/a": true, "$share/g/#": true,
		"a#": false, "a+/b": false, "#/a": false, "$share//a": false, "$share/g/": false, "$share/+/a": false, "a\x00": false, "\xff": false,
	} {
		if err := validFilter(filter, true); (err == nil) != want {
			t.Errorf("%q: %v", filter, err)
		}
	}
}

func TestEveryPlaceTellsWhatMayStandThere(t *testing.T) {
	for _, at := range []place{placeIdentity, placeDevice, placeTopic, placeAnswer, placePayload, placeReply} {
		if allowed(at) == "" {
			t.Errorf("nothing may stand in place %d", at)
		}
	}
}
