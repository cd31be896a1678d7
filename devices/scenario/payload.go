package scenario

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// payloadText is a Payload made ready.
type payloadText struct {
	config *Payload
	kind   string
	text   *template // template
	lines  [][]byte  // file
	walks  bool      // the value is a random walk, not a count
	step   float64
	spark  sparkKind
}

// kindOf is the kind of a payload, which need not be said if it shows by what else is
// given.
func (p *Payload) kindOf() string {
	switch {
	case p.Kind != "" && p.Kind != "auto":
		return p.Kind
	case p.File != "":
		return "file"
	case len(p.Values) > 0:
		return "text"
	case p.Text != "":
		return "template"
	case p.High > p.Low:
		return "walk"
	case p.Size > 0:
		return "bytes"
	}
	return "counter"
}

func (p *Payload) marked() bool { return p.Mark == "" || p.Mark == "payload" }

// payload makes a payload ready; topic is the text of where it goes.
func (t *texts) payload(key string, p *Payload, topic string, at place, vary *part) payloadText {
	made := payloadText{config: p, kind: p.kindOf(), walks: p.High > p.Low, step: p.Step}
	if made.step == 0 {
		made.step = (p.High - p.Low) / 20
	}
	switch made.kind {
	case "template":
		made.text = t.text(key+".text", p.Text, at, vary)
	case "sparkplug":
		made.spark = sparkOf(topic)
	case "file":
		made.lines = t.s.lines[p.File] // readFiles has reported what it could not read
	}
	return made
}

// fill writes the payload of a message that has its Seq already, with its mark. The
// mark tells the run's time, the text the time of day (moment.now).
func (p *payloadText) fill(st *State, m *Message, now int64, count uint64) {
	c, o := p.config, &m.moment
	mark := Mark{Device: st.Index, Seq: m.Seq, Time: now}
	b := m.Payload[:0]
	switch {
	case p.kind == "sparkplug":
		b = p.sparkplug(st, b, m, o, count, mark)
		m.Payload = b
		return
	case p.kind == "bytes":
		b = appendRandom(b, max(0, c.Size-overhead(c, nil)), &o.random)
	default:
		b = p.appendText(b, st.Device, o, count)
	}
	json := p.kind != "bytes" && looksJSON(b)
	if c.Size > 0 && !json {
		for len(b) < c.Size-overhead(c, b) {
			b = append(b, ' ')
		}
	}
	switch {
	case !c.marked():
		m.Payload = b
	case json:
		m.markJSON(b, c.Size, mark)
	default:
		if len(b) > 0 || c.Size == MarkSize+1 {
			b = append(b, ' ')
		}
		m.Payload = AppendMark(b, mark)
		m.Mark = m.Payload[len(b):]
	}
	if c.Mark == "property" {
		m.markProperty(mark)
	}
}

// overhead is what the mark takes beside the payload b.
func overhead(c *Payload, b []byte) int {
	switch {
	case !c.marked():
		return 0
	case b != nil && len(b) == 0:
		return MarkSize
	}
	return MarkSize + 1
}

func (m *Message) markProperty(mark Mark) {
	m.Property = AppendMark(m.Property[:0], mark)
	m.Mark = m.Property
}

// looksJSON tells whether a text is meant as a JSON object.
func looksJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 1 && b[0] == '{' && b[len(b)-1] == '}'
}

// markJSON adds the mark as the last member of an object, after blanks up to size.
func (m *Message) markJSON(b []byte, size int, mark Mark) {
	const member, end = `"_":"`, `"}`
	b = bytes.TrimRight(b, " \t\r\n")
	b = bytes.TrimRight(b[:len(b)-1], " \t\r\n")
	comma := b[len(b)-1] != '{'
	room := len(member) + MarkSize + len(end)
	if comma {
		room++
	}
	for len(b) < size-room {
		b = append(b, ' ')
	}
	if comma {
		b = append(b, ',')
	}
	b = append(b, member...)
	at := len(b)
	b = AppendMark(b, mark)
	m.Payload = append(b, end...)
	m.Mark = m.Payload[at : at+MarkSize]
}

// appendText appends the payload without its mark.
func (p *payloadText) appendText(b []byte, d Device, o *moment, count uint64) []byte {
	switch p.kind {
	case "template":
		return p.text.appendTo(b, d, o)
	case "walk":
		return appendValue(b, o.value)
	case "file":
		return append(b, p.lines[count%uint64(len(p.lines))]...)
	case "text":
		if n := uint64(len(p.config.Values)); n > 0 {
			return append(b, p.config.Values[count%n]...)
		}
		return append(b, p.config.Text...)
	}
	return strconv.AppendUint(b, count, 10)
}

// appendRandom appends n bytes that cannot be foreseen and cannot be compressed.
func appendRandom(b []byte, n int, c *chance) []byte {
	for ; n >= 8; n -= 8 {
		b = binary.LittleEndian.AppendUint64(b, c.Uint64())
	}
	if n > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], c.Uint64())
		b = append(b, last[:n]...)
	}
	return b
}

// sparkKind is which of Sparkplug's messages a payload is.
type sparkKind uint8

const (
	sparkData sparkKind = iota
	sparkNodeBirth
	sparkDeviceBirth
)

func sparkOf(topic string) sparkKind {
	switch {
	case strings.Contains(topic, "/NBIRTH/"):
		return sparkNodeBirth
	case strings.Contains(topic, "/DBIRTH/"):
		return sparkDeviceBirth
	}
	return sparkData
}
