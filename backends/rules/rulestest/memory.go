package rulestest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Memory is a [rules.Database] that is naive on purpose: what others are compared with.
// Safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	away     error // what every call answers, nil for none
	clients  map[string]Client
	subs     map[string][]rules.Subscription
	messages []rules.Message
	latest   map[string]rules.Message
	retained map[string]rules.Message
	cursors  map[[2]string]string // of a client and topic or filter: the MsgID
	custom   map[string]map[rules.Variable]string
	did      []rules.Job
}

// NewMemory is empty.
func NewMemory() *Memory {
	return &Memory{clients: map[string]Client{}, subs: map[string][]rules.Subscription{}, latest: map[string]rules.Message{},
		retained: map[string]rules.Message{}, cursors: map[[2]string]string{}, custom: map[string]map[rules.Variable]string{}}
}

// Away has every call fail with err, until it is nil.
func (d *Memory) Away(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = err
}

// Did gives all jobs done, in their order.
func (d *Memory) Did() []rules.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.did)
}

// RefusedStatement is one that Memory refuses for good.
const RefusedStatement = "refuse"

// Do implements rules.Database.
func (d *Memory) Do(_ context.Context, jobs []rules.Job) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away != nil {
		return 0, d.away
	}
	for i := range jobs {
		if err := d.do(&jobs[i]); err != nil {
			return i, rules.Permanent(err)
		}
		d.did = append(d.did, jobs[i])
	}
	return len(jobs), nil
}

func (d *Memory) do(j *rules.Job) error {
	switch j.Rule.Function {
	case rules.OnClientConnected:
		d.clients[j.ClientID] = Client{Online: true, Node: j.Node, OnlineAt: time.UnixMilli(j.Time)}
	case rules.OnClientDisconnected:
		if c, known := d.clients[j.ClientID]; known {
			c.Online, c.OfflineAt = false, time.UnixMilli(j.Time)
			d.clients[j.ClientID] = c
		}
	case rules.OnMessagePublish, rules.OnMessageStore:
		if !slices.ContainsFunc(d.messages, func(m rules.Message) bool { return m.MsgID == j.Message.MsgID }) {
			d.messages = append(d.messages, *j.Message)
		}
	case rules.OnMessageStoreKeepLatest:
		d.latest[j.Topic] = *j.Message
	case rules.OnMessageRetain:
		d.retained[j.Topic] = *j.Message
	case rules.OnRetainDelete:
		delete(d.retained, j.Topic)
	case rules.OnMessageAcked, rules.OnMessageAckedPubsub:
		at := [2]string{j.ClientID, j.Topic}
		d.cursors[at] = max(d.cursors[at], j.Message.MsgID)
	case rules.OnMessageAckedQueue:
		d.messages = slices.DeleteFunc(d.messages, func(m rules.Message) bool { return m.MsgID == j.Message.MsgID })
	case rules.OnMessageAckedKeepLatest:
		if d.latest[j.Topic].MsgID == j.Message.MsgID {
			delete(d.latest, j.Topic)
		}
	case rules.OnAckedDelete:
		for at := range d.cursors {
			if at[0] == j.ClientID && (at[1] == "filter "+j.Topic || topic.Match(j.Topic, at[1])) {
				delete(d.cursors, at)
			}
		}
	case "":
		return d.statements(j)
	default:
		return fmt.Errorf("no function %s", j.Rule.Function)
	}
	return nil
}

func (d *Memory) statements(j *rules.Job) error {
	for _, text := range j.Rule.Statements {
		t, err := rules.ParseTemplate(text)
		if err != nil || text == RefusedStatement {
			return fmt.Errorf("refused: %w", err)
		}
		_, bind, err := t.SQL(rules.Question)
		if err != nil {
			return err
		}
		row := map[rules.Variable]string{}
		for i, v := range j.Values(bind) {
			row[bind[i]] = fmt.Sprintf("%s", v)
		}
		if m := j.Message; m != nil {
			d.custom[m.MsgID] = row
		}
	}
	return nil
}

// Subscriptions implements rules.Database.
func (d *Memory) Subscriptions(_ context.Context, _ *rules.Rule, clientID string) ([]rules.Subscription, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.subs[clientID]), d.away
}

