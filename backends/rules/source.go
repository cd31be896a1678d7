package rules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// source is a rule with on_subscribe_lookup. It is asked at each connect, whichever its
// hook: what a session has is reconciled with what is there.
type source struct {
	pool *pool
	rule *planned
}

// Sources are the engine's, for core.Options.
func (e *Engine) Sources() (list []core.SubscriptionSource) {
	for _, p := range e.pools {
		for _, r := range p.rules {
			if r.work.kind == looksUp {
				list = append(list, &source{p, r})
			}
		}
	}
	return list
}

// Name implements core.SubscriptionSource.
func (s *source) Name() string { return s.pool.name }

// Required implements core.SubscriptionSource.
func (s *source) Required() bool { return s.rule.Required }

// Subscriptions implements core.SubscriptionSource.
func (s *source) Subscriptions(ctx context.Context, id *core.Identity) ([]core.ProxyRequest, error) {
	rows, err := s.pool.db.Subscriptions(ctx, &s.rule.Rule, id.ClientID)
	if err != nil {
		s.rule.failed.Add(1)
		if !IsPermanent(err) {
			s.pool.trouble.failed(s.pool, s.rule.name(), err)
		}
		return nil, err
	}
	s.pool.trouble.answered(s.pool)
	s.rule.read.Add(uint64(len(rows)))
	list := make([]core.ProxyRequest, len(rows))
	for i, row := range rows {
		list[i] = core.ProxyRequest{FilterRequest: request(row.Filter, row.QoS), Permitted: !s.rule.EnforceACL}
	}
	return list, nil
}

func request(filter string, qos uint8) core.FilterRequest {
	return core.FilterRequest{Filter: filter, SubscribeOptions: core.SubscribeOptions{QoS: min(qos, 2)}}
}

// command is a message of others that subscribes a client or ends that. [A.2]
type command struct {
	Type     string          `json:"type"`
	Topic    string          `json:"topic"`
	ClientID string          `json:"clientid"`
	QoS      json.RawMessage `json:"qos"` // 1 or "1"; missing: 0
}

// Command does what a message of a database's command channel asks for, such as
//
//	{"type":"subscribe","topic":"t","clientid":"c","qos":"1"}
//
// pool is the name of where it came from. A client that is not here is another node's,
// or none: no error. An error, also explained, says what is wrong with the message.
func (e *Engine) Command(pool string, message []byte) error {
	c, err := parseCommand(message)
	if err != nil {
		err = fmt.Errorf("command from the channel of %s.%s: %w", e.driver, pool, err)
		e.explain(core.TopicFilterInvalid, c.ClientID, err.Error())
		e.complain("a command is not understood", "pool", e.driver+"."+pool, "err", err)
		return err
	}
	e.turn(func(g *core.Gateway, t *core.Turn) {
		var add []core.ProxyRequest
		var remove []string
		if c.Type == "subscribe" {
			add = []core.ProxyRequest{{FilterRequest: request(c.Topic, c.qos()), Permitted: true}}
		} else {
			remove = []string{c.Topic}
		}
		g.ChangeProxies(t, c.ClientID, e.driver+"."+pool, add, remove)
	})
	return nil
}

func parseCommand(message []byte) (c command, err error) {
	if err := json.Unmarshal(message, &c); err != nil {
		return command{}, fmt.Errorf("%q is no JSON object as {\"type\":\"subscribe\",\"topic\":\"t\",\"clientid\":\"c\",\"qos\":1}: %w", clip(string(message)), err)
	}
	switch {
	case c.Type != "subscribe" && c.Type != "unsubscribe":
		err = fmt.Errorf("type is %q, not subscribe or unsubscribe", clip(c.Type))
	case c.ClientID == "":
		err = errors.New("clientid is missing")
	case c.qos() > 2:
		err = fmt.Errorf("qos is %s, not 0, 1 or 2", clip(string(c.QoS)))
	default:
		if filter, ok := topic.Expand(c.Topic, "c", "u"); ok {
			_, err = topic.ParseSubscription(filter, topic.Limits{Length: topic.MaxLength})
		}
		if err != nil {
			err = fmt.Errorf("topic %q is no topic filter: %w", clip(c.Topic), err)
		}
	}
	return c, err
}

// qos is 255 for what is none.
func (c *command) qos() uint8 {
	text := string(c.QoS)
	switch text {
	case "", "null", `""`:
		return 0
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 255
	}
	return uint8(n)
}
