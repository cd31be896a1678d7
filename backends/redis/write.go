package redis

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Do does jobs in one round trip (in a cluster, one to each node).
func (d *Database) Do(ctx context.Context, jobs []rules.Job) (done int, err error) {
	b := batch{db: d, ctx: ctx, p: d.client.Pipeline(), topics: map[indexed]bool{}}
	for i := range jobs {
		if err := b.add(&jobs[i]); err != nil {
			if i == 0 {
				return 0, rules.Permanent(err)
			}
			jobs = jobs[:i] // those before it first
			break
		}
		b.ends = append(b.ends, b.p.Len())
	}
	cmds, err := b.p.Exec(ctx)
	if err == nil || isNil(err) {
		return len(jobs), nil
	}
	d.swept.forget() // who knows
	at := 0
	for i, end := range b.ends {
		for ; at < end && at < len(cmds); at++ {
			if err := cmds[at].Err(); err != nil && !isNil(err) {
				return i, b.db.cfg.explain(err)
			}
		}
	}
	return 0, d.cfg.explain(err) // no command was sent
}

// batch collects the commands of jobs. Those of one job go to a key before they go to the
// key that names it.
type batch struct {
	db     *Database
	ctx    context.Context
	p      redis.Pipeliner
	ends   []int            // how many commands there are after each job
	topics map[indexed]bool // that the batch has entered into an index
}

// indexed is a topic in one of the indexes.
type indexed struct{ of, topic string }

func (b *batch) add(j *rules.Job) error {
	if j.Rule.Function == "" {
		return b.statements(j)
	}
	switch j.Rule.Function {
	case rules.OnClientConnected:
		b.connected(j)
	case rules.OnClientDisconnected:
		b.disconnected(j)
	case rules.OnMessagePublish, rules.OnMessageStore:
		return b.store(j)
	case rules.OnMessageStoreKeepLatest:
		b.hash(keyLatest(j.Message.Topic), j)
		b.enter(ofLatest, j.Message.Topic)
	case rules.OnMessageRetain:
		b.hash(keyRetain(j.Message.Topic), j)
		b.enter(ofRetained, j.Message.Topic)
	case rules.OnRetainDelete:
		b.retainDelete(j)
	case rules.OnMessageAckedQueue:
		b.p.ZRem(b.ctx, keyMsg(j.Topic), j.Message.MsgID)
		b.p.Del(b.ctx, keyMsg(j.Message.MsgID))
	case rules.OnMessageAckedPubsub, rules.OnMessageAcked:
		b.p.Eval(b.ctx, forward, []string{keyAcked(j.ClientID, j.Topic)}, j.Message.MsgID)
	case rules.OnMessageAckedKeepLatest:
		b.p.Eval(b.ctx, forget, []string{keyLatest(j.Topic)}, j.Message.MsgID)
	case rules.OnAckedDelete:
		return b.ackedDelete(j)
	case rules.OnSubscriptionEvent:
		return b.subscriptionEvent(j)
	default:
		return fmt.Errorf("redis has no function %s", j.Rule.Function)
	}
	return nil
}

// The scripts: forward sets a cursor that is behind, forget deletes the latest message if
// it is the one.
const (
	forward = `local at = redis.call('GET', KEYS[1])
if not at or at < ARGV[1] then redis.call('SET', KEYS[1], ARGV[1]) end
return 1`
	forget = `if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`
)

func (b *batch) connected(j *rules.Job) {
	k := keyClient(j.ClientID)
	b.p.HSet(b.ctx, k, "state", 1, "online_at", seconds(j.Time))
	b.p.HSetNX(b.ctx, k, "offline_at", "undefined")
	b.p.HSet(b.ctx, keyNode(j.Node), j.ClientID, seconds(j.Time))
}

func (b *batch) disconnected(j *rules.Job) {
	b.p.HSet(b.ctx, keyClient(j.ClientID), "state", 0, "offline_at", seconds(j.Time))
	b.p.HDel(b.ctx, keyNode(j.Node), j.ClientID)
}

// hash writes a message under key as a whole.
func (b *batch) hash(key string, j *rules.Job) {
	b.p.Del(b.ctx, key) // it may be a string, or have fields and a time of before
	b.p.HSet(b.ctx, key, fields(j.Message)...)
	if keep := expiry(j.Rule, j.Message, j.Time); keep > 0 {
		b.p.PExpire(b.ctx, key, keep)
	}
}

// enter puts a topic into an index, once in a batch.
func (b *batch) enter(of, topic string) (first bool) {
	if b.topics[indexed{of, topic}] {
		return false
	}
	b.topics[indexed{of, topic}] = true
	b.p.ZAdd(b.ctx, keyTopics(of), redis.Z{Member: topic})
	return true
}

func (b *batch) store(j *rules.Job) error {
	m := j.Message
	if rules.IsMessageID(m.Topic) {
		return fmt.Errorf("topic %q looks like a message id: its key would be a message's", m.Topic)
	}
	b.p.HSet(b.ctx, keyMsg(m.MsgID), fields(m)...)
	if keep := expiry(j.Rule, m, j.Time); keep > 0 {
		b.p.PExpire(b.ctx, keyMsg(m.MsgID), keep)
	}
	b.p.ZAdd(b.ctx, keyMsg(m.Topic), redis.Z{Score: 1, Member: m.MsgID})
	if b.enter(ofMessages, m.Topic) && j.Rule.Expiry > 0 && b.db.swept.due(m.Topic, j.Rule.Expiry, j.Time) {
		// What is named there has expired. The names outlast what is stored until they are
		// swept again.
		b.p.ZRemRangeByLex(b.ctx, keyMsg(m.Topic), "-", "("+rules.MessageIDAt(j.Time-j.Rule.Expiry.Milliseconds()))
		b.p.PExpire(b.ctx, keyMsg(m.Topic), j.Rule.Expiry+j.Rule.Expiry/sweeps)
	}
	return nil
}

func (b *batch) retainDelete(j *rules.Job) {
	b.p.ZRem(b.ctx, keyTopics(ofRetained), j.Message.Topic)
	delete(b.topics, indexed{ofRetained, j.Message.Topic})
	b.p.Del(b.ctx, keyRetain(j.Message.Topic))
}

// ackedDelete deletes the cursors of an ended subscription.
func (b *batch) ackedDelete(j *rules.Job) error {
	b.p.Del(b.ctx, keyAcked(j.ClientID, j.Topic))
	if !wildcard(j.Topic) {
		return nil
	}
	return b.db.eachTopic(b.ctx, ofMessages, j.Topic, "", func(topic string) bool {
		b.p.Del(b.ctx, keyAcked(j.ClientID, topic))
		return true
	})
}

func (b *batch) subscriptionEvent(j *rules.Job) error {
	kind := map[rules.Hook]string{rules.SessionSubscribed: "subscribe", rules.SessionUnsubscribed: "unsubscribe"}[j.Hook]
	if kind == "" || b.db.cfg.EventChannel == "" {
		return fmt.Errorf("%s: belongs to session.subscribed and session.unsubscribed of a pool with event_channel", rules.OnSubscriptionEvent)
	}
	text, err := json.Marshal(map[string]any{"type": kind, "clientid": j.ClientID, "topic": j.Topic, "qos": j.QoS})
	if err != nil {
		return err
	}
	b.p.Publish(b.ctx, b.db.cfg.EventChannel, text)
	return nil
}
