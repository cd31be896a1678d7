package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed report.html
var pageText string

const (
	pageExamples = 100     // faults shown with their story
	pageScenario = 1 << 18 // columns of the scenario's text
)

// WriteHTML writes a run as one web page that needs nothing beside itself: no script, no
// network, no second file. All that comes from a scenario or a broker is escaped.
func WriteHTML(w io.Writer, r *Run) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("report: the page's template: %w", err)
	}
	return t.Execute(w, newPage(r))
}

// page is what the template shows; all of it is words already.
type page struct {
	Title, Description, Headline, State string
	Reasons                             []string
	Failing                             []Check
	Facts                               [][2]string
	Tiles                               [][2]string
	Shortfalls, Incidents               []Shortfall
	Checks                              []Check
	Faults                              [][2]string
	Examples                            []pageExample
	ExamplesCut                         bool
	Plots                               []drawing
	Tables                              []pageTable
	Lists                               []pageList
	Scenario, Version                   string
}

type pageExample struct{ At, Kind, Device, Publisher, Topic, Detail string }

// pageTable is a grid with a name for those who cannot see it.
type pageTable struct {
	Title string
	Note  string
	Head  []string
	Rows  []pageRow
}

type pageRow struct {
	Name  string
	Cells []pageCell
}

type pageCell struct {
	Text   string
	Figure bool
}

type pageList struct {
	Title string
	Rows  [][2]string
}

func newPage(r *Run) *page {
	p := &page{
		Title: clean(r.Title), Description: cleanText(r.Description), Headline: pageHeadline(r), State: "failed",
		Reasons: r.reasons(), Facts: r.facts(), Version: clean(r.Version), Scenario: fit(cleanText(r.Scenario), pageScenario),
	}
	if p.Title == "" {
		p.Title = "A run without a title"
	}
	if r.Passed && r.Verdict != nil {
		p.State = "passed"
	}
	p.Reasons[0] = strings.ToUpper(p.Reasons[0][:1]) + p.Reasons[0][1:]
	p.Shortfalls, p.Incidents = cleaned(r.Shortfalls), cleaned(r.Incidents)
	for _, c := range r.Checks {
		c = Check{Name: c.Name, What: clean(c.What), Wanted: clean(c.Wanted), Got: clean(c.Got), OK: c.OK}
		p.Checks = append(p.Checks, c)
		if !c.OK {
			p.Failing = append(p.Failing, c)
		}
	}
	p.Plots = plotsOf(r, inOrder(r.Timeline))
	p.Tiles = r.tiles()
	p.addTable("Devices by group", "Messages sent and acknowledged are those of the group's devices; received and missing those they were to get.", r.groupGrid())
	if v := r.Verdict; v != nil {
		p.addTable("Latency distribution", "Delivery is from PUBLISH to the first receipt, of live messages.", r.timeGrid())
		p.addTable("Messages by QoS", "Expected: deliveries that had to come. Repeated: duplicates that the QoS allows. Extra: received, and would not have been missed. Unfinished: sent and never acknowledged.", r.messageGrid())
		p.Faults = pairs(v.ByFault)
		p.addList("Refused by the broker", v.Refusals)
		p.addList("Could not be judged", v.Skipped)
		p.addExamples(r)
	}
	p.addTable("Processor and memory", "", r.usageGrid())
	return p
}

func pageHeadline(r *Run) string {
	word := r.headline()
	return word[:1] + strings.ToLower(word[1:])
}

func (r *Run) facts() [][2]string {
	facts := [][2]string{
		{"Broker", clean(r.Broker)}, {"Seed", fmt.Sprint(r.Seed)}, {"Took", span(r.Took)},
	}
	if r.Name != "" {
		facts[0][1] = clean(r.Name) + " at " + clean(r.Broker)
	}
	if !r.Begun.IsZero() {
		facts = append(facts, [2]string{"Begun", r.Begun.UTC().Format("2 January 2006, 15:04:05 UTC")})
	}
	if r.Processes > 0 {
		facts = append(facts, [2]string{"Processes", count(r.Processes)})
	}
	if r.Machine != "" {
		facts = append(facts, [2]string{"Machine", clean(r.Machine)})
	}
	if r.Version != "" {
		facts = append(facts, [2]string{"Version", clean(r.Version)})
	}
	return facts
}

// tiles are the figures that people look for first.
func (r *Run) tiles() [][2]string {
	tiles := [][2]string{{fmt.Sprintf("of %s devices connected", count(r.Devices)), count(r.Connected)}}
	v := r.Verdict
	if v == nil {
		return tiles
	}
	tiles = append(tiles, [2]string{"messages sent", count(v.Total.Sent)})
	if v.Total.Expected > 0 {
		tiles = append(tiles, [2]string{"of expected deliveries came", share(v.Total.Delivered, v.Total.Expected)})
	}
	if f := activeRate(r.Timeline, receivedRate); f > 0 {
		tiles = append(tiles, [2]string{"received a second", figure(f)})
	}
	if v.Latency.Count > 0 {
		tiles = append(tiles, [2]string{"median latency", span(time.Duration(v.Latency.P50))},
			[2]string{"latency of 99 in 100", span(time.Duration(v.Latency.P99))})
	}
	return tiles
}

func (p *page) addTable(title, note string, g grid) {
	if len(g.rows) == 0 {
		return
	}
	t := pageTable{Title: title, Note: note, Head: g.head[1:]}
	for _, row := range g.rows {
		cells := make([]pageCell, 0, len(row)-1)
		for i, text := range row[1:] {
			cells = append(cells, pageCell{text, !leftColumn(g, i+1)})
		}
		t.Rows = append(t.Rows, pageRow{row[0], cells})
	}
	p.Tables = append(p.Tables, t)
}

func (p *page) addList(title string, counts map[string]uint64) {
	if rows := pairs(counts); len(rows) > 0 {
		p.Lists = append(p.Lists, pageList{title, rows})
	}
}

func pairs(counts map[string]uint64) [][2]string {
	var rows [][2]string
	for _, t := range tallies(counts) {
		rows = append(rows, [2]string{t.name, count(t.count)})
	}
	return rows
}

func (p *page) addExamples(r *Run) {
	for i, e := range r.Verdict.Examples {
		if i == pageExamples {
			p.ExamplesCut = true
			return
		}
		p.Examples = append(p.Examples, pageExample{
			At: span(time.Duration(e.At)), Kind: clean(e.Kind), Device: clean(e.Device), Publisher: clean(e.Publisher),
			Topic: fit(clean(e.Topic), 200), Detail: fit(clean(e.Detail), 400),
		})
	}
}

// cleaned is the list without what could mislead a terminal or a reader.
func cleaned(list []Shortfall) (out []Shortfall) {
	for _, s := range list {
		out = append(out, Shortfall{Reason: clean(s.Reason), Count: s.Count, Advice: clean(s.Advice)})
	}
	return out
}
