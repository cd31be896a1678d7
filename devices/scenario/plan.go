package scenario

import "github.com/fairlead-iot/fairlead/internal/config"

// Plan is a scenario and a seed: what every device does. It is not changed once the
// devices begin.
type Plan struct {
	Scenario *Scenario
	Seed     uint64
	Groups   []*GroupPlan // in the order of their names; devices are numbered through them
	// Begun is what {time} and Sparkplug's timestamps say at time 0: nanoseconds since
	// 1970. It begins as the first second of 2026, so that a plan is the same each time;
	// the runner sets it to the present.
	Begun int64

	devices uint32
}

// GroupPlan is what the devices of a group share.
type GroupPlan struct {
	Name       string
	Group      *Group   // as it was loaded
	Broker     string   // the group's own or the scenario's
	DTLSBroker string   // for those over DTLS; "" if there are none
	Network    *Network // nil: none
	Expiry     uint32   // Session Expiry Interval in seconds; 0 if not durable
	First      uint32   // number of its first device within the fleet
	Count      uint32
	Streams    []Stream       // Group.Publish in the order of the names
	Subscribes []Subscription // Group.Subscribe in the order of the names
	Responds   []Response     // Group.Respond in the order of the names
	Slots      uint32         // topics that a device has from the beginning

	plan     *Plan
	seed     uint64
	misfits  uint32 // how many of its devices, the last ones, misbehave
	guarded  uint32 // how many of its devices, the last ones, speak over DTLS
	keys     keyring
	clientID *template
	username *template // nil: none
	password *template // nil: none
	will     *willText // nil: none
	blocks   []block
}

// block is one topic of each device of a group, or the topics of one stream that differ
// from message to message, with their slots.
type block struct {
	topic *template
	like  string // equal for texts that become equal topics
	first uint32 // slot
	count uint32
}

type willText struct {
	topic   *template
	payload *template
	slot    uint32
}

// Stream is one of a group's streams of messages.
type Stream struct {
	Name    string
	Publish *Publish

	topic    *template
	response *template // nil: none
	payload  payloadText
	slot     uint32 // of the topic's first variant
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

	filter  *template
	topic   *template // nil: the Response Topic
	payload payloadText
	slot    uint32 // of topic; noSlot: the topic depends on the request
}

// noSlot: the topic is none of those that are known from the beginning.
const noSlot = 1<<32 - 1

// defaultBegun is 2026-01-01T00:00:00Z.
const defaultBegun = 1767225600 * 1e9

// Plan makes the schedule of all devices; the same seed gives the same. The error is
// of type config.Faults: the scenario was not loaded but made, and is not valid.
func (s *Scenario) Plan(seed uint64) (*Plan, error) {
	if err := config.Validate(s); err != nil {
		return nil, err
	}
	b := builder{s: s, report: func(string, error) {}}
	return b.plan(seed), nil
}

// Len is the number of devices.
func (p *Plan) Len() int { return int(p.devices) }
