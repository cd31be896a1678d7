package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// document holds the table, between the two marks.
const (
	document  = "../../../docs/limits.md"
	markBegin = "<!-- figures: written by go test ./cmd/fairlead/hostile -update-figures -->\n"
	markEnd   = "<!-- end of figures -->"
)

// figure is what one attack measured: a row of the table.
type figure struct {
	Name, Does, Holds string
	Grown             int64 // bytes
	Before, During    latency
	Many              bool
	Fault             string
}

// MarshalJSON keeps the figures in microseconds.
func (l latency) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]int64{l.p50.Microseconds(), l.p99.Microseconds()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *latency) UnmarshalJSON(b []byte) error {
	var us [2]int64
	if err := json.Unmarshal(b, &us); err != nil {
		return err
	}
	l.p50, l.p99 = time.Duration(us[0])*time.Microsecond, time.Duration(us[1])*time.Microsecond
	return nil
}

// note logs a figure, and keeps it for the table: TestMain writes that once every
// test is done.
func note(t *testing.T, f figure) {
	t.Helper()
	t.Logf("innocents p50/p99: before %v/%v, during %v/%v", f.Before.p50, f.Before.p99, f.During.p50, f.During.p99)
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(os.Getenv(folderKey), strings.ReplaceAll(t.Name(), "/", "-")+".figure")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeFigures puts the figures of this run between the marks.
func writeFigures(folder string) error {
	names, err := filepath.Glob(filepath.Join(folder, "*.figure"))
	if err != nil {
		return err
	}
	var rows []figure
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var f figure
		if err := json.Unmarshal(text, &f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, f)
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(markBegin))
	_, tail, ok2 := bytes.Cut(rest, []byte(markEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s: the marks %q and %q are missing", document, markBegin, markEnd)
	}
	return os.WriteFile(document, fmt.Appendf(nil, "%s%s%s%s%s", head, markBegin, table(rows), markEnd, tail), 0o644)
}

// table writes the rows as Markdown.
func table(rows []figure) string {
	var b strings.Builder
	b.WriteString("| attack | what it does | what holds | memory, MiB | p50/p99 before, ms | p50/p99 during, ms |\n|---|---|---|---|---|---|\n")
	for _, f := range rows {
		grown := fmt.Sprintf("%.1f", float64(f.Grown)/(1<<20))
		switch {
		case f.Fault != "":
			grown = "**" + grown + "** (fault: " + f.Fault + ")"
		case f.Grown > target && !f.Many:
			grown = "**" + grown + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", strings.ReplaceAll(f.Name, "_", " "), f.Does, f.Holds, grown, f.Before, f.During)
	}
	return b.String()
}

// String gives milliseconds.
func (l latency) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%.2f/%.2f", ms(l.p50), ms(l.p99))
}
