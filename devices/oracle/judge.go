package oracle

import "math"

const (
	second = int64(1e9)
	never  = math.MaxInt64 / 4 // later than any event
)

// judge is the pure core: events in one order in, a verdict out. No goroutine, lock or
// clock; the same events give the same verdict.
type judge struct {
	tally
	topics
	cfg      Config
	now      int64
	devices  []device
	sessions []*session
	groups   []*group // receivers with numbers behind the sessions'

	streams  []stream
	streamOf map[uint64]int32
	rows     slab[row]
	rowOf    map[uint64]int32
	messages slab[message]
	ages     []age
	agedNext int

	deliveries slab[delivery]
	full       bool // something was not noted for want of memory
	touched    []touched
	serial     uint64 // of the message that is being published
	due        dueWills
	repeats    map[copyKey]int32
}

func newJudge(cfg Config) *judge {
	j := &judge{
		tally: newTally(cfg), cfg: cfg, streamOf: map[uint64]int32{}, rowOf: map[uint64]int32{}, repeats: map[copyKey]int32{},
		topics: topics{limit: cfg.MaxTopics, byName: map[string]*topic{}, byFilter: map[string]*filter{}},
	}
	byName := map[string]*session{}
	for i, d := range cfg.Devices {
		s := byName[d.Name]
		if s == nil {
			s = &session{number: int32(len(j.sessions)), owner: -1}
			byName[d.Name] = s
			j.sessions = append(j.sessions, s)
		} else {
			s.contested, s.foreign = true, true
		}
		s.slow = s.slow || d.Slow
		j.devices = append(j.devices, device{number: uint32(i), session: s})
	}
	return j
}

// step judges one event. It keeps nothing of it but its strings.
func (j *judge) step(e *Event) {
	j.now = max(j.now, e.At)
	j.forgetAged()
	j.judgeDueWills()
	if e.Kind == Ends {
		return
	}
	if int(e.Device) >= len(j.devices) {
		j.skip("event of a device that Config does not name")
		return
	}
	d := &j.devices[e.Device]
	switch e.Kind {
	case Connecting:
		j.connecting(d, e)
	case WillSet:
		j.willSet(d, e)
	case Connected:
		j.connected(d, e)
	case Refused:
		j.refused(d, e)
	case Leaving:
		j.leaving(d, e)
	case Lost:
		j.lost(d, e)
	case Subscribing:
		j.subscribing(d, e)
	case Subscribed:
		j.subscribed(d, e)
	case Unsubscribing:
		j.unsubscribing(d, e)
	case Unsubscribed:
		j.unsubscribed(d, e)
	case Publishing:
		j.publishing(d, e)
	case Published:
		j.published(d, e)
	case Received:
		j.received(d, e)
	default:
		j.skip("event of an unknown kind")
	}
}

func (j *judge) snapshot() Snapshot {
	return Snapshot{
		Total: j.total, Faults: j.faults, ByFault: j.byFault(), Connected: j.tally.connected,
		Outstanding: j.deliveries.used(), Latency: j.latency.Quantiles(),
	}
}

// finish decides what did not come, and gives the verdict.
func (j *judge) finish(at int64) *Verdict {
	j.now = max(j.now, at)
	for _, s := range j.sessions {
		j.missedAtEnd(s)
	}
	for _, g := range j.groups {
		j.missedByGroup(g)
	}
	j.finishWills()
	j.countUnfinished()
	j.judgeQoS0()
	return j.verdict()
}

func (j *judge) countUnfinished() {
	for i := range j.messages.all {
		m := &j.messages.all[i]
		if m.flags&inUse != 0 && !m.done() {
			j.count(m.qos, j.streams[m.stream].device, func(c *Counts) *uint64 { return &c.Unfinished })
		}
	}
}

// judgeQoS0 makes the missing QoS 0 deliveries faults if they are more than allowed.
func (j *judge) judgeQoS0() {
	expected, lost := j.qos[0].Expected, j.qos[0].LostQoS0
	if lost == 0 || float64(lost) <= j.cfg.LossQoS0*float64(expected) {
		return
	}
	j.faults[LostMessage] += lost
	for _, e := range j.lost0 {
		if len(j.examples[LostMessage]) < maxExamples {
			j.examples[LostMessage] = append(j.examples[LostMessage], e)
		}
	}
}
