package fleet

import (
	"time"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// appointment is a subscription that is to be made or remade later.
type appointment struct {
	at    int64
	index uint16 // of the subscription
	again bool   // unsubscribe first
}

// next is the earliest appointment or answer; 0: none.
func (r *rare) next() int64 {
	next := int64(0)
	for i := range r.later {
		if next == 0 || r.later[i].at < next {
			next = r.later[i].at
		}
	}
	if len(r.answers) > 0 && (next == 0 || r.answers[0].at < next) {
		next = max(r.answers[0].at, 1)
	}
	return next
}

// subscribeAll makes the device's subscriptions on a new session, at once or later.
func (d *device) subscribeAll() {
	if d.rare != nil {
		d.rare.later = d.rare.later[:0]
	}
	for i := range d.shared.plan.Subscribes {
		if after := d.shared.plan.Subscribes[i].Subscribe.After; after > 0 {
			d.later(i, after, false)
			continue
		}
		d.subscribe(&d.w.turn, i)
	}
}

func (d *device) later(i int, in time.Duration, again bool) {
	r := d.needRare()
	r.later = append(r.later, appointment{at: d.w.loop.Now() + int64(in), index: uint16(i), again: again})
}

// Tokens of SUBSCRIBE: the subscription's index, and whether the device waits for it.
const awaited = 1 << 32

func (d *device) subscribe(t *machine.Turn, i int) {
	w, s := d.w, d.shared.plan.Subscribes[i].Subscribe
	filter := d.state.AppendFilter(w.text[:0], i)
	w.text = filter
	p := packet.Subscribe{Filters: []packet.Subscription{{Filter: filter, QoS: byte(s.QoS), NoLocal: s.NoLocal,
		RetainAsPublished: s.RetainAs, RetainHandling: byte(s.RetainHandling)}}}
	token := uint64(i)
	if s.After == 0 && !d.ready {
		token |= awaited
	}
	at := w.now()
	if err := d.speech.Subscribe(t, &p, token); err != nil {
		w.shorts.addError("a SUBSCRIBE could not be sent", err)
		return
	}
	if token&awaited != 0 {
		d.asked++
	}
	w.note(oracle.Event{At: at, Kind: oracle.Subscribing, Device: d.state.Index, Topic: w.intern(filter), QoS: byte(s.QoS),
		Present: s.RetainHandling < 2, Retain: s.RetainAs, Clean: s.NoLocal})
	if s.Every > 0 {
		d.later(i, s.Every, true)
	}
}

// Subscribed implements machine.Handler.
func (d *device) Subscribed(token uint64, codes []packet.ReasonCode, _ []byte) {
	w, i := d.w, int(token&(awaited-1))
	e := oracle.Event{At: w.now(), Kind: oracle.Subscribed, Device: d.state.Index}
	w.text = d.state.AppendFilter(w.text[:0], i)
	e.Topic = w.intern(w.text)
	e.Code = uint8(packet.ReasonUnspecifiedError) // where the server answers with no code at all
	if len(codes) > 0 {
		e.Code = uint8(codes[0])
	}
	w.note(e)
	if token&awaited != 0 && d.asked > 0 {
		d.asked--
		d.maybeReady()
	}
}

// keepAppointments makes the subscriptions that are due.
func (d *device) keepAppointments(t *machine.Turn, now int64) {
	r := d.rare
	for i := 0; i < len(r.later); {
		a := r.later[i]
		if a.at > now || d.w.quiet {
			i++
			continue
		}
		r.later = append(r.later[:i], r.later[i+1:]...)
		if a.again {
			d.unsubscribe(t, int(a.index))
		} else {
			d.subscribe(t, int(a.index))
		}
	}
	if d.w.quiet {
		r.later = r.later[:0]
	}
}

func (d *device) unsubscribe(t *machine.Turn, i int) {
	w := d.w
	filter := d.state.AppendFilter(w.text[:0], i)
	w.text = filter
	at := w.now()
	if err := d.speech.Unsubscribe(t, &packet.Unsubscribe{Filters: [][]byte{filter}}, uint64(i)); err != nil {
		w.shorts.addError("an UNSUBSCRIBE could not be sent", err)
		return
	}
	w.note(oracle.Event{At: at, Kind: oracle.Unsubscribing, Device: d.state.Index, Topic: w.intern(filter)})
}

// Unsubscribed implements machine.Handler: the subscription is made anew.
func (d *device) Unsubscribed(token uint64, _ []packet.ReasonCode, _ []byte) {
	w, i := d.w, int(token)
	w.text = d.state.AppendFilter(w.text[:0], i)
	w.note(oracle.Event{At: w.now(), Kind: oracle.Unsubscribed, Device: d.state.Index, Topic: w.intern(w.text)})
	if !w.quiet {
		d.subscribe(&w.turn, i)
	}
}
