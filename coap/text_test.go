package coap

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	tcp "github.com/plgd-dev/go-coap/v3/tcp/coder"
)

// Messages as text: build makes a datagram of a line, show a line of a datagram.

var kinds = []string{"CON", "NON", "ACK", "RST"}

func methods() map[string]codes.Code {
	return map[string]codes.Code{"GET": codes.GET, "POST": codes.POST, "PUT": codes.PUT, "DELETE": codes.DELETE, "FETCH": codes.FETCH, "PATCH": codes.PATCH, "IPATCH": codes.IPATCH, "EMPTY": codes.Empty,
		"CSM": codes.CSM, "PING": codes.Ping, "PONG": codes.Pong, "RELEASE": codes.Release, "ABORT": codes.Abort}
}

func optionNames() map[string]message.OptionID {
	return map[string]message.OptionID{"obs": message.Observe, "ct": message.ContentFormat, "accept": message.Accept, "maxage": message.MaxAge,
		"size1": message.Size1, "size2": message.Size2, "nores": message.NoResponse}
}

func opaqueNames() map[string]message.OptionID {
	return map[string]message.OptionID{"etag": message.ETag, "ifmatch": message.IfMatch, "ifnone": message.IfNoneMatch, "echo": message.Echo, "tag": message.RequestTag}
}

// split cuts a line at blanks outside of quotes.
func split(line string) (words []string) {
	quoted, word := false, ""
	for _, c := range line {
		if c == '\'' {
			quoted = !quoted
		}
		if c == ' ' && !quoted {
			if word != "" {
				words = append(words, word)
			}
			word = ""
			continue
		}
		word += string(c)
	}
	if word != "" {
		words = append(words, word)
	}
	return words
}

// build makes a datagram of a line.
func build(t testing.TB, line string) []byte {
	t.Helper()
	w := split(line)
	if w[0] == "raw" {
		b, err := hex.DecodeString(strings.Join(w[1:], ""))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return b
	}
	if w[0] == "MSG" {
		m := message.Message{Code: codeOf(w[1])}
		for _, word := range w[2:] {
			buildOption(t, &m, word)
		}
		slices.SortStableFunc(m.Options, func(a, b message.Option) int { return int(a.ID) - int(b.ID) })
		return appendStream(nil, &m)
	}
	id, err := strconv.ParseUint(w[2], 10, 16)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	m := message.Message{Type: message.Type(slices.Index(kinds, w[0])), MessageID: int32(id), Code: codeOf(w[1])}
	for _, word := range w[3:] {
		buildOption(t, &m, word)
	}
	slices.SortStableFunc(m.Options, func(a, b message.Option) int { return int(a.ID) - int(b.ID) })
	return appendMessage(nil, &m)
}

func codeOf(word string) codes.Code {
	if code, ok := methods()[word]; ok {
		return code
	}
	var class, detail int
	fmt.Sscanf(word, "%d.%d", &class, &detail)
	return codes.Code(class<<5 | detail)
}

// frames cuts what was sent over TCP into messages.
func frames(t testing.TB, b []byte) (all [][]byte) {
	for len(b) > 0 {
		var h tcp.MessageHeader
		if _, err := tcp.DefaultCoder.DecodeHeader(b, &h); err != nil || int(h.MessageLength) > len(b) {
			t.Fatalf("sent %x: %v", b, err)
		}
		all = append(all, bytes.Clone(b[:h.MessageLength]))
		b = b[h.MessageLength:]
	}
	return all
}

// showStream writes a message that came over TCP as a line.
func showStream(b []byte) string {
	m := Machine{stream: &stream{}}
	var msg message.Message
	if err := m.decode(b, &msg); err != nil {
		return fmt.Sprintf("broken %x: %v", b, err)
	}
	return "MSG" + strings.Replace(showMessage(&msg), " 0", "", 1)
}

