package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// The kinds of topics.
const (
	kindMessages = "msg"
	kindRetained = "retain"
)

func wildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// Subscriptions reads sub.
func (d *Database) Subscriptions(ctx context.Context, _ *rules.Rule, clientID string) (subs []rules.Subscription, err error) {
	s, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	rows := s.Query(`SELECT topic, qos FROM sub WHERE client_id = ?`, clientID).IterContext(ctx)
	var filter string
	var qos int
	for rows.Scan(&filter, &qos) {
		if qos < 0 || qos > 2 {
			rows.Close()
			return nil, fmt.Errorf("sub: the qos of %q is %d, not 0, 1 or 2", filter, qos)
		}
		subs = append(subs, rules.Subscription{Filter: filter, QoS: uint8(qos)})
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("sub: %w", err)
	}
	return subs, nil
}

// eachTopic gives the topics of a kind that filter matches, in order after the one given,
// until f says no.
func (d *Database) eachTopic(ctx context.Context, s *gocql.Session, kind, filter, after string, f func(string) bool) error {
	start, _ := strings.CutSuffix(filter, "/#") // a/# matches a as well
	start = start[:strings.IndexAny(start+"+", "+#")]
	q := s.Query(`SELECT topic FROM topic WHERE kind = ? AND topic >= ?`, kind, start)
	if after >= start && after != "" {
		q = s.Query(`SELECT topic FROM topic WHERE kind = ? AND topic > ?`, kind, after)
	}
	rows := q.PageSize(1000).IterContext(ctx)
	var name string
	for rows.Scan(&name) {
		if !strings.HasPrefix(name, start) || topic.Match(filter, name) && !f(name) {
			break // nothing that follows is wanted
		}
	}
	return rows.Close()
}

// topicsOf gives those of a kind that filter matches, or filter itself where it is one.
func (d *Database) topicsOf(ctx context.Context, s *gocql.Session, kind, filter string) (list []string, err error) {
	if !wildcard(filter) {
		return []string{filter}, nil
	}
	err = d.eachTopic(ctx, s, kind, filter, "", func(name string) bool {
		list = append(list, name)
		return true
	})
	return list, err
}

// Retained reads retain, the topics in their order.
func (d *Database) Retained(ctx context.Context, _ *rules.Rule, q *rules.Query) (ms []rules.Message, err error) {
	s, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	if !wildcard(q.Filter) {
		if q.After != "" {
			return nil, nil
		}
		m, err := d.retained(ctx, s, q.Filter)
		if m == nil {
			return nil, err
		}
		return []rules.Message{*m}, err
	}
	for after := q.After; len(ms) == 0; {
		var names []string
		err := d.eachTopic(ctx, s, kindRetained, q.Filter, after, func(name string) bool {
			names = append(names, name)
			return len(names) < q.Max
		})
		if err != nil || len(names) == 0 {
			return nil, err
		}
		for _, name := range names {
			m, err := d.retained(ctx, s, name)
			if err != nil {
				return nil, err
			}
			if m != nil {
				ms = append(ms, *m)
			}
		}
		after = names[len(names)-1]
	}
	return ms, nil
}

// retained reads the retained message of a topic; nil for none.
func (d *Database) retained(ctx context.Context, s *gocql.Session, name string) (*rules.Message, error) {
	m := &rules.Message{Topic: name, Retain: true, Cursor: name}
	var qos int
	var arrived time.Time
	var err error
	if d.hasBody() {
		err = s.Query(`SELECT msgid, sender, qos, payload, arrived FROM retain WHERE topic = ?`, name).ScanContext(ctx, &m.MsgID, &m.Sender, &qos, &m.Payload, &arrived)
	} else if err = s.Query(`SELECT msgid FROM retain WHERE topic = ?`, name).ScanContext(ctx, &m.MsgID); err == nil {
		err = s.Query(`SELECT sender, qos, payload, arrived FROM msg WHERE topic = ? AND msgid = ?`, name, m.MsgID).ScanContext(ctx, &m.Sender, &qos, &m.Payload, &arrived)
	}
	if errors.Is(err, gocql.ErrNotFound) {
		return nil, nil
	}
	m.QoS, m.Arrived = uint8(min(max(qos, 0), 2)), arrived.UnixMilli()
	return m, err
}

