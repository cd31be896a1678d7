package mysql

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// messageArgs are the values of one row, see statements.message.
func (st *statements) messageArgs(args []any, table string, expires int, m *rules.Message) []any {
	args = append(args, m.MsgID, null(m.Sender), m.Topic)
	if st.has(table, "node") {
		args = append(args, null(m.Node))
	}
	asText := st.publishText
	if table == retainTable {
		asText = st.retainText
	}
	args = append(args, int64(m.QoS), payload(m.Payload, asText))
	if table == msgTable {
		args = append(args, flag(m.Retain))
	}
	if expires > 0 && st.has(table, "expires") {
		if m.Expires == 0 {
			args = append(args, nil)
		} else {
			args = append(args, m.Expires)
		}
	}
	return append(args, m.Arrived)
}

// expiring is 1 where a message may expire, else 0: which statement it takes.
func expiring(ms []*rules.Message) int {
	if slices.ContainsFunc(ms, func(m *rules.Message) bool { return m.Expires != 0 }) {
		return 1
	}
	return 0
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

func payload(p []byte, asText bool) any {
	switch {
	case asText:
		return string(p)
	case p == nil:
		return []byte{}
	}
	return p
}

// topicKey is what is bound for sameTopic.
func (st *statements) topicKey(table, topic string) any {
	if st.has(table, "topic_hash") {
		sum := sha256.Sum256([]byte(topic))
		return sum[:]
	}
	return topic
}

// checkJob refuses what no column of MySQL, or of the tables that there are, holds.
func (st *statements) checkJob(j *rules.Job) error {
	texts := [6]string{j.ClientID, j.Topic, j.Username, j.Node}
	if m := j.Message; m != nil {
		if m.MsgID == "" {
			return errors.New("the message has no msgid")
		}
		texts[4], texts[5] = m.Sender, m.MsgID
	}
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%.80q: MySQL holds only UTF-8, except in payloads", s)
		}
	}
	switch j.Rule.Function {
	case rules.OnMessagePublish, rules.OnMessageStore:
		return checkPayload(msgTable, st.publishText, j.Message.Payload)
	case rules.OnMessageRetain:
		return checkPayload(retainTable, st.retainText, j.Message.Payload)
	}
	return nil
}

// checkPayload refuses what the column payload cannot hold.
func checkPayload(table string, asText bool, p []byte) error {
	if !asText || utf8.Valid(p) {
		return nil
	}
	return fmt.Errorf("%s.payload: is text, which holds no payload that is no UTF-8; have bytes kept: alter table %s modify payload longblob", table, table)
}