func buildOption(t testing.TB, m *message.Message, word string) {
	t.Helper()
	add := func(id message.OptionID, v []byte) { m.Options = append(m.Options, message.Option{ID: id, Value: v}) }
	name, value, _ := strings.Cut(word, "=")
	switch {
	case word[0] == '\'':
		m.Payload = []byte(repeated(strings.Trim(word, "'")))
	case word[0] == '/':
		path, query, has := strings.Cut(word, "?")
		for _, s := range strings.Split(path[1:], "/") {
			add(message.URIPath, []byte(s))
		}
		for _, s := range strings.Split(query, "&") {
			if has {
				add(message.URIQuery, []byte(s))
			}
		}
	case name == "tok":
		m.Token = fromHex(t, value)
	case name == "hex":
		m.Payload = fromHex(t, value)
	case name == "b1" || name == "b2":
		var num, size int
		var more string
		fmt.Sscanf(strings.ReplaceAll(value, "/", " "), "%d %s %d", &num, &more, &size)
		szx := slices.Index([]int{16, 32, 64, 128, 256, 512, 1024, 2048}, size)
		b := block{num: uint32(num), more: more == "m", szx: uint8(szx)}
		add(map[string]message.OptionID{"b1": message.Block1, "b2": message.Block2}[name], uintBytes(b.value()))
	case strings.HasPrefix(name, "opt"):
		n, _ := strconv.Atoi(name[3:])
		add(message.OptionID(n), fromHex(t, value))
	case opaqueNames()[name] != 0:
		add(opaqueNames()[name], fromHex(t, value))
	case optionNames()[name] != 0:
		n, _ := strconv.ParseUint(value, 10, 32)
		add(optionNames()[name], uintBytes(uint32(n)))
	default:
		t.Fatalf("what is %q?", word)
	}
}

// repeated expands x*300.
func repeated(s string) string {
	text, times, ok := strings.Cut(s, "*")
	if n, err := strconv.Atoi(times); ok && err == nil {
		return strings.Repeat(text, n)
	}
	return s
}

func fromHex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// show writes a datagram as a line.
func show(b []byte) string {
	var m message.Message
	if err := decode(b, &m); err != nil {
		return fmt.Sprintf("broken %x: %v", b, err)
	}
	return kinds[m.Type] + showMessage(&m)
}

func showMessage(m *message.Message) string {
	var s strings.Builder
	name := fmt.Sprintf("%d.%02d", m.Code>>5, m.Code&31)
	for n, c := range methods() {
		if c == m.Code {
			name = n
		}
	}
	fmt.Fprintf(&s, " %s %d", name, m.MessageID)
	if len(m.Token) > 0 {
		fmt.Fprintf(&s, " tok=%x", []byte(m.Token))
	}
	for _, o := range m.Options {
		showOption(&s, o)
	}
	switch {
	case bytes.ContainsFunc(m.Payload, func(c rune) bool { return c < ' ' || c == 0xFFFD }):
		fmt.Fprintf(&s, " hex=%x", m.Payload)
	case len(m.Payload) > 0:
		s.WriteString(" '" + shorten(m.Payload) + "'")
	}
	return s.String()
}

func showOption(s *strings.Builder, o message.Option) {
	for n, id := range optionNames() {
		if id == o.ID {
			fmt.Fprintf(s, " %s=%d", n, number(o.Value))
			return
		}
	}
	for n, id := range opaqueNames() {
		if id == o.ID {
			fmt.Fprintf(s, " %s=%x", n, o.Value)
			return
		}
	}
	switch o.ID {
	case message.Block1, message.Block2:
		b, more := readBlock(number(o.Value)), "-"
		if b.more {
			more = "m"
		}
		fmt.Fprintf(s, " b%d=%d/%s/%d", map[message.OptionID]int{message.Block1: 1, message.Block2: 2}[o.ID], b.num, more, b.size())
	case message.LocationPath:
		fmt.Fprintf(s, " loc=%s", o.Value)
	default:
		fmt.Fprintf(s, " opt%d=%x", o.ID, o.Value)
	}
}

// shorten writes a run of one byte as x*300.
func shorten(b []byte) string {
	if len(b) > 8 && bytes.Count(b, b[:1]) == len(b) {
		return fmt.Sprintf("%c*%d", b[0], len(b))
	}
	return string(b)
}
