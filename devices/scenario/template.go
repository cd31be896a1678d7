package scenario

import (
	"bytes"
	"strconv"
	"time"
)

// template is a text with placeholders, taken apart once.
type template struct {
	parts []part
	vary  *part // the one part of a topic that differs from message to message; nil: none
}

// part is a piece of text or a placeholder.
type part struct {
	kind  partKind
	text  string   // literal; else the placeholder as it was written
	words []string // pick, rand
	count uint32   // each, any: so many numbers; level: which
	key   uint64   // pick: equal lists choose equally in all texts of a device
}

type partKind uint8

const (
	partText    partKind = iota // as it stands
	partN                       // {n}
	partID                      // {id}
	partPick                    // {pick:a,b}
	partEach                    // {each:8}, {each:GROUP}
	partAny                     // {any:8}, {any:GROUP}
	partRand                    // {rand:a,b}
	partSeq                     // {seq}
	partTime                    // {time}
	partValue                   // {value}
	partTo                      // {to}
	partRequest                 // {request}
	partLevel                   // {level:2}
)

// moment is what a template may need besides the device.
type moment struct {
	now     int64 // since the begin of the run
	seq     uint64
	variant uint32 // of the topic
	vary    *part  // of the topic
	value   float64
	random  chance // of this message
	request *Request
}

// appendTo appends the text. m may be nil for texts of the device alone.
func (t *template) appendTo(b []byte, d Device, m *moment) []byte {
	for i := range t.parts {
		b = t.parts[i].appendTo(b, d, m)
	}
	return b
}

func (p *part) appendTo(b []byte, d Device, m *moment) []byte {
	switch p.kind {
	case partText:
		return append(b, p.text...)
	case partN:
		return strconv.AppendUint(b, uint64(d.N)+1, 10)
	case partID:
		return d.AppendClientID(b)
	case partPick:
		c := d.chance(drawPick, p.key, 0)
		return append(b, p.words[c.below(uint32(len(p.words)))]...)
	}
	if m == nil {
		return b
	}
	return p.appendMoment(b, m)
}

func (p *part) appendMoment(b []byte, m *moment) []byte {
	switch p.kind {
	case partSeq:
		return strconv.AppendUint(b, m.seq, 10)
	case partTime:
		return time.Unix(0, m.now).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	case partValue:
		return appendValue(b, m.value)
	case partTo:
		return m.vary.appendVariant(b, m.variant)
	case partRequest:
		return appendRequest(b, m.request)
	case partLevel:
		return appendLevel(b, m.request.Topic, p.count)
	}
	if p == m.vary {
		return p.appendVariant(b, m.variant)
	}
	return p.appendVariant(b, m.random.below(p.variants()))
}

// variants is how many texts a part can become that differs from message to message.
func (p *part) variants() uint32 {
	if p.kind == partRand {
		return uint32(len(p.words))
	}
	return p.count
}

func (p *part) appendVariant(b []byte, variant uint32) []byte {
	if p.kind == partRand {
		return append(b, p.words[variant]...)
	}
	return strconv.AppendUint(b, uint64(variant)+1, 10)
}

// appendValue writes a number as devices do: at most two decimals.
func appendValue(b []byte, x float64) []byte {
	b = strconv.AppendFloat(b, x, 'f', 2, 64)
	b = bytes.TrimRight(b, "0")
	return bytes.TrimSuffix(b, []byte("."))
}

// maxRequest bounds how much of a request an answer repeats, in bytes.
const maxRequest = 256

// appendRequest appends a request's payload without its mark, fit to stand in a JSON
// text.
func appendRequest(b []byte, r *Request) []byte {
	text := r.Payload
	if at, ok := locateMark(text); ok && at+MarkSize == len(text) {
		text = bytes.TrimSuffix(text[:at], []byte(" "))
	}
	for _, c := range text[:min(len(text), maxRequest)] {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ' && c < 0x7F:
			b = append(b, c)
		default:
			b = append(b, '?')
		}
	}
	return b
}

// appendLevel appends a level of a topic, from 1; nothing if there is no such level.
func appendLevel(b, topic []byte, level uint32) []byte {
	for ; level > 1; level-- {
		i := bytes.IndexByte(topic, '/')
		if i < 0 {
			return b
		}
		topic = topic[i+1:]
	}
	if i := bytes.IndexByte(topic, '/'); i >= 0 {
		topic = topic[:i]
	}
	return append(b, topic...)
}
