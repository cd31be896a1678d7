package oracle

// Fault names what a broker must not do.
type Fault uint8

// The faults.
const (
	// LostMessage: it had to arrive at a subscriber and did not.
	LostMessage Fault = iota
	// Duplicate: it arrived more often than its QoS and the subscriptions allow.
	Duplicate
	// Reordered: a publisher's messages on one topic with one QoS first arrived in
	// another order than they were sent. [MQTT-4.6.0-5]
	Reordered
	// WrongRetained: a new subscription did not get the retained message that stood,
	// got an older one, or got one that was cleared.
	WrongRetained
	// WrongWill: a Will came that must not, came too early or too late, twice, not at
	// all, or with another content.
	WrongWill
	// Corrupt: a payload or topic that nobody sent so.
	Corrupt
	// Unwanted: a message for which the receiver has no subscription.
	Unwanted
	// SessionLost: Session Present 0 where the session had to stand, or 1 where it
	// could not.
	SessionLost
	// RefusedAck: a message or subscription was answered with a failure that the
	// scenario did not expect.
	RefusedAck
	// FaultCount is how many there are.
	FaultCount
)

// String is the fault's name in ByFault and Example.
func (f Fault) String() string {
	if f < FaultCount {
		return faultNames[f]
	}
	return "unknown"
}

var faultNames = [FaultCount]string{
	LostMessage: "lost", Duplicate: "duplicate", Reordered: "reordered", WrongRetained: "wrong retained",
	WrongWill: "wrong will", Corrupt: "corrupt", Unwanted: "unwanted", SessionLost: "session lost", RefusedAck: "refused",
}

// Example is one occurrence of a fault, for a person.
type Example struct {
	Fault     Fault  `json:"-"`
	Kind      string `json:"fault"`
	At        int64  `json:"at_ns"` // since the begin of the run
	Device    string `json:"device"`
	Publisher string `json:"publisher,omitempty"`
	Topic     string `json:"topic,omitempty"`
	Seq       uint64 `json:"seq"`
	Detail    string `json:"detail"` // in words: what was expected, what came
}

// Counts are what a run, a group or a QoS amounts to.
type Counts struct {
	Sent       uint64 `json:"sent"`       // PUBLISH, first time
	Acked      uint64 `json:"acked"`      // with success
	Expected   uint64 `json:"expected"`   // deliveries that had to come
	Received   uint64 `json:"received"`   // PUBLISH received, all
	Delivered  uint64 `json:"delivered"`  // of Expected, those that came
	Optional   uint64 `json:"optional"`   // received, and would not have been missed: under way at a subscription's edge, QoS 0 while away, ...
	Repeated   uint64 `json:"repeated"`   // duplicates that QoS 0/1 and resends allow
	LostQoS0   uint64 `json:"lost_qos0"`  // QoS 0 messages that should have come (also in Faults only if the scenario forbids them)
	Unfinished uint64 `json:"unfinished"` // sent at QoS 1 or 2 and never acknowledged
}

// Quantiles describe a set of durations, in nanoseconds.
type Quantiles struct {
	Count uint64 `json:"count"`
	Min   int64  `json:"min_ns"`
	Mean  int64  `json:"mean_ns"`
	P50   int64  `json:"p50_ns"`
	P90   int64  `json:"p90_ns"`
	P99   int64  `json:"p99_ns"`
	P999  int64  `json:"p999_ns"`
	Max   int64  `json:"max_ns"`
}

// Verdict is what the oracle says of a run.
type Verdict struct {
	Total  Counts             `json:"total"`
	QoS    [3]Counts          `json:"by_qos"`
	Group  map[string]*Counts `json:"by_group"` // the publisher's group for Sent to Acked, else the receiver's
	Faults [FaultCount]uint64 `json:"-"`
	// ByFault is Faults by name, those that occurred.
	ByFault map[string]uint64 `json:"faults"`
	// Examples are the first of each fault, at most 20 of each.
	Examples []Example `json:"examples,omitempty"`
	// Refusals count CONNACK, SUBACK and PUBACK failures by "connect: not authorized".
	Refusals map[string]uint64 `json:"refusals,omitempty"`
	// Unanswered counts connects over datagrams that were given up without an answer; Asked
	// all connects that were answered or given up.
	Unanswered uint64 `json:"unanswered,omitempty"`
	Asked      uint64 `json:"asked,omitempty"`

	Latency Quantiles `json:"latency"`         // from Publishing to the first Received, live messages
	Ack     Quantiles `json:"ack_latency"`     // from Publishing to Published
	Connect Quantiles `json:"connect_latency"` // from Connecting to Connected, first of a device
	Resume  Quantiles `json:"resume_latency"`  // from Lost or Leaving to Connected again
	// Skipped counts what the oracle could not judge, by reason ("memory: ...").
	Skipped map[string]uint64 `json:"skipped,omitempty"`
}
