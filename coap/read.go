package coap

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// get answers a GET: with the retained message, or with the next blocks of what an
// observer was told.
func (m *Machine) get(t *core.Turn, a *protocols.Actions, q *request, x asking, at place) {
	if q.block2.there && q.block2.num > 0 {
		if o := m.fetching(t, at.topic); o != nil {
			m.serveBlock(t, a, q, x, o)
			return
		}
	}
	if at.surface == connection { // it is there
		m.reply(t, a, x, answer(codes.Content))
		return
	}
	if wildcard(at.topic) {
		m.reply(t, a, x, failure(codes.BadRequest, "a topic with wildcards can be observed, not read"))
		return
	}
	msg, reason, ready := m.read(t, at.topic)
	switch {
	case !ready:
	case reason != core.Success:
		m.reply(t, a, x, m.refusal(reason, ""))
	case msg == nil && at.surface == bridgeSurface: // as EMQ X: it keeps the client alive
		m.reply(t, a, x, answer(codes.Content))
	case msg == nil:
		m.reply(t, a, x, failure(codes.NotFound, "nothing is retained there"))
	default:
		m.reply(t, a, x, m.content(t, q, msg, m.formatFor(msg, q.accept)))
	}
}

func wildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// notAcceptable stands for a message that is not of the format asked for.
const notAcceptable = -2

// formatFor is the Content-Format in which msg is told to who accepts accept. A message
// whose publisher told no type is taken to be what is asked for.
func (m *Machine) formatFor(msg *core.Message, accept int64) int64 {
	switch is := m.adapter.formats.of(msg); {
	case is >= 0 && accept >= 0 && is != accept: // [CoAP-5.10.4-1]
		return notAcceptable
	case is >= 0:
		return is
	case accept >= 0:
		return accept
	}
	return formatOctets
}

// content is the answer that shows msg, or the block of it that is asked for.
func (m *Machine) content(t *core.Turn, q *request, msg *core.Message, format int64) response {
	if format == notAcceptable {
		return failure(codes.NotAcceptable, "it is of type "+msg.Properties.ContentType)
	}
	tag := etag(msg)
	if slices.ContainsFunc(q.etags, func(e []byte) bool { return slices.Equal(e, tag) }) && q.block2.num == 0 { // [CoAP-5.9.1-1]
		r := answer(codes.Valid)
		r.etag = tag
		r.maxAge = maxAge(t, msg)
		return r
	}
	r := answer(codes.Content)
	r.etag, r.format, r.maxAge = tag, format, maxAge(t, msg)
	return m.cut(r, msg.Payload, q.block2)
}

// maxAge is how long msg is fresh: until it lapses, or the default. [CoAP-5.10.5-1]
func maxAge(t *core.Turn, msg *core.Message) int64 {
	left, ok := msg.RemainingExpiry(t.Now())
	if !ok {
		return none // 60 seconds
	}
	return int64(left)
}

// cut gives the block of payload that want asks for, or the first if it is too long for
// one message. [Block-2.4-1] [Block-2.4-2]
func (m *Machine) cut(r response, payload []byte, want block) response {
	szx := m.adapter.szx
	if want.there {
		szx = min(szx, want.szx) // [Block-2.3-1]
	}
	b := block{there: true, szx: szx}
	if want.there {
		// A smaller size than the client's makes its number a larger one.
		b.num = want.num << (want.szx - szx)
	}
	if !want.there && (len(payload) <= b.size() || m.stream != nil && (len(payload)+overhead <= m.stream.maxMessage || !m.stream.blocks)) {
		r.payload = payload
		return r
	}
	if b.offset() >= len(payload) && b.num > 0 {
		return failure(codes.BadRequest, "there is no such block")
	}
	end := min(b.offset()+b.size(), len(payload))
	b.more = end < len(payload)
	r.payload, r.block2 = payload[b.offset():end], b
	if b.num == 0 && b.more {
		r.size2 = int64(len(payload)) // [Block-4-1]
	}
	return r
}

// etag names msg's content: the same for the same bytes of the same type, also after a
// restart. [CoAP-5.10.6-1]
func etag(msg *core.Message) []byte {
	h := fnv.New64a()
	h.Write(msg.Payload)
	if p := msg.Properties; p != nil {
		h.Write([]byte{0, p.PayloadFormat})
		h.Write([]byte(p.ContentType))
	}
	return binary.BigEndian.AppendUint64(nil, h.Sum64())
}
