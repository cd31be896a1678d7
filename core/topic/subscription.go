package topic

import "strings"

// The prefixes, each with the '/' that ends it.
const (
	sharePrefix     = "$share/"
	queuePrefix     = "$queue/"
	fastlanePrefix  = "$fastlane/"
	localPrefix     = "$local/"
	exclusivePrefix = "$exclusive/"
)

// QueueGroup is the Share of every $queue/ subscription: one anonymous group a
// filter. No $share group can have this name, for it holds a '/'.
const QueueGroup = "$queue/"

// Subscription is what one string of a SUBSCRIBE or UNSUBSCRIBE says.
type Subscription struct {
	Raw       string // as the client sent it; what UNSUBSCRIBE has to repeat
	Filter    Filter // what is matched and authorised
	Share     string // name of the shared group; QueueGroup for $queue/; "" when not shared
	Queue     bool   // $queue/
	Fastlane  bool   // $fastlane/: deliver past the session, QoS 0
	Local     bool   // $local/: the route stays on this node
	Exclusive bool   // $exclusive/: at most one holder of the filter
}

// Shared reports whether a group shares the messages of the subscription.
func (s Subscription) Shared() bool { return s.Share != "" }

// String writes s with its prefixes in one fixed order.
func (s Subscription) String() string {
	var out strings.Builder
	for _, p := range []struct {
		set  bool
		text string
	}{{s.Exclusive, exclusivePrefix}, {s.Local, localPrefix}, {s.Fastlane, fastlanePrefix}} {
		if p.set {
			out.WriteString(p.text)
		}
	}
	switch {
	case s.Share == QueueGroup:
		out.WriteString(queuePrefix)
	case s.Shared():
		out.WriteString(sharePrefix + s.Share + "/")
	}
	return out.String() + string(s.Filter)
}

// WithFilter is s with another filter behind the same prefixes.
func (s Subscription) WithFilter(f Filter) Subscription {
	s.Raw = s.Raw[:len(s.Raw)-len(s.Filter)] + string(f)
	s.Filter = f
	return s
}

// ParseSubscription reads prefixes and filter. $fastlane/, $local/ and
// $exclusive/ stand first in any order, each once; one share prefix
// ($share/GROUP/ or $queue/) may follow, and what comes after it is taken
// literally. lim.Length counts the whole string, lim.Levels the levels of the
// filter. The result shares the bytes of s. The error is one of this package's.
func ParseSubscription(s string, lim Limits) (Subscription, error) {
	sub := Subscription{Raw: s}
	if len(s) > lim.length() {
		return Subscription{}, ErrTooLong
	}
	rest, err := s, error(nil)
	if strings.HasPrefix(s, "$") {
		if rest, err = sub.takePrefixes(s, lim); err != nil {
			return Subscription{}, err
		}
	}
	if sub.Filter, err = lim.ParseFilter(rest); err != nil {
		return Subscription{}, err
	}
	return sub, nil
}

// takePrefixes reads all prefixes and returns the filter's text.
func (s *Subscription) takePrefixes(text string, lim Limits) (string, error) {
	rest, err := s.takeFlags(text)
	if err != nil {
		return "", err
	}
	return s.takeShare(rest, lim)
}

// takeFlags reads the prefixes that are mere flags and returns what follows.
func (s *Subscription) takeFlags(text string) (string, error) {
	for {
		rest, flag := s.cutFlag(text)
		if flag == nil {
			return text, nil
		}
		if *flag {
			return "", ErrRepeatedPrefix
		}
		*flag, text = true, rest
	}
}

// cutFlag returns the text after a leading flag prefix and the field it sets,
// nil when there is none.
func (s *Subscription) cutFlag(text string) (string, *bool) {
	if rest, ok := strings.CutPrefix(text, fastlanePrefix); ok {
		return rest, &s.Fastlane
	}
	if rest, ok := strings.CutPrefix(text, localPrefix); ok {
		return rest, &s.Local
	}
	if rest, ok := strings.CutPrefix(text, exclusivePrefix); ok {
		return rest, &s.Exclusive
	}
	return text, nil
}

// takeShare reads a share prefix and returns the filter's text.
func (s *Subscription) takeShare(text string, lim Limits) (string, error) {
	if rest, ok := strings.CutPrefix(text, queuePrefix); ok {
		s.Share, s.Queue = QueueGroup, true
		return rest, nil
	}
	rest, ok := strings.CutPrefix(text, sharePrefix)
	if !ok {
		return text, nil
	}
	group, filter, ok := strings.Cut(rest, "/")
	// [MQTT-4.8.2-1] the ShareName is at least one character long.
	// [MQTT-4.8.2-2] it holds no wildcard, and '/' and a filter follow.
	if !ok || group == "" || filter == "" || strings.ContainsAny(group, "+#") {
		return "", ErrSharePrefix
	}
	if err := lim.checkText(group); err != nil {
		return "", err
	}
	s.Share = group
	return filter, nil
}
