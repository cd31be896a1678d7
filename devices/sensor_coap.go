package devices

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/devices/coapmachine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// coapSpeaker speaks CoAP for a Sensor.
type coapSpeaker struct {
	s       *Sensor
	machine coapmachine.Machine
	turn    coapmachine.Turn
}

// newCoAPSpeaker makes a speaker, or goes on with the one that spoke for the client
// before.
func newCoAPSpeaker(o *Options, a *address, old speaker) (*coapSpeaker, error) {
	switch {
	case o.AuthMethod != "" || len(o.User) > 0:
		return nil, errors.New("CoAP has no properties, and no authentication but by password or DTLS")
	case o.Will != nil:
		return nil, errors.New("CoAP has no Will")
	case o.ClientID == "" && !(a.secure() && o.PSK != nil): // there the key's identity names the client
		o.ClientID = "fl-" + rand.Text()[:20]
	}
	cfg := &coapmachine.Config{Expiry: o.SessionExpiry, KeepAlive: o.keepAliveSeconds(), AckTimeout: o.Retry, ManualAck: true}
	p, ok := old.(*coapSpeaker)
	if !ok {
		var seed [4]byte
		rand.Read(seed[:])
		p = &coapSpeaker{}
		p.turn.Handler = (*coapEvents)(p)
		p.machine.Init(cfg, coapmachine.Identity{ClientID: o.ClientID, Username: o.Username, Password: string(o.Password), HasPassword: o.HasPassword}, binary.BigEndian.Uint32(seed[:]))
	}
	p.machine.Configure(cfg)
	return p, nil
}

func (p *coapSpeaker) tick() *coapmachine.Turn {
	p.turn.Now = p.s.now()
	return &p.turn
}

func (p *coapSpeaker) begin(s *Sensor) error {
	p.s = s
	return p.machine.Connect(p.tick())
}

func (p *coapSpeaker) input(b []byte)         { p.machine.Input(p.tick(), b) }
func (p *coapSpeaker) timer() (next int64)    { return p.machine.Timer(p.tick()) }
func (p *coapSpeaker) leave()                 { p.machine.Disconnect(p.tick()) }
func (p *coapSpeaker) lost()                  { p.machine.Lost() }
func (p *coapSpeaker) acknowledge(m *Message) { p.machine.Ack(p.tick(), m.packetID) }

// errAwake is the answer to what only MQTT-SN knows.
var errAwake = errors.New("CoAP clients do not tell that they sleep")

func (p *coapSpeaker) sleep(time.Duration) error { return errAwake }
func (p *coapSpeaker) fetch() error              { return errAwake }

func (p *coapSpeaker) publish(m *Message, token uint64) error {
	if m.UTF8 || m.ContentType != "" || m.ResponseTopic != "" || m.CorrelationData != nil || len(m.User) > 0 {
		return errors.New("CoAP says none of MQTT 5's properties but the expiry")
	}
	return p.machine.Publish(p.tick(), &coapmachine.Publication{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Expiry: m.Expiry, HasExpiry: m.HasExpiry}, token)
}

func (p *coapSpeaker) subscribe(sub Subscription, token uint64) error {
	if sub.NoLocal || sub.RetainAsPublished || sub.RetainHandling != 0 {
		return errors.New("CoAP has no subscription options")
	}
	return p.machine.Subscribe(p.tick(), sub.Filter, sub.QoS, token)
}

func (p *coapSpeaker) unsubscribe(filter string, token uint64) error {
	return p.machine.Unsubscribe(p.tick(), filter, token)
}

// coapEvents is the machine's handler.
type coapEvents coapSpeaker

func (e *coapEvents) Send(b []byte) { e.s.send(b) }
func (e *coapEvents) Connected()    { e.s.accepted() }

// Message has the filter for a topic: CoAP tells no other, but for what the gateway has
// subscribed the client to.
func (e *coapEvents) Message(n *coapmachine.Notification) {
	e.s.received(&Message{Topic: cmp.Or(n.Filter, n.Topic), Payload: bytes.Clone(n.Payload), QoS: n.QoS, Retain: n.Retained, packetID: n.ID})
}

func (e *coapEvents) Done(token uint64, code codes.Code, text string) {
	if code>>5 == 2 {
		e.s.answer(token, packet.ReasonSuccess, "")
		return
	}
	e.s.answer(token, coapmachine.ReasonOf(code), text)
}

func (e *coapEvents) Ended(err error) {
	var no *coapmachine.RefusedError
	switch {
	case errors.As(err, &no):
		err = &ReasonError{Op: "connection refused", Code: coapmachine.ReasonOf(no.Code), Version: packet.V5, Text: no.Text}
	case errors.Is(err, coapmachine.ErrNoAnswer):
		err = ErrNoAnswer
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	_ = e.s.endLocked(err)
}
