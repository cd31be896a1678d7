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

// apart counts the letters to insert, leave out or replace to make b of a.
func apart(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			best := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], best
		}
	}
	return row[len(b)]
}
