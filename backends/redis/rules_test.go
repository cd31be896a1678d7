package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

func TestServiceRules(t *testing.T) { rulestest.Run(t, &site{s: startServer(t)}) }

// site looks with redis-cli.
type site struct{ s *server }

func (*site) Functions() []rules.Function { return rules.RedisFunctions() }

func (s *site) Open(t *testing.T) rules.Database {
	s.s.flush()
	c := DefaultConfig()
	s.s.config(&c)
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// hashes reads the hashes under keys; nil for none.
func (s *site) hashes(keys ...string) []map[string]string {
	commands := make([][]string, len(keys))
	for i, k := range keys {
		commands[i] = []string{"HGETALL", k}
	}
	all := make([]map[string]string, len(keys))
	for i, fields := range s.s.csv(commands...) {
		for pair := range slices.Chunk(fields, 2) {
			if all[i] == nil {
				all[i] = map[string]string{}
			}
			all[i][pair[0]] = pair[1]
		}
	}
	return all
}

func (s *site) hash(key string) map[string]string { return s.hashes(key)[0] }

func at(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

func (s *site) Client(_ *testing.T, id string) *rulestest.Client {
	h := s.hash("mqtt:client:" + id)
	if h == nil {
		return nil
	}
	c := &rulestest.Client{Online: h["state"] == "1", OnlineAt: at(h["online_at"]), OfflineAt: at(h["offline_at"])}
	keys := s.s.cli("KEYS", "mqtt:node:*")
	for _, port := range s.s.others {
		keys += " " + (&server{t: s.s.t, port: port}).cli("KEYS", "mqtt:node:*")
	}
	for _, key := range strings.Fields(keys) {
		if s.s.cli("HEXISTS", key, id) == "1" {
			c.Node = strings.TrimPrefix(key, "mqtt:node:")
		}
	}
	return c
}

func (s *site) message(key string) *rules.Message { return asMessage(s.hash(key)) }

func asMessage(h map[string]string) *rules.Message {
	if h == nil {
		return nil
	}
	qos, _ := strconv.Atoi(h["qos"])
	return &rules.Message{MsgID: h["id"], Topic: h["topic"], Payload: []byte(h["payload"]), QoS: uint8(qos), Retain: h["retain"] == "true", Sender: h["from"]}
}

func (s *site) Messages(_ *testing.T, topic string) (ms []rules.Message) {
	var keys []string
	for _, id := range strings.Fields(s.s.cli("ZRANGE", "mqtt:msg:"+topic, "0", "-1")) {
		keys = append(keys, "mqtt:msg:"+id)
	}
	for _, h := range s.hashes(keys...) {
		ms = append(ms, *asMessage(h))
	}
	return ms
}

func (s *site) Latest(_ *testing.T, topic string) *rules.Message {
	return s.message("mqtt:latest_msg:" + topic)
}

func (s *site) Retained(_ *testing.T, topic string) *rules.Message {
	return s.message("mqtt:retain:" + topic)
}

func (s *site) Acked(_ *testing.T, clientID, topic string) string {
	if id := s.s.cli("GET", "mqtt:acked:"+clientID+":"+topic); rules.IsMessageID(id) && s.s.cli("EXISTS", "mqtt:msg:"+id) == "1" {
		return id
	}
	return ""
}

func (s *site) Subscribe(_ *testing.T, clientID, filter string, qos uint8) {
	s.s.cli("HSET", "mqtt:sub:"+clientID, filter, strconv.Itoa(int(qos)))
}

func (s *site) Custom(*testing.T) ([]string, func(*testing.T, string) map[rules.Variable]string) {
	statements := []string{pipeline, "HSET custom:${msgid} clientid ${clientid} username ${username} topic ${topic} payload ${payload}", "INCR custom:count"}
	return statements, func(_ *testing.T, msgID string) map[rules.Variable]string {
		h := s.hash("custom:" + msgID)
		if h == nil {
			return nil
		}
		return map[rules.Variable]string{rules.VarClientID: h["clientid"], rules.VarUsername: h["username"], rules.VarTopic: h["topic"], rules.VarPayload: h["payload"]}
	}
}

func (*site) Broken() string { return "HSET ${clientid} only-a-name" }

func (s *site) Outage(t *testing.T) func() {
	testservice.Kill(t, s.s.service)
	return func() { testservice.Start(t, s.s.service) }
}

// An event channel tells others of subscriptions.
func TestServiceEventChannel(t *testing.T) {
	s := startServer(t)
	d := s.open(func(c *Config) { c.EventChannel = "mqtt_event" })
	sub := d.client.Subscribe(t.Context(), "mqtt_event")
	defer sub.Close()
	if _, err := sub.Receive(context.Background()); err != nil {
		t.Fatal(err)
	}
	for hook, want := range map[rules.Hook]string{rules.SessionSubscribed: `{"clientid":"c","qos":1,"topic":"a/+","type":"subscribe"}`, rules.SessionUnsubscribed: `{"clientid":"c","qos":1,"topic":"a/+","type":"unsubscribe"}`} {
		do(t, d, rules.Job{Rule: &rules.Rule{Function: rules.OnSubscriptionEvent}, Hook: hook, ClientID: "c", Topic: "a/+", QoS: 1})
		m, err := sub.ReceiveMessage(context.Background())
		if err != nil || m.Payload != want {
			t.Errorf("got %v, %v, want %s", m, err, want)
		}
	}
}
