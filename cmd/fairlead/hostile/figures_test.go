package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	Before            latency
	Elsewhere         latency // while another gateway was attacked in the same way
	During            latency
	Many              bool
	Fault             string
}

// MarshalJSON keeps the figures in microseconds.
func (l latency) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]int64{l.P50.Microseconds(), l.P99.Microseconds()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *latency) UnmarshalJSON(b []byte) error {
	var us [2]int64
	if err := json.Unmarshal(b, &us); err != nil {
		return err
	}
	l.P50, l.P99 = time.Duration(us[0])*time.Microsecond, time.Duration(us[1])*time.Microsecond
	return nil
}

// note logs a figure, and keeps it for the table: TestMain writes that once every
// test is done.
func note(t *testing.T, f figure) {
	t.Helper()
	t.Logf("innocents p50/p99, ms: before %v, another attacked %v, attacked %v", f.Before, f.Elsewhere, f.During)
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
	kept, tail, ok2 := bytes.Cut(rest, []byte(markEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s: the marks %q and %q are missing", document, markBegin, markEnd)
	}
	return os.WriteFile(document, fmt.Appendf(nil, "%s%s%s%s%s", head, markBegin, table(string(kept), rows), markEnd, tail), 0o644)
}

const tableHead = "| attack | what it does | what holds | memory, MiB | p50/p99 before, ms | another attacked, ms | attacked, ms |\n|---|---|---|---|---|---|---|\n"

// table writes the rows as Markdown; of the old table those stay that were not
// measured anew.
func table(old string, rows []figure) string {
	fresh := map[string]string{}
	var names []string
	for _, f := range rows {
		fresh[rowName(f.row())] = f.row()
		names = append(names, rowName(f.row()))
	}
	for line := range strings.Lines(strings.TrimPrefix(old, tableHead)) {
		name := rowName(line)
		if _, known := fresh[name]; !known {
			fresh[name] = line
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(tableHead)
	for _, name := range names {
		b.WriteString(fresh[name])
	}
	return b.String()
}

// rowName is the first cell.
func rowName(row string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " |")
	return name
}

func (f figure) row() string {
	grown := fmt.Sprintf("%.1f", float64(f.Grown)/(1<<20))
	switch {
	case f.Fault != "":
		grown += ", **a fault**: " + f.Fault
	case f.Grown > target && !f.Many:
		grown = "**" + grown + "**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", f.Name, f.Does, f.Holds, grown, f.Before, f.Elsewhere, f.During)
}

// String gives milliseconds.
func (l latency) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%.2f/%.2f", ms(l.P50), ms(l.P99))
}
