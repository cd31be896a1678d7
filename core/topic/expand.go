package topic

import "strings"

// Expand puts a client's id for each %c and its user name for each %u of a
// pattern, in one pass: a value is never looked at again. Any other '%' is
// ordinary text. ok is false, and the pattern must not be used for this client,
// when a value that is asked for
//
//   - is empty, or holds '/', '+' or '#': it would change which levels or
//     wildcards the pattern has, and with them whom it lets in;
//   - starts with '$' and would begin the topic: it would lead into $SYS or
//     turn into a prefix.
//
// It allocates only when something is replaced.
func Expand(pattern, clientID, username string) (string, bool) {
	i := placeholder(pattern)
	if i < 0 {
		return pattern, true
	}
	var out strings.Builder
	out.Grow(len(pattern) + len(clientID) + len(username))
	for ; i >= 0; i = placeholder(pattern) {
		value := clientID
		if pattern[i+1] == 'u' {
			value = username
		}
		out.WriteString(pattern[:i])
		if !Fills(value, out.Len() == 0) {
			return "", false
		}
		out.WriteString(value)
		pattern = pattern[i+2:]
	}
	out.WriteString(pattern)
	return out.String(), true
}

// placeholder returns where the first %c or %u stands, or -1.
func placeholder(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '%' && (s[i+1] == 'c' || s[i+1] == 'u') {
			return i
		}
	}
	return -1
}

// Fills says whether value may stand in a topic in place of %c or %u; first, that
// nothing stands before it. See Expand for what it must not be.
func Fills(value string, first bool) bool {
	return value != "" && !strings.ContainsAny(value, "/+#") && !(first && hidden(value))
}
