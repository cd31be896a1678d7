package fleet

import (
	"time"

	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// maybeReady lets the streams begin once the first subscriptions stand.
func (u *unit) maybeReady() {
	if u.asked > 0 || u.ready {
		return
	}
	u.ready = true
	if !u.stood {
		u.stand()
	}
	if u.w.quiet {
		return
	}
	stay := u.state.Begin(u.w.loop.Now() - u.w.begun)
	if stay.Leave != 0 {
		u.due, u.back, u.abrupt = stay.Leave+u.w.begun, stay.Back+u.w.begun, stay.Abrupt
	}
}

// stand notes that the device is where its group's warm-up wants it, or never will be.
func (u *unit) stand() {
	u.stood = true
	if u.shared.plan.Group.WarmUp {
		u.w.cold.Add(-1)
	}
}

// accepted notes that the server accepted the device.
func (u *unit) accepted() {
	u.phase, u.tries = running, 0
	if !u.seen {
		u.seen = true
		u.shared.connected.Add(1)
	}
	u.w.connected++
}

// arrived is a message that came, its bytes borrowed.
type arrived struct {
	topic    []byte
	payload  []byte
	property []byte // that may hold the mark
	qos      uint8
	retain   bool
	dup      bool
}

// heard notes a message; false: it is of an earlier run.
func (u *unit) heard(m *arrived) bool {
	w := u.w
	e := oracle.Event{At: w.now(), Kind: oracle.Received, Device: u.state.Index, Topic: w.intern(m.topic),
		Hash: oracle.Hash32(m.payload), Size: uint32(len(m.payload)), QoS: m.qos, Retain: m.retain, Dup: m.dup}
	mark, ok := scenario.FindMark(m.payload)
	if !ok && len(m.property) > 0 {
		mark, ok = scenario.FindMark(m.property)
	}
	if ok && mark.Time < w.begun {
		w.incidents.add("messages of an earlier run, retained or queued by the broker", "")
		return false
	}
	if ok {
		e.Marked, e.Publisher, e.Seq, e.Sent = true, mark.Device, mark.Seq, mark.Time
	}
	w.note(e)
	return true
}

// published notes that a message goes out for the first time.
func (u *unit) published(m *scenario.Message, topic string, stamp int64) {
	u.w.note(oracle.Event{At: stamp, Kind: oracle.Publishing, Device: u.state.Index, Topic: topic, Seq: m.Seq,
		Hash: oracle.Hash32(m.Payload), Size: uint32(len(m.Payload)), QoS: m.QoS, Retain: m.Retain, Expiry: m.Expiry})
}

// willSet notes the Will of the connection that begins.
func (u *unit) willSet(m *scenario.Message, at int64) {
	u.w.note(oracle.Event{At: at, Kind: oracle.WillSet, Device: u.state.Index, Topic: u.topic(m), Seq: m.Seq,
		Hash: oracle.Hash32(m.Payload), Size: uint32(len(m.Payload)), QoS: m.QoS, Retain: m.Retain, Delay: m.Delay, Expiry: m.Expiry})
}

// releaseAll lets the streams go on that waited for room.
func (u *unit) releaseAll() {
	if u.held {
		u.held = false
		for i := range u.shared.plan.Streams {
			u.state.Release(i)
		}
	}
}

// next is the next message by the schedule, on the loop's clock.
func (u *unit) next() (at int64, stream int, ok bool) {
	if u.w.quiet || u.phase != running {
		return 0, 0, false
	}
	at, stream, ok = u.state.Next()
	return at + u.w.begun, stream, ok
}

// backOff sets when the device tries again after a loss or a refusal.
func (u *unit) backOff(now int64) {
	u.tries++
	wait, ok := u.state.Backoff(int(u.tries))
	if !ok {
		u.w.shorts.add("devices gave up connecting", "groups.NAME.reconnect.limit says how often they try")
		u.phase = gone
		return
	}
	if u.w.quiet {
		wait = min(wait, time.Second)
	}
	u.due = now + int64(wait)
}

// seqBits is how much of a PUBLISH's token is the message's number; the rest is the slot
// of its topic.
const seqBits = 40

// topic is the topic of m as a string that lasts.
func (u *unit) topic(m *scenario.Message) string {
	slot := int(m.Slot)
	if slot >= len(u.topics) {
		u.topics = append(u.topics, make([]string, slot+1-len(u.topics))...)
	}
	if u.topics[slot] == "" {
		u.topics[slot] = string(m.Topic)
	}
	return u.topics[slot]
}

func tokenOf(m *scenario.Message) uint64 { return uint64(m.Slot)<<seqBits | m.Seq }

// lookUp gives what a token stands for.
func (u *unit) lookUp(token uint64) (topic string, seq uint64) {
	return u.topics[token>>seqBits], token & (1<<seqBits - 1)
}
