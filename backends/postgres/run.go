package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5/pgtype"
)

// run is jobs of functions whose effect is the same in any order, once of several about
// the same row the last is taken. Rows are in the order of their keys where two
// transactions could wait for each other.
type run struct {
	published []*rules.Message
	msgids    map[string]bool                // published, where no key of the table sees to it
	retained  map[string]*rules.Job          // by topic
	acked     []*rules.Job                   //
	clients   map[string]map[bool]*rules.Job // by client id: the last connected, and the last disconnected after it
}

func newRun() *run {
	return &run{msgids: map[string]bool{}, retained: map[string]*rules.Job{}, clients: map[string]map[bool]*rules.Job{}}
}

func (r *run) add(st *statements, j *rules.Job) error {
	switch j.Rule.Function {
	case rules.OnMessagePublish, rules.OnMessageStore:
		if err := checkPayload(msgTable, st.publishPayload, j.Message.Payload); err != nil {
			return rules.Permanent(err)
		}
		if st.distinct {
			if r.msgids[j.Message.MsgID] {
				return nil
			}
			r.msgids[j.Message.MsgID] = true
		}
		r.published = append(r.published, j.Message)
	case rules.OnMessageRetain:
		if err := checkPayload(retainTable, st.retainPayload, j.Message.Payload); err != nil {
			return rules.Permanent(err)
		}
		r.retained[j.Topic] = j
	case rules.OnRetainDelete:
		r.retained[j.Topic] = j
	case rules.OnMessageAcked:
		r.acked = append(r.acked, j)
	case rules.OnClientConnected:
		r.clients[j.ClientID] = map[bool]*rules.Job{true: j}
	case rules.OnClientDisconnected:
		if r.clients[j.ClientID] == nil {
			r.clients[j.ClientID] = map[bool]*rules.Job{}
		}
		r.clients[j.ClientID][false] = j
	}
	return nil
}

// statements gives what does the run.
func (r *run) statements(st *statements, queue func(table, query string, args ...any)) {
	if len(r.published) > 0 {
		queue(msgTable, st.publish, columnsOf(r.published).args(st, msgTable, st.publishPayload)...)
	}
	var kept, deleted []*rules.Message
	for _, j := range r.retained {
		if j.Rule.Function == rules.OnRetainDelete {
			deleted = append(deleted, j.Message)
		} else {
			kept = append(kept, j.Message)
		}
	}
	if len(kept) > 0 {
		queue(retainTable, st.retain, columnsOf(byTopic(kept)).args(st, retainTable, st.retainPayload)...)
	}
	if len(deleted) > 0 {
		c := columnsOf(byTopic(deleted))
		queue(retainTable, st.retainDelete, c.topic, c.arrived)
	}
	if len(r.acked) > 0 {
		var clients, topics, msgids []string
		for _, j := range r.acked {
			clients, topics, msgids = append(clients, j.ClientID), append(topics, j.Topic), append(msgids, j.Message.MsgID)
		}
		queue(ackedTable, st.acked, clients, topics, msgids)
	}
	r.presence(true, st.connected, queue)
	r.presence(false, st.disconnected, queue)
}

func (r *run) presence(online bool, query string, queue func(table, query string, args ...any)) {
	var jobs []*rules.Job
	for _, c := range r.clients {
		if c[online] != nil {
			jobs = append(jobs, c[online])
		}
	}
	if len(jobs) == 0 {
		return
	}
	slices.SortFunc(jobs, func(a, b *rules.Job) int { return cmp.Compare(a.ClientID, b.ClientID) })
	var clients, nodes []string
	var at []time.Time
	for _, j := range jobs {
		clients, nodes, at = append(clients, j.ClientID), append(nodes, j.Node), append(at, time.UnixMilli(j.Time))
	}
	queue(clientTable, query, clients, nodes, at)
}

func byTopic(ms []*rules.Message) []*rules.Message {
	slices.SortFunc(ms, func(a, b *rules.Message) int { return cmp.Compare(a.Topic, b.Topic) })
	return ms
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
	texts := []string{j.ClientID, j.Topic, j.Username, j.Node}
	if m := j.Message; m != nil {
		if m.MsgID == "" {
			return errors.New("the message has no msgid")
		}
		texts = append(texts, m.Sender, m.MsgID)
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
