package report

import (
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
)

// Format is the version of the JSON form of a Run.
const Format = 1

// Run is one run of one scenario against one broker.
type Run struct {
	Format      int           `json:"format"` // Format
	Title       string        `json:"title"`  // of the scenario, one line
	Description string        `json:"description,omitempty"`
	Broker      string        `json:"broker"`         // URL, without a password
	Name        string        `json:"name,omitempty"` // what comparisons call the broker; the URL if empty
	Seed        uint64        `json:"seed"`           // the one that was used; may exceed 2^53
	Begun       time.Time     `json:"begun"`
	Took        time.Duration `json:"took_ns"`            // from the first connect to the verdict
	Planned     time.Duration `json:"planned_ns"`         // the scenario's duration and settle
	Stopped     string        `json:"stopped,omitempty"`  // why the run ended early; empty if it did not
	Version     string        `json:"version,omitempty"`  // of the program that ran the fleet
	Machine     string        `json:"machine,omitempty"`  // that ran the fleet: system, processor, cores
	Scenario    string        `json:"scenario,omitempty"` // the file's text, secrets left out

	Devices    int         `json:"devices"`   // of the scenario
	Connected  int         `json:"connected"` // that were connected at least once
	Processes  int         `json:"processes"` // that held the devices
	Groups     []GroupInfo `json:"groups,omitempty"`
	Shortfalls []Shortfall `json:"shortfalls,omitempty"`
	Incidents  []Shortfall `json:"incidents,omitempty"` // what befell connections and was not by the scenario; no advice

	Verdict     *oracle.Verdict `json:"verdict"` // nil: the run ended before there was one
	Checks      []Check         `json:"checks"`  // see Judge
	Passed      bool            `json:"passed"`  // see Passes
	Timeline    []Sample        `json:"timeline,omitempty"`
	Played      uint64          `json:"played"` // messages that came while Usage.Played was used
	Fleet       Usage           `json:"fleet_usage"`
	BrokerUsage *Usage          `json:"broker_usage,omitempty"` // nil: not watched
}

// GroupInfo is a group of the scenario, in the order in which it is to be shown. Its
// message counts stand in the Verdict by its name.
type GroupInfo struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Protocol    string `json:"protocol"`
	Devices     int    `json:"devices"`
	Connected   int    `json:"connected"` // that were connected at least once
}

// Shortfall is a part of the scenario that this machine or the fleet could not play, so
// that the run shows less than it should. It is no fault of the broker.
type Shortfall struct {
	Reason string `json:"reason"` // what failed: "no local port left"
	Count  uint64 `json:"count"`  // how often, or how many devices
	Advice string `json:"advice"` // what to do about it
}

// Sample is what happened in one interval of a run.
type Sample struct {
	At        time.Duration `json:"at_ns"`     // the interval's end, from the begin of the run
	Connected int           `json:"connected"` // devices, at At

	Connects float64 `json:"connects_per_s"` // accepted
	Refused  float64 `json:"refused_per_s"`  // connects that were refused or failed
	Dropped  float64 `json:"dropped_per_s"`  // connections that ended without DISCONNECT
	Sent     float64 `json:"sent_per_s"`     // PUBLISH, first time
	Acked    float64 `json:"acked_per_s"`    // with success
	Received float64 `json:"received_per_s"` // PUBLISH received, all
	Lost     float64 `json:"lost_per_s"`     // messages found missing in this interval

	Faults uint64 `json:"faults"` // found from the begin of the run until At

	// Latency from PUBLISH to receipt of the messages received in the interval.
	// Measured is how many; if 0, the quantiles say nothing.
	Measured uint64        `json:"latency_count"`
	P50      time.Duration `json:"latency_p50_ns"`
	P90      time.Duration `json:"latency_p90_ns"`
	P99      time.Duration `json:"latency_p99_ns"`

	FleetCPU  float64 `json:"fleet_cpu_percent"` // of one core; 0 if unknown
	FleetRSS  uint64  `json:"fleet_rss_bytes"`   // 0 if unknown
	BrokerCPU float64 `json:"broker_cpu_percent"`
	BrokerRSS uint64  `json:"broker_rss_bytes"`
}

// Usage is what a side of the run needed, summed over its processes.
type Usage struct {
	CPU        float64 `json:"cpu_s"`             // seconds of processor time during the run
	Warm       float64 `json:"cpu_warm_s"`        // of it, until the groups with warm_up stood
	Played     float64 `json:"cpu_played_s"`      // of it, from there until all that was under way had come
	PeakRSS    uint64  `json:"peak_rss_bytes"`    // resident memory
	PerDevice  uint64  `json:"bytes_per_device"`  // resident, over what it was before the first connect; the broker's is of those with warm_up; 0 if unknown
	Goroutines int     `json:"goroutines"`        // at most; 0 if unknown
	Sockets    int     `json:"sockets,omitempty"` // at most; 0 if unknown
}

// Check is one expectation and what came of it.
type Check struct {
	Name   string `json:"name"` // stable, for programs: "lost", "latency_p99"
	What   string `json:"what"` // in words: "messages lost at QoS 1 and 2"
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
	OK     bool   `json:"ok"`
}
