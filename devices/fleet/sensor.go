package fleet

import (
	"errors"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/devices/coapmachine"
	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/devices/snmachine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// sensor is a device that speaks over datagrams: MQTT-SN or CoAP.
type sensor struct {
	unit
	port   loop.Port
	speech speech
	over   error // how the connection ended, once ended
	ended  bool
	waking bool // all that gathered is fetched: it connects again
}

// speech is what a sensor says; each of its answers comes to the sensor while one of its
// methods runs.
type speech interface {
	connect(will *scenario.Message) error
	input(b []byte)
	timer() (next int64)
	publish(m *scenario.Message, token uint64) error
	subscribe(filter string, s *scenario.Subscribe, token uint64) error
	sleep(seconds uint16) error
	fetch() error
	leave()
	lost()
	waiting() int
}

// init gives the sensor its language.
func (s *sensor) init() {
	if s.shared.plan.Group.Protocol == "coap" {
		s.speech = newCoAPSpeech(s)
		return
	}
	s.speech = newSNSpeech(s)
}

// wake is the sensor's timer.
func (s *sensor) wake(now int64) {
	switch {
	case s.phase == away && s.due <= now:
		s.dial()
	case s.phase == running && s.due != 0 && s.due <= now:
		s.depart()
	case s.phase == dozing && s.due <= now:
		s.phase, s.due = fetching, 0
		_ = s.speech.fetch() // it is asleep, so it can
	case s.phase == running:
		s.speak()
	}
	s.follow()
}

// follow does what came of what was said, and sets the timer to what comes next.
func (s *sensor) follow() {
	if s.waking && !s.ended {
		s.waking = false
		if err := s.speech.connect(nil); err != nil {
			s.w.shorts.addError("a CONNECT could not be sent", err)
		}
	}
	next := int64(0)
	if s.port.Open() && !s.ended {
		next = s.speech.timer()
	}
	if s.ended {
		s.closed()
	}
	s.plan(next)
}

// schedule implements speaker.
func (s *sensor) schedule() { s.follow() }

func (s *sensor) plan(next int64) {
	sooner := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	switch s.phase {
	case away, dozing:
		sooner(max(s.due, 1))
	case running:
		sooner(s.due)
		if at, _, ok := s.next(); ok {
			sooner(max(at, 1))
		}
		if s.held {
			sooner(s.w.loop.Now() + retry)
		}
	}
	if next == 0 {
		s.w.loop.Stop(&s.timer)
		return
	}
	s.w.loop.At(&s.timer, next, s.wake)
}

// dial opens the port, over DTLS with the device's own key where it is one of those.
func (s *sensor) dial() {
	w, g := s.w, s.shared
	s.due, s.back, s.asked, s.ready, s.held, s.ended, s.waking, s.over = 0, 0, 0, false, false, false, false, nil
	s.phase = connecting
	e, guard := g.endpoint, (*loop.Guard)(nil)
	if s.state.DTLS() {
		e, guard = g.guarded, &loop.Guard{Identity: s.state.ClientID(), Key: s.state.Key()}
	}
	if err := w.loop.OpenPort(&s.port, e, g.network, g.seed(&s.unit), guard, s); err != nil {
		w.shorts.addError("no connection", err)
		w.note(oracle.Event{At: w.now(), Kind: oracle.Refused, Device: s.state.Index})
		s.phase = away
		s.backOff(w.now())
	}
}

// Opened implements loop.Receiver: the device says who it is.
func (s *sensor) Opened() {
	w, g := s.w, s.shared
	at := w.now()
	will := &w.message
	if !s.state.Will(at-w.begun, will) {
		will = nil
	}
	c := g.config
	w.note(oracle.Event{At: at, Kind: oracle.Connecting, Device: s.state.Index, Clean: c.Clean, Expiry: g.expiry(), KeepAlive: c.KeepAlive, Code: g.version()})
	if will != nil {
		s.willSet(will, at)
	}
	if err := s.speech.connect(will); err != nil {
		w.shorts.addError("a device could not say who it is", err)
		s.end(err)
	}
	s.follow()
}

// Ended implements loop.Receiver: DTLS has ended.
func (s *sensor) Ended(err error) {
	s.end(err)
	s.follow()
}

// Received implements loop.Receiver.
func (s *sensor) Received(b []byte) {
	s.speech.input(b)
	if s.held && s.phase == running && !s.ended {
		s.speak()
	}
	s.follow()
}

// speak sends the messages that are due and have room.
func (s *sensor) speak() {
	w := s.w
	s.releaseAll()
	for range maxAtOnce {
		at, stream, ok := s.next()
		if !ok || at > w.loop.Now() || s.ended {
			return
		}
		if s.speech.waiting() >= max(s.shared.plan.Group.Inflight, 1) {
			s.held = true
			s.state.Hold(stream) // the next answer goes on
			continue
		}
		m := &w.message
		stamp := w.now()
		s.state.Message(stream, stamp-w.begun, m)
		scenario.PutMarkTime(m.Mark, stamp)
		s.say(m, stamp)
	}
}

// asQoS marks tokens of messages that are acknowledged; asked those of subscriptions.
const (
	asQoS = 1 << 63
	asked = 1 << 62
)

func (s *sensor) say(m *scenario.Message, stamp int64) {
	token, topic := tokenOf(m), s.topic(m)
	if m.QoS > 0 {
		token |= asQoS
	}
	// The message may go out at once, and its answer cannot come before it is noted.
	if m.QoS > 0 {
		s.w.unacked++
	}
	s.published(m, topic, stamp)
	if err := s.speech.publish(m, token); err != nil {
		s.w.shorts.addError("messages not sent", err)
	}
}

// connected hears that the gateway accepted the device.
func (s *sensor) connected() {
	if s.phase == fetching { // it was asleep; for the session nothing has changed
		s.phase = running
		s.goOn()
		return
	}
	// Neither protocol tells whether the session stood: it did if the device was ever
	// accepted. The connection may have been lost before its subscriptions were answered.
	present := s.seen && !s.shared.config.Clean
	s.w.note(oracle.Event{At: s.w.now(), Kind: oracle.Connected, Device: s.state.Index, Present: present})
	s.accepted()
	if !present || !s.stood {
		s.subscribeAll()
	}
	s.maybeReady()
}

// goOn lets the streams go on after a sleep.
func (s *sensor) goOn() {
	s.ready = false
	s.maybeReady()
}

func (s *sensor) subscribeAll() {
	for i := range s.shared.plan.Subscribes {
		w, sub := s.w, s.shared.plan.Subscribes[i].Subscribe
		w.text = s.state.AppendFilter(w.text[:0], i)
		filter := w.intern(w.text)
		w.note(oracle.Event{At: w.now(), Kind: oracle.Subscribing, Device: s.state.Index, Topic: filter, QoS: byte(sub.QoS), Present: true})
		if err := s.speech.subscribe(filter, sub, asked|uint64(i)); err != nil {
			w.shorts.addError("a SUBSCRIBE could not be sent", err)
			continue
		}
		s.asked++
	}
}

// answered hears what the gateway said to a message or subscription; code is as MQTT 5
// has it.
func (s *sensor) answered(token uint64, code packet.ReasonCode) {
	w := s.w
	switch {
	case token&asQoS != 0:
		topic, seq := s.lookUp(token &^ asQoS)
		w.unacked--
		w.note(oracle.Event{At: w.now(), Kind: oracle.Published, Device: s.state.Index, Topic: topic, Seq: seq, Code: uint8(code)})
	case token&asked != 0:
		w.text = s.state.AppendFilter(w.text[:0], int(token&^asked))
		w.note(oracle.Event{At: w.now(), Kind: oracle.Subscribed, Device: s.state.Index, Topic: w.intern(w.text), Code: uint8(code)})
		if s.asked > 0 {
			s.asked--
			s.maybeReady()
		}
	}
}

// asleep hears that the gateway knows of the sleep, or that all that gathered has come.
func (s *sensor) asleep() {
	if s.phase == fetching {
		s.waking = true
	}
}

// end hears that there is no connection any more.
func (s *sensor) end(err error) { s.ended, s.over = true, err }

// depart ends the connection by the device's own will, or falls asleep.
func (s *sensor) depart() {
	w := s.w
	away := s.back - w.loop.Now()
	s.due = 0
	switch {
	case s.abrupt:
		w.note(oracle.Event{At: w.now(), Kind: oracle.Lost, Device: s.state.Index})
		s.phase = leaving
		s.end(nil)
	case s.phase == running && s.back != 0 && !w.over && !s.final && s.speech.sleep(uint16(min(2*away/int64(time.Second)+5, 65535))) == nil:
		s.phase, s.due = dozing, s.back
		s.state.End()
		return
	default:
		w.note(oracle.Event{At: w.now(), Kind: oracle.Leaving, Device: s.state.Index})
		s.phase = leaving
		s.speech.leave()
	}
	if w.over || s.final {
		s.follow()
	}
}

// breakUp implements speaker.
func (s *sensor) breakUp() {
	s.end(loop.ErrStopped)
	s.follow()
}

// closed is what follows the end of a connection.
func (s *sensor) closed() {
	w, now, was := s.w, s.w.now(), s.phase
	s.noteEnd(now, was)
	if was >= running && was != gone {
		w.connected--
		s.state.End()
	}
	s.speech.lost()
	s.port.Close()
	s.ended, s.waking, s.phase = false, false, away
	switch {
	case w.over, s.final:
		s.phase = gone
	case was == leaving && w.quiet:
		s.due = now
	case was == leaving:
		s.due = s.back
	default:
		s.backOff(now)
	}
	if s.phase == gone && !s.stood {
		s.stand()
	}
}

// noteEnd tells the oracle how a connection ended that was not ended by the device.
func (s *sensor) noteEnd(now int64, was phase) {
	var no *refusal
	e := oracle.Event{At: now, Device: s.state.Index, Kind: oracle.Lost}
	switch {
	case was == leaving || was == gone || errors.Is(s.over, loop.ErrStopped):
		return
	case was == connecting && errors.As(s.over, &no):
		e.Kind, e.Code = oracle.Refused, uint8(no.code)
	case was == connecting:
		e.Kind, e.Silent = oracle.Refused, s.unanswered()
		s.w.incidents.addError("no connection", s.over)
	default:
		s.w.incidents.addError("connection lost", s.over)
	}
	s.w.note(e)
}

// unanswered says that a connect was given up as nothing came back.
func (s *sensor) unanswered() bool {
	return slices.ContainsFunc([]error{snmachine.ErrNoAnswer, coapmachine.ErrNoAnswer, loop.ErrUnanswered}, func(e error) bool { return errors.Is(s.over, e) })
}

// refusal is a gateway's no to a device, in MQTT 5's terms.
type refusal struct{ code packet.ReasonCode }

// Error names the code.
func (r *refusal) Error() string { return "refused: " + r.code.String() }

// identity is who the device is, with user name and password where there are any.
func (s *sensor) identity() machine.Identity {
	id := machine.Identity{ClientID: s.state.AppendClientID(nil)}
	s.shared.credentials(&s.unit, &id)
	return id
}
