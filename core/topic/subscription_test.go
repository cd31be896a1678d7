package topic

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSubscription(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      Subscription
		err       error
	}{
		{name: "plain", raw: "a/b", want: Subscription{Filter: "a/b"}},
		{name: "wildcards", raw: "+/b/#", want: Subscription{Filter: "+/b/#"}},
		{name: "all", raw: "#", want: Subscription{Filter: "#"}},
		{name: "leading slash", raw: "/+", want: Subscription{Filter: "/+"}},
		{name: "system topics", raw: "$SYS/#", want: Subscription{Filter: "$SYS/#"}},
		{name: "share", raw: "$share/g/a/+", want: Subscription{Filter: "a/+", Share: "g"}},
		{name: "share, leading slash", raw: "$share/g//a", want: Subscription{Filter: "/a", Share: "g"}},
		{name: "share of nothing else", raw: "$share", want: Subscription{Filter: "$share"}},
		{name: "queue", raw: "$queue/a", want: Subscription{Filter: "a", Share: QueueGroup, Queue: true}},
		{name: "share named $queue is another group", raw: "$share/$queue/a", want: Subscription{Filter: "a", Share: "$queue"}},
		{name: "fastlane", raw: "$fastlane/#", want: Subscription{Filter: "#", Fastlane: true}},
		{name: "fastlane and queue", raw: "$fastlane/$queue/#", want: Subscription{Filter: "#", Fastlane: true, Share: QueueGroup, Queue: true}},
		{name: "local, fastlane, share", raw: "$local/$fastlane/$share/g/t", want: Subscription{Filter: "t", Local: true, Fastlane: true, Share: "g"}},
		{name: "fastlane, local", raw: "$fastlane/$local/t", want: Subscription{Filter: "t", Local: true, Fastlane: true}},
		{name: "exclusive", raw: "$exclusive/t", want: Subscription{Filter: "t", Exclusive: true}},
		{name: "exclusive between", raw: "$local/$exclusive/$fastlane/t", want: Subscription{Filter: "t", Local: true, Exclusive: true, Fastlane: true}},
		{name: "literal after share", raw: "$share/g/$fastlane/t", want: Subscription{Filter: "$fastlane/t", Share: "g"}},
		{name: "literal after queue", raw: "$queue/$share/g/t", want: Subscription{Filter: "$share/g/t", Share: QueueGroup, Queue: true}},
		{name: "prefix without slash is text", raw: "$fastlane", want: Subscription{Filter: "$fastlane"}},

		{name: "empty", raw: "", err: ErrEmpty},
		{name: "fastlane of nothing", raw: "$fastlane/", err: ErrEmpty},
		{name: "queue of nothing", raw: "$queue/", err: ErrEmpty},
		{name: "share without group", raw: "$share//t", err: ErrSharePrefix},
		{name: "share without filter", raw: "$share/g", err: ErrSharePrefix},
		{name: "share with empty filter", raw: "$share/g/", err: ErrSharePrefix},
		{name: "plus in the group", raw: "$share/g+/t", err: ErrSharePrefix},
		{name: "hash in the group", raw: "$share/#/t", err: ErrSharePrefix},
		{name: "bad text in the group", raw: "$share/\xff/t", err: ErrUTF8},
		{name: "null in the group", raw: "$share/\x00/t", err: ErrNull},
		{name: "fastlane twice", raw: "$fastlane/$fastlane/t", err: ErrRepeatedPrefix},
		{name: "local twice", raw: "$local/$fastlane/$local/t", err: ErrRepeatedPrefix},
		{name: "exclusive twice", raw: "$exclusive/$exclusive/t", err: ErrRepeatedPrefix},
		{name: "hash not last [MQTT-4.7.1-1]", raw: "a/#/b", err: ErrWildcardPosition},
		{name: "hash beside text [MQTT-4.7.1-1]", raw: "a/b#", err: ErrWildcardPosition},
		{name: "plus beside text [MQTT-4.7.1-2]", raw: "a+/b", err: ErrWildcardPosition},
		{name: "two pluses [MQTT-4.7.1-2]", raw: "++", err: ErrWildcardPosition},
		{name: "null", raw: "a\x00", err: ErrNull},
		{name: "UTF-8", raw: "a\x80", err: ErrUTF8},
		{name: "length counts the prefix", raw: "$queue/" + strings.Repeat("a", DefaultLength-6), err: ErrTooLong},
		{name: "levels", raw: strings.Repeat("+/", DefaultLevels) + "+", err: ErrTooManyLevels},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.err == nil {
				c.want.Raw = c.raw
			}
			got, err := ParseSubscription(c.raw, Limits{})
			if err != c.err {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if got.Shared() != (c.want.Share != "") {
				t.Error("Shared disagrees with Share")
			}
		})
	}
}

