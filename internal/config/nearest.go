package config

import "strings"

// maxWord bounds the work of the distance: no key of ours is longer.
const maxWord = 128

// nearest finds the candidate that word was most likely meant to be. A third
// of the letters may be wrong, at least one; case and '-' for '_' are free.
func nearest(word string, candidates []string) (string, bool) {
	if len(word) > maxWord {
		return "", false
	}
	plain := plainWord(word)
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if len(c) > maxWord {
			continue
		}
		if d := distance(plain, plainWord(c)); d < least {
			best, least = c, d
		}
	}
	return best, best != ""
}

func plainWord(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "-", "_")
}

// distance counts the letters inserted, left out, replaced or swapped with
// their neighbour that make b of a (optimal string alignment).
func distance(a, b string) int {
	before := make([]int, len(b)+1) // the row before the last
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
