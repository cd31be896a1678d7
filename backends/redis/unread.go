package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Unread reads the messages of the topics that q.Filter matches, in the order of their
// ids, which is that of their publishing. The cursor of an answer is an id.
func (d *Database) Unread(ctx context.Context, rule *rules.Rule, q *rules.Query) ([]rules.Message, error) {
	if rule.Function == rules.OnMessageFetchKeepLatest {
		return d.latest(ctx, q)
	}
	topics, err := d.topics(ctx, ofMessages, q.Filter)
	if err != nil {
		return nil, err
	}
	r := reading{d: d, ctx: ctx, q: q, topics: topics, floor: q.After}
	if q.Since > 0 {
		r.floor = max(r.floor, rules.MessageIDAt(q.Since))
	}
	if rule.Function != rules.OnMessageFetchQueue {
		if fresh, err := r.cursors(); err != nil || fresh {
			return nil, err
		}
	}
	if q.Newest > 0 {
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
	q      *rules.Query
	topics []string
	floor  string            // ids up to it, or less than it if it is no whole one, are left out
	read   map[string]string // cursors of topics
}

// cursors finds how far the client has read; fresh says that it begins now, behind the
// newest.
func (r *reading) cursors() (fresh bool, err error) {
	own := keyAcked(r.q.ClientID, r.q.Filter)
	begin, err := r.begin()
	if err != nil {
		return false, err
	}
	made, err := r.d.client.SetNX(r.ctx, own, begin, 0).Result()
	if err != nil {
		return false, fmt.Errorf("%s: %w", own, err)
	}
	if made && r.q.After == "" {
		return true, nil
	}
	since, err := r.d.client.Get(r.ctx, own).Result()
	if err != nil && !isNil(err) {
		return false, fmt.Errorf("%s: %w", own, err)
	}
	r.floor = max(r.floor, since)
	if !wildcard(r.q.Filter) {
		return false, nil
	}
	r.read = make(map[string]string)
	for chunk := range slices.Chunk(r.topics, page) {
		p := r.d.client.Pipeline()
		cmds := make([]*redis.StringCmd, len(chunk))
		for i, topic := range chunk {
			cmds[i] = p.Get(r.ctx, keyAcked(r.q.ClientID, topic))
		}
		if _, err := p.Exec(r.ctx); err != nil && !isNil(err) {
			return false, err
		}
		for i, c := range cmds {
			r.read[chunk[i]] = c.Val()
		}
	}
	return false, nil
}

// begin is the newest id of the topics that does not come by the subscription itself, or
// 0, which is less than any.
func (r *reading) begin() (newest string, err error) {
	newest = "0"
	_, high := r.bounds("")
	for chunk := range slices.Chunk(r.topics, page) {
		p := r.d.client.Pipeline()
		cmds := make([]*redis.StringSliceCmd, len(chunk))
		for i, topic := range chunk {
			cmds[i] = p.ZRevRangeByLex(r.ctx, keyMsg(topic), &redis.ZRangeBy{Min: "-", Max: high, Count: 1})
		}
		if _, err := p.Exec(r.ctx); err != nil && !wrongType(err) {
			return "", err
		}
		for _, c := range cmds {
			for _, id := range c.Val() {
				newest = max(newest, id)
			}
		}
	}
	return newest, nil
}

// bounds are those of a topic's ids, as ZRANGEBYLEX spells them.
func (r *reading) bounds(topic string) (low, high string) {
	low, high = "-", "+"
	if from := max(r.floor, r.read[topic]); from != "" {
		low = "(" + from
	}
	if r.q.Before != "" {
		high = "(" + r.q.Before
	}
	return low, high
}

// newest raises the floor so that only the newest are left, over all pages.
func (r *reading) newest() error {
	var ids []string
	for _, topic := range r.topics {
		low, high := r.bounds(topic)
		some, err := r.d.client.ZRevRangeByLex(r.ctx, keyMsg(topic), &redis.ZRangeBy{Min: low, Max: high, Count: int64(r.q.Newest)}).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", keyMsg(topic), err)
		}
		ids = append(ids, some...)
		slices.Sort(ids)
		ids = ids[max(0, len(ids)-r.q.Newest):]
	}
	if len(ids) == r.q.Newest && r.q.After == "" { // later pages are newer anyway
		oldest := ids[0]
		r.floor = max(r.floor, oldest[:len(oldest)-1]) // less than it and more than any before
	}
	return nil
}

