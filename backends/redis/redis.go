package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Database is one pool. It implements [rules.Database].
type Database struct {
	cfg    Config
	client redis.UniversalClient
	swept  swept
}

// Open makes a pool. It connects when it is used: a database that is away does not keep
// the gateway from starting.
func Open(c Config) (*Database, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	redis.SetLogger(&logging.VoidLogger{}) // what it has to say comes as errors, too
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	return &Database{cfg: c, client: redis.NewUniversalClient(o)}, nil
}

// Ping is nil when the server answers.
func (d *Database) Ping(ctx context.Context) error { return d.client.Ping(ctx).Err() }

// Close ends all connections.
func (d *Database) Close() error { return d.client.Close() }

// Init has nothing to make: keys come to be when they are written.
func (d *Database) Init(ctx context.Context, _ bool) (report []string, err error) {
	return nil, d.Ping(ctx)
}

// The keys.
func keyClient(id string) string        { return "mqtt:client:" + id }
func keyNode(node string) string        { return "mqtt:node:" + node }
func keySub(id string) string           { return "mqtt:sub:" + id }
func keyMsg(idOrTopic string) string    { return "mqtt:msg:" + idOrTopic }
func keyRetain(topic string) string     { return "mqtt:retain:" + topic }
func keyLatest(topic string) string     { return "mqtt:latest_msg:" + topic }
func keyAcked(client, tp string) string { return "mqtt:acked:" + client + ":" + tp }
func keyTopics(of string) string        { return "mqtt:topics:" + of }
func seconds(ms int64) int64            { return ms / 1000 }
func wildcard(filter string) bool       { return strings.ContainsAny(filter, "+#") }

// fixed is what all topics begin with that filter matches: a/# matches a as well.
func fixed(filter string) string {
	if start, ok := strings.CutSuffix(filter, "/#"); ok {
		filter = start + "#"
	}
	return filter[:strings.IndexAny(filter+"+", "+#")]
}

// The indexes of topics.
const (
	ofMessages = "msg"
	ofRetained = "retain"
	ofLatest   = "latest"
)

// transient are the beginnings of the server's answers that may be others later.
var transient = [...]string{"OOM", "READONLY", "LOADING", "MISCONF", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS", "NOPERM", "BUSY ", "NOREPLICAS", "MOVED", "ASK", "EXECABORT"}

// isNil says that an answer is nil: not that an error has that for a cause, as that of
// sentinels has which do not know a master.
func isNil(err error) bool { return err == redis.Nil }

// mistaken says what is wrong with the configuration where err tells of it; "" else.
func (c *Config) mistaken(err error) string {
	text := err.Error()
	has := func(part string) bool { return strings.Contains(text, part) }
	var header tls.RecordHeaderError
	switch {
	case c.Type == Sentinel && has("unknown command"):
		return `type: is "sentinel", but server names no sentinels; name those (HOST:26379), or say type = "single"`
	case c.Type == Sentinel && errors.Is(err, redis.Nil):
		return fmt.Sprintf("sentinel: the sentinels know no master %q; redis-cli -p 26379 sentinel masters lists those that they know", c.Sentinel)
	case c.Type == Cluster && has("cluster support disabled"):
		return `type: is "cluster", but server names one without; say type = "single"`
	case c.Type == Single && has("MOVED "):
		return `type: server names a node of a cluster; say type = "cluster"`
	case c.Type == Single && has("unknown command") && has("'hset'"):
		return `type: server names a sentinel; say type = "sentinel" and sentinel = the name of the master`
	case c.TLS && (errors.As(err, &header) || has("first record does not look like a TLS handshake")):
		return "tls: the server does not speak TLS at this port; name its tls-port, or say tls = false"
	case c.TLS && errors.Is(err, context.DeadlineExceeded):
		return "tls: no answer; a server that does not speak TLS at this port gives none"
	case !c.TLS && errors.Is(err, io.EOF):
		return "a server that wants TLS ends connections without it like this; then say tls = true"
	}
	return ""
}

// explain is classify with what to do. What the configuration is to blame for is not for
// good: nothing is dropped until it is mended.
func (c *Config) explain(err error) error {
	if err == nil {
		return nil
	}
	if text := c.mistaken(err); text != "" {
		return fmt.Errorf("%s: %s", text, err)
	}
	return classify(err)
}

// classify marks the answers that no retry mends.
func classify(err error) error {
	var answer redis.Error
	if err == nil || !errors.As(err, &answer) {
		return err // of the network
	}
	for _, begin := range transient {
		if strings.HasPrefix(answer.Error(), begin) {
			return err
		}
	}
	return rules.Permanent(err)
}

// expiry is how long what m's rule writes is kept, 0 for ever.
func expiry(rule *rules.Rule, m *rules.Message, now int64) time.Duration {
	keep := rule.Expiry
	if m.Expires != 0 {
		left := max(time.Duration(m.Expires-now)*time.Millisecond, time.Second)
		if keep == 0 || left < keep {
			keep = left
		}
	}
	return keep
}

// fields are the fields of a message's hash.
func fields(m *rules.Message) []any {
	return []any{"id", m.MsgID, "from", m.Sender, "qos", m.QoS, "topic", m.Topic, "payload", m.Payload, "ts", seconds(m.Arrived), "retain", strconv.FormatBool(m.Retain)}
}
