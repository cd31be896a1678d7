package coapmachine

import (
	"slices"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// maxBegun is how often a request begins anew because the gateway asks for it.
const maxBegun = 5

// answered takes the answer to the request under way.
func (m *Machine) answered(t *Turn, msg *message.Message, r *request) {
	text := string(msg.Payload)
	echo, err := msg.Options.GetBytes(message.Echo)
	switch {
	case msg.Code == codes.Continue && r.kind == publish && r.block.there: // [Block-2.5-3]
		m.nextBlock(t, msg, r)
	case msg.Code == codes.Unauthorized && err == nil && r.begun < maxBegun: // [Echo-2.3-1]
		r.begun++
		r.echo = slices.Clone(echo)
		m.send(t, r)
	case msg.Code == codes.Unauthorized && r.kind != login && r.kind != logout:
		m.end(t, ErrUnknown)
	case msg.Code == codes.RequestEntityIncomplete && r.begun < maxBegun: // [Block-2.9.2-1]
		r.begun++
		r.block = block{}
		m.send(t, r)
	case (msg.Code == codes.ServiceUnavailable || msg.Code == codes.TooManyRequests) && r.kind == publish && r.begun < maxBegun: // [CoAP-5.9.3-1]
		r.begun++
		r.at, r.delayed = t.Now+int64(patience(msg)), true
	case r.kind == subscribe && msg.Code == codes.Content:
		m.observing(t, msg, r)
	case r.kind == fetchBlocks && msg.Code == codes.Content:
		m.fetched(t, msg, r)
	case r.kind == unsubscribe:
		m.observed = slices.DeleteFunc(m.observed, func(o observation) bool { return o.filter == r.topic })
		m.finish(t, msg.Code, text)
	default:
		m.finish(t, msg.Code, text)
	}
}

// patience is how long a busy gateway asks to be left alone.
func patience(msg *message.Message) time.Duration {
	n, err := msg.Options.GetUint32(message.MaxAge)
	if err != nil {
		return time.Minute // Max-Age's default
	}
	return time.Duration(min(max(n, 1), 3600)) * time.Second
}

// nextBlock goes on with the payload, in the size that the gateway asks for.
// [Block-2.3-1]
func (m *Machine) nextBlock(t *Turn, msg *message.Message, r *request) {
	b := blockOf(msg, message.Block1)
	if b.there && b.num != r.block.num {
		return // of an earlier block
	}
	sent := (int(r.block.num) + 1) * r.block.size()
	if b.there && b.szx < r.block.szx {
		if r.block.num > 0 {
			return
		}
		r.block.szx = b.szx
		sent = max(r.block.size(), sent/r.block.size()*r.block.size())
	}
	r.block.num = uint32(sent / r.block.size())
	m.send(t, r)
}

// observing begins an observation, or tells that the gateway keeps none.
func (m *Machine) observing(t *Turn, msg *message.Message, r *request) {
	_, err := msg.Options.GetUint32(message.Observe)
	filter, token := r.topic, r.token
	if err != nil { // [Observe-4.1-3]
		m.finish(t, codes.ServiceUnavailable, "the gateway holds no more observations for this client")
		return
	}
	if !m.observes(token) {
		m.observed = append(m.observed, observation{token, filter})
	}
	n := Notification{Filter: filter, Topic: topicOf(msg), Payload: msg.Payload, Retained: true}
	if msg.Type == message.Confirmable && !r.acked { // a notification overtook the answer
		n.Retained = false
		m.seen = append(m.seen, seen{id: uint16(msg.MessageID), acked: true})
	}
	m.finish(t, msg.Code, "")
	switch b := blockOf(msg, message.Block2); {
	case b.there && b.more:
		m.fetch(t, &n, b)
	case len(msg.Payload) > 0: // the present state
		m.give(t, &n)
	}
}

// fetched takes a further block of a notification. [Block-2.4-1]
func (m *Machine) fetched(t *Turn, msg *message.Message, r *request) {
	b := blockOf(msg, message.Block2)
	if !b.there || int(b.num)*b.size() != len(r.body) || len(r.body)+len(msg.Payload) > m.cfg.maxBody() {
		m.finish(t, codes.RequestEntityIncomplete, "") // its blocks do not fit together: the next state will
		return
	}
	r.body = append(r.body, msg.Payload...)
	if !b.more {
		m.finish(t, codes.Content, "")
		return
	}
	r.block = block{there: true, num: b.num + 1, szx: b.szx}
	m.send(t, r)
}
