package fleet

import (
	"errors"
	"time"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Bounds of what a device does at once.
const (
	// maxAtOnce is how many messages a device sends before others have their turn.
	maxAtOnce = 64
	// minRoom is the room in the transport below which a device waits, in bytes.
	minRoom = 16 << 10
	// maxAnswers bounds the answers that a device has not yet given.
	maxAnswers = 1000
)

// speak sends the messages that are due and have room.
func (d *device) speak(t *machine.Turn) {
	d.releaseAll()
	for range maxAtOnce {
		at, stream, ok := d.next()
		if !ok || at > t.Now {
			return
		}
		if d.conn.Room() < minRoom+len(t.Out) {
			d.held = true
			d.state.Hold(stream) // Drained goes on
			continue
		}
		if d.shared.acknowledged[stream] && d.speech.Room() == 0 {
			d.held = true
			d.state.Hold(stream) // the next acknowledgement goes on
			continue
		}
		m := &d.w.message
		stamp := d.w.now()
		d.state.Message(stream, stamp-d.w.begun, m)
		d.say(t, m, stamp)
	}
}

// say sends m.
func (d *device) say(t *machine.Turn, m *scenario.Message, stamp int64) {
	w := d.w
	scenario.PutMarkTime(m.Mark, stamp)
	p := &w.publish
	user := p.Properties.User[:0]
	*p = packet.Publish{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain}
	f := &p.Properties
	f.User = user // its memory serves the next message
	if m.Expiry > 0 {
		f.SetMessageExpiry(m.Expiry)
	}
	if len(m.Response) > 0 {
		f.SetResponseTopic(m.Response)
	}
	if len(m.Data) > 0 {
		f.SetCorrelationData(m.Data)
	}
	if len(m.Property) > 0 {
		f.AddUser([]byte(scenario.MarkProperty), m.Property)
	}
	topic := d.topic(m)
	if err := d.speech.Publish(t, p, tokenOf(m)); err != nil {
		var refused *machine.RefusalError
		if errors.As(err, &refused) {
			w.shorts.add("messages not sent: "+refused.Msg, "")
		} else {
			w.shorts.addError("messages not sent", err)
		}
		return
	}
	if m.QoS > 0 {
		w.unacked++
	} else if d.silent {
		return // it went nowhere, and is not sent again
	}
	d.published(m, topic, stamp)
}

// answer is a response that is to be given.
type answer struct {
	at    int64
	index int
	to    scenario.Request
}

// consider notes the answers to a message, to be given by answerDue.
func (d *device) consider(p *packet.Publish, topic []byte) {
	for i := range d.shared.plan.Responds {
		if !d.state.Answers(i, topic, &d.w.message) {
			continue
		}
		r := d.needRare()
		if len(r.answers) >= maxAnswers {
			d.w.shorts.add("answers not given: a device has 1,000 to give already", "answer with less delay, or ask less often")
			continue
		}
		r.insert(answer{at: d.w.loop.Now() + int64(d.shared.plan.Responds[i].Respond.Delay), index: i, to: scenario.Request{
			Topic: clone(topic), Payload: clone(p.Payload),
			Response: clone(p.Properties.ResponseTopic), Data: clone(p.Properties.CorrelationData)}})
	}
}

// insert keeps the answers in the order of their times.
func (r *rare) insert(a answer) {
	i := len(r.answers)
	for i > 0 && r.answers[i-1].at > a.at {
		i--
	}
	r.answers = append(r.answers, answer{})
	copy(r.answers[i+1:], r.answers[i:])
	r.answers[i] = a
}

// answerDue gives the answers whose time has come, as far as there is room.
func (d *device) answerDue(t *machine.Turn, now int64) {
	r := d.rare
	for len(r.answers) > 0 && r.answers[0].at <= now {
		a := r.answers[0]
		if d.shared.plan.Responds[a.index].Respond.QoS > 0 && d.speech.Room() == 0 || d.conn.Room() < minRoom+len(t.Out) {
			r.answers[0].at = now + int64(time.Millisecond)
			return
		}
		r.answers = r.answers[1:]
		stamp := d.w.now()
		if d.state.Answer(a.index, &a.to, stamp-d.w.begun, &d.w.message) {
			d.say(t, &d.w.message, stamp)
		} else {
			d.w.shorts.add("requests not answered: they name no valid Response Topic", "")
		}
	}
	if len(r.answers) == 0 {
		r.answers = nil
	}
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
