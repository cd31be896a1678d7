package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func sampleStatus() *Status {
	return &Status{
		Title: "Smart meters", Phase: "publishing", Elapsed: 45 * time.Second, Planned: 2 * time.Minute, Devices: 10_000,
		Now: Sample{
			Connected: 9_998, Connects: 2, Sent: 10_012, Acked: 5_001, Received: 20_031, Measured: 20_031,
			P50: 1_210 * time.Microsecond, P90: 3 * time.Millisecond, P99: 9 * time.Millisecond,
			FleetCPU: 43, FleetRSS: 410 << 20, BrokerCPU: 29, BrokerRSS: 96 << 20,
		},
		Sent: 402_118, Received: 804_201, Watched: true, Faults: map[string]uint64{"lost message": 3, "duplicate": 12},
	}
}

func TestStatusLines(t *testing.T) {
	var b strings.Builder
	for _, width := range []int{120, 80, 40, 10} {
		lines := StatusLines(sampleStatus(), width)
		for _, line := range lines {
			if cells(line) > width {
				t.Errorf("%q has %d columns, allowed are %d", line, cells(line), width)
			}
		}
		fmt.Fprintf(&b, "width %d\n%s\n\n", width, strings.Join(lines, "\n"))
	}
	calm := &Status{Title: "No end\x1b[2J", Phase: "connecting", Elapsed: 3 * time.Second, Devices: 5, Shortage: "no local port left"}
	fmt.Fprintf(&b, "%s\n\n%s\n%s\n", strings.Join(StatusLines(calm, 80), "\n"), StatusLine(sampleStatus()), StatusLine(calm))
	golden(t, "status.txt", b.String())
	for _, width := range []int{-5, 0, 1} {
		StatusLines(sampleStatus(), width) // must not panic
	}
}

// screen is a terminal that understands what Progress writes: text, line ends, cursor
// up, carriage return, erase below. Lines that are too long wrap.
type screen struct {
	width int
	rows  []string
	at    int
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		var up int
		switch {
		case strings.HasPrefix(text, "\r\n"):
			s.at++
			text = text[2:]
		case strings.HasPrefix(text, "\r"):
			text = text[1:]
		case strings.HasPrefix(text, "\x1b[J"):
			s.rows = s.rows[:s.at]
			text = text[3:]
		case strings.HasPrefix(text, "\x1b["):
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &up); err != nil {
				return 0, fmt.Errorf("unknown command in %q", text)
			}
			s.at -= up
			_, text, _ = strings.Cut(text, "A")
		default:
			end := strings.IndexAny(text, "\r\x1b")
			line := []rune(text[:end])
			text = text[end:]
			for {
				for len(s.rows) <= s.at {
					s.rows = append(s.rows, "")
				}
				s.rows[s.at] = string(line[:min(len(line), s.width)])
				if len(line) <= s.width {
					break
				}
				line = line[s.width:]
				s.at++
			}
		}
	}
	return len(p), nil
}

// resize wraps what stands there anew, as terminals do.
func (s *screen) resize(width int) {
	var rows []string
	for _, row := range s.rows {
		line := []rune(row)
		for len(line) > width {
			rows = append(rows, string(line[:width]))
			line = line[width:]
		}
		rows = append(rows, string(line))
	}
	s.width, s.rows, s.at = width, rows, len(rows)
}

func TestProgressRedrawsInPlace(t *testing.T) {
	s := &screen{width: 100, rows: []string{"before"}, at: 1}
	p := NewProgress(s, func() int { return s.width }, 0)
	show := func() {
		t.Helper()
		if err := p.Show(sampleStatus()); err != nil {
			t.Fatal(err)
		}
		want := append([]string{"before"}, StatusLines(sampleStatus(), s.width-1)...)
		if strings.Join(s.rows, "\n") != strings.Join(want, "\n") {
			t.Errorf("at width %d the screen shows\n%s\nwant\n%s", s.width, strings.Join(s.rows, "\n"), strings.Join(want, "\n"))
		}
	}
	show()
	show()
	s.resize(40)
	show()
	if err := p.Clear(); err != nil {
		t.Fatal(err)
	}
	if len(s.rows) != 1 {
		t.Errorf("after Clear the screen shows %q", s.rows)
	}
	if err := p.Clear(); err != nil {
		t.Fatal(err)
	}
	show()
}

func TestProgressInALog(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, nil, 0)
	s := sampleStatus()
	for i, phase := range []string{"connecting", "connecting", "publishing", "publishing", "publishing"} {
		s.Phase, s.Elapsed = phase, time.Duration(i)*3*time.Second
		if err := p.Show(s); err != nil {
			t.Fatal(err)
		}
		if err := p.Clear(); err != nil {
			t.Fatal(err)
		}
	}
	var begins []string
	for line := range strings.Lines(b.String()) {
		begins = append(begins, strings.SplitN(line, ",", 2)[0])
	}
	if got, want := strings.Join(begins, "; "), "0 connecting; 6 s publishing; 12 s publishing"; got != want {
		t.Errorf("lines at %s, want %s", got, want)
	}
}

type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWritersErrorsComeBack(t *testing.T) {
	r := goodRun(3)
	for name, err := range map[string]error{
		"text": WriteText(fullDisk{}, r), "json": WriteJSON(fullDisk{}, r), "lines": WriteLines(fullDisk{}, r.Timeline), "csv": WriteCSV(fullDisk{}, r.Timeline),
		"html": WriteHTML(fullDisk{}, r), "comparison": WriteComparison(fullDisk{}, []*Run{r}), "progress": NewProgress(fullDisk{}, nil, 0).Show(sampleStatus()),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
