package mongodb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// testDatabase is emptied by these tests.
const testDatabase = "fairlead_test"

func TestServiceRules(t *testing.T) {
	rulestest.Run(t, &site{url: testservice.URL(t, "mongodb")})
}

// site looks by plain queries of its own.
type site struct {
	url  string
	look *Database
}

func (s *site) open(t *testing.T) *Database { return pool(t, s.url, testDatabase) }

// pool is one of a database of a server.
func pool(t testing.TB, url, database string) *Database {
	c := DefaultConfig()
	c.URL, c.Type, c.Database, c.Timeout = url, "unknown", database, 10*time.Second
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (*site) Functions() []rules.Function { return Driver().Functions }

func (s *site) Open(t *testing.T) rules.Database {
	s.look = s.open(t)
	t.Cleanup(func() { s.look.Close() })
	ctx := context.Background()
	for _, name := range []string{clients, subscriptions, messages, retained, cursors, counters, "custom"} {
		if _, err := s.look.db.Collection(name).DeleteMany(ctx, bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
	d := s.open(t)
	if _, err := d.Init(ctx, true); err != nil {
		t.Fatal(err)
	}
	if missing, err := d.Init(ctx, false); err != nil || len(missing) > 0 {
		t.Errorf("missing after Init: %v, %v", missing, err)
	}
	return d
}

// find gives documents as they are.
func (s *site) find(t *testing.T, collection string, where bson.D) (docs []bson.M) {
	t.Helper()
	found, err := s.look.db.Collection(collection).Find(context.Background(), where, options.Find().SetSort(by("_id", 1)))
	if err == nil {
		err = found.All(context.Background(), &docs)
	}
	if err != nil {
		t.Fatalf("%s: %v", collection, err)
	}
	return docs
}

func by(name string, value any) bson.D { return bson.D{{Key: name, Value: value}} }

func (s *site) Client(t *testing.T, id string) *rulestest.Client {
	docs := s.find(t, clients, by("clientid", id))
	if len(docs) == 0 {
		return nil
	}
	seconds := func(v any) time.Time {
		if n, ok := v.(int64); ok {
			return time.Unix(n, 0)
		}
		return time.Time{}
	}
	c := &rulestest.Client{Online: fmt.Sprint(docs[0]["state"]) == "1", OnlineAt: seconds(docs[0]["online_at"]), OfflineAt: seconds(docs[0]["offline_at"])}
	c.Node, _ = docs[0]["node"].(string)
	return c
}

func asMessage(doc bson.M) rules.Message {
	text := func(v any) string { s, _ := v.(string); return s }
	m := rules.Message{MsgID: text(doc["msgid"]), Topic: text(doc["topic"]), Sender: text(doc["sender"]), QoS: uint8(doc["qos"].(int32))}
	m.Retain, _ = doc["retain"].(bool)
	switch p := doc["payload"].(type) {
	case string:
		m.Payload = []byte(p)
	case bson.Binary:
		m.Payload = p.Data
	}
	return m
}

func (s *site) Messages(t *testing.T, topic string) (ms []rules.Message) {
	for _, doc := range s.find(t, messages, by("topic", topic)) {
		ms = append(ms, asMessage(doc))
	}
	return ms
}

func (*site) Latest(*testing.T, string) *rules.Message { return nil }

func (s *site) Retained(t *testing.T, topic string) *rules.Message {
	docs := s.find(t, retained, by("topic", topic))
	if len(docs) == 0 {
		return nil
	}
	m := asMessage(docs[0])
	m.Retain = true
	return &m
}

func (s *site) Acked(t *testing.T, clientID, topic string) string {
	docs := s.find(t, cursors, bson.D{{Key: "clientid", Value: clientID}, {Key: "topic", Value: topic}})
	if len(docs) == 0 {
		return ""
	}
	for _, doc := range s.find(t, messages, by("_id", docs[0]["mongo_id"])) {
		return asMessage(doc).MsgID
	}
	return ""
}

func (s *site) Subscribe(t *testing.T, clientID, filter string, qos uint8) {
	if _, err := s.look.db.Collection(subscriptions).InsertOne(context.Background(), bson.M{"clientid": clientID, "topic": filter, "qos": int32(qos)}); err != nil {
		t.Fatal(err)
	}
}

func (s *site) Custom(*testing.T) ([]string, func(*testing.T, string) map[rules.Variable]string) {
	statement := `{"insert": "custom", "documents": [{"_id": "${msgid}", "who": {"id": "${clientid}", "name": "${username}"}, "topic": "${topic}", "payload": "${payload}"}]}`
	return []string{statement}, func(t *testing.T, msgID string) map[rules.Variable]string {
		var doc struct {
			Who struct {
				ID   string `bson:"id"`
				Name string `bson:"name"`
			} `bson:"who"`
			Topic   string        `bson:"topic"`
			Payload bson.RawValue `bson:"payload"`
		}
		if s.look.db.Collection("custom").FindOne(context.Background(), by("_id", msgID)).Decode(&doc) != nil {
			return nil
		}
		p := doc.Payload.Value
		if text, ok := doc.Payload.StringValueOK(); ok {
			p = []byte(text)
		} else if _, b, ok := doc.Payload.BinaryOK(); ok {
			p = b
		}
		return map[rules.Variable]string{rules.VarClientID: doc.Who.ID, rules.VarUsername: doc.Who.Name, rules.VarTopic: doc.Topic, rules.VarPayload: string(p)}
	}
}

func (*site) Broken() string { return `{"insert": "custom", "documents": "none"}` }

func (*site) Outage(t *testing.T) func() {
	testservice.Kill(t, "mongodb")
	return func() { testservice.Start(t, "mongodb") }
}

// A counter that gives numbers which are taken loses no message: others are taken.
func TestServiceNumbersTaken(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	s := &site{url: testservice.URL(t, "mongodb")}
	d := s.Open(t)
	defer d.Close()
	store := func(names ...string) {
		t.Helper()
		var jobs []rules.Job
		for i, name := range names {
			jobs = append(jobs, rules.Job{Rule: &rules.Rule{Function: rules.OnMessagePublish}, Topic: "t",
				Message: &rules.Message{MsgID: name, Topic: "t", Payload: fmt.Append(nil, i), QoS: 1}})
		}
		if n, err := d.Do(t.Context(), jobs); n != len(jobs) || err != nil {
			t.Fatalf("%d done: %v", n, err)
		}
	}
	store("a", "b", "c")
	if _, err := s.look.db.Collection(counters).DeleteMany(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	store("d", "b", "e") // b comes again
	got := ""
	for _, m := range s.Messages(t, "t") {
		got += m.MsgID
	}
	if got != "abcde" {
		t.Errorf("there are %s", got)
	}
}

// Documents of EMQ X are gone on with: its numbers, its cursors, and a counter that is not
// there yet; what other programs have put there under names of another kind stays.
func TestServiceOfEMQX(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	s := &site{url: testservice.URL(t, "mongodb")}
	d := s.Open(t)
	defer d.Close()
	ctx := t.Context()
	message := func(id any, msgid, payload string) bson.D {
		return bson.D{{Key: "_id", Value: id}, {Key: "topic", Value: "t"}, {Key: "msgid", Value: msgid}, {Key: "sender", Value: "old"},
			{Key: "qos", Value: int32(1)}, {Key: "retain", Value: int32(0)}, {Key: "payload", Value: payload}, {Key: "arrived", Value: int32(1_500_000_000)}}
	}
	for collection, docs := range map[string][]bson.D{
		messages: {message(int32(1), "AAVWt0000001", "1"), message(int32(2), "AAVWt0000002", "2"), message(bson.NewObjectID(), "another", "none")},
		cursors:  {{{Key: "clientid", Value: "c"}, {Key: "topic", Value: "t"}, {Key: "mongo_id", Value: int32(1)}}},
		retained: {{{Key: "topic", Value: "t"}, {Key: "msgid", Value: "AAVWt0000001"}, {Key: "sender", Value: "old"}, {Key: "qos", Value: int32(1)}, {Key: "payload", Value: "1"}, {Key: "arrived", Value: int32(1_500_000_000)}}},
	} {
		if _, err := s.look.db.Collection(collection).InsertMany(ctx, docs); err != nil {
			t.Fatal(err)
		}
	}
	job := rules.Job{Rule: &rules.Rule{Function: rules.OnMessagePublish}, Topic: "t", Message: &rules.Message{MsgID: rules.MessageIDAt(1_790_000_000_000), Topic: "t", Payload: []byte("3"), QoS: 1}}
	if n, err := d.Do(ctx, []rules.Job{job}); n != 1 || err != nil {
		t.Fatalf("%d done: %v", n, err)
	}
	q := rules.Query{ClientID: "c", Filter: "t", QoS: 1, Max: 10}
	unread, err := d.Unread(ctx, &rules.Rule{Function: rules.OnMessageFetch}, &q)
	if err != nil || len(unread) != 2 || string(unread[0].Payload) != "2" || string(unread[1].Payload) != "3" {
		t.Errorf("unread: %+v, %v", unread, err)
	}
	kept, err := d.Retained(ctx, &rules.Rule{Function: rules.OnRetainLookup}, &rules.Query{Filter: "t", Max: 10})
	if err != nil || len(kept) != 1 || string(kept[0].Payload) != "1" {
		t.Errorf("retained: %+v, %v", kept, err)
	}
}
