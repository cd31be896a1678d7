package rulestest

import (
	"os"
	"strings"
	"testing"
)

// Guide holds what stands in a document between two lines against text, or puts it there.
// The lines are
//
//	<!-- begin: made by MAKER -->
//	<!-- end -->
//
// and command is how the document is written anew.
func Guide(t testing.TB, file, maker, text, command string, write bool) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin: made by "+maker+" -->\n", "<!-- end -->"
	head, rest, found := strings.Cut(string(old), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for what is %s", file, strings.TrimSpace(begin))
	}
	fresh := head + begin + text + end + tail
	switch {
	case fresh == string(old):
	case !write:
		t.Errorf("%s is stale; write it with: %s\n%s", file, command, text)
	default:
		if err := os.WriteFile(file, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
