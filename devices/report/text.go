package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	textExamples = 3  // of each fault, in the page of text
	textGroups   = 12 // rows
)

// WriteText writes the summary of a run: one page without colours, for a terminal and for
// a log alike. Tables keep to about 100 columns; a fault's story takes one line of at
// most 180.
func WriteText(w io.Writer, r *Run) error {
	_, err := io.WriteString(w, Text(r))
	return err
}

// Text is what WriteText writes.
func Text(r *Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", r.headline(), clean(r.Title))
	fmt.Fprintf(&b, "%s\n", strings.Join(r.reasons(), "; "))
	fmt.Fprintf(&b, "%s\n", strings.Join(r.circumstances(), ", "))
	textTally(&b, "Not all of the scenario could be played:", r.Shortfalls)
	textTally(&b, "What befell connections:", r.Incidents)
	if r.Verdict != nil {
		writeGrid(&b, r.messageGrid())
		writeGrid(&b, r.timeGrid())
	}
	groups := r.groupGrid()
	if more := len(groups.rows) - textGroups; more > 0 {
		groups.rows = groups.rows[:textGroups]
		writeGrid(&b, groups)
		fmt.Fprintf(&b, "  and %d more\n", more)
	} else {
		writeGrid(&b, groups)
	}
	writeGrid(&b, r.usageGrid())
	r.textChecks(&b)
	if r.Verdict != nil {
		r.textFaults(&b)
	}
	return b.String()
}

// circumstances are broker, seed, begin and length, for the lines below the headline.
func (r *Run) circumstances() []string {
	words := []string{plural(uint64(max(r.Devices, 0)), "device") + " at " + clean(r.Broker), fmt.Sprintf("seed %d", r.Seed)}
	if !r.Begun.IsZero() {
		words = append(words, r.Begun.UTC().Format("2006-01-02 15:04 UTC"))
	}
	words = append(words, "took "+span(r.Took))
	if r.Processes > 1 {
		words = append(words, count(r.Processes)+" processes")
	}
	return words
}

// textTally lists what was counted by reason, with advice where there is some.
func textTally(b *strings.Builder, head string, list []Shortfall) {
	if len(list) == 0 {
		return
	}
	b.WriteString("\n" + head + "\n")
	for _, s := range list {
		line := count(s.Count) + "× " + clean(s.Reason)
		if s.Advice != "" {
			line += ": " + clean(s.Advice)
		}
		fmt.Fprintf(b, "  %s\n", line)
	}
}

func (r *Run) textChecks(b *strings.Builder) {
	g := grid{head: []string{"Expected", "", "wanted", "got"}, text: []bool{true, true, true, true}}
	for _, c := range r.Checks {
		mark := "ok"
		if !c.OK {
			mark = "FAILS"
		}
		g.rows = append(g.rows, []string{clean(c.What), mark, clean(c.Wanted), clean(c.Got)})
	}
	writeGrid(b, g)
}

func (r *Run) textFaults(b *strings.Builder) {
	for _, list := range []struct {
		title  string
		counts map[string]uint64
	}{{"Refused", r.Verdict.Refusals}, {"Not judged", r.Verdict.Skipped}, {"Faults", r.Verdict.ByFault}} {
		if sum(list.counts) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s\n", list.title)
		for _, t := range tallies(list.counts) {
			fmt.Fprintf(b, "  %s× %s\n", count(t.count), fit(t.name, 90))
		}
	}
	shown := map[string]int{}
	for _, e := range r.Verdict.Examples {
		if shown[e.Kind]++; shown[e.Kind] <= textExamples {
			fmt.Fprintf(b, "  at %s, %s\n", span(time.Duration(e.At)), fit(clean(exampleWords(e.Kind, e.Device, e.Publisher, e.Topic, e.Detail)), 160))
		}
	}
}

// exampleWords is an example in one line.
func exampleWords(kind, device, publisher, topic, detail string) string {
	s := kind + ": " + device
	if publisher != "" {
		s += " from " + publisher
	}
	if topic != "" {
		s += " on " + topic
	}
	return s + ": " + detail
}

// writeGrid writes a table below an empty line; nothing if it has no rows.
func writeGrid(b *strings.Builder, g grid) {
	if len(g.rows) == 0 {
		return
	}
	widths := make([]int, len(g.head))
	for _, row := range append([][]string{g.head}, g.rows...) {
		for i, cell := range row {
			extra := 0
			if i == 0 && len(g.rows) > 0 {
				extra = 2 // rows are set in below the head
			}
			widths[i] = max(widths[i], min(cells(cell), 48)+extra)
		}
	}
	b.WriteByte('\n')
	writeRow(b, g, g.head, widths, "")
	for _, row := range g.rows {
		writeRow(b, g, row, widths, "  ")
	}
}

func writeRow(b *strings.Builder, g grid, row []string, widths []int, indent string) {
	var line strings.Builder
	for i, cell := range row {
		if i == 0 {
			cell = indent + cell
		} else {
			line.WriteString("  ")
		}
		if i < len(row)-1 || !leftColumn(g, i) {
			cell = fit(cell, widths[i])
		}
		pad := strings.Repeat(" ", max(widths[i]-cells(cell), 0))
		if leftColumn(g, i) {
			line.WriteString(cell + pad)
		} else {
			line.WriteString(pad + cell)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// leftColumn tells whether a column is text.
func leftColumn(g grid, i int) bool { return i == 0 || i < len(g.text) && g.text[i] }
