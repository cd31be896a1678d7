package bench

import (
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// Parameters are the size of a measurement. A measurement's Defaults are a good begin;
// which of them it heeds stands in its Uses.
type Parameters struct {
	Devices  int     `json:"devices"`       // of the many side; see the measurement
	Rate     float64 `json:"rate_per_s"`    // messages published (connections: begun) a second, all devices together; 0: as fast as it goes
	QoS      int     `json:"qos"`           // of messages and subscriptions
	Payload  int     `json:"payload_bytes"` // with the 35 bytes by which the oracle knows it
	Seconds  float64 `json:"seconds"`       // how long is measured
	Window   int     `json:"window"`        // QoS 1 and 2: unacknowledged messages, all publishers together; each has one at least
	Topics   int     `json:"topics"`        // retained messages
	Queued   int     `json:"queued"`        // messages that wait for each device
	Protocol string  `json:"protocol"`      // of all devices: mqtt5, mqtt3.1.1
}

// Bounds of what people may ask for; the scenario has its own besides.
const (
	minPayload = scenario.MarkSize + 1
	maxPayload = 1 << 20
	maxSeconds = 3600
	maxRate    = 10_000_000
	maxTopics  = 100_000
	maxQueued  = 1000
	maxWaiting = 1_000_000 // messages for all devices together
)

// CheckParameters says what is wrong with parameters for a measurement, by the names of
// the command's flags.
func (m *Measurement) CheckParameters(p Parameters) error {
	switch {
	case p.Devices < m.least || p.Devices > m.most:
		return fmt.Errorf("%s: --devices %d is not between %d and %d", m.Name, p.Devices, m.least, m.most)
	case !(p.Rate >= 0 && p.Rate <= maxRate):
		return fmt.Errorf("%s: --rate %v is not between 0 and %d", m.Name, p.Rate, maxRate)
	case p.QoS < 0 || p.QoS > 2:
		return fmt.Errorf("%s: --qos %d: choose 0, 1 or 2", m.Name, p.QoS)
	case p.QoS == 0 && m.acknowledged:
		return fmt.Errorf("%s: --qos 0 is not kept for devices that are away; choose 1 or 2", m.Name)
	case p.Payload < minPayload || p.Payload > maxPayload:
		return fmt.Errorf("%s: --payload %d is not between %d and %d bytes", m.Name, p.Payload, minPayload, maxPayload)
	case !(p.Seconds >= 0.1 && p.Seconds <= maxSeconds):
		return fmt.Errorf("%s: --seconds %v is not between 0.1 and %d", m.Name, p.Seconds, maxSeconds)
	case p.Window < 1 || p.Window > maxRate:
		return fmt.Errorf("%s: --window %d is not between 1 and %d", m.Name, p.Window, maxRate)
	case p.Topics < 1 || p.Topics > maxTopics:
		return fmt.Errorf("%s: --topics %d is not between 1 and %d", m.Name, p.Topics, maxTopics)
	case p.Queued < 1 || p.Queued > maxQueued:
		return fmt.Errorf("%s: --queued %d is not between 1 and %d", m.Name, p.Queued, maxQueued)
	case m.acknowledged && p.Devices*p.Queued > maxWaiting:
		return fmt.Errorf("%s: --devices %d with --queued %d are more than %d messages; choose less of one", m.Name, p.Devices, p.Queued, maxWaiting)
	case p.Protocol != "mqtt5" && p.Protocol != "mqtt3.1.1":
		return fmt.Errorf("%s: --protocol %q: choose mqtt5 or mqtt3.1.1", m.Name, p.Protocol)
	}
	return nil
}

// seconds is how long is measured.
func (p *Parameters) seconds() time.Duration { return time.Duration(p.Seconds * float64(time.Second)) }

// warmUp is how long a stream runs before it is measured: its publishers connect
// meanwhile.
func (p *Parameters) warmUp(publishers int) time.Duration {
	short := min(max(p.seconds()/4, 250*time.Millisecond), time.Second)
	return max(short, time.Duration(publishers)*time.Millisecond/2)
}

// flood tells whether nothing holds the publishers back but the transport.
func (p *Parameters) flood() bool { return p.Rate == 0 && p.QoS == 0 }
