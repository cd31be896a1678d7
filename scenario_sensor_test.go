package fairlead

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/devices"
)

// sensorDevice is a client of MQTT-SN or CoAP.
type sensorDevice struct {
	stage   *edgeStage
	name    string
	url     string
	c       *devices.Sensor // nil while disconnected
	session *devices.Session
	held    []*devices.Message
	hold    bool
	last    *devices.Message
}

func newSensorDevice(s *edgeStage, name, url string) *sensorDevice {
	d := &sensorDevice{stage: s, name: name, url: url, session: devices.NewSession()}
	s.t.Cleanup(func() {
		if d.c != nil {
			d.c.Close()
		}
	})
	return d
}

// noticed is the keep alive of devices that are told none, so that the gateway notices
// when they are cut: datagrams have no end of the connection that it could see.
const noticed = time.Second

func (d *sensorDevice) Connect(o coretest.Connecting) string {
	d.held, d.hold = nil, false
	opt := devices.Options{ClientID: d.name, Resume: o.Durable, Session: d.session, KeepAlive: o.KeepAlive, ManualAck: true, Predefined: map[uint16]string{1: "plant/temperature"}, DialContext: d.stage.net.Dialer("")}
	if o.KeepAlive == 0 || !d.sn() {
		opt.KeepAlive = noticed
	}
	if o.Expiry > 0 {
		opt.SessionExpiry = uint32(o.Expiry / time.Second)
	}
	if o.Durable && o.Expiry == 0 && !d.sn() {
		opt.SessionExpiry = core.NeverExpires
	}
	if o.WillTopic != "" {
		opt.Will = &devices.Will{Message: devices.Message{Topic: o.WillTopic, Payload: []byte(o.WillText)}}
	}
	c, err := devices.DialSensor(d.stage.t.Context(), d.url, opt)
	if err != nil {
		return "refused"
	}
	d.c = c
	return "new"
}

// refused says of an error that the gateway said no.
func (d *sensorDevice) refused(err error) string {
	var no *devices.ReasonError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &no):
		return "refused"
	}
	d.stage.t.Errorf("%s: %v", d.name, err)
	return "refused"
}

func (d *sensorDevice) Subscribe(filter string, qos uint8) string {
	if !d.sn() {
		qos = 1 // or the next notification waits for the time of a round trip [Observe-4.5-1]
	}
	_, err := d.c.Subscribe(d.stage.t.Context(), 0, devices.Subscription{Filter: filter, QoS: qos})
	return d.refused(err)
}

func (d *sensorDevice) Unsubscribe(filter string) string {
	_, err := d.c.Unsubscribe(d.stage.t.Context(), filter)
	return d.refused(err)
}

func (d *sensorDevice) Publish(p coretest.Publishing) string {
	m := &devices.Message{Topic: p.Topic, Payload: []byte(p.Text), QoS: p.QoS, Retain: p.Retain}
	if p.Expires > 0 {
		m.Expiry, m.HasExpiry = uint32(p.Expires/time.Second), true
	}
	_, err := d.c.Publish(d.stage.t.Context(), m)
	return d.refused(err)
}

func (d *sensorDevice) Hold(on bool) {
	d.hold = on
	for _, m := range d.held {
		d.acknowledge(m)
	}
	d.held = nil
}

func (d *sensorDevice) acknowledge(m *devices.Message) {
	if err := m.Ack(); err != nil {
		d.stage.t.Error(err)
	}
}

func (d *sensorDevice) Sleep(most time.Duration) string {
	return d.refused(d.c.Sleep(d.stage.t.Context(), most))
}

// Wake does not wait: what comes has to be acknowledged for the end to come.
func (d *sensorDevice) Wake() string {
	ctx, cancel := context.WithCancel(d.stage.t.Context())
	cancel()
	if err := d.c.Wake(ctx); !errors.Is(err, context.Canceled) {
		return d.refused(err)
	}
	return ""
}

func (d *sensorDevice) Disconnect() {
	if err := d.c.Disconnect(d.stage.t.Context()); err != nil {
		d.stage.t.Error(err)
	}
	d.c = nil
}

func (d *sensorDevice) Cut() {
	d.c.Close()
	d.c = nil
	<-time.After(2 * noticed) // with its tolerance; the time is the bubble's
}

func (d *sensorDevice) Events() (events []string) {
	for d.c != nil {
		select {
		case m, open := <-d.c.Messages():
			if !open {
				d.c = nil
				return append(events, "closed")
			}
			events = append(events, d.arrival(m)...)
			if d.hold {
				d.held = append(d.held, m)
			} else {
				d.acknowledge(m)
			}
		default:
			return events
		}
	}
	return events
}

func (d *sensorDevice) sn() bool { return strings.HasPrefix(d.url, "mqttsn") }

// arrival is the event of a message. CoAP tells neither topic nor QoS, and a message that
// several observations are for to each of them.
func (d *sensorDevice) arrival(m *devices.Message) []string {
	if d.sn() {
		return []string{d.stage.arrival(m)}
	}
	again := d.last != nil && d.last.Topic != m.Topic && bytes.Equal(d.last.Payload, m.Payload)
	if d.last = m; again {
		return nil
	}
	return []string{d.stage.arrival(m)}
}
