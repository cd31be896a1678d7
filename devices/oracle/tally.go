package oracle

import "fmt"

const maxExamples = 20

// tally is what is counted.
type tally struct {
	begun     int64
	devices   []Device
	total     Counts
	qos       [3]Counts
	group     map[string]*Counts
	of        []*Counts // the group of each device
	faults    [FaultCount]uint64
	examples  [FaultCount][]Example
	lost0     []Example // of QoS 0, a fault only if there are too many
	refusals  map[string]uint64
	silent    uint64 // connects that were given up without an answer
	asked     uint64 // all that were answered or given up
	skipped   map[string]uint64
	latency   Histogram
	ack       Histogram
	connect   Histogram
	resume    Histogram
	connected int
}

func newTally(cfg Config) tally {
	t := tally{
		begun: cfg.Begun, devices: cfg.Devices, group: map[string]*Counts{},
		refusals: map[string]uint64{}, skipped: map[string]uint64{}, of: make([]*Counts, len(cfg.Devices)),
	}
	for i, d := range cfg.Devices {
		if t.group[d.Group] == nil {
			t.group[d.Group] = &Counts{}
		}
		t.of[i] = t.group[d.Group]
	}
	return t
}

// count adds one to what field chooses: in total, for a QoS and for a device's group.
func (t *tally) count(qos uint8, device uint32, field func(*Counts) *uint64) {
	*field(&t.total)++
	*field(&t.qos[min(qos, 2)])++
	if int(device) < len(t.of) {
		*field(t.of[device])++
	}
}

// fault notes a fault; e names the occurrence.
func (t *tally) fault(f Fault, e Example) {
	t.faults[f]++
	if len(t.examples[f]) < maxExamples {
		e.Fault, e.Kind = f, f.String()
		e.At -= t.begun
		t.examples[f] = append(t.examples[f], e)
	}
}

func (t *tally) skip(why string) { t.skipped[why]++ }

func (t *tally) name(device uint32) string {
	if int(device) < len(t.devices) {
		return t.devices[device].Name
	}
	return fmt.Sprintf("device %d", device)
}

func (t *tally) byFault() map[string]uint64 {
	m := map[string]uint64{}
	for f, n := range t.faults {
		if n > 0 {
			m[Fault(f).String()] = n
		}
	}
	return m
}

func (t *tally) verdict() *Verdict {
	v := &Verdict{
		Total: t.total, QoS: t.qos, Group: map[string]*Counts{}, Faults: t.faults, ByFault: t.byFault(),
		Latency: t.latency.Quantiles(), Ack: t.ack.Quantiles(),
		Connect: t.connect.Quantiles(), Resume: t.resume.Quantiles(),
		Refusals: t.refusals, Skipped: t.skipped, Unanswered: t.silent, Asked: t.asked,
	}
	for name, c := range t.group {
		v.Group[name] = c
	}
	for _, examples := range t.examples {
		v.Examples = append(v.Examples, examples...)
	}
	return v
}

// reason names a failure's code for a person; others go by their number.
func reason(code uint8) string {
	switch code {
	case 0:
		return "no connection"
	case 1, 0x84:
		return "unsupported protocol version"
	case 2, 0x85:
		return "client identifier not valid"
	case 3, 0x88:
		return "server unavailable"
	case 4, 0x86:
		return "bad user name or password"
	case 5, 0x87:
		return "not authorized"
	case 0x80:
		return "unspecified error"
	case 0x83:
		return "implementation specific error"
	case 0x89:
		return "server busy"
	case 0x8A:
		return "banned"
	case 0x8F:
		return "topic filter invalid"
	case 0x90:
		return "topic name invalid"
	case 0x91:
		return "packet identifier in use"
	case 0x95:
		return "packet too large"
	case 0x97:
		return "quota exceeded"
	case 0x99:
		return "payload format invalid"
	case 0x9A:
		return "retain not supported"
	case 0x9B:
		return "qos not supported"
	case 0x9E:
		return "shared subscriptions not supported"
	case 0x9F:
		return "connection rate exceeded"
	case 0xA2:
		return "wildcard subscriptions not supported"
	}
	return fmt.Sprintf("code 0x%02x", code)
}
