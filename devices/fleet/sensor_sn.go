package fleet

import (
	"bytes"
	"errors"

	"github.com/fairlead-iot/fairlead/devices/coapmachine"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/devices/snmachine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	sn "github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// radio is what the sensors' machines of one worker share.
type radio struct {
	sn   snmachine.Turn
	coap coapmachine.Turn
}

// snSpeech speaks MQTT-SN for a sensor.
type snSpeech struct {
	s       *sensor
	machine snmachine.Machine
	will    *snmachine.Will
}

func newSNSpeech(s *sensor) *snSpeech {
	p := &snSpeech{s: s}
	p.machine.Init(s.shared.sn, string(s.state.AppendClientID(nil)))
	return p
}

func (p *snSpeech) turn() *snmachine.Turn {
	t := &p.s.w.radio.sn
	t.Now, t.Handler = p.s.w.loop.Now(), p
	return t
}

// connect keeps the Will of the connection that a sleeping device had. Who never connects
// is there at once.
func (p *snSpeech) connect(will *scenario.Message) error {
	if p.unconnected() {
		p.s.connected()
		return nil
	}
	if will != nil {
		p.will = &snmachine.Will{Topic: string(will.Topic), Message: bytes.Clone(will.Payload), QoS: will.QoS, Retain: will.Retain}
	}
	return p.machine.Connect(p.turn(), p.will)
}

func (p *snSpeech) input(b []byte)             { p.machine.Input(p.turn(), b) }
func (p *snSpeech) timer() int64               { return p.machine.Timer(p.turn()) }
func (p *snSpeech) sleep(seconds uint16) error { return p.machine.Sleep(p.turn(), seconds) }
func (p *snSpeech) fetch() error               { return p.machine.Wake(p.turn()) }
func (p *snSpeech) lost()                      { p.machine.Lost() }
func (p *snSpeech) waiting() int               { return p.machine.Waiting() }

func (p *snSpeech) unconnected() bool { return p.s.shared.plan.Group.Unconnected }

func (p *snSpeech) leave() {
	if p.unconnected() {
		p.s.end(nil)
		return
	}
	p.machine.Disconnect(p.turn())
}

func (p *snSpeech) publish(m *scenario.Message, token uint64) error {
	if p.unconnected() { // [SN-6.8-1]
		return p.machine.PublishUnconnected(p.turn(), p.s.topic(m), m.Payload, m.Retain)
	}
	return p.machine.Publish(p.turn(), p.s.topic(m), m.Payload, m.QoS, m.Retain, token)
}

func (p *snSpeech) subscribe(filter string, s *scenario.Subscribe, token uint64) error {
	return p.machine.Subscribe(p.turn(), filter, uint8(s.QoS), token)
}

// Send implements snmachine.Handler, as do those that follow.
func (p *snSpeech) Send(b []byte) { p.s.port.Send(b) }
func (p *snSpeech) Connected()    { p.s.connected() }
func (p *snSpeech) Asleep()       { p.s.asleep() }

// Message hands a message on.
func (p *snSpeech) Message(m *sn.Publish, topic string) {
	p.s.heard(&arrived{topic: []byte(topic), payload: m.Data, qos: m.QoS, retain: m.Retain, dup: m.Dup})
}

// Done hands an answer on.
func (p *snSpeech) Done(token uint64, r snmachine.Result) {
	code := packet.ReasonCode(0)
	switch {
	case r.Code != sn.Accepted:
		code = snCode(r.Code)
	case token&asked != 0:
		code = packet.ReasonCode(r.QoS)
	}
	p.s.answered(token, code)
}

// Ended hands the end on.
func (p *snSpeech) Ended(err error) {
	var no *snmachine.RefusedError
	if errors.As(err, &no) {
		err = &refusal{snCode(no.Code)}
	}
	p.s.end(err)
}

// snCode says a return code in MQTT 5's terms.
func snCode(c sn.ReturnCode) packet.ReasonCode {
	switch c {
	case sn.Congestion:
		return packet.ReasonServerBusy
	case sn.InvalidTopicID:
		return packet.ReasonTopicNameInvalid
	}
	return packet.ReasonNotAuthorized
}
