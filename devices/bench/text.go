package bench

import (
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteText writes a result for people: what was measured, a table, and the remarks.
func WriteText(w io.Writer, r *Result) error {
	_, err := io.WriteString(w, r.text())
	return err
}

func (r *Result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Measurement, r.What)
	fmt.Fprintf(&b, "%s\n\n", strings.Join(r.sizes(), ", "))
	writeTable(&b, r.table())
	if len(r.Targets) == 2 {
		fmt.Fprintf(&b, "A is %s, B is %s.\n", r.Targets[0].Name, r.Targets[1].Name)
	}
	if r.most() > 1 {
		b.WriteString("Medians, with the smallest and the largest of the rounds.\n")
	}
	r.writeRemarks(&b)
	return b.String()
}

// most is how many rounds the best measured target has.
func (r *Result) most() (n int) {
	for i := range r.Targets {
		n = max(n, len(r.Targets[i].Rounds))
	}
	return n
}

// sizes are the parameters that the measurement heeds, in words.
func (r *Result) sizes() []string {
	p := &r.Parameters
	words := []string{counted(p.Devices, "device")}
	m, err := Find(r.Measurement)
	if err != nil {
		return words
	}
	for _, use := range m.Uses {
		switch {
		case use == "rate" && p.Rate > 0 && m.paced:
			words = append(words, amount(p.Rate)+" messages/s offered")
		case use == "rate" && p.Rate > 0:
			words = append(words, amount(p.Rate)+" connects/s")
		case use == "rate" && m.paced:
			words = append(words, "as fast as it goes")
		case use == "rate":
			words = append(words, "all at once")
		case use == "qos":
			words = append(words, fmt.Sprintf("QoS %d", p.QoS))
		case use == "payload":
			words = append(words, counted(p.Payload, "byte"))
		case use == "topics":
			words = append(words, counted(p.Topics, "topic"))
		case use == "queued":
			words = append(words, counted(p.Queued, "message")+" waiting for each")
		}
	}
	return append(words, p.Protocol, amount(p.Seconds)+" s", counted(r.Rounds, "round"))
}

// table has a row for each figure that was measured of anybody.
func (r *Result) table() [][]string {
	head := []string{"", ""}
	for i := range r.Targets {
		head = append(head, fit(r.Targets[i].Name))
	}
	if len(r.Targets) == 2 {
		head = append(head, "A/B", "better")
	}
	rows := [][]string{head}
	for _, f := range r.figures {
		row, known := []string{"  " + f.What, f.Unit}, false
		for i := range r.Targets {
			s, ok := r.Targets[i].Figures[f.Name]
			known = known || ok
			row = append(row, s.cell(ok))
		}
		if len(r.Targets) == 2 {
			row = append(row, r.ratioCells(&f)...)
		}
		if known {
			rows = append(rows, row)
		}
	}
	return rows
}

func (s Stats) cell(known bool) string {
	switch {
	case !known:
		return "–"
	case s.N == 1:
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Min), number(s.Max))
}

// noise is how near to 1 a ratio says nothing.
const noise = 0.03

// ratioCells say how the targets compare, and which did better where their rounds do
// not overlap.
func (r *Result) ratioCells(f *Figure) []string {
	a, hasA := r.Targets[0].Figures[f.Name]
	b, hasB := r.Targets[1].Figures[f.Name]
	ratio, ok := r.Ratios[f.Name]
	if !ok || !hasA || !hasB {
		return []string{"–", ""}
	}
	better := ""
	switch {
	case r.faulty(0) || r.faulty(1): // who breaks promises may well be fast
	case f.neutral || a.N < 3 || b.N < 3 || math.Abs(ratio-1) < noise:
	case a.Max < b.Min && f.Less || a.Min > b.Max && !f.Less:
		better = "A"
	case b.Max < a.Min && f.Less || b.Min > a.Max && !f.Less:
		better = "B"
	}
	return []string{number(ratio) + "×", better}
}

// writeRemarks writes each remark once, with the rounds it is of.
func (r *Result) writeRemarks(b *strings.Builder) {
	type key struct {
		name   string
		target int
	}
	rounds := map[key][]string{}
	var order []Remark
	for _, m := range r.Remarks {
		k := key{m.Name, m.Target}
		if rounds[k] == nil {
			order = append(order, m)
		}
		if n := strconv.Itoa(m.Round); !slices.Contains(rounds[k], n) {
			rounds[k] = append(rounds[k], n)
		}
	}
	slices.SortStableFunc(order, func(x, y Remark) int {
		if x.Fault == y.Fault {
			return 0
		}
		if x.Fault {
			return -1
		}
		return 1
	})
	for _, m := range order {
		where := ""
		if len(r.Targets) > 1 {
			where = r.Targets[m.Target].Name + ": "
		}
		if m.Fault {
			where += "WORTHLESS: "
		}
		of := rounds[key{m.Name, m.Target}]
		text := where + clean(m.Text)
		if m.Round > 0 && len(of) < r.most() {
			text += " (round " + strings.Join(of, ", ") + ")"
		}
		fmt.Fprintf(b, "! %s\n", text)
	}
}

// writeTable sets columns below each other: the first two to the left, the others to the
// right.
func writeTable(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < 2 {
				line.WriteString(cell + pad + " ")
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// number writes a figure to about three places.
func number(f float64) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "–"
	case f == 0:
		return "0"
	case f < 0.1:
		return strconv.FormatFloat(f, 'f', 3, 64)
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return amount(math.Round(f))
}

// amount writes what people chose, as they wrote it but for the commas.
func amount(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	whole, part, _ := strings.Cut(s, ".")
	if part != "" {
		return s
	}
	s = whole
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted writes "1 device", "2,000 devices".
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return amount(float64(n)) + " " + one + "s"
}

// fit keeps a broker's name within its column.
func fit(name string) string {
	const most = 30
	if utf8.RuneCountInString(name) > most {
		return string([]rune(name)[:most-1]) + "…"
	}
	return name
}

// clean makes one line of a text that a broker may have had a part in.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

// shown is a URL without who connects there.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	u.User = nil
	return u.String()
}
