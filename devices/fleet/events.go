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
	d.phase, d.tries = running, 0
	if !d.seen {
		d.seen = true
		d.shared.connected.Add(1)
	}
	w.connected++
	if !ack.SessionPresent || !d.stood {
		d.subscribeAll()
	}
	d.maybeReady()
}

// maybeReady lets the streams begin once the first subscriptions stand.
func (d *device) maybeReady() {
	if d.asked > 0 || d.ready {
		return
	}
	d.ready = true
	if !d.stood {
		d.stand()
	}
	if d.w.quiet {
		return
	}
	stay := d.state.Begin(d.w.loop.Now() - d.w.begun)
	if stay.Leave != 0 {
		d.due, d.back, d.abrupt = stay.Leave+d.w.begun, stay.Back+d.w.begun, stay.Abrupt
	}
}

// stand notes that the device is where its group's warm-up wants it, or never will be.
func (d *device) stand() {
	d.stood = true
	if d.shared.plan.Group.WarmUp {
		d.w.cold.Add(-1)
	}
}

// Message implements machine.Handler.
func (d *device) Message(p *packet.Publish, topic []byte) {
	w := d.w
	e := oracle.Event{At: w.now(), Kind: oracle.Received, Device: d.state.Index, Topic: w.intern(topic),
		Hash: oracle.Hash32(p.Payload), Size: uint32(len(p.Payload)), QoS: p.QoS, Retain: p.Retain, Dup: p.Dup}
	mark, ok := scenario.FindMark(p.Payload)
	if !ok && len(p.Properties.User) > 0 {
		for name, value := range p.Properties.User.All() {
			if string(name) == scenario.MarkProperty {
				mark, ok = scenario.FindMark(value)
			}
		}
	}
	if ok && mark.Time < w.begun {
		w.incidents.add("messages of an earlier run, retained or queued by the broker", "")
		return
	}
	if ok {
		e.Marked, e.Publisher, e.Seq, e.Sent = true, mark.Device, mark.Seq, mark.Time
	}
	w.note(e)
	if len(d.shared.plan.Responds) > 0 && !p.Retain && !w.quiet {
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