// Unread reads the messages of the topics that q.Filter matches, in the order of their
// ids, which is that of their publishing. The cursor of an answer is an id.
func (d *Database) Unread(ctx context.Context, _ *rules.Rule, q *rules.Query) ([]rules.Message, error) {
	s, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	topics, err := d.topicsOf(ctx, s, kindMessages, q.Filter)
	if err != nil {
		return nil, err
	}
	r := reading{d: d, ctx: ctx, s: s, q: q, topics: topics, floor: q.After}
	if q.Since > 0 {
		r.floor = max(r.floor, rules.MessageIDAt(q.Since))
	}
	if r.read, err = d.cursorsOf(ctx, s, q.ClientID); err != nil {
		return nil, err
	}
	since, begun := r.read[q.Filter]
	if !begun {
		return nil, r.begin()
	}
	r.floor = max(r.floor, since)
	if q.Newest > 0 && q.After == "" {
		if err := r.newest(); err != nil {
			return nil, err
		}
	}
	return r.messages()
}

// reading is one Unread.
type reading struct {
	d      *Database
	ctx    context.Context
	s      *gocql.Session
	q      *rules.Query
	topics []string
	floor  string            // ids up to it, or less than it if it is no whole one, are left out
	read   map[string]string // cursors of topics
}

// last is greater than any id.
const last = "~"

// bounds are those of a topic's ids, both left out.
func (r *reading) bounds(topic string) (low, high string) {
	low, high = max(r.floor, r.read[topic]), last
	if r.q.Before != "" {
		high = r.q.Before
	}
	return low, high
}

// begin makes a cursor behind the newest message that does not come by the subscription.
func (r *reading) begin() error {
	newest := "0"
	for _, name := range r.topics {
		_, high := r.bounds(name)
		var id string
		err := r.s.Query(`SELECT msgid FROM msg WHERE topic = ? AND msgid < ? LIMIT 1`, name, high).ScanContext(r.ctx, &id)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return err
		}
		newest = max(newest, id)
	}
	return r.d.setCursor(r.ctx, r.s, r.q.ClientID, r.q.Filter, newest)
}

// newest raises the floor so that only the newest are left, over all pages.
func (r *reading) newest() error {
	var ids []string
	for _, name := range r.topics {
		low, high := r.bounds(name)
		rows := r.s.Query(`SELECT msgid FROM msg WHERE topic = ? AND msgid > ? AND msgid < ? LIMIT ?`, name, low, high, r.q.Newest).IterContext(r.ctx)
		var id string
		for rows.Scan(&id) {
			ids = append(ids, id)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		slices.Sort(ids)
		ids = ids[max(0, len(ids)-r.q.Newest):]
	}
	if len(ids) == r.q.Newest {
		oldest := ids[0]
		r.floor = max(r.floor, oldest[:len(oldest)-1]) // less than it and more than any before
	}
	return nil
}

// messages gives the oldest of what is left.
func (r *reading) messages() (ms []rules.Message, err error) {
	for _, name := range r.topics {
		low, high := r.bounds(name)
		rows := r.s.Query(`SELECT msgid, sender, qos, payload, arrived FROM msg WHERE topic = ? AND msgid > ? AND msgid < ? ORDER BY msgid ASC LIMIT ?`, name, low, high, r.q.Max).IterContext(r.ctx)
		for {
			m, qos, arrived := rules.Message{Topic: name}, 0, time.Time{}
			if !rows.Scan(&m.MsgID, &m.Sender, &qos, &m.Payload, &arrived) {
				break
			}
			m.QoS, m.Arrived, m.Cursor = uint8(min(max(qos, 0), 2)), arrived.UnixMilli(), m.MsgID
			ms = append(ms, m)
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
		slices.SortStableFunc(ms, func(a, b rules.Message) int { return strings.Compare(a.MsgID, b.MsgID) })
		ms = ms[:min(len(ms), r.q.Max)]
	}
	return ms, nil
}
