package bench

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/fairlead-iot/fairlead/devices/report"
)

// Format is the version of the JSON form of a Result.
const Format = 1

// Result is what came of a measurement.
type Result struct {
	Format      int                `json:"format"` // Format
	Measurement string             `json:"measurement"`
	What        string             `json:"what"`
	Parameters  Parameters         `json:"parameters"`
	Rounds      int                `json:"rounds"` // that were asked for
	Seed        uint64             `json:"seed"`   // of the first round
	Begun       time.Time          `json:"begun"`
	Version     string             `json:"version,omitempty"`
	Machine     string             `json:"machine"`
	Targets     []Measured         `json:"targets"`
	Ratios      map[string]float64 `json:"ratios,omitempty"` // by figure, with two targets: the first's median by the second's
	Remarks     []Remark           `json:"remarks"`

	figures []Figure
}

// Measured is what was measured of one target.
type Measured struct {
	Name    string           `json:"name"`
	Broker  string           `json:"broker"`  // its URL, without who connects there
	Rounds  []Round          `json:"rounds"`  // in the order in which they were made
	Figures map[string]Stats `json:"figures"` // by name; what could not be measured is left out
}

// Round is one run.
type Round struct {
	Number  int                `json:"round"` // from 1
	Passed  bool               `json:"passed"`
	Figures map[string]float64 `json:"figures"`
}

// Stats are a figure's rounds.
type Stats struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"rounds"`
}

func newResult(m *Measurement, o *Options) *Result {
	r := &Result{
		Format: Format, Measurement: m.Name, What: m.What, Parameters: o.Parameters, Rounds: max(o.Rounds, 1), Seed: o.Seed,
		Begun: time.Now(), Version: o.Version, Machine: machine(), Remarks: []Remark{}, figures: m.Figures,
	}
	for i, t := range o.Targets {
		name := t.Name
		if name == "" {
			name = shown(t.URL)
		}
		if len(o.Targets) > 1 && slices.ContainsFunc(r.Targets, func(other Measured) bool { return other.Name == name }) {
			name += " (" + string(rune('A'+i)) + ")"
		}
		r.Targets = append(r.Targets, Measured{Name: name, Broker: shown(t.URL), Rounds: []Round{}, Figures: map[string]Stats{}})
	}
	return r
}

// note adds a round.
func (r *Result) note(m *Measurement, o *outcome, target, round int, pids []int, left []Remark) {
	n := Round{Number: round + 1, Passed: report.Passes(o.run.Checks), Figures: map[string]float64{}}
	for i := range m.Figures {
		f := &m.Figures[i]
		if f.Fresh && round > 0 {
			continue
		}
		if value, ok := f.of(o); ok {
			n.Figures[f.Name] = rounded(value)
		}
	}
	for _, remark := range append(m.remarks(o, pids), left...) {
		remark.Target, remark.Round = target, round+1
		r.Remarks = append(r.Remarks, remark)
	}
	r.Targets[target].Rounds = append(r.Targets[target].Rounds, n)
}

// sum makes statistics and ratios of the rounds.
func (r *Result) sum(m *Measurement) {
	for i := range r.Targets {
		t := &r.Targets[i]
		for _, f := range m.Figures {
			var values []float64
			for _, round := range t.Rounds {
				if value, ok := round.Figures[f.Name]; ok {
					values = append(values, value)
				}
			}
			if len(values) > 0 {
				t.Figures[f.Name] = statsOf(values)
			}
		}
	}
	r.spreadRemarks()
	if len(r.Targets) != 2 {
		return
	}
	r.Ratios = map[string]float64{}
	for name, a := range r.Targets[0].Figures {
		if b, ok := r.Targets[1].Figures[name]; ok && b.Median > 0 {
			r.Ratios[name] = rounded(a.Median / b.Median)
		}
	}
}

func statsOf(values []float64) Stats {
	v := slices.SortedFunc(slices.Values(values), cmp.Compare)
	n := len(v)
	s := Stats{Median: v[n/2], Min: v[0], Max: v[n-1], N: n}
	if n%2 == 0 {
		s.Median = (v[n/2-1] + v[n/2]) / 2
	}
	return s
}

// rounded keeps six digits; nothing here is measured to more.
func rounded(f float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 6, 64), 64)
	if err != nil {
		return f
	}
	return short
}

// faulty tells whether a target broke a promise in any round.
func (r *Result) faulty(target int) bool {
	return slices.ContainsFunc(r.Remarks, func(m Remark) bool { return m.Fault && m.Target == target })
}

// Faulty tells whether a broker broke a promise in any round.
func (r *Result) Faulty() bool {
	return slices.ContainsFunc(r.Remarks, func(m Remark) bool { return m.Fault })
}

// WriteJSON writes results as one JSON array, indented.
func WriteJSON(w io.Writer, results []*Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(results)
}
