package scenario

import (
	"slices"
	"strings"
)

// near lists the words that were probably meant, the nearest first: at most a third
// of the letters differ, or one begins with the other.
func near(word string, words []string) []string {
	const longest = 64
	if word == "" || len(word) > longest {
		return nil
	}
	type guess struct {
		word string
		far  int
	}
	var guesses []guess
	lower := strings.ToLower(word)
	for _, w := range words {
		far := apart(lower, strings.ToLower(w))
		if len(word) > 2 && (strings.HasPrefix(w, lower) || strings.HasPrefix(lower, w) && len(w) > 2) {
			far = min(far, 1)
		}
		if far <= max(1, len(word)/3) {
			guesses = append(guesses, guess{w, far})
		}
	}
	slices.SortStableFunc(guesses, func(a, b guess) int { return a.far - b.far })
	var out []string
	for _, g := range guesses {
		out = append(out, g.word)
	}
	return out
}

// apart counts the letters to insert, leave out, replace or swap with their neighbour to
// make b of a.
func apart(a, b string) int {
	var rows [3][]int // this row and the two before it
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for i := 0; i <= len(a); i++ {
		row, last, before := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			switch {
			case i == 0:
				row[j] = j
				continue
			case a[i-1] == b[j-1]:
				row[j] = last[j-1]
			default:
				row[j] = 1 + min(last[j-1], last[j], row[j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
