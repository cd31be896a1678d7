package coretest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// coreStage plays scenarios with core alone: its devices call the gateway as an
// adapter does.
type coreStage struct {
	t       *testing.T
	g       *Gateway
	devices []*coreDevice
}

// NewCoreStage is a Stage of core alone.
func NewCoreStage(t *testing.T) Stage { return &coreStage{t: t, g: Start(t, nil, nil)} }

func (s *coreStage) Name() string { return "core" }

func (s *coreStage) Has(what string) bool {
	switch what {
	case "durable", "qos1", "qos2", "will", "expiry", "retain", "dup", "resumed", "sleep", "window", "topic":
		return true
	}
	return strings.HasPrefix(what, "via ") // all the same to it
}

func (s *coreStage) Device(name, _ string) Device {
	d := &coreDevice{stage: s, name: name}
	s.devices = append(s.devices, d)
	return d
}

func (s *coreStage) Restart() {
	s.g.Stopping()
	for _, d := range s.devices {
		d.leave(core.ServerShuttingDown)
	}
	s.g.Stop()
	s.g = Start(s.t, s.g.Store, nil)
}

// coreDevice is a client of core alone.
type coreDevice struct {
	stage  *coreStage
	name   string
	c      *Client // nil while disconnected
	hold   bool
	asleep bool // it does not hear how its connection ends
	held   []core.Delivery
	nextID uint16
}

func (d *coreDevice) Connect(o Connecting) string {
	d.held, d.hold, d.asleep = nil, false, false
	c := d.stage.g.Connect(d.name, func(r *core.ConnectRequest) {
		r.CleanStart, r.KeepAlive = !o.Durable, uint16(o.KeepAlive/time.Second)
		if o.Durable {
			r.Expiry = core.NeverExpires
		}
		if o.Expiry > 0 {
			r.Expiry = uint32(o.Expiry / time.Second)
		}
		if o.WillTopic != "" {
			r.Will = &core.Will{Topic: o.WillTopic, Payload: []byte(o.WillText)}
		}
	})
	if c.Result.Reason != core.Success {
		return "refused"
	}
	d.c = c
	if c.Result.SessionPresent {
		return "resumed"
	}
	return "new"
}

func (d *coreDevice) Subscribe(filter string, qos uint8) string {
	if d.c.Subscribe(qos, filter) != core.Success {
		return "refused"
	}
	return ""
}

func (d *coreDevice) Unsubscribe(filter string) string {
	d.c.Unsubscribe(filter)
	return ""
}

func (d *coreDevice) Publish(p Publishing) string {
	m := core.Publish{Topic: p.Topic, Payload: []byte(p.Text), QoS: p.QoS, Retain: p.Retain}
	if p.QoS > 0 {
		d.nextID++
		m.PacketID = d.nextID
	}
	if p.Expires > 0 {
		m.Expiry, m.HasExpiry = uint32(p.Expires/time.Second), true
	}
	if _, err := d.c.Publish(m); err != nil {
		return "refused"
	}
	return ""
}

func (d *coreDevice) Hold(on bool) {
	d.hold = on
	for _, x := range d.held {
		d.acknowledge(x)
	}
	d.held = nil
}

func (d *coreDevice) Sleep(most time.Duration) string {
	if d.c.Sleep(most) != core.Success {
		return "refused"
	}
	d.asleep = true
	return ""
}

// Wake fetches; after a restart on a connection that does not begin anew.
func (d *coreDevice) Wake() string {
	if d.c == nil {
		c := d.stage.g.Connect(d.name, func(r *core.ConnectRequest) { r.Awakes = true })
		if c.Result.Reason != core.Success {
			return "refused"
		}
		d.c = c
	}
	d.c.Awake()
	return ""
}

func (d *coreDevice) Disconnect() { d.leave(core.NormalDisconnect) }
func (d *coreDevice) Cut()        { d.leave(core.ConnectionLost) }

func (d *coreDevice) leave(r core.Reason) {
	if d.c != nil {
		d.c.Disconnect(r)
		d.c = nil
	}
}

// loseSleepers ends the connections of clients that slept too long; they hear nothing
// of it.
func (s *coreStage) loseSleepers() {
	for _, d := range s.devices {
		if d.c != nil && d.asleep && d.c.Ended() {
			d.leave(core.KeepAliveTimeout)
			synctest.Wait()
		}
	}
}

func (d *coreDevice) Events() (events []string) {
	d.stage.loseSleepers()
	if d.c == nil {
		return nil
	}
	for _, x := range d.c.Now() {
		if x.Kind == core.DeliverMessage {
			events = append(events, Arrival(x.Topic(), string(x.Msg.Payload), x.QoS, x.Retain, x.Dup))
		}
		if d.hold {
			d.held = append(d.held, x)
			continue
		}
		d.acknowledge(x)
	}
	if d.c.Ended() {
		d.leave(core.SessionTakenOver)
		events = append(events, "closed")
	}
	return events
}

// acknowledge answers what core gave, as a client of MQTT would.
func (d *coreDevice) acknowledge(x core.Delivery) {
	switch {
	case x.Kind == core.DeliverMessage && x.QoS == 1:
		d.c.Ack(core.AckReceived1, x.PacketID)
	case x.Kind == core.DeliverMessage && x.QoS == 2:
		d.c.Ack(core.AckReceived2, x.PacketID)
	case x.Kind == core.DeliverRelease:
		d.c.Ack(core.AckComplete, x.PacketID)
	case x.Kind == core.DeliverReceived:
		d.c.Ack(core.AckRelease, x.PacketID)
	}
}
