package fleet

import (
	"errors"
	"time"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// unit is what every virtual device has, whatever it speaks. All of it belongs to its
// worker's loop.
type unit struct {
	state  scenario.State
	w      *worker
	shared *group
	timer  loop.Timer
	topics []string // by scenario.Message.Slot; made when first needed

	due    int64 // when the device connects again, or leaves
	back   int64 // when it comes back after leaving
	tries  uint32
	asked  uint16 // SUBSCRIBEs under way that the device waits for before it speaks
	phase  phase
	abrupt bool // it will leave without DISCONNECT
	seen   bool // was connected at least once
	stood  bool // was connected and subscribed at least once
	silent bool // nothing passes any more; the device does not know, the oracle does
	ready  bool // its first subscriptions on this connection stand
	final  bool // it leaves for good
	held   bool // a stream waits for room
}

// speaker is a device as its worker sees it.
type speaker interface {
	base() *unit
	wake(now int64)
	schedule()
	depart()  // ends a connection that stands, by the device's own will
	breakUp() // ends one that does not stand yet
}

func (u *unit) base() *unit { return u }

// device is one that speaks MQTT over a stream.
type device struct {
	unit
	conn   loop.Conn
	speech machine.Machine
	rare   *rare             // nil for most
	code   packet.ReasonCode // of the server's DISCONNECT
}

func (d *device) breakUp() { d.conn.Close() }

// phase is what a device is doing.
type phase uint8

const (
	away       phase = iota // not connected; due says when it comes
	dialling                // the transport is being opened
	connecting              // CONNECT is out
	running                 // the server accepted
	dozing                  // the server knows that it sleeps
	fetching                // it is waking and takes what gathered
	leaving                 // DISCONNECT is out, or the connection was cut by intent
	gone                    // it will not come back
)

// rare is what few devices need.
type rare struct {
	later   []appointment
	answers []answer
}

func (d *device) needRare() *rare {
	if d.rare == nil {
		d.rare = &rare{}
	}
	return d.rare
}

// begin lends the worker's turn to the device's machine; end takes it back, and gives
// the connection what came of it: one without output needs no buffer.
func (d *device) begin() *machine.Turn {
	t := &d.w.turn
	t.Now, t.Handler, t.Out = d.w.loop.Now(), d, d.w.output[:0]
	return t
}

func (d *device) end(t *machine.Turn) {
	if len(t.Out) > 0 {
		if out := d.conn.Out(); out != nil {
			*out = append(*out, t.Out...)
		}
	}
	if d.w.output = t.Out; cap(t.Out) > maxOutput {
		d.w.output = nil
	}
	t.Out = nil
}

// wake is the device's timer.
func (d *device) wake(now int64) {
	switch d.phase {
	case away:
		if d.due <= now {
			d.dial()
			return
		}
	case running:
		if d.due != 0 && d.due <= now {
			d.depart()
			return
		}
		t := d.begin()
		if d.rare != nil {
			d.keepAppointments(t, now)
			d.answerDue(t, now)
		}
		d.speak(t)
		d.end(t)
	}
	d.schedule()
}

// retry is how long a device that found no room waits for word that there is some.
const retry = int64(20 * time.Millisecond)

// schedule sets the timer to what comes next.
func (d *device) schedule() {
	next := int64(0)
	sooner := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	switch d.phase {
	case away:
		sooner(max(d.due, 1))
	case connecting, running:
		t := d.begin()
		at, err := d.speech.Timer(t)
		d.end(t)
		if err != nil {
			d.fail(err)
			return
		}
		sooner(at)
	}
	if d.phase == running {
		sooner(d.due)
		if at, _, ok := d.next(); ok {
			sooner(max(at, 1))
		}
		if d.held {
			sooner(d.w.loop.Now() + retry)
		}
		if d.rare != nil {
			sooner(d.rare.next())
		}
	}
	if next == 0 {
		d.w.loop.Stop(&d.timer)
		return
	}
	d.w.loop.At(&d.timer, next, nil)
}

// dial opens the transport.
func (d *device) dial() {
	d.phase, d.due, d.back = dialling, 0, 0
	d.code, d.silent, d.held, d.asked, d.ready = 0, false, false, 0, false
	d.w.loop.Stop(&d.timer)
	d.w.loop.Dial(&d.conn, d.shared.endpoint, d.shared.network, d.shared.seed(&d.unit), d)
}

// Opened implements loop.Handler.
func (d *device) Opened(*loop.Conn) {
	if m := d.shared.plan.Group.Misbehave; m != nil && m.SlowRead > 0 && d.state.Misbehaves() {
		d.conn.ReadRate(m.SlowRead)
	}
	t := d.begin()
	err := d.connect(t)
	d.end(t)
	if err != nil {
		d.fail(err)
		return
	}
	d.phase = connecting
	d.schedule()
}

// connect says who the device is.
func (d *device) connect(t *machine.Turn) error {
	w := d.w
	id := machine.Identity{ClientID: d.state.AppendClientID(nil)}
	d.shared.credentials(&d.unit, &id)
	at := w.now()
	m := &w.message
	will := d.state.Will(at-w.begun, m)
	if will {
		id.Will = w.willPacket(m)
	}
	if err := d.speech.Connect(t, &id); err != nil {
		return err
	}
	c := d.shared.config
	w.note(oracle.Event{At: at, Kind: oracle.Connecting, Device: d.state.Index, Clean: c.Clean, Expiry: d.shared.expiry(),
		KeepAlive: c.KeepAlive, Code: d.shared.version()})
	if will {
		d.willSet(m, at)
	}
	return nil
}

// Input implements loop.Handler.
func (d *device) Input(_ *loop.Conn, b []byte) int {
	t := d.begin()
	before, ready := d.phase, d.ready
	used, err := d.speech.Input(t, b)
	again := d.held && err == nil && d.phase == running
	if again {
		d.speak(t)
	}
	d.end(t)
	switch {
	case err != nil:
		d.fail(err)
	case again, d.phase != before, d.ready != ready, d.rare != nil:
		d.schedule()
	}
	return used
}

// Drained implements loop.Drainer: there is room in the transport again.
func (d *device) Drained(*loop.Conn) {
	if d.phase == running {
		d.wake(d.w.loop.Now())
	}
}

// fail ends the connection after what the machine found; what it still had to say is
// written first.
func (d *device) fail(err error) {
	switch {
	case errors.Is(err, machine.ErrRefused), errors.Is(err, machine.ErrDisconnected):
	case errors.Is(err, machine.ErrNoAnswer):
		if !d.silent {
			d.w.incidents.add("no answer within the keep alive: the device gave the connection up", "")
		}
		d.conn.Abort()
		return
	default:
		d.w.incidents.add("the broker broke the rules of MQTT: "+err.Error(), "")
	}
	d.conn.Close()
}

// depart ends the connection by the device's own will.
func (d *device) depart() {
	d.phase, d.due = leaving, 0
	if d.silent {
		d.conn.Abort() // nobody would hear a DISCONNECT
		return
	}
	if d.abrupt {
		d.w.note(oracle.Event{At: d.w.now(), Kind: oracle.Lost, Device: d.state.Index})
		d.conn.Abort()
		return
	}
	at := d.w.now()
	t := d.begin()
	err := d.speech.Disconnect(t, packet.ReasonNormalDisconnection)
	d.end(t)
	if err != nil {
		d.w.shorts.addError("a DISCONNECT could not be sent", err)
	}
	d.w.note(oracle.Event{At: at, Kind: oracle.Leaving, Device: d.state.Index})
	d.conn.Close()
}

// Silenced implements loop.Silencer: the oracle hears of the cut when it comes. The
// device goes on until it notices.
func (d *device) Silenced(*loop.Conn) {
	d.silent = true
	switch d.phase {
	case running:
		d.w.note(oracle.Event{At: d.w.now(), Kind: oracle.Lost, Device: d.state.Index, Silent: true})
	case connecting:
		d.w.note(oracle.Event{At: d.w.now(), Kind: oracle.Lost, Device: d.state.Index})
	}
}

// Closed implements loop.Handler.
func (d *device) Closed(_ *loop.Conn, err error) {
	now, was := d.w.now(), d.phase
	d.noteEnd(now, was, err)
	if was == running || was == leaving {
		d.w.connected--
		d.state.End()
	}
	d.speech.Lost()
	d.phase = away
	switch {
	case d.w.over, d.final, errors.Is(err, loop.ErrStopped):
		d.phase = gone
	case was == leaving && d.w.quiet:
		d.due = now
	case was == leaving:
		d.due = d.back
	case errors.Is(err, loop.ErrRebound):
		d.due = now
	default:
		d.backOff(now)
	}
	if d.phase == gone && !d.stood {
		d.stand()
	}
	d.schedule()
}

// noteEnd tells the oracle how a connection ended that was not ended by the device.
func (d *device) noteEnd(now int64, was phase, err error) {
	if d.silent || was < running && (d.w.over || d.final) {
		return // Silenced has told; or the fleet broke off
	}
	e := oracle.Event{At: now, Device: d.state.Index, Code: uint8(d.code)}
	switch was {
	case dialling:
		e.Kind, e.Code = oracle.Refused, 0
		d.w.shorts.addError("no connection", err)
	case connecting:
		if d.code != 0 {
			return // Connected has told
		}
		if e.Kind = oracle.Lost; !wanted(err) {
			e.Kind = oracle.Refused
			d.w.incidents.addError("connection ended before the CONNACK", err)
		}
	case running:
		e.Kind = oracle.Lost
		if !wanted(err) && d.code == 0 {
			d.w.incidents.addError("connection lost", err)
		}
	default:
		return
	}
	d.w.note(e)
}

// wanted tells whether a connection ended by what the scenario asked for.
func wanted(err error) bool {
	return errors.Is(err, loop.ErrCut) || errors.Is(err, loop.ErrRebound) || errors.Is(err, loop.ErrStopped)
}
