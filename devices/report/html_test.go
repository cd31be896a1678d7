package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
)

// pages is for people who change the page and want to look at it.
var pages = flag.String("pages", "", "write the sample pages into this folder")

func pageOf(t *testing.T, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wellFormed reads a page as strictly as XML: every tag closed in order, every
// attribute quoted, no stray & or <.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	ids := map[string]bool{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			row, column := d.InputPos()
			t.Fatalf("line %d, column %d: %v", row, column, err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if element.Name.Local == "script" || element.Name.Local == "link" || element.Name.Local == "img" {
			t.Errorf("the page has a <%s>", element.Name.Local)
		}
		for _, a := range element.Attr {
			switch name := a.Name.Local; {
			case name == "id" && ids[a.Value]:
				t.Errorf("two elements have the id %q", a.Value)
			case name == "id":
				ids[a.Value] = true
			case name == "src" || name == "href" || strings.HasPrefix(name, "on"):
				t.Errorf("the page has %s=%q", name, a.Value)
			}
		}
	}
}

func TestPageStandsAlone(t *testing.T) {
	runs := map[string]*Run{"good": goodRun(120), "bad": badRun(120), "long": badRun(10_000), "one": goodRun(1), "none": goodRun(0), "empty": {}}
	for name, r := range runs {
		t.Run(name, func(t *testing.T) {
			page := pageOf(t, r)
			wellFormed(t, page)
			if hit := regexp.MustCompile(`(?i)https?:|url\(|@import|javascript:`).FindString(page); hit != "" {
				t.Errorf("the page refers to something outside: %s", hit)
			}
			for _, bad := range []string{"<no value>", "ZgotmplZ", "NaN", "Inf", "%!"} {
				if strings.Contains(page, bad) {
					t.Errorf("the page has %q", bad)
				}
			}
			if len(page) > 600_000 {
				t.Errorf("the page has %d bytes", len(page))
			}
			if *pages != "" {
				if err := os.WriteFile(filepath.Join(*pages, name+".html"), []byte(page), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestPageEscapesStrangers(t *testing.T) {
	const hostile = "</style></title></pre><script>alert(1)</script>\"'><img src=x onerror=1>&amp;\x00\x1b[2J\u202e\xff{{.}}"
	r := badRun(3)
	r.Title, r.Description, r.Broker, r.Name, r.Scenario = hostile, hostile, hostile, hostile, hostile
	r.Version, r.Machine, r.Stopped = hostile, hostile, hostile
	r.Groups = append(r.Groups, GroupInfo{Name: hostile, Description: hostile, Protocol: hostile})
	r.Shortfalls = []Shortfall{{Reason: hostile, Advice: hostile}}
	r.Checks = append(r.Checks, Check{Name: hostile, What: hostile, Wanted: hostile, Got: hostile})
	v := r.Verdict
	v.ByFault[hostile], v.Refusals[hostile], v.Skipped[hostile] = 1, 1, 1
	v.Examples = append(v.Examples, oracle.Example{Kind: hostile, Device: hostile, Publisher: hostile, Topic: hostile, Detail: hostile})
	page := pageOf(t, r)
	if !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the hostile words are not shown at all")
	}
	wellFormed(t, page) // also finds <script> and <img>
}

func TestPageWithOddFigures(t *testing.T) {
	huge := math.MaxFloat64
	odd := []Sample{
		{At: -time.Second, Sent: 1},
		{At: math.MaxInt64, Connected: math.MaxInt, Sent: huge, Received: math.Inf(1), Measured: 1, P50: math.MaxInt64, P90: -1, P99: 0, FleetRSS: math.MaxUint64, Faults: math.MaxUint64},
		{At: 0, Connected: -5, Sent: math.NaN(), Acked: -huge, BrokerCPU: huge},
	}
	r := goodRun(0)
	r.Timeline, r.Devices, r.Took = odd, math.MaxInt, math.MaxInt64
	r.Verdict.Total.Sent = math.MaxUint64
	r.Verdict.Latency = oracle.Quantiles{Count: math.MaxUint64, Min: math.MinInt64, Max: math.MaxInt64}
	page := pageOf(t, r)
	wellFormed(t, page)
	for _, bad := range []string{"NaN", "Inf", "e+"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Error(err)
	}
	if err := WriteText(&b, r); err != nil {
		t.Error(err)
	}
}

func TestPlotKeepsSpikes(t *testing.T) {
	timeline := make([]Sample, 10_000)
	for i := range timeline {
		timeline[i] = Sample{At: time.Duration(i+1) * time.Second, Sent: 10}
	}
	timeline[7_321].Sent, timeline[2_222].Sent = 1_000, 0
	p := plot{title: "x", write: figure, axis: func(_, most float64) axis { return linearAxis(most, 1, figure) }, curves: []curve{{"sent", always(sentRate), 1}}}
	d := p.draw("p", timeline)
	path := d.Lines[0].Path
	if n := strings.Count(path, "L"); n > 2*plotColumns {
		t.Errorf("the path has %d points", n)
	}
	for _, want := range []string{place(plotTop), place(plotBottom)} { // the figures 1,000 and 0
		if !regexp.MustCompile(` ` + want + `(L|$)`).MatchString(path) {
			t.Errorf("no point of the path is at height %s", want)
		}
	}
}

func TestPlotBreaksWhereNothingWasMeasured(t *testing.T) {
	timeline := []Sample{{At: 1e9, Measured: 1, P50: 5}, {At: 2e9, Measured: 1, P50: 5}, {At: 3e9}, {At: 4e9, Measured: 1, P50: 6}}
	p := latencyPlot()
	d := p.draw("p", timeline)
	if n := strings.Count(d.Lines[0].Path, "M"); n != 1 || len(d.Lines[0].Dots) != 1 {
		t.Errorf("the curve has %d parts and %d dots, want one of each", n, len(d.Lines[0].Dots))
	}
}

func TestOneThingLooksTheSameInEachPlot(t *testing.T) {
	timeline := sampleTimeline(10)
	for i := range timeline {
		timeline[i].BrokerCPU = 0 // unknown: the fleet is alone in the plot of processors
	}
	styles := map[string]string{}
	for _, d := range plotsOf(goodRun(0), timeline) {
		for _, line := range d.Lines {
			if line.Name == "fleet" {
				styles[d.Title] = line.Class
			}
		}
	}
	if a, b := styles["Processor, % of one core"], styles["Resident memory"]; a != b || a == "" {
		t.Errorf("the fleet is %q in one plot and %q in another", a, b)
	}
}
