package topic

import "strings"

// cut splits the first level off s. more tells whether another level follows,
// which may be empty.
func cut(s string) (level, rest string, more bool) {
	i := strings.IndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// hidden reports whether a leading wildcard passes the level by.
//
// [MQTT-4.7.2-1] filters that start with a wildcard do not match names that
// start with '$'.
func hidden(level string) bool { return level != "" && level[0] == '$' }

func wildcard(level string) bool { return level == "+" || level == "#" }

// Match reports whether the Topic Filter matches the Topic Name. Both must be
// valid. It allocates nothing; time is linear in the shorter of the two.
func Match(filter, name string) bool {
	if hidden(name) && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		f, filterRest, filterMore := cut(filter)
		if f == "#" {
			return true
		}
		n, nameRest, nameMore := cut(name)
		if f != "+" && f != n {
			return false
		}
		if !nameMore {
			// "sport/#" also matches "sport".
			return !filterMore || filterRest == "#"
		}
		if !filterMore {
			return false
		}
		filter, name = filterRest, nameRest
	}
}

// MatchFilter reports whether outer covers inner: whether every Topic Name that
// inner matches is matched by outer too. Both must be valid filters. It
// allocates nothing.
func MatchFilter(outer, inner string) bool {
	// Every name has a level, and one that is not empty or not alone.
	switch inner {
	case "#":
		inner = "+/#"
	case "/#":
		inner = "/+/#"
	}
	for first := true; ; first = false {
		o, outerRest, outerMore := cut(outer)
		i, innerRest, innerMore := cut(inner)
		if first && wildcard(o) && hidden(i) {
			return false
		}
		switch {
		case o == "#":
			return true
		case i == "#", o != "+" && o != i:
			return false
		case !innerMore:
			return !outerMore || outerRest == "#"
		case !outerMore:
			return false
		}
		outer, inner = outerRest, innerRest
	}
}

// Overlaps reports whether some Topic Name is matched by both filters. Both
// must be valid. It allocates nothing.
func Overlaps(a, b string) bool {
	for first := true; ; first = false {
		x, aRest, aMore := cut(a)
		y, bRest, bMore := cut(b)
		if first && (wildcard(x) && hidden(y) || wildcard(y) && hidden(x)) {
			return false
		}
		// "+" meets "/#" in the empty name only, and there is no such name.
		if first && (x == "+" && !aMore && y == "" || y == "+" && !bMore && x == "") {
			return false
		}
		switch {
		case x == "#", y == "#":
			return true
		case x != y && x != "+" && y != "+":
			return false
		case !aMore:
			return !bMore || bRest == "#"
		case !bMore:
			return aRest == "#"
		}
		a, b = aRest, bRest
	}
}
