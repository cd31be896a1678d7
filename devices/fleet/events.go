package fleet

import (
	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Connected implements machine.Handler.
func (d *device) Connected(ack *packet.Connack) {
	w := d.w
	e := oracle.Event{At: w.now(), Kind: oracle.Connected, Device: d.state.Index, Present: ack.SessionPresent}
	if ack.Reason.Failed() {
		e.Kind, e.Code = oracle.Refused, uint8(ack.Reason)
		d.code = ack.Reason
		w.note(e)
		return
	}
	w.note(e)
	d.accepted()
	if !ack.SessionPresent || !d.stood {
		d.subscribeAll()
	}
	d.maybeReady()
}

// Message implements machine.Handler.
func (d *device) Message(p *packet.Publish, topic []byte) {
	property := []byte(nil)
	for name, value := range p.Properties.User.All() {
		if string(name) == scenario.MarkProperty {
			property = value
		}
	}
	ours := d.heard(&arrived{topic: topic, payload: p.Payload, property: property, qos: p.QoS, retain: p.Retain, dup: p.Dup})
	if ours && len(d.shared.plan.Responds) > 0 && !p.Retain && !d.w.quiet {
		d.consider(p, topic)
	}
}

// Sent implements machine.Handler: speak notes it, as it has the whole message.
func (d *device) Sent(uint64) {}

// Acked implements machine.Handler.
func (d *device) Acked(token uint64, code packet.ReasonCode, _ []byte) {
	topic, seq := d.lookUp(token)
	d.w.unacked--
	d.w.note(oracle.Event{At: d.w.now(), Kind: oracle.Published, Device: d.state.Index, Topic: topic, Seq: seq, Code: uint8(code)})
}

// Dropped implements machine.Handler.
func (d *device) Dropped(_ uint64, why error) {
	d.w.unacked--
	d.w.incidents.addError("messages given up", why)
}

// Disconnected implements machine.Handler.
func (d *device) Disconnected(p *packet.Disconnect) {
	d.code = p.Reason
	d.w.incidents.add("the broker ended the connection: "+p.Reason.String(), "")
}
