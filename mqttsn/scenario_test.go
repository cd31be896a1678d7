package mqttsn

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// TestScenarios plays what every protocol plays.
func TestScenarios(t *testing.T) {
	coretest.RunScenarios(t, func(t *testing.T) coretest.Stage {
		s := &fieldStage{t: t, store: coretest.NewMemStore(), devices: map[netip.AddrPort]*fieldDevice{}}
		s.start()
		return s
	})
}

// fieldStage is a coretest.Stage of MQTT-SN clients without a network.
type fieldStage struct {
	t       *testing.T
	store   *coretest.MemStore
	gw      *coretest.Gateway
	field   *field
	devices map[netip.AddrPort]*fieldDevice
}

func (s *fieldStage) start() {
	s.gw = coretest.Start(s.t, s.store, nil)
	s.field = newField(s.t, s.gw, New(DefaultConfig(), s.gw.Gateway), true, func(peer netip.AddrPort, _ string, d []byte) {
		if v := s.devices[peer]; v != nil {
			v.inbox = append(v.inbox, d)
		}
	})
}

func (s *fieldStage) Name() string { return "mqttsn" }

func (s *fieldStage) Has(what string) bool {
	switch what {
	case "durable", "qos1", "qos2", "will", "retain", "dup", "sleep", "topic":
		return true
	}
	return false
}

func (s *fieldStage) Device(name, _ string) coretest.Device {
	d := &fieldDevice{stage: s, name: name, peer: netip.AddrPortFrom(home.Addr(), uint16(5000+len(s.devices))), ids: map[string]uint16{}, names: map[uint16]string{}}
	s.devices[d.peer] = d
	return d
}

func (s *fieldStage) Restart() {
	s.gw.Stopping()
	s.field.stopAll(core.ServerShuttingDown)
	s.field.settle()
	s.gw.Stop()
	for _, d := range s.devices {
		d.inbox = nil // a goodbye
	}
	s.start()
}

// fieldDevice is a client that knows no more than a sensor does.
type fieldDevice struct {
	stage  *fieldStage
	name   string
	peer   netip.AddrPort
	inbox  [][]byte
	ids    map[string]uint16
	names  map[uint16]string
	nextID uint16
	hold   bool
	held   []packet.Packet
	events []string
}

func (d *fieldDevice) send(p packet.Packet) {
	d.stage.field.datagram(d.peer, p.Append(nil))
	d.stage.field.settle()
}

// answer sends p and gives the answer of type t, or nil. Everything else that comes is
// looked at by Events.
func (d *fieldDevice) answer(p packet.Packet, t packet.Type) packet.Packet {
	d.send(p)
	for i, b := range d.inbox {
		if packet.Type(b[0]) == t {
			d.inbox = append(d.inbox[:i:i], d.inbox[i+1:]...)
			got := packet.New(t)
			if err := got.Decode(packet.Frame{Type: t, Body: b[1:]}); err != nil {
				d.stage.t.Fatal(err)
			}
			return got
		}
	}
	return nil
}

func (d *fieldDevice) Connect(o coretest.Connecting) string {
	d.held, d.hold, d.inbox = nil, false, nil
	c := &packet.Connect{CleanSession: !o.Durable, Will: o.WillTopic != "", Duration: uint16(o.KeepAlive / time.Second), ClientID: []byte(d.name)}
	var answer packet.Packet
	if c.Will {
		d.send(c)
		d.answer(&packet.WillTopic{Type: packet.TypeWillTopic, Topic: []byte(o.WillTopic)}, packet.TypeWillMsgReq)
		answer = d.answer(&packet.WillMsg{Type: packet.TypeWillMsg, Message: []byte(o.WillText)}, packet.TypeConnack)
	} else {
		answer = d.answer(c, packet.TypeConnack)
	}
	if a, ok := answer.(*packet.Connack); !ok || a.Code != packet.Accepted {
		return "refused"
	}
	if !o.Durable {
		clear(d.ids)
	}
	return "new"
}

func (d *fieldDevice) Subscribe(filter string, qos uint8) string {
	d.nextID++
	a, ok := d.answer(&packet.Subscribe{Type: packet.TypeSubscribe, QoS: qos, MessageID: d.nextID, Topic: []byte(filter)}, packet.TypeSuback).(*packet.Suback)
	if !ok || a.Code != packet.Accepted {
		return "refused"
	}
	if a.TopicID != packet.NoTopicID {
		d.names[a.TopicID] = strings.TrimPrefix(filter, "$share/g/")
	}
	return ""
}

