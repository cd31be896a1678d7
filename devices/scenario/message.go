package scenario

import (
	"bytes"
	"strconv"
)

// Message is one message to send. Its buffers are kept for the next.
type Message struct {
	Topic    []byte
	Slot     uint32 // which of the device's topics: the same slot is always the same topic
	Seq      uint64 // number within (device, topic), from 0
	Payload  []byte
	Mark     []byte // the mark, within Payload or Property, for PutMarkTime; empty: none
	Property []byte // value of the user property MarkProperty; empty: none
	Response []byte // Response Topic; empty: none
	Data     []byte // Correlation Data; empty: none
	Expiry   uint32 // Message Expiry Interval, seconds; 0: none
	Delay    uint32 // Will Delay Interval, seconds
	QoS      uint8
	Retain   bool

	scratch []byte
	moment  moment
}

// Request is a received message that is answered. Its bytes are only read.
type Request struct {
	Topic    []byte
	Payload  []byte
	Response []byte // its Response Topic; empty: none
	Data     []byte // its Correlation Data
}

// reset empties a message; its buffers stay.
func (m *Message) reset() {
	*m = Message{
		Topic: m.Topic[:0], Payload: m.Payload[:0], Property: m.Property[:0],
		Response: m.Response[:0], Data: m.Data[:0], scratch: m.scratch[:0],
	}
}

// Message makes the message of the stream that Next told of, at the time now, and moves
// the stream on. Without templates whose texts grow it does not allocate once the
// buffers have their size.
func (st *State) Message(stream int, now int64, m *Message) {
	g, s := &st.Group.Streams[stream], &st.streams[stream]
	p := g.Publish
	m.reset()
	o := &m.moment
	o.now, o.random = now, st.chance(drawContent, uint64(stream), s.made)
	if o.vary = g.topic.vary; o.vary != nil {
		o.variant = uint32(s.made % uint64(o.vary.variants()))
		if o.vary.kind != partEach {
			o.variant = o.random.below(o.vary.variants())
		}
	}
	m.Topic = g.topic.appendTo(m.Topic, st.Device, o)
	st.number(m, g.slot+o.variant)
	m.QoS, m.Retain, m.Expiry = mixed(p, o), p.Retain, wholeSeconds(p.Expiry)
	o.value = float64(s.made)
	if g.payload.walks {
		s.walk = g.payload.walk(s.walk, o.random.share())
		o.value = s.walk
	}
	o.now += st.Group.plan.Begun // {time}
	g.payload.fill(st, m, now, s.made)
	if g.response != nil {
		m.Response = g.response.appendTo(m.Response, st.Device, nil)
		m.Data = strconv.AppendUint(m.Data, m.Seq, 10)
	}
	st.advance(stream, s, now)
}

// number gives a message the next number of its topic.
func (st *State) number(m *Message, slot uint32) {
	m.Slot, m.Seq = slot, uint64(st.rows[slot])
	m.moment.seq = m.Seq
	st.rows[slot]++
}

// mixed draws the QoS of a message.
func mixed(p *Publish, o *moment) uint8 {
	if len(p.Mix) != 3 {
		return uint8(p.QoS)
	}
	x := o.random.share()
	switch {
	case x < p.Mix[0]:
		return 0
	case x < p.Mix[0]+p.Mix[1]:
		return 1
	case p.Mix[2] > 0:
		return 2
	case p.Mix[1] > 0: // the shares come to a little less than 1
		return 1
	}
	return 0
}

// walk takes one step and turns back at the ends.
func (p *payloadText) walk(at, share float64) float64 {
	low, high := p.config.Low, p.config.High
	at += (2*share - 1) * p.step
	if at > high {
		at = 2*high - at
	}
	if at < low {
		at = 2*low - at
	}
	return min(max(at, low), high)
}

