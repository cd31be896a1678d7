package coretest

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"
)

type scenario struct {
	name  string
	needs []string
	steps []step
}

// step is one line of a story with the trace behind it.
type step struct {
	line    int
	text    string
	verb    string
	device  string
	via     string
	connect Connecting
	publish Publishing // also the filter and QoS of subscribe
	time    time.Duration
	want    []string
}

func loadScenario(t *testing.T, file string) *scenario {
	t.Helper()
	text, err := scenarioFiles.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{name: strings.TrimSuffix(path.Base(file), ".txt")}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if err := s.add(number, strings.TrimSpace(line)); err != nil {
			t.Fatalf("%s:%d: %v", file, number, err)
		}
	}
	return s
}

func (s *scenario) add(number int, line string) error {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 || strings.HasPrefix(line, "#") {
		return err
	}
	switch words[0] {
	case "needs":
		s.needs = append(s.needs, words[1:]...)
		return nil
	case "<":
		if len(s.steps) == 0 {
			return fmt.Errorf("a trace before the first step")
		}
		last := &s.steps[len(s.steps)-1]
		last.want = append(last.want, strings.TrimSpace(line[1:]))
		return nil
	}
	st := step{line: number, text: line, verb: words[0]}
	if err := st.parse(words[1:]); err != nil {
		return err
	}
	if st.via != "" {
		s.needs = append(s.needs, "via "+st.via)
	}
	s.steps = append(s.steps, st)
	return nil
}

// operands is how many words each verb takes in front of its options.
func operands() map[string]int {
	return map[string]int{"connect": 1, "subscribe": 3, "unsubscribe": 2, "publish": 4, "hold": 1, "release": 1,
		"sleep": 2, "wake": 1, "disconnect": 1, "cut": 1, "pass": 1, "restart": 0}
}

func (s *step) parse(words []string) (err error) {
	n, known := operands()[s.verb]
	if !known || len(words) < n {
		return fmt.Errorf("%q: unknown, or words are missing", s.text)
	}
	rest := words[n:]
	if s.verb == "pass" {
		s.time, err = time.ParseDuration(words[0])
		return err
	}
	if n > 0 {
		s.device = words[0]
	}
	switch s.verb {
	case "sleep":
		s.time, err = time.ParseDuration(words[1])
	case "unsubscribe":
		s.publish.Topic = words[1]
	case "subscribe":
		s.publish.Topic = words[1]
		err = s.qos(words[2])
	case "publish":
		s.publish.Topic, s.publish.Text = words[1], words[2]
		err = s.qos(words[3])
	}
	for err == nil && len(rest) > 0 {
		rest, err = s.option(rest)
	}
	return err
}

func (s *step) qos(word string) error {
	n, err := strconv.ParseUint(word, 10, 2)
	s.publish.QoS = uint8(n)
	return err
}

// option takes one option off words.
func (s *step) option(words []string) (rest []string, err error) {
	take := func() string {
		if len(words) < 2 {
			err = fmt.Errorf("%q: a word is missing behind %q", s.text, words[0])
			return ""
		}
		word := words[1]
		words = append(words[:1], words[2:]...)
		return word
	}
	period := func(d *time.Duration) {
		word := take()
		if err == nil {
			*d, err = time.ParseDuration(word)
		}
	}
	switch words[0] {
	case "durable":
		s.connect.Durable = true
	case "for":
		s.connect.Durable = true
		period(&s.connect.Expiry)
	case "keep":
		period(&s.connect.KeepAlive)
	case "will":
		s.connect.WillTopic = take()
		s.connect.WillText = take()
	case "via":
		s.via = take()
	case "retain":
		s.publish.Retain = true
	case "expires":
		period(&s.publish.Expires)
	default:
		err = fmt.Errorf("%q: unknown option %q", s.text, words[0])
	}
	return words[1:], err
}

// splitWords splits at blanks; a word in quotation marks may hold some.
func splitWords(line string) (words []string, err error) {
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
		if rest[0] != '"' {
			word, more, _ := strings.Cut(rest, " ")
			words, rest = append(words, word), more
			continue
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: a quotation mark is missing", line)
		}
		word, _ := strconv.Unquote(quoted)
		words, rest = append(words, word), rest[len(quoted):]
	}
	return words, nil
}
