package mongodb

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

func wildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// document is a message as it is stored.
type document struct {
	ID        bson.RawValue `bson:"_id"`
	Topic     string        `bson:"topic"`
	MsgID     string        `bson:"msgid"`
	Sender    string        `bson:"sender"`
	QoS       int64         `bson:"qos"`
	Payload   bson.RawValue `bson:"payload"`
	Arrived   int64         `bson:"arrived"`
	ExpiresAt *time.Time    `bson:"expires_at"`
}

func (d *document) message() rules.Message {
	m := rules.Message{MsgID: d.MsgID, Topic: d.Topic, Sender: d.Sender, QoS: uint8(min(max(d.QoS, 0), 2)), Payload: payloadOf(d.Payload), Arrived: d.Arrived * 1000}
	if d.ExpiresAt != nil {
		m.Expires = d.ExpiresAt.UnixMilli()
	}
	return m
}

// number is the _id of a message; 0 for one that is none of ours.
func (d *document) number() int64 {
	n, _ := d.ID.AsInt64OK()
	return n
}

func (d *document) lapsed(now time.Time) bool { return d.ExpiresAt != nil && !now.Before(*d.ExpiresAt) }

// Subscriptions reads mqtt_sub.
func (d *Database) Subscriptions(ctx context.Context, _ *rules.Rule, clientID string) ([]rules.Subscription, error) {
	found, err := d.db.Collection(subscriptions).Find(ctx, bson.D{{Key: "clientid", Value: clientID}}, options.Find().SetSort(bson.D{{Key: "topic", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subscriptions, err)
	}
	var rows []struct {
		Topic string `bson:"topic"`
		QoS   int64  `bson:"qos"`
	}
	if err := found.All(ctx, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", subscriptions, err)
	}
	subs := make([]rules.Subscription, len(rows))
	for i, r := range rows {
		if r.QoS < 0 || r.QoS > 2 {
			return nil, fmt.Errorf("%s: the qos of %q is %d, not 0, 1 or 2", subscriptions, r.Topic, r.QoS)
		}
		subs[i] = rules.Subscription{Filter: r.Topic, QoS: uint8(r.QoS)}
	}
	return subs, nil
}

// topicsOf is a condition that all topics meet which filter matches, and perhaps others.
func topicsOf(filter string) bson.E {
	if !wildcard(filter) {
		return bson.E{Key: "topic", Value: filter}
	}
	start := strings.TrimSuffix(filter, "/#") // a/# matches a as well
	if start == filter || wildcard(start) {
		start = filter[:strings.IndexAny(filter, "+#")]
	}
	return bson.E{Key: "topic", Value: bson.D{{Key: "$gte", Value: start}, {Key: "$lt", Value: start + "\U0010ffff"}}}
}

// each gives the documents of a query that filter matches and that have not lapsed, until
// f says no.
func (d *Database) each(ctx context.Context, collection, filter string, where bson.D, sort bson.D, f func(*document) bool) error {
	found, err := d.db.Collection(collection).Find(ctx, where, options.Find().SetSort(sort).SetBatchSize(512))
	if err != nil {
		return fmt.Errorf("%s: %w", collection, err)
	}
	defer found.Close(ctx)
	now := time.Now()
	for found.Next(ctx) {
		var doc document
		if err := found.Decode(&doc); err != nil {
			return fmt.Errorf("%s: %w", collection, err)
		}
		if topic.Match(filter, doc.Topic) && !doc.lapsed(now) && !f(&doc) {
			return nil
		}
	}
	return found.Err()
}

// Retained reads mqtt_retain, the topics in their order.
func (d *Database) Retained(ctx context.Context, _ *rules.Rule, q *rules.Query) (ms []rules.Message, err error) {
	where := bson.D{topicsOf(q.Filter)}
	if q.After != "" {
		where = bson.D{{Key: "$and", Value: bson.A{where, bson.D{{Key: "topic", Value: bson.D{{Key: "$gt", Value: q.After}}}}}}}
	}
	err = d.each(ctx, retained, q.Filter, where, bson.D{{Key: "topic", Value: 1}}, func(doc *document) bool {
		m := doc.message()
		m.Retain, m.Cursor = true, m.Topic
		ms = append(ms, m)
		return len(ms) < q.Max
	})
	return ms, err
}

// cursorsOf gives how far a client has read, by topics and filters.
func (d *Database) cursorsOf(ctx context.Context, clientID string) (map[string]int64, error) {
	found, err := d.db.Collection(cursors).Find(ctx, bson.D{{Key: "clientid", Value: clientID}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cursors, err)
	}
	var rows []struct {
		Topic string `bson:"topic"`
		At    int64  `bson:"mongo_id"`
	}
	if err := found.All(ctx, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", cursors, err)
	}
	all := make(map[string]int64, len(rows))
	for _, r := range rows {
		all[r.Topic] = r.At
	}
	return all, nil
}

// Unread reads mqtt_msg behind the client's cursors, in the order of the numbers.
func (d *Database) Unread(ctx context.Context, _ *rules.Rule, q *rules.Query) (ms []rules.Message, err error) {
	at, err := d.cursorsOf(ctx, q.ClientID)
	if err != nil {
		return nil, err
	}
	base, known := at[q.Filter]
	if !known {
		return nil, d.begin(ctx, q)
	}
	if q.After != "" {
		after, err := strconv.ParseInt(q.After, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cursor %q is no number", q.After)
		}
		base = max(base, after)
	} else if q.Newest > 0 {
		if base, err = d.newest(ctx, q, base, at); err != nil {
			return nil, err
		}
	}
	err = d.each(ctx, messages, q.Filter, unreadWhere(q, base), bson.D{{Key: "_id", Value: 1}}, func(doc *document) bool {
		if doc.number() > at[doc.Topic] {
			m := doc.message()
			m.Cursor = strconv.FormatInt(doc.number(), 10)
			ms = append(ms, m)
		}
		return len(ms) < q.Max
	})
	return ms, err
}

func unreadWhere(q *rules.Query, after int64) bson.D {
	where := bson.D{topicsOf(q.Filter), {Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}}
	if q.Since > 0 {
		where = append(where, bson.E{Key: "arrived", Value: bson.D{{Key: "$gte", Value: (q.Since + 999) / 1000}}})
	}
	if q.Before != "" {
		where = append(where, bson.E{Key: "msgid", Value: bson.D{{Key: "$lt", Value: q.Before}}})
	}
	return where
}

// newest is the cursor before the newest of what is unread.
func (d *Database) newest(ctx context.Context, q *rules.Query, base int64, at map[string]int64) (int64, error) {
	left, before := q.Newest, base
	err := d.each(ctx, messages, q.Filter, unreadWhere(q, base), bson.D{{Key: "_id", Value: -1}}, func(doc *document) bool {
		if doc.number() > at[doc.Topic] {
			before = doc.number() - 1
			left--
		}
		return left > 0
	})
	if left > 0 {
		return base, err // there are no more than asked for
	}
	return before, err
}

// begin makes a cursor behind the newest message that does not come by the subscription.
func (d *Database) begin(ctx context.Context, q *rules.Query) error {
	newest := int64(0)
	err := d.each(ctx, messages, q.Filter, unreadWhere(&rules.Query{Filter: q.Filter, Before: q.Before}, 0), bson.D{{Key: "_id", Value: -1}}, func(doc *document) bool {
		newest = doc.number()
		return false
	})
	if err != nil {
		return err
	}
	_, err = d.db.Collection(cursors).UpdateOne(ctx, bson.D{{Key: "clientid", Value: q.ClientID}, {Key: "topic", Value: q.Filter}},
		bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: "mongo_id", Value: newest}}}}, options.UpdateOne().SetUpsert(true))
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("%s: %w", cursors, err)
	}
	return nil
}
