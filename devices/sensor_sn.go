package devices

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/devices/snmachine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	sn "github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// snSpeaker speaks MQTT-SN for a Sensor.
type snSpeaker struct {
	s       *Sensor
	machine snmachine.Machine
	turn    snmachine.Turn
	will    *snmachine.Will
}

// newSNSpeaker makes a speaker, or goes on with the one that spoke for the client before.
func newSNSpeaker(o *Options, old speaker) (*snSpeaker, error) {
	if err := snOptions(o); err != nil {
		return nil, err
	}
	cfg := &snmachine.Config{Clean: !o.Resume, KeepAlive: o.keepAliveSeconds(), Retry: o.Retry, Predefined: o.Predefined, ManualAck: true}
	p, ok := old.(*snSpeaker)
	if !ok {
		p = &snSpeaker{}
		p.turn.Handler = (*snEvents)(p)
		p.machine.Init(cfg, o.ClientID)
	}
	p.machine.Configure(cfg)
	p.will = nil
	if w := o.Will; w != nil {
		p.will = &snmachine.Will{Topic: w.Topic, Message: bytes.Clone(w.Payload), QoS: w.QoS, Retain: w.Retain}
	}
	return p, nil
}

// snOptions refuses what MQTT-SN has no words for, and names the client where it must be.
func snOptions(o *Options) error {
	switch {
	case o.AuthMethod != "" || o.Username != "" || o.HasPassword:
		return errors.New("MQTT-SN has neither user name nor password: use mqttsns:// with a shared key, or a client id with a token")
	case o.SessionExpiry != 0:
		return errors.New("MQTT-SN sessions have no expiry interval: they last if they are not clean")
	case len(o.User) > 0 || o.Will != nil && o.Will.Delay > 0:
		return errors.New("MQTT-SN has no properties")
	case o.ClientID == "":
		o.ClientID = "fl-" + rand.Text()[:20] // [SN-5.3.1-1]
	}
	return nil
}

func (p *snSpeaker) tick() *snmachine.Turn {
	p.turn.Now = p.s.now()
	return &p.turn
}

func (p *snSpeaker) begin(s *Sensor) error {
	p.s = s
	return p.machine.Connect(p.tick(), p.will)
}

func (p *snSpeaker) input(b []byte)         { p.machine.Input(p.tick(), b) }
func (p *snSpeaker) timer() (next int64)    { return p.machine.Timer(p.tick()) }
func (p *snSpeaker) leave()                 { p.machine.Disconnect(p.tick()) }
func (p *snSpeaker) lost()                  { p.machine.Lost() }
func (p *snSpeaker) fetch() error           { return p.machine.Wake(p.tick()) }
func (p *snSpeaker) acknowledge(m *Message) { p.machine.Ack(p.tick(), m.QoS, m.topicID, m.packetID) }

func (p *snSpeaker) sleep(d time.Duration) error {
	seconds := (d + time.Second - 1) / time.Second
	if seconds < 1 || seconds > 65535 {
		return fmt.Errorf("sleep %s: MQTT-SN can say 1 s to 65,535 s", d)
	}
	return p.machine.Sleep(p.tick(), uint16(seconds))
}

func (p *snSpeaker) publish(m *Message, token uint64) error {
	if m.HasExpiry || m.UTF8 || m.ContentType != "" || m.ResponseTopic != "" || m.CorrelationData != nil || len(m.User) > 0 {
		return errors.New("MQTT-SN has no properties")
	}
	return p.machine.Publish(p.tick(), m.Topic, m.Payload, m.QoS, m.Retain, token)
}

func (p *snSpeaker) subscribe(sub Subscription, token uint64) error {
	if sub.NoLocal || sub.RetainAsPublished || sub.RetainHandling != 0 {
		return errors.New("MQTT-SN has no subscription options")
	}
	return p.machine.Subscribe(p.tick(), sub.Filter, sub.QoS, token)
}

func (p *snSpeaker) unsubscribe(filter string, token uint64) error {
	return p.machine.Unsubscribe(p.tick(), filter, token)
}

// snEvents is the machine's handler.
type snEvents snSpeaker

func (e *snEvents) Send(b []byte) { e.s.send(b) }
func (e *snEvents) Connected()    { e.s.accepted() }
func (e *snEvents) Asleep()       { e.s.asleep() }

func (e *snEvents) Message(p *sn.Publish, topic string) {
	e.s.received(&Message{Topic: topic, Payload: bytes.Clone(p.Data), QoS: p.QoS, Retain: p.Retain, Dup: p.Dup, packetID: p.MessageID, topicID: p.TopicID})
}

func (e *snEvents) Done(token uint64, r snmachine.Result) {
	code := packet.ReasonCode(r.QoS)
	if r.Code != sn.Accepted {
		code = snReason(r.Code)
	}
	e.s.answer(token, code, "")
}

func (e *snEvents) Ended(err error) {
	var no *snmachine.RefusedError
	switch {
	case errors.As(err, &no):
		err = &ReasonError{Op: "connection refused", Code: snReason(no.Code), Version: packet.V5, Text: no.Code.String()}
	case errors.Is(err, snmachine.ErrNoAnswer):
		err = ErrNoAnswer
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	_ = e.s.endLocked(err)
}

// snReason says a return code in MQTT 5's terms.
func snReason(c sn.ReturnCode) packet.ReasonCode {
	switch c {
	case sn.Congestion:
		return packet.ReasonServerBusy
	case sn.InvalidTopicID:
		return packet.ReasonTopicNameInvalid
	}
	return packet.ReasonNotAuthorized
}