// Will makes the Will of the connection that is about to be made; false: the device has
// none. Ask once for each CONNECT that is written, as the Will takes a number.
func (st *State) Will(now int64, m *Message) bool {
	w, c := st.Group.will, st.Group.Group.Will
	if w == nil {
		return false
	}
	m.reset()
	m.Topic = w.topic.appendTo(m.Topic, st.Device, nil)
	st.number(m, w.slot)
	m.QoS, m.Retain, m.Delay = uint8(c.QoS), c.Retain, wholeSeconds(c.Delay)
	if c.Sparkplug {
		m.Payload = st.appendDeath(m.Payload, now)
	} else {
		m.Payload = w.payload.appendTo(m.Payload, st.Device, nil)
	}
	return true
}

// Answers tells whether response i of the group is for a message that came on this
// topic. m lends its buffers.
func (st *State) Answers(i int, topic []byte, m *Message) bool {
	m.scratch = st.Group.Responds[i].filter.appendTo(m.scratch[:0], st.Device, nil)
	return matches(m.scratch, topic)
}

// maxAsked bounds the topics of a device that come from requests.
const maxAsked = 4096

// Answer makes the answer of response i to a request, to be sent after its Delay;
// false: there is no topic to answer on, which is counted as Unanswered.
func (st *State) Answer(i int, r *Request, now int64, m *Message) bool {
	g := &st.Group.Responds[i]
	m.reset()
	o := &m.moment
	o.now, o.request, o.random = now, r, st.chance(drawAnswer, uint64(i), uint64(st.answered))
	if g.topic != nil {
		m.Topic = g.topic.appendTo(m.Topic, st.Device, o)
	} else {
		m.Topic = append(m.Topic, r.Response...)
		m.Data = append(m.Data, r.Data...)
	}
	slot := g.slot
	if slot == noSlot {
		var ok bool
		if slot, ok = st.slotOf(m.Topic); !ok {
			st.Unanswered++
			return false
		}
	}
	st.number(m, slot)
	m.QoS, m.Retain = uint8(g.Respond.QoS), g.Respond.Retain
	o.value = float64(st.answered)
	if c := g.payload.config; g.payload.walks {
		o.value = c.Low + o.random.share()*(c.High-c.Low)
	}
	o.now += st.Group.plan.Begun
	g.payload.fill(st, m, now, uint64(st.answered))
	st.answered++
	o.request = nil
	return true
}

// slotOf finds the slot of a topic that came with a request, or gives it one.
func (st *State) slotOf(topic []byte) (slot uint32, ok bool) {
	if slot, ok = st.asked[string(topic)]; ok {
		return slot, true
	}
	if validTopic(topic) != nil || len(st.asked) >= maxAsked {
		return 0, false
	}
	if slot, ok = st.Group.known(topic, st.Device); !ok {
		slot = uint32(len(st.rows))
		st.rows = append(st.rows, 0)
	}
	if st.asked == nil {
		st.asked = map[string]uint32{}
	}
	st.asked[string(topic)] = slot
	return slot, true
}

// known finds a topic among those of a device that are known from the beginning.
func (g *GroupPlan) known(topic []byte, d Device) (slot uint32, ok bool) {
	for i := range g.blocks {
		k := &g.blocks[i]
		if variant, ok := k.find(topic, d); ok {
			return k.first + variant, true
		}
	}
	return 0, false
}

// find tells which variant of a block's topic this is.
func (k *block) find(topic []byte, d Device) (variant uint32, ok bool) {
	var ends [2][]byte
	side, m := 0, &moment{}
	for i := range k.topic.parts {
		if p := &k.topic.parts[i]; p == k.topic.vary {
			side = 1
		} else {
			ends[side] = p.appendTo(ends[side], d, m)
		}
	}
	rest, ok := bytes.CutPrefix(topic, ends[0])
	if !ok || side == 0 {
		return 0, ok && len(rest) == 0
	}
	middle, ok := bytes.CutSuffix(rest, ends[1])
	if !ok {
		return 0, false
	}
	if v := k.topic.vary; v.kind == partRand {
		for i, word := range v.words {
			if word == string(middle) {
				return uint32(i), true
			}
		}
		return 0, false
	}
	n, err := strconv.ParseUint(string(middle), 10, 32)
	if err != nil || n == 0 || n > uint64(k.count) || middle[0] == '0' || middle[0] == '+' {
		return 0, false
	}
	return uint32(n) - 1, true
}
