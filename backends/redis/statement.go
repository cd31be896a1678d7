package redis

import (
	"fmt"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// statements adds the commands of a rule of the user's own. Each is a command and its
// arguments with one blank between them; a variable may be a whole argument or stand
// within one, and what it stands for is never more than that argument.
func (b *batch) statements(j *rules.Job) error {
	for _, text := range j.Rule.Statements {
		if text == "pipeline" {
			continue // all of them are
		}
		args, err := arguments(text, j)
		if err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		b.p.Do(b.ctx, args...)
	}
	return nil
}

func arguments(text string, j *rules.Job) (args []any, err error) {
	for word := range strings.SplitSeq(text, " ") {
		if word == "${message}" { // all fields of the message, name and value
			if j.Message == nil {
				return nil, fmt.Errorf("there is no message with %s", j.Hook)
			}
			args = append(args, fields(j.Message)...)
			continue
		}
		arg, err := fill(word, j)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

// fill puts the values of j in place of the variables of word.
func fill(word string, j *rules.Job) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(word, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("${%s is not closed", rest)
		}
		v, err := value(name, j)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
		word = after
	}
}

// value is what a variable stands for.
func value(name string, j *rules.Job) (string, error) {
	m := j.Message
	if m == nil {
		m = &rules.Message{}
	}
	switch name {
	case "clientid":
		return j.ClientID, nil
	case "username":
		return j.Username, nil
	case "topic":
		return j.Topic, nil
	case "payload":
		return string(m.Payload), nil
	case "qos":
		return fmt.Sprint(j.QoS), nil
	case "retain":
		return fmt.Sprint(m.Retain), nil
	case "msgid":
		return m.MsgID, nil
	case "timestamp":
		return fmt.Sprint(j.Time), nil
	case "node":
		return j.Node, nil
	case "peerhost":
		return j.Peer, nil
	case "protocol":
		return j.Protocol, nil
	}
	return "", fmt.Errorf("there is no variable ${%s}", name)
}
