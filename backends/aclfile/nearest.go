package aclfile

import "strings"

// synonym is a word of other brokers and habits, and ours for it.
type synonym struct{ word, ours string }

func synonyms() []synonym {
	return []synonym{
		{"permit", "allow"}, {"grant", "allow"}, {"accept", "allow"}, {"pass", "allow"},
		{"reject", "deny"}, {"forbid", "deny"}, {"refuse", "deny"}, {"block", "deny"}, {"drop", "deny"},
		{"pub", "publish"}, {"write", "publish"}, {"send", "publish"},
		{"sub", "subscribe"}, {"read", "subscribe"}, {"receive", "subscribe"},
		{"readwrite", "pubsub"}, {"both", "pubsub"}, {"publish,subscribe", "pubsub"}, {"publish/subscribe", "pubsub"},
		{"everyone", "all"}, {"everybody", "all"}, {"any", "all"}, {"anyone", "all"}, {"*", "all"},
		{"username", "user"}, {"clientid", "client"}, {"client_id", "client"}, {"device", "client"},
		{"ip", "address"}, {"ipaddr", "address"}, {"ipaddress", "address"}, {"host", "address"}, {"peer", "address"},
		{"nobody", "anonymous"}, {"guest", "anonymous"}, {"&&", "and"},
		{"localhost", "loopback"}, {"local", "loopback"},
	}
}

// maxWord bounds the work of the distance: no keyword is longer than a third.
const maxWord = 32

// nearest gives the candidate that word was probably meant to be, or "".
func nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	if len(word) > maxWord {
		return ""
	}
	for _, s := range synonyms() {
		for _, c := range candidates {
			if s.word == word && s.ours == c {
				return c
			}
		}
	}
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to put in, leave out, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			least := min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				least = min(least, rows[i-2][j-2]+1)
			}
			rows[i][j] = least
		}
	}
	return rows[len(a)][len(b)]
}
