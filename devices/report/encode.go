package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// WriteJSON writes the whole run as one JSON object, indented. Figures that JSON has no
// way to write (NaN, infinities) become 0.
func WriteJSON(w io.Writer, r *Run) error {
	out := *r
	out.Format = Format
	out.Timeline = make([]Sample, len(r.Timeline))
	for i := range r.Timeline {
		out.Timeline[i] = r.Timeline[i].finite()
	}
	out.Fleet.CPU = number(out.Fleet.CPU)
	if r.BrokerUsage != nil {
		usage := *r.BrokerUsage
		usage.CPU = number(usage.CPU)
		out.BrokerUsage = &usage
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(&out)
}

// ReadJSON reads what WriteJSON wrote. Unknown fields are passed over; a run of a newer
// Format, or none at all, is an error.
func ReadJSON(in io.Reader) (*Run, error) {
	r := &Run{}
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return nil, fmt.Errorf("report: this is not the JSON of a run: %w", err)
	}
	if r.Format < 1 || r.Format > Format {
		return nil, fmt.Errorf("report: the run has format %d, this program knows 1 to %d; use the program that wrote it", r.Format, Format)
	}
	return r, nil
}

// WriteLines writes a timeline as JSON lines: one object a sample, with the names of a
// Run's "timeline".
func WriteLines(w io.Writer, timeline []Sample) error {
	e := json.NewEncoder(w)
	for i := range timeline {
		s := timeline[i].finite()
		if err := e.Encode(&s); err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes a timeline as CSV with a head line. Times are seconds there, since
// that is what spreadsheets draw; latencies of intervals without any are left empty.
func WriteCSV(w io.Writer, timeline []Sample) error {
	out := csv.NewWriter(w)
	columns := csvColumns()
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	if err := out.Write(row); err != nil {
		return err
	}
	for n := range timeline {
		s := timeline[n].finite()
		for i, c := range columns {
			row[i] = c.value(&s)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

type csvColumn struct {
	name  string
	value func(*Sample) string
}

func csvColumns() []csvColumn {
	float := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	whole := func(n uint64) string { return strconv.FormatUint(n, 10) }
	latency := func(s *Sample, ns int64) string {
		if s.Measured == 0 {
			return ""
		}
		return float(float64(ns) / 1e9)
	}
	return []csvColumn{
		{"at_s", func(s *Sample) string { return float(s.At.Seconds()) }},
		{"connected", func(s *Sample) string { return strconv.Itoa(s.Connected) }},
		{"connects_per_s", func(s *Sample) string { return float(s.Connects) }},
		{"refused_per_s", func(s *Sample) string { return float(s.Refused) }},
		{"dropped_per_s", func(s *Sample) string { return float(s.Dropped) }},
		{"sent_per_s", func(s *Sample) string { return float(s.Sent) }},
		{"acked_per_s", func(s *Sample) string { return float(s.Acked) }},
		{"received_per_s", func(s *Sample) string { return float(s.Received) }},
		{"lost_per_s", func(s *Sample) string { return float(s.Lost) }},
		{"faults", func(s *Sample) string { return whole(s.Faults) }},
		{"latency_count", func(s *Sample) string { return whole(s.Measured) }},
		{"latency_p50_s", func(s *Sample) string { return latency(s, int64(s.P50)) }},
		{"latency_p90_s", func(s *Sample) string { return latency(s, int64(s.P90)) }},
		{"latency_p99_s", func(s *Sample) string { return latency(s, int64(s.P99)) }},
		{"fleet_cpu_percent", func(s *Sample) string { return float(s.FleetCPU) }},
		{"fleet_rss_bytes", func(s *Sample) string { return whole(s.FleetRSS) }},
		{"broker_cpu_percent", func(s *Sample) string { return float(s.BrokerCPU) }},
		{"broker_rss_bytes", func(s *Sample) string { return whole(s.BrokerRSS) }},
	}
}

// finite is the sample without what JSON cannot hold.
func (s Sample) finite() Sample {
	for _, f := range []*float64{
		&s.Connects, &s.Refused, &s.Dropped, &s.Sent, &s.Acked, &s.Received, &s.Lost, &s.FleetCPU, &s.BrokerCPU,
	} {
		*f = number(*f)
	}
	return s
}

func number(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}