// Unread implements rules.Database.
func (d *Memory) Unread(_ context.Context, rule *rules.Rule, q *rules.Query) ([]rules.Message, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away != nil {
		return nil, d.away
	}
	from := ""
	if rule.Function == rules.OnMessageFetch || rule.Function == rules.OnMessageFetchPubsub {
		at := [2]string{q.ClientID, "filter " + q.Filter}
		known := false
		if from, known = d.cursors[at]; !known {
			d.cursors[at] = d.begin(q)
			return nil, nil
		}
	}
	var found []rules.Message
	for _, m := range d.messages {
		read := max(from, d.cursors[[2]string{q.ClientID, m.Topic}])
		if topic.Match(q.Filter, m.Topic) && m.MsgID > read && (q.Before == "" || m.MsgID < q.Before) && m.Arrived >= q.Since {
			m.Cursor = m.MsgID
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b rules.Message) int { return cmp.Compare(a.MsgID, b.MsgID) })
	if q.Newest > 0 {
		found = found[max(0, len(found)-q.Newest):]
	}
	found = slices.DeleteFunc(found, func(m rules.Message) bool { return m.MsgID <= q.After })
	return found[:min(len(found), q.Max)], nil
}

// begin is the newest MsgID that a new reader need not read.
func (d *Memory) begin(q *rules.Query) (at string) {
	for _, m := range d.messages {
		if topic.Match(q.Filter, m.Topic) && (q.Before == "" || m.MsgID < q.Before) {
			at = max(at, m.MsgID)
		}
	}
	return at
}

// Retained implements rules.Database.
func (d *Memory) Retained(_ context.Context, _ *rules.Rule, q *rules.Query) (found []rules.Message, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, m := range d.retained {
		if topic.Match(q.Filter, name) && name > q.After {
			m.Cursor = name
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b rules.Message) int { return cmp.Compare(a.Topic, b.Topic) })
	return found[:min(len(found), q.Max)], d.away
}

// Ping implements rules.Database.
func (d *Memory) Ping(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.away
}

// Init implements rules.Database.
func (d *Memory) Init(context.Context, bool) ([]string, error) { return nil, nil }

// Close implements rules.Database.
func (d *Memory) Close() error { return nil }

// MemorySite is a [Site] of Memory.
type MemorySite struct{ db *Memory }

// Functions implements Site.
func (s *MemorySite) Functions() []rules.Function { return rules.RedisFunctions() }

// Open implements Site.
func (s *MemorySite) Open(*testing.T) rules.Database {
	s.db = NewMemory()
	return s.db
}

// Client implements Site.
func (s *MemorySite) Client(_ *testing.T, id string) *Client {
	if c, known := s.db.clients[id]; known {
		return &c
	}
	return nil
}

// Messages implements Site.
func (s *MemorySite) Messages(_ *testing.T, name string) []rules.Message {
	return slices.DeleteFunc(slices.Clone(s.db.messages), func(m rules.Message) bool { return m.Topic != name })
}

// Latest implements Site.
func (s *MemorySite) Latest(_ *testing.T, name string) *rules.Message { return of(s.db.latest, name) }

// Retained implements Site.
func (s *MemorySite) Retained(_ *testing.T, name string) *rules.Message {
	return of(s.db.retained, name)
}

func of(m map[string]rules.Message, name string) *rules.Message {
	if v, known := m[name]; known {
		return &v
	}
	return nil
}

// Acked implements Site.
func (s *MemorySite) Acked(_ *testing.T, clientID, name string) string {
	return s.db.cursors[[2]string{clientID, name}]
}

// Subscribe implements Site.
func (s *MemorySite) Subscribe(_ *testing.T, clientID, filter string, qos uint8) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	s.db.subs[clientID] = append(s.db.subs[clientID], rules.Subscription{Filter: filter, QoS: qos})
}

// Custom implements Site.
func (s *MemorySite) Custom(*testing.T) ([]string, func(*testing.T, string) map[rules.Variable]string) {
	text := "keep ${msgid} ${clientid} ${username} ${topic} ${payload}"
	return []string{text}, func(_ *testing.T, msgID string) map[rules.Variable]string { return s.db.custom[msgID] }
}

// Broken implements Site.
func (s *MemorySite) Broken() string { return RefusedStatement }

// Outage implements Mortal.
func (s *MemorySite) Outage(*testing.T) func() {
	s.db.Away(errors.New("connection refused"))
	return func() { s.db.Away(nil) }
}