func TestWildcard(t *testing.T) {
	for f, want := range map[Filter]bool{"a/b": false, "a/+": true, "#": true, "$SYS/#": true} {
		if f.Wildcard() != want {
			t.Errorf("%s: %v", f, !want)
		}
	}
}

func TestParseDelayed(t *testing.T) {
	for _, c := range []struct {
		name, topic string
		seconds     uint32
		rest        Name
		ok          bool
		err         error
	}{
		{name: "none", topic: "a/b"},
		{name: "only alike", topic: "$delayed"},
		{name: "plain", topic: "$delayed/15/a/b", seconds: 15, rest: "a/b", ok: true},
		{name: "longest", topic: "$delayed/4294967/a", seconds: MaxDelay, rest: "a", ok: true},
		{name: "zero", topic: "$delayed/0/a", rest: "a", ok: true},
		{name: "second prefix is text", topic: "$delayed/1/$delayed/2/a", seconds: 1, rest: "$delayed/2/a", ok: true},
		{name: "too long", topic: "$delayed/4294968/a", ok: true, err: ErrDelayTooLong},
		{name: "overflow", topic: "$delayed/99999999999999999999/a", ok: true, err: ErrDelayTooLong},
		{name: "zeros", topic: "$delayed/00000000000015/a", seconds: 15, rest: "a", ok: true},
		{name: "no digits", topic: "$delayed//a", ok: true, err: ErrDelay},
		{name: "sign", topic: "$delayed/-1/a", ok: true, err: ErrDelay},
		{name: "no topic", topic: "$delayed/5", ok: true, err: ErrDelay},
		{name: "empty topic", topic: "$delayed/5/", ok: true, err: ErrEmpty},
		{name: "wildcard", topic: "$delayed/5/a/#", ok: true, err: ErrWildcard},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, rest, ok, err := ParseDelayed(c.topic)
			if s != c.seconds || rest != c.rest || ok != c.ok || err != c.err {
				t.Errorf("%d, %q, %v, %v", s, rest, ok, err)
			}
		})
	}
}

// TestWildcardsByLevels holds the check of wildcards, which goes byte by byte, against one
// that takes levels: for all short texts.
func TestWildcardsByLevels(t *testing.T) {
	byLevels := func(s string) error {
		levels := strings.Split(s, "/")
		for i, l := range levels {
			if strings.ContainsAny(l, "+#") && l != "+" && (l != "#" || i+1 < len(levels)) {
				return ErrWildcardPosition
			}
		}
		return nil
	}
	texts := []string{""}
	for range 6 {
		var longer []string
		for _, s := range texts {
			for _, c := range []string{"a", "/", "+", "#"} {
				longer = append(longer, s+c)
			}
		}
		texts = longer
		for _, s := range texts {
			if _, err := (Limits{}).ParseFilter(s); err != byLevels(s) {
				t.Fatalf("%q: %v, want %v", s, err, byLevels(s))
			}
		}
	}
}

func FuzzParseSubscription(f *testing.F) {
	for _, s := range []string{"a/b", "$share/g/a/+", "$queue/#", "$fastlane/$local/t", "$exclusive/$share/g/t", "$share//x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sub, err := ParseSubscription(s, Limits{})
		if err != nil {
			if diff := cmp.Diff(Subscription{}, sub); diff != "" {
				t.Fatalf("%q: error and a result: %s", s, diff)
			}
			return
		}
		if sub.Raw != s || !strings.HasSuffix(s, string(sub.Filter)) {
			t.Fatalf("%q: filter %q", s, sub.Filter)
		}
		again, err := ParseSubscription(sub.String(), Limits{Length: MaxLength})
		again.Raw = s
		if err != nil || again != sub {
			t.Fatalf("%q, written as %q: %+v, %v", s, sub.String(), again, err)
		}
		if !MatchFilter(string(sub.Filter), string(sub.Filter)) || !Overlaps(string(sub.Filter), string(sub.Filter)) {
			t.Fatalf("%q does not cover itself", sub.Filter)
		}
	})
}

func FuzzParseDelayed(f *testing.F) {
	for _, s := range []string{"$delayed/15/a", "$delayed/x/a", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seconds, rest, ok, err := ParseDelayed(s)
		if ok != strings.HasPrefix(s, delayedPrefix) || !ok && err != nil || seconds > MaxDelay {
			t.Fatalf("%q: %d, %v, %v", s, seconds, ok, err)
		}
		if ok && err == nil && ValidateName([]byte(rest)) != nil {
			t.Fatalf("%q: bad rest %q", s, rest)
		}
	})
}
