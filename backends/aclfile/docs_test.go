package aclfile

import (
	"os"
	"strings"
	"testing"
)

// guide reads one of the guides and gives its fenced blocks of a language.
func guide(t *testing.T, name, lang string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "```") {
		if body, ok := strings.CutPrefix(part, lang+"\n"); ok && i%2 == 1 {
			blocks = append(blocks, body)
		}
	}
	return blocks
}

// TestGuides: every example that the guides give is a file without faults and
// warnings.
func TestGuides(t *testing.T) {
	for name, want := range map[string]int{"acl.md": 4, "security.md": 1} {
		blocks := guide(t, name, "acl")
		if len(blocks) != want {
			t.Errorf("%s has %d blocks of rules, want %d", name, len(blocks), want)
		}
		for _, text := range blocks {
			r, err := Parse(name, []byte(text))
			if err != nil || r.Warnings() != nil {
				t.Errorf("%s: %v %v\n%s", name, err, r.Warnings(), text)
			}
		}
	}
}

// TestGuideHasDefault: the guide shows the built-in rules as they are.
func TestGuideHasDefault(t *testing.T) {
	want := rulesOnly(DefaultText)
	for _, text := range guide(t, "acl.md", "acl") {
		if rulesOnly(text) == want {
			return
		}
	}
	t.Errorf("docs/acl.md does not show the built-in rules:\n%s", want)
}

// rulesOnly leaves the comments out and makes each row of blanks one.
func rulesOnly(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			b.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	return b.String()
}

// TestGuideTranslations: the last column of "From other brokers" is made of rules.
func TestGuideTranslations(t *testing.T) {
	text, err := os.ReadFile("../../docs/acl.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "## From other brokers")
	if !ok {
		t.Fatal("the section is gone")
	}
	count := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		rule, ok := strings.CutPrefix(strings.TrimSpace(cells[len(cells)-1]), "`")
		if !ok {
			continue
		}
		count++
		if _, err := Parse("acl.md", []byte(strings.TrimSuffix(rule, "`"))); err != nil {
			t.Error(err)
		}
	}
	if count != 5 {
		t.Errorf("%d rules in the table, want 5", count)
	}
}
