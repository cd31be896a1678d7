package rules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Variable is what ${…} in a statement names.
type Variable string

// The variables. ${message}, in Redis alone, is all fields of the message: names and
// values in turn.
const (
	VarClientID  Variable = "clientid"
	VarUsername  Variable = "username"
	VarTopic     Variable = "topic"
	VarPayload   Variable = "payload"
	VarQoS       Variable = "qos"
	VarRetain    Variable = "retain"
	VarMsgID     Variable = "msgid"
	VarTimestamp Variable = "timestamp" // Unix milliseconds
	VarNode      Variable = "node"
	VarPeerHost  Variable = "peerhost"
	VarProtocol  Variable = "protocol"
	VarMessage   Variable = "message"
)

func variables() []Variable {
	return []Variable{VarClientID, VarUsername, VarTopic, VarPayload, VarQoS, VarRetain, VarMsgID, VarTimestamp, VarNode, VarPeerHost, VarProtocol, VarMessage}
}

// Part is a piece of a statement: Text as it stands, or a Variable.
type Part struct {
	Text     string
	Variable Variable // "" for Text
}

// Template is a statement, cut into what stands there and what is bound.
type Template []Part

// ParseTemplate cuts text at its ${…}. An error says which variable there is instead.
func ParseTemplate(text string) (t Template, err error) {
	for text != "" {
		literal, rest, found := strings.Cut(text, "${")
		if literal != "" {
			t = append(t, Part{Text: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("${%s: has no closing }", rest)
		}
		if !slices.Contains(variables(), Variable(name)) {
			return nil, fmt.Errorf("${%s}: is no variable%s", name, didYouMean(name, variables()))
		}
		t = append(t, Part{Variable: Variable(name)})
		text = after
	}
	return t, nil
}

// errMessage refuses ${message} where it is no argument of its own.
var errMessage = errors.New("${message}: is all fields of a message, as an argument of its own of a command of Redis; name one, such as ${payload}")

// SQL gives the statement with a placeholder for each variable, counted from 1, and what
// to bind to them. A variable in quotes is refused: it would be text.
func (t Template) SQL(placeholder func(n int) string) (query string, bind []Variable, err error) {
	var b strings.Builder
	quote := byte(0)
	for _, p := range t {
		if p.Variable == "" {
			quote = quoteAfter(quote, p.Text)
			b.WriteString(p.Text)
			continue
		}
		if p.Variable == VarMessage {
			return "", nil, errMessage
		}
		if quote != 0 {
			return "", nil, fmt.Errorf("%c${%s}%c: stands in quotes; take them away, values are bound and need none", quote, p.Variable, quote)
		}
		bind = append(bind, p.Variable)
		b.WriteString(placeholder(len(bind)))
	}
	return b.String(), bind, nil
}

// quoteAfter is the quote that is open behind text, 0 for none, where quote was before.
func quoteAfter(quote byte, text string) byte {
	for i := range len(text) {
		switch c := text[i]; {
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return quote
}

// Question is the placeholder of MySQL and Cassandra.
func Question(int) string { return "?" }

// Dollar is the placeholder of PostgreSQL.
func Dollar(n int) string { return "$" + strconv.Itoa(n) }

// Value is what v stands for: a string, a []byte (the payload; the job's own), or an
// int64 (QoS, RETAIN flag, time). nil where the event has no such thing.
func (j *Job) Value(v Variable) any {
	m := j.Message
	switch v {
	case VarClientID:
		return j.ClientID
	case VarUsername:
		return j.Username
	case VarTopic:
		return j.Topic
	case VarQoS:
		return int64(j.QoS)
	case VarTimestamp:
		return j.Time
	case VarNode:
		return j.Node
	case VarPeerHost:
		return j.Peer
	case VarProtocol:
		return j.Protocol
	}
	if m == nil {
		return nil
	}
	switch v {
	case VarPayload:
		return m.Payload
	case VarMsgID:
		return m.MsgID
	case VarRetain:
		return flag(m.Retain)
	}
	return nil
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// Values are what variables stand for, in their order, to bind.
func (j *Job) Values(vs []Variable) []any {
	out := make([]any, len(vs))
	for i, v := range vs {
		out[i] = j.Value(v)
	}
	return out
}

// Command is a command of Redis: its arguments, each of which is text and variables.
type Command []Template

// ParseCommand cuts text into arguments, with exactly one space between two. A variable
// is part of its argument whatever it holds.
func ParseCommand(text string) (c Command, err error) {
	if text == "" {
		return nil, errors.New("is empty")
	}
	for i, word := range strings.Split(text, " ") {
		if word == "" {
			return nil, fmt.Errorf("argument %d is empty: exactly one space stands between two arguments", i+1)
		}
		t, err := ParseTemplate(word)
		if err != nil {
			return nil, err
		}
		if len(t) > 1 && slices.ContainsFunc(t, func(p Part) bool { return p.Variable == VarMessage }) {
			return nil, errMessage
		}
		if i == 0 && (len(t) != 1 || t[0].Variable != "") {
			return nil, fmt.Errorf("%s: the command itself cannot be a variable", word)
		}
		c = append(c, t)
	}
	return c, nil
}

// Args gives the arguments for j.
func (c Command) Args(j *Job) []any {
	args := make([]any, 0, len(c))
	for _, t := range c {
		if len(t) == 1 && t[0].Variable == VarMessage {
			args = append(args, j.Message.fields()...)
			continue
		}
		args = append(args, t.Fill(j))
	}
	return args
}

// Fill gives the template with everything filled in: bytes, never to be read again as a
// statement.
func (t Template) Fill(j *Job) []byte {
	var b []byte
	for _, p := range t {
		if p.Variable == "" {
			b = append(b, p.Text...)
			continue
		}
		switch v := j.Value(p.Variable).(type) {
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		}
	}
	return b
}

// fields are the names and values of the message, as ${message} has them.
func (m *Message) fields() []any {
	if m == nil {
		return nil
	}
	return []any{"id", m.MsgID, "from", m.Sender, "qos", int64(m.QoS), "topic", m.Topic, "payload", m.Payload,
		"ts", m.Arrived / 1000, "retain", strconv.FormatBool(m.Retain)}
}

// didYouMean names the one of known that is nearest to what was written.
func didYouMean[T ~string](written string, known []T) string {
	best, least := T(""), 1+len(written)/2
	for _, k := range known {
		if d := distance(strings.ToLower(written), string(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters must be changed, added or taken.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
