package fleet

import (
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/devices/coapmachine"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// coapSpeech speaks CoAP for a sensor.
type coapSpeech struct {
	s       *sensor
	machine coapmachine.Machine
}

func newCoAPSpeech(s *sensor) *coapSpeech {
	p := &coapSpeech{s: s}
	id := s.identity()
	p.machine.Init(s.shared.coap, coapmachine.Identity{ClientID: string(id.ClientID), Username: string(id.Username),
		Password: string(id.Password), HasPassword: id.HasPassword}, uint32(s.shared.salt)^s.state.Index*2654435761)
	return p
}

func (p *coapSpeech) turn() *coapmachine.Turn {
	t := &p.s.w.radio.coap
	t.Now, t.Handler = p.s.w.loop.Now(), p
	return t
}

// errAwake is the answer to what only MQTT-SN knows.
var errAwake = errors.New("CoAP devices do not tell that they sleep")

func (p *coapSpeech) connect(*scenario.Message) error { return p.machine.Connect(p.turn()) }
func (p *coapSpeech) input(b []byte)                  { p.machine.Input(p.turn(), b) }
func (p *coapSpeech) timer() int64                    { return p.machine.Timer(p.turn()) }
func (p *coapSpeech) sleep(uint16) error              { return errAwake }
func (p *coapSpeech) fetch() error                    { return errAwake }
func (p *coapSpeech) leave()                          { p.machine.Disconnect(p.turn()) }
func (p *coapSpeech) lost()                           { p.machine.Lost() }
func (p *coapSpeech) waiting() int                    { return p.machine.Waiting() }

func (p *coapSpeech) publish(m *scenario.Message, token uint64) error {
	return p.machine.Publish(p.turn(), &coapmachine.Publication{Topic: p.s.topic(m), Payload: m.Payload, QoS: m.QoS,
		Retain: m.Retain, Expiry: m.Expiry, HasExpiry: m.Expiry > 0}, token)
}

func (p *coapSpeech) subscribe(filter string, s *scenario.Subscribe, token uint64) error {
	return p.machine.Subscribe(p.turn(), filter, uint8(s.QoS), token)
}

// Send implements coapmachine.Handler, as do those that follow.
func (p *coapSpeech) Send(b []byte) { p.s.port.Send(b) }
func (p *coapSpeech) Connected()    { p.s.connected() }

// Message hands a notification on: its topic is the filter, which has no wildcards.
func (p *coapSpeech) Message(n *coapmachine.Notification) {
	p.s.heard(&arrived{topic: []byte(n.Filter), payload: n.Payload, qos: n.QoS, retain: n.Retained})
}

// Done hands an answer on.
func (p *coapSpeech) Done(token uint64, code codes.Code, _ string) {
	out := packet.ReasonCode(0)
	switch ok := code>>5 == 2; {
	case !ok:
		out = coapmachine.ReasonOf(code)
	case token&asked != 0: // confirmable notifications are the most that there is
		out = packet.ReasonCode(min(p.s.shared.plan.Subscribes[token&^asked].Subscribe.QoS, 1))
	}
	p.s.answered(token, out)
}

// Ended hands the end on.
func (p *coapSpeech) Ended(err error) {
	var no *coapmachine.RefusedError
	if errors.As(err, &no) {
		err = &refusal{coapmachine.ReasonOf(no.Code)}
	}
	p.s.end(err)
}