// messages gives the oldest of what is left.
func (r *reading) messages() ([]rules.Message, error) {
	for {
		ids, of, err := r.ids()
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		ms, err := r.d.bodies(r.ctx, ids, of)
		if err != nil || len(ms) > 0 {
			return ms, err
		}
		r.floor = ids[len(ids)-1] // all of them had expired
	}
}

// ids gives the least ids of all topics, and whose they are.
func (r *reading) ids() (ids []string, of map[string]string, err error) {
	of = make(map[string]string)
	for chunk := range slices.Chunk(r.topics, page) {
		p := r.d.client.Pipeline()
		cmds := make([]*redis.StringSliceCmd, len(chunk))
		for i, topic := range chunk {
			low, high := r.bounds(topic)
			cmds[i] = p.ZRangeByLex(r.ctx, keyMsg(topic), &redis.ZRangeBy{Min: low, Max: high, Count: int64(r.q.Max)})
		}
		if _, err := p.Exec(r.ctx); err != nil && !wrongType(err) {
			return nil, nil, err
		}
		for i, c := range cmds {
			for _, id := range c.Val() {
				ids = append(ids, id)
				of[id] = chunk[i]
			}
		}
		slices.Sort(ids)
		for _, id := range ids[min(len(ids), r.q.Max):] {
			delete(of, id)
		}
		ids = ids[:min(len(ids), r.q.Max)]
	}
	return ids, of, nil
}

// bodies reads the messages of ids, and takes ids whose message has expired out of their
// topics.
func (d *Database) bodies(ctx context.Context, ids []string, of map[string]string) (ms []rules.Message, err error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = keyMsg(id)
	}
	found, err := d.hashes(ctx, keys)
	if err != nil {
		return nil, err
	}
	p := d.client.Pipeline()
	for i, h := range found {
		m, ok := message(h)
		if !ok {
			p.ZRem(ctx, keyMsg(of[ids[i]]), ids[i])
			continue
		}
		m.MsgID, m.Cursor, m.Retain = ids[i], ids[i], false
		ms = append(ms, m)
	}
	if p.Len() > 0 {
		p.Exec(ctx) // the next reader may as well
	}
	return ms, nil
}

// latest reads the one message that each topic keeps; the cursor is the topic.
func (d *Database) latest(ctx context.Context, q *rules.Query) (ms []rules.Message, err error) {
	if !wildcard(q.Filter) && q.After != "" {
		return nil, nil
	}
	for after := q.After; len(ms) == 0; {
		names := []string{q.Filter}
		if wildcard(q.Filter) {
			names = nil
			err := d.eachTopic(ctx, ofLatest, q.Filter, after, func(name string) bool {
				names = append(names, name)
				return len(names) < q.Max
			})
			if err != nil {
				return nil, err
			}
		}
		if len(names) == 0 || after == names[len(names)-1] {
			return nil, nil
		}
		after = names[len(names)-1]
		keys := make([]string, len(names))
		for i, name := range names {
			keys[i] = keyLatest(name)
		}
		found, err := d.hashes(ctx, keys)
		if err != nil {
			return nil, err
		}
		for i, h := range found {
			if m, ok := message(h); ok && (q.Before == "" || m.MsgID < q.Before) {
				m.Cursor, m.Retain = names[i], false
				ms = append(ms, m)
			}
		}
	}
	return ms, nil
}
