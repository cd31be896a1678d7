package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// slip is a way of not writing TOML, known by the library's words for it.
type slip struct{ words, problem, hint string }

func slips() []slip {
	return []slip{
		{"cannot have new lines", "the text that begins in this row has no closing quote", ""},
		{"unterminated", "the text that begins in this row has no closing quote", ""},
		{"expected '=' after key", "a key stands here without '='", "write key = value"},
		{"to close", "the name of the table has no closing bracket", ""},
		{"array is incomplete", "a list has no closing bracket", ""},
		{"array value", "two elements of a list stand without a comma between them", ""},
		{"inline table is incomplete", "a table in braces has no closing brace", ""},
		{"invalid escape", `a \ begins a special character that does not exist`, `write \\ for it, or put the text in single quotes`},
		{"invalid UTF-8", "the text is not UTF-8", "save the file as UTF-8"},
		{"too large to fit", "the number is too large", ""},
	}
}

// syntaxFault words the one thing that stops a text from being TOML.
func (d *document) syntaxFault(err error) Fault {
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return place{layer: d.layer, source: d.name}.fault("", libraryWords(err), "")
	}
	row, col := decode.Position()
	at := place{layer: d.layer, source: d.name, row: row, col: col}
	switch first := bytes.TrimSpace(d.text); {
	case bytes.HasPrefix(first, []byte("{")):
		return at.fault("", "this looks like JSON", "the configuration is TOML: sections as [name], settings as key = value")
	case d.parser.Error() != nil:
		line := d.row(row)
		if key, ok := unquoted(line); ok {
			return at.fault("", "a text stands here without quotes", fmt.Sprintf(`write %s = "…"`, key))
		}
		if key, _, found := strings.Cut(line, ":"); found && bareKey(strings.TrimSpace(key)) {
			return at.fault("", "this looks like YAML", "the configuration is TOML: sections as [name], settings as key = value")
		}
	}
	for _, s := range slips() {
		if strings.Contains(decode.Error(), s.words) {
			return at.fault("", s.problem, s.hint)
		}
	}
	return at.fault("", "this is not TOML: "+libraryWords(decode), "")
}

func libraryWords(err error) string { return strings.TrimPrefix(err.Error(), "toml: ") }

// row is the text of a row, counted from 1.
func (d *document) row(row int) string {
	if row < 1 || row > len(d.rows) {
		return ""
	}
	line, _, _ := bytes.Cut(d.text[d.rows[row-1]:], []byte("\n"))
	return string(line)
}

// unquoted recognises the commonest slip, key = value without quotes. The
// value is kept out of the fault: it may be a password.
func unquoted(line string) (key string, ok bool) {
	slip := regexp.MustCompile(`^\s*([A-Za-z0-9_.-]+)\s*=\s*([^\s"'\[{#=][^"'#]*?)\s*(#.*)?$`)
	m := slip.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	return m[1], true
}
