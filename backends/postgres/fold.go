package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5/pgtype"
)

// checkJob refuses what no column of PostgreSQL, or of the tables that there are, holds.
func (st *statements) checkJob(j *rules.Job) error {
	if err := checkTexts(j); err != nil {
		return err
	}
	switch j.Rule.Function {
	case rules.OnMessagePublish, rules.OnMessageStore:
		return checkPayload(msgTable, st.publishPayload, j.Message.Payload)
	case rules.OnMessageRetain:
		return checkPayload(retainTable, st.retainPayload, j.Message.Payload)
	}
	return nil
}

// run makes statements of what was folded.
func (st *statements) run(f *rules.Fold, queue func(table, query string, args ...any)) {
	if len(f.Published) > 0 {
		queue(msgTable, st.publish, columnsOf(f.Published).args(st, msgTable, st.publishPayload)...)
	}
	kept, deleted := f.Retained()
	if len(kept) > 0 {
		queue(retainTable, st.retain, columnsOf(kept).args(st, retainTable, st.retainPayload)...)
	}
	if len(deleted) > 0 {
		c := columnsOf(deleted)
		queue(retainTable, st.retainDelete, c.topic, c.arrived)
	}
	if len(f.Acked) > 0 {
		var clients, topics, msgids []string
		for _, j := range f.Acked {
			clients, topics, msgids = append(clients, j.ClientID), append(topics, j.Topic), append(msgids, j.Message.MsgID)
		}
		queue(ackedTable, st.acked, clients, topics, msgids)
	}
	presence := func(query string, jobs []*rules.Job) {
		var clients, nodes []string
		var at []time.Time
		for _, j := range jobs {
			clients, nodes, at = append(clients, j.ClientID), append(nodes, j.Node), append(at, time.UnixMilli(j.Time))
		}
		if len(jobs) > 0 {
			queue(clientTable, query, clients, nodes, at)
		}
	}
	came, went := f.Presence()
	presence(st.connected, came)
	presence(st.disconnected, went)
}

// columns are messages as arrays.
type columns struct {
	msgid, sender, topic []string
	payload              [][]byte
	qos, retain          []int32
	arrived              []time.Time
	expires              []pgtype.Timestamptz
}

func columnsOf(ms []*rules.Message) (c columns) {
	for _, m := range ms {
		c.msgid, c.sender, c.topic = append(c.msgid, m.MsgID), append(c.sender, m.Sender), append(c.topic, m.Topic)
		payload := m.Payload
		if payload == nil {
			payload = []byte{}
		}
		c.payload, c.qos = append(c.payload, payload), append(c.qos, int32(m.QoS))
		retain := int32(0)
		if m.Retain {
			retain = 1
		}
		c.retain, c.arrived = append(c.retain, retain), append(c.arrived, time.UnixMilli(m.Arrived))
		c.expires = append(c.expires, pgtype.Timestamptz{Time: time.UnixMilli(m.Expires), Valid: m.Expires != 0})
	}
	return c
}

// args are the arrays that the statement about the table wants, see statements.message.
func (c columns) args(st *statements, table string, kind payloadKind) []any {
	args := []any{c.msgid, c.sender, c.topic, c.qos}
	if kind == asBytes {
		args = append(args, c.payload)
	} else {
		texts := make([]string, len(c.payload))
		for i, p := range c.payload {
			texts[i] = string(p)
		}
		args = append(args, texts)
	}
	args = append(args, c.arrived)
	if table == msgTable {
		args = append(args, c.retain)
	}
	if st.has(table, "expires") {
		args = append(args, c.expires)
	}
	return args
}

// checkTexts refuses what no column of PostgreSQL holds.
func checkTexts(j *rules.Job) error {
	texts := [6]string{j.ClientID, j.Topic, j.Username, j.Node}
	if m := j.Message; m != nil {
		if m.MsgID == "" {
			return errors.New("the message has no msgid")
		}
		texts[4], texts[5] = m.Sender, m.MsgID
	}
	for _, s := range texts {
		if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
			return fmt.Errorf("%.80q: PostgreSQL holds neither the null character nor what is no UTF-8, except in payloads", s)
		}
	}
	return nil
}

// checkPayload refuses what the column payload cannot hold.
func checkPayload(table string, kind payloadKind, p []byte) error {
	if kind == asBytes || utf8.Valid(p) && !slices.Contains(p, 0) {
		return nil
	}
	return fmt.Errorf("%s.payload: is text, which holds no payload with null bytes or that is no UTF-8; have bytes kept: alter table %s alter payload type bytea using convert_to(payload::text, 'UTF8')", table, table)
}
