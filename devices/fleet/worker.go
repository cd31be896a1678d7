package fleet

import (
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

const (
	// batchSize is how many events go to the sink at once.
	batchSize = 512
	// heartbeat is how often a worker tells its sink how far it is.
	heartbeat = 50 * time.Millisecond
	// maxOutput bounds the memory that is kept for output, in bytes.
	maxOutput = 1 << 20
	// maxTopics bounds the topics that a worker keeps as strings; beyond it they are made
	// anew for each message.
	maxTopics = 1 << 20
)

// sink is where a worker's events go. One goroutine uses it.
type sink interface {
	add(batch []oracle.Event) // may block; keeps nothing of batch
	watermark(before int64)
	close()
}

// worker is one event loop with its devices. All but the atomic fields belongs to the
// loop's goroutine.
type worker struct {
	loop    *loop.Loop
	clock   *loop.Clock
	sink    sink
	devices []device
	sensors []sensor
	turn    machine.Turn
	message scenario.Message
	publish packet.Publish
	radio   radio // what the sensors' machines share
	will    packet.Will
	text    []byte // scratch for filters
	output  []byte // scratch for the turn's output
	events  []oracle.Event
	topics  map[string]string
	pulse   loop.Timer

	begun     int64 // of the run, on the clock
	started   bool
	quiet     bool // nothing new is published
	over      bool // all are to leave
	connected int
	unacked   int
	shorts    tallies // what could not be played
	incidents tallies // what befell connections

	ties   *atomic.Int64 // with false time: the last moment given out; else nil
	cold   *atomic.Int64 // devices of warm-up groups that do not stand yet
	status workerStatus
}

// workerStatus is what others may ask at any time, a heartbeat old at most.
type workerStatus struct {
	connected, unacked, open atomic.Int64
}

// now is the present time; the loop's own is that of the turn's begin, which may lie
// before what another loop sent and this turn received.
func (w *worker) now() int64 {
	at := w.clock.Now()
	if w.ties == nil {
		return at
	}
	for { // false time stands still: what comes of something must be later all the same
		last := w.ties.Load()
		if next := max(at, last+1); w.ties.CompareAndSwap(last, next) {
			return next
		}
	}
}

// note hands an event on, sooner or later.
func (w *worker) note(e oracle.Event) {
	w.events = append(w.events, e)
	if len(w.events) >= batchSize {
		w.flush()
	}
}

func (w *worker) flush() {
	if len(w.events) > 0 {
		w.sink.add(w.events)
		clear(w.events)
		w.events = w.events[:0]
	}
}

// beat is the worker's regular work.
func (w *worker) beat(int64) {
	w.flush()
	w.sink.watermark(w.now())
	w.status.connected.Store(int64(w.connected))
	w.status.unacked.Store(int64(w.unacked))
	w.status.open.Store(int64(w.loop.Counters().Conns))
	w.loop.After(&w.pulse, heartbeat, nil)
}

// intern gives the string of a topic that is seen often.
func (w *worker) intern(topic []byte) string {
	if s, ok := w.topics[string(topic)]; ok {
		return s
	}
	s := string(topic)
	if len(w.topics) < maxTopics {
		w.topics[s] = s
	}
	return s
}

// willPacket gives m as a CONNECT has it, until the next call.
func (w *worker) willPacket(m *scenario.Message) *packet.Will {
	w.will = packet.Will{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain}
	f := &w.will.Properties
	if m.Delay > 0 {
		f.SetWillDelay(m.Delay)
	}
	if m.Expiry > 0 {
		f.SetMessageExpiry(m.Expiry)
	}
	if len(m.Property) > 0 {
		f.AddUser([]byte(scenario.MarkProperty), m.Property)
	}
	return &w.will
}

// start lets the devices of the groups with (or without) warm_up come to life.
func (w *worker) start(warm bool, begun, now int64) {
	if !w.started {
		w.started, w.begun = true, begun
		w.loop.After(&w.pulse, heartbeat, w.beat)
	}
	w.each(func(s speaker) {
		d := s.base()
		if d.shared.plan.Group.WarmUp != warm || d.phase != away {
			return
		}
		d.due = now + d.state.ConnectAt()
		w.loop.At(&d.timer, d.due, s.wake)
	})
}

// hush ends all publishing; who is away comes back for what waits.
func (w *worker) hush() {
	w.quiet = true
	now := w.loop.Now()
	w.each(func(s speaker) {
		d := s.base()
		if d.phase == running && d.held && d.shared.paced && !d.silent {
			w.shorts.add("devices that were behind their schedule at the end", "the broker acknowledges too slowly for it: publish less often, or raise groups.NAME.inflight")
		}
		if (d.phase == away || d.phase == dozing) && d.seen {
			d.due = min(d.due, now)
		} else if d.phase == away {
			d.phase = gone // its time to connect first has not come
		} else {
			d.due = 0
		}
		s.schedule()
	})
}

// each goes over all devices.
func (w *worker) each(f func(s speaker)) {
	for i := range w.devices {
		f(&w.devices[i])
	}
	for i := range w.sensors {
		f(&w.sensors[i])
	}
}

// cut takes the lingering groups away without DISCONNECT.
func (w *worker) cut() {
	w.each(func(s speaker) {
		if d := s.base(); d.shared.plan.Group.Linger {
			d.final, d.abrupt = true, true
			w.dismiss(s)
		}
	})
}

// leave takes all away in order.
func (w *worker) leave() {
	w.over = true
	w.each(func(s speaker) {
		s.base().abrupt = false
		w.dismiss(s)
	})
}

func (w *worker) dismiss(s speaker) {
	switch d := s.base(); d.phase {
	case running, dozing, fetching:
		s.depart()
	case dialling, connecting:
		s.breakUp()
	case away:
		d.phase = gone
		w.loop.Stop(&d.timer)
	}
}

// finish is the last that a worker does for the oracle.
func (w *worker) finish() {
	for i := range w.sensors {
		w.sensors[i].port.Close() // who did not answer in time
	}
	w.note(oracle.Event{At: w.now(), Kind: oracle.Ends})
	w.flush()
	w.loop.Stop(&w.pulse)
	w.sink.close()
}