func (d *fieldDevice) Unsubscribe(filter string) string {
	d.nextID++
	d.answer(&packet.Subscribe{Type: packet.TypeUnsubscribe, MessageID: d.nextID, Topic: []byte(filter)}, packet.TypeUnsuback)
	return ""
}

func (d *fieldDevice) Publish(p coretest.Publishing) string {
	id := d.ids[p.Topic]
	if id == 0 {
		d.nextID++
		a, ok := d.answer(&packet.Register{MessageID: d.nextID, Topic: []byte(p.Topic)}, packet.TypeRegack).(*packet.Topicack)
		if !ok || a.Code != packet.Accepted {
			return "refused"
		}
		id = a.TopicID
		d.ids[p.Topic], d.names[id] = id, p.Topic
	}
	m := &packet.Publish{QoS: p.QoS, Retain: p.Retain, TopicID: id, Data: []byte(p.Text)}
	if p.QoS > 0 {
		d.nextID++
		m.MessageID = d.nextID
	}
	switch p.QoS {
	case 0:
		d.send(m)
	case 1:
		if a, ok := d.answer(m, packet.TypePuback).(*packet.Topicack); !ok || a.Code != packet.Accepted {
			return "refused"
		}
	case 2:
		if d.answer(m, packet.TypePubrec) == nil || d.answer(&packet.Ack{Type: packet.TypePubrel, MessageID: m.MessageID}, packet.TypePubcomp) == nil {
			return "refused"
		}
	}
	return ""
}

func (d *fieldDevice) Hold(on bool) {
	d.hold = on
	for _, p := range d.held {
		d.send(p)
	}
	d.held = nil
}

func (d *fieldDevice) Sleep(most time.Duration) string {
	if d.answer(&packet.Disconnect{Sleeps: true, Duration: uint16(most / time.Second)}, packet.TypeDisconnect) == nil {
		return "refused"
	}
	return ""
}

func (d *fieldDevice) Wake() string {
	d.send(&packet.Pingreq{ClientID: []byte(d.name)})
	return ""
}

func (d *fieldDevice) Disconnect() { d.answer(&packet.Disconnect{}, packet.TypeDisconnect) }

// Cut is what the edge would find out in the end.
func (d *fieldDevice) Cut() {
	if e := d.stage.field.ends[endKey{d.peer, ""}]; e != nil {
		e.finish(core.ConnectionLost)
		d.stage.gw.T.End()
	}
	d.inbox = nil
}

func (d *fieldDevice) Events() []string {
	d.stage.field.settle()
	for len(d.inbox) > 0 { // what it answers brings more
		b := d.inbox[0]
		d.inbox = d.inbox[1:]
		d.take(packet.Frame{Type: packet.Type(b[0]), Body: b[1:]})
	}
	events := d.events
	d.events = nil
	return events
}

// take looks at what came, and acknowledges it unless the device holds.
func (d *fieldDevice) take(f packet.Frame) {
	p := packet.New(f.Type)
	if err := p.Decode(f); err != nil {
		d.stage.t.Fatal(err)
	}
	switch p := p.(type) {
	case *packet.Register:
		d.names[p.TopicID] = string(p.Topic)
		d.send(&packet.Topicack{Type: packet.TypeRegack, TopicID: p.TopicID, MessageID: p.MessageID})
	case *packet.Disconnect:
		d.events = append(d.events, "closed")
	case *packet.Ack:
		if p.Type == packet.TypePubrel {
			d.acknowledge(&packet.Ack{Type: packet.TypePubcomp, MessageID: p.MessageID})
		}
	case *packet.Publish:
		name := d.names[p.TopicID]
		if p.IDType == packet.ShortName {
			name = string(binary.BigEndian.AppendUint16(nil, p.TopicID))
		}
		d.events = append(d.events, coretest.Arrival(name, string(p.Data), p.QoS, p.Retain, p.Dup))
		switch p.QoS {
		case 1:
			d.acknowledge(&packet.Topicack{Type: packet.TypePuback, TopicID: p.TopicID, MessageID: p.MessageID})
		case 2:
			d.acknowledge(&packet.Ack{Type: packet.TypePubrec, MessageID: p.MessageID})
		}
	}
}

func (d *fieldDevice) acknowledge(p packet.Packet) {
	if d.hold {
		d.held = append(d.held, p)
		return
	}
	d.send(p)
}
