package report

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata from what the code writes")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestTextIsOnePage(t *testing.T) {
	for name, r := range map[string]*Run{"good": goodRun(120), "bad": badRun(120), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			text := Text(r)
			golden(t, name+".txt", text)
			if rows := strings.Count(text, "\n"); rows > 60 {
				t.Errorf("%d lines", rows)
			}
			if strings.ContainsAny(text, "\x1b\x00") {
				t.Error("the text holds control characters")
			}
		})
	}
}

func TestManyGroupsAreCutInText(t *testing.T) {
	r := goodRun(1)
	for range 30 {
		r.Groups = append(r.Groups, GroupInfo{Name: "more"})
	}
	if text := Text(r); !strings.Contains(text, "  and 20 more\n") {
		t.Errorf("32 groups are shown as\n%s", text)
	}
}

func TestComparison(t *testing.T) {
	bad, good := badRun(120), goodRun(120)
	golden(t, "compare.txt", Comparison([]*Run{bad, good}))
	other := goodRun(120)
	other.Name, other.Seed, other.Devices, other.Stopped, other.Verdict, other.BrokerUsage = "brand y", 7, 5, "interrupted", nil, nil
	other.Checks, other.Passed = nil, false
	golden(t, "compare3.txt", Comparison([]*Run{good, bad, other}))
	if Comparison(nil) != "" {
		t.Error("a comparison of nothing says something")
	}
}

func TestJSONGoesThereAndBack(t *testing.T) {
	r := badRun(5)
	r.Seed = 1<<64 - 1
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	golden(t, "bad.json", b.String())
	back, err := ReadJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	clear(r.Verdict.Faults[:]) // JSON has them by name
	for i := range r.Verdict.Examples {
		r.Verdict.Examples[i].Fault = 0
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Errorf("-written +read:\n%s", diff)
	}
	if Text(r) != Text(back) {
		t.Error("a run that was read makes another text than the one that was written")
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "no JSON": "title = 1", "no run": "{}", "a later format": `{"format":2}`} {
		if _, err := ReadJSON(strings.NewReader(text)); err == nil {
			t.Errorf("%s was taken for a run", name)
		}
	}
}

func TestTimelineFiles(t *testing.T) {
	timeline := []Sample{
		{At: 1500 * time.Millisecond, Connected: 3, Sent: 10.5, Measured: 2, P50: 1250 * time.Microsecond, P90: 2e6, P99: 3e6},
		{At: 2 * time.Second, Faults: 1},
	}
	var lines, sheet bytes.Buffer
	if err := WriteLines(&lines, timeline); err != nil {
		t.Fatal(err)
	}
	golden(t, "timeline.jsonl", lines.String())
	if err := WriteCSV(&sheet, timeline); err != nil {
		t.Fatal(err)
	}
	golden(t, "timeline.csv", sheet.String())
	rows, err := csv.NewReader(&sheet).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
