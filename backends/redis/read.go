package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// page is how many topics or messages are asked for at once.
const page = 512

// Subscriptions reads mqtt:sub:CLIENTID.
func (d *Database) Subscriptions(ctx context.Context, _ *rules.Rule, clientID string) ([]rules.Subscription, error) {
	rows, err := d.client.HGetAll(ctx, keySub(clientID)).Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keySub(clientID), err)
	}
	subs := make([]rules.Subscription, 0, len(rows))
	for filter, text := range rows {
		qos, err := strconv.ParseUint(text, 10, 8)
		if err != nil || qos > 2 {
			return nil, fmt.Errorf("%s: the QoS of %q is %q, not 0, 1 or 2", keySub(clientID), filter, text)
		}
		subs = append(subs, rules.Subscription{Filter: filter, QoS: uint8(qos)})
	}
	slices.SortFunc(subs, func(a, b rules.Subscription) int { return strings.Compare(a.Filter, b.Filter) })
	return subs, nil
}

// eachTopic gives the topics of an index that filter matches, in order after the one
// given, until f says no.
func (d *Database) eachTopic(ctx context.Context, of, filter, after string, f func(topic string) bool) error {
	from, start := "-", fixed(filter)
	if start != "" {
		from = "[" + start
	}
	if after >= start && after != "" {
		from = "(" + after
	}
	for {
		names, err := d.client.ZRangeByLex(ctx, keyTopics(of), &redis.ZRangeBy{Min: from, Max: "+", Count: page}).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", keyTopics(of), err)
		}
		for _, name := range names {
			if !strings.HasPrefix(name, start) {
				return nil // and all that follow
			}
			if topic.Match(filter, name) && !f(name) {
				return nil
			}
		}
		if len(names) < page {
			return nil
		}
		from = "(" + names[len(names)-1]
	}
}

// topics gives those of an index that filter matches, or filter itself where it is a
// topic.
func (d *Database) topics(ctx context.Context, of, filter string) (list []string, err error) {
	if !wildcard(filter) {
		return []string{filter}, nil
	}
	err = d.eachTopic(ctx, of, filter, "", func(name string) bool {
		list = append(list, name)
		return true
	})
	return list, err
}

// message makes a message of a hash; false: there is none.
func message(h map[string]string) (m rules.Message, ok bool) {
	if h["id"] == "" || h["topic"] == "" {
		return m, false
	}
	qos, _ := strconv.ParseUint(h["qos"], 10, 8)
	ts, _ := strconv.ParseInt(h["ts"], 10, 64)
	return rules.Message{MsgID: h["id"], Topic: h["topic"], Payload: []byte(h["payload"]), QoS: min(uint8(qos), 2), Retain: h["retain"] == "true" || h["retain"] == "1",
		Sender: h["from"], Arrived: ts * 1000}, true
}

// hashes reads the hashes of keys, nil where one is missing or is none.
func (d *Database) hashes(ctx context.Context, keys []string) ([]map[string]string, error) {
	p := d.client.Pipeline()
	cmds := make([]*redis.MapStringStringCmd, len(keys))
	for i, k := range keys {
		cmds[i] = p.HGetAll(ctx, k)
	}
	if _, err := p.Exec(ctx); err != nil && !wrongType(err) {
		return nil, err
	}
	out := make([]map[string]string, len(keys))
	for i, c := range cmds {
		var err error
		if out[i], err = c.Result(); err != nil && !wrongType(err) {
			return nil, err
		}
	}
	return out, nil
}

func wrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// Retained reads mqtt:retain:TOPIC, the topics in their order.
func (d *Database) Retained(ctx context.Context, _ *rules.Rule, q *rules.Query) (ms []rules.Message, err error) {
	if !wildcard(q.Filter) {
		if q.After != "" {
			return nil, nil
		}
		return d.retained(ctx, []string{q.Filter})
	}
	for after := q.After; len(ms) == 0; { // of those named some may have expired
		var names []string
		err := d.eachTopic(ctx, ofRetained, q.Filter, after, func(name string) bool {
			names = append(names, name)
			return len(names) < q.Max
		})
		if err != nil || len(names) == 0 {
			return nil, err
		}
		if ms, err = d.retained(ctx, names); err != nil {
			return nil, err
		}
		after = names[len(names)-1]
	}
	return ms, nil
}

// retained reads those of topics, in either of their forms, and takes topics out of the
// index that have none.
func (d *Database) retained(ctx context.Context, topics []string) (ms []rules.Message, err error) {
	keys := make([]string, len(topics))
	for i, name := range topics {
		keys[i] = keyRetain(name)
	}
	found, err := d.hashes(ctx, keys)
	if err != nil {
		return nil, err
	}
	var gone []any
	for i, h := range found {
		if h == nil { // a string that holds a message id
			if h, err = d.byName(ctx, keys[i]); err != nil {
				return nil, err
			}
		}
		m, ok := message(h)
		if !ok {
			gone = append(gone, topics[i])
			continue
		}
		m.Topic, m.Retain, m.Cursor = topics[i], true, topics[i]
		ms = append(ms, m)
	}
	if len(gone) > 0 {
		d.client.ZRem(ctx, keyTopics(ofRetained), gone...) // the next reader may as well
	}
	return ms, nil
}

// byName reads the message whose id stands under key.
func (d *Database) byName(ctx context.Context, key string) (map[string]string, error) {
	id, err := d.client.Get(ctx, key).Result()
	if err != nil || id == "" {
		if isNil(err) || wrongType(err) {
			err = nil
		}
		return nil, err
	}
	found, err := d.hashes(ctx, []string{keyMsg(id)})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}
