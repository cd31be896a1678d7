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

// document holds the tables, each between its marks.
const document = "../../../docs/limits.md"

// sheet is one of the tables.
type sheet struct {
	begin, end string // its marks
	head       string
	row        func(*figure) string
}

// together is the table of what shared the processors.
func together() *sheet {
	return &sheet{
		begin: "<!-- figures: written by go test ./cmd/fairlead/hostile -update-figures -->\n",
		end:   "<!-- end of figures -->",
		head:  "| attack | what it does | what holds | memory, MiB | p50/p99 before, ms | another attacked, ms | attacked, ms |\n|---|---|---|---|---|---|---|\n",
		row:   (*figure).together,
	}
}

// separate is the table of -apart.
func separate() *sheet {
	return &sheet{
		begin: "<!-- figures: written by go test ./cmd/fairlead/hostile -full -apart -update-figures -->\n",
		end:   "<!-- end of figures apart -->",
		head:  "| attack | messages before, ms | another attacked, ms | attacked, ms | p99 more | connects before, ms | another attacked, ms | attacked, ms | p99 more |\n|---|---|---|---|---|---|---|---|---|\n",
		row:   (*figure).separate,
	}
}

// figure is what one attack measured: a row of the table.
type figure struct {
	Name, Does, Holds string
	Grown             int64 // bytes
	Before            service
	Elsewhere         service // while another gateway was attacked in the same way
	During            service
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
	t.Logf("messages p50/p99, ms: before %v, another attacked %v, attacked %v", f.Before.Messages, f.Elsewhere.Messages, f.During.Messages)
	t.Logf("connects p50/p99, ms: before %v, another attacked %v, attacked %v", f.Before.Connects, f.Elsewhere.Connects, f.During.Connects)
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
	s := together()
	if *apart {
		s = separate()
	}
	head, rest, ok := bytes.Cut(old, []byte(s.begin))
	kept, tail, ok2 := bytes.Cut(rest, []byte(s.end))
	if !ok || !ok2 {
		return fmt.Errorf("%s: the marks %q and %q are missing", document, s.begin, s.end)
	}
	return os.WriteFile(document, fmt.Appendf(nil, "%s%s%s%s%s", head, s.begin, s.table(string(kept), rows), s.end, tail), 0o644)
}

// table writes the rows as Markdown; of the old table those stay that were not
// measured anew.
func (s *sheet) table(old string, rows []figure) string {
	fresh := map[string]string{}
	var names []string
	for i := range rows {
		row := s.row(&rows[i])
		fresh[rowName(row)] = row
		names = append(names, rowName(row))
	}
	for line := range strings.Lines(strings.TrimPrefix(old, s.head)) {
		name := rowName(line)
		if _, known := fresh[name]; !known {
			fresh[name] = line
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(s.head)
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

// together is the row of what shared the processors.
func (f *figure) together() string {
	grown := fmt.Sprintf("%.1f", float64(f.Grown)/(1<<20))
	switch {
	case f.Fault != "":
		grown += ", **a fault**: " + f.Fault
	case f.Grown > target && !f.Many:
		grown = "**" + grown + "**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", f.Name, f.Does, f.Holds, grown, f.Before.Messages, f.Elsewhere.Messages, f.During.Messages)
}

// separate is the row of what had processors of its own.
func (f *figure) separate() string {
	b, e, d := &f.Before, &f.Elsewhere, &f.During
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", f.Name, b.Messages, e.Messages, d.Messages, more(e.Messages, d.Messages),
		b.Connects, e.Connects, d.Connects, more(e.Connects, d.Connects))
}

// more tells by how much the 99th percentile is higher than that of another attacked.
func more(elsewhere, during latency) string {
	if elsewhere.P99 == 0 {
		return "–"
	}
	return fmt.Sprintf("%+d %%", 100*(during.P99-elsewhere.P99)/elsewhere.P99)
}

// String gives milliseconds.
func (l latency) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%.2f/%.2f", ms(l.P50), ms(l.P99))
}
