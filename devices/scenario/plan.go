package scenario

import "time"

// Plan is a scenario and a seed: what every device does. It is not changed once made.
type Plan struct {
	Scenario *Scenario
	Seed     uint64
	Groups   []*GroupPlan // in the order of their names; devices are numbered through them
	devices  uint32
}

// GroupPlan is what the devices of a group share.
type GroupPlan struct {
	Name       string
	Group      *Group   // as it was loaded
	Broker     string   // the group's own or the scenario's
	Network    *Network // nil: none
	First      uint32   // number of its first device within the fleet
	Count      uint32
	Streams    []Stream       // Group.Publish in the order of the names
	Subscribes []Subscription // Group.Subscribe in the order of the names
	Responds   []Response     // Group.Respond in the order of the names
	Slots      uint32         // rows of message numbers that a device has; Message.Slot is below it

	seed     uint64
	texts    groupTexts
	misfits  uint32 // how many of its devices, the last ones, misbehave
	hasSleep bool
}

// Stream is one of a group's streams of messages.
type Stream struct {
	Name    string
	Publish *Publish

	texts streamTexts
}

// Subscription is one of a group's subscriptions. See Device.AppendFilter.
type Subscription struct {
	Name      string
	Subscribe *Subscribe

	filter *template
}

// Response is one of a group's answers. See State.Answers and State.Answer.
type Response struct {
	Name    string
	Respond *Respond

	texts streamTexts
	match *template
}

// Device is one device, as far as it never changes. It is a small value.
type Device struct {
	Group *GroupPlan
	Index uint32 // within the fleet, from 0
	N     uint32 // within the group, from 0; {n} is one more
}

// State is what a device has done so far. It lives as long as the run, over all the
// device's connections, and belongs to one goroutine.
type State struct {
	Device
	rows    []uint32 // next Seq by slot
	streams []streamState
	stays   uint32 // connections begun
	waits   uint32 // waits drawn by Backoff
	online  bool
}

// Stay says how long a device remains connected of its own will.
type Stay struct {
	Leave  int64 // when it goes; 0: not before the end
	Abrupt bool  // it cuts the connection instead of DISCONNECT
	Back   int64 // when it connects again
}

// Message is one message to send. Its buffers are kept for the next.
type Message struct {
	Topic    []byte
	Slot     uint32 // which of the device's topics: the same slot is always the same topic
	Seq      uint64 // number within (device, topic), from 0
	Payload  []byte
	Mark     []byte // the mark, within Payload or Property, for PutMarkTime; empty: none
	Property []byte // value of the user property MarkProperty; empty: none
	Response []byte // Response Topic; empty: none
	Data     []byte // Correlation Data; empty: none
	Expiry   uint32 // Message Expiry Interval, seconds; 0: none
	Delay    uint32 // Will Delay Interval, seconds
	QoS      uint8
	Retain   bool

	scratch []byte
}

// Request is a received message that is answered. Its bytes are only read.
type Request struct {
	Topic    []byte
	Payload  []byte
	Response []byte // its Response Topic; empty: none
	Data     []byte // its Correlation Data
}

// Len is the number of devices.
func (p *Plan) Len() int { return int(p.devices) }

// Ends is how long the devices publish, from the first connect on, in nanoseconds.
func (p *Plan) Ends() int64 { return int64(p.Scenario.Duration) }

// Backoff is how long to wait before the next try to connect, after tries (from 1) in
// a row that failed; false: the device gives up.
func (st *State) Backoff(tries int) (time.Duration, bool) {
	r := &st.Group.Group.Reconnect
	if r.Limit > 0 && tries > r.Limit {
		return 0, false
	}
	wait := r.Min
	for i := 1; i < tries && wait < r.Max; i++ {
		wait *= 2
	}
	wait = min(wait, r.Max)
	st.waits++
	g := st.chance(drawBackoff, uint64(st.waits))
	return time.Duration(float64(wait) * (1 - r.Jitter*g.share())), true
}
