package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Do does jobs with one operation for each collection that they touch: what is in order
// is so within a collection. Statements are done one by one.
func (d *Database) Do(ctx context.Context, jobs []rules.Job) (done int, err error) {
	for done < len(jobs) {
		n := done
		for n < len(jobs) && jobs[n].Rule.Function != "" {
			n++
		}
		if n > done {
			k, err := d.functions(ctx, jobs[done:n])
			if done += k; err != nil {
				return done, err
			}
			continue
		}
		if err := d.statements(ctx, &jobs[done]); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// functions does jobs that have one.
func (d *Database) functions(ctx context.Context, jobs []rules.Job) (done int, err error) {
	b := batch{d: d, ctx: ctx, jobs: jobs, done: len(jobs)}
	for i := range jobs {
		j := &jobs[i]
		switch j.Rule.Function {
		case rules.OnMessagePublish, rules.OnMessageStore:
			b.store = append(b.store, i)
		case rules.OnMessageAcked:
			b.acked = append(b.acked, i)
		case rules.OnClientConnected:
			b.clients.add(i, upsert(bson.D{{Key: "clientid", Value: j.ClientID}}, bson.D{
				{Key: "$set", Value: bson.D{{Key: "state", Value: 1}, {Key: "node", Value: j.Node}, {Key: "online_at", Value: j.Time / 1000}, {Key: "offline_at", Value: nil}}}}))
		case rules.OnClientDisconnected:
			b.clients.add(i, upsert(bson.D{{Key: "clientid", Value: j.ClientID}}, bson.D{
				{Key: "$set", Value: bson.D{{Key: "state", Value: 0}, {Key: "offline_at", Value: j.Time / 1000}}}}))
		case rules.OnMessageRetain:
			b.retained.add(i, mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "topic", Value: j.Message.Topic}}).SetReplacement(retainedDocument(j)).SetUpsert(true))
		case rules.OnRetainDelete:
			b.retained.add(i, mongo.NewDeleteOneModel().SetFilter(bson.D{{Key: "topic", Value: j.Message.Topic}}))
		case rules.OnAckedDelete:
			b.forget = append(b.forget, i)
		default:
			b.failed(i, rules.Permanent(fmt.Errorf("mongodb has no function %s", j.Rule.Function)))
		}
	}
	b.storeMessages() // before anybody acknowledges them
	b.moveCursors()
	b.write(clients, &b.clients)
	b.write(retained, &b.retained)
	b.deleteCursors()
	return b.done, b.err
}

// batch is one call of functions: jobs by what they touch, as places in jobs.
type batch struct {
	d    *Database
	ctx  context.Context
	jobs []rules.Job
	done int   // those before it are done
	err  error // why it is not

	store, acked, forget []int
	clients, retained    models
}

// models are changes of one collection, and whose they are.
type models struct {
	list []mongo.WriteModel
	of   []int
}

func (m *models) add(job int, w mongo.WriteModel) {
	m.list, m.of = append(m.list, w), append(m.of, job)
}

func upsert(filter, update bson.D) mongo.WriteModel {
	return mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(update).SetUpsert(true)
}

// failed notes that the job at place i is not done.
func (b *batch) failed(i int, err error) {
	if i < b.done {
		b.done, b.err = i, b.d.explain(err)
	}
}

// write makes the changes of m, in order.
func (b *batch) write(collection string, m *models) {
	if len(m.list) == 0 {
		return
	}
	_, err := b.d.db.Collection(collection).BulkWrite(b.ctx, m.list, options.BulkWrite().SetOrdered(true))
	b.settle(m.of, err)
}

// settle notes which of the jobs an error is about: the first without a word.
func (b *batch) settle(of []int, err error) {
	if err == nil {
		return
	}
	var bulk mongo.BulkWriteException
	if errors.As(err, &bulk) {
		for _, w := range bulk.WriteErrors {
			if !mongo.IsDuplicateKeyError(w) {
				b.failed(of[w.Index], w)
				return
			}
		}
		if bulk.WriteConcernError == nil && len(bulk.WriteErrors) > 0 {
			return // all of them are there already
		}
	}
	b.failed(of[0], err)
}

// storeMessages inserts messages in order; those that are there already are left as they
// are. Where it is the number that is taken, not the name, others are tried.
func (b *batch) storeMessages() {
	const tries = 5
	left := b.store
	for try := range tries {
		n, err := b.insert(left)
		left = left[n:]
		switch {
		case err == nil:
			return
		case !mongo.IsDuplicateKeyError(err) || try == tries-1:
			b.failed(left[0], retriable(err))
			return
		}
		if left, err = b.missing(left); err != nil {
			b.failed(left[0], err)
			return
		}
		if try == 0 { // it may have been a rival
			continue
		}
		if err = b.d.raise(b.ctx); err != nil && len(left) > 0 {
			b.failed(left[0], err)
			return
		}
	}
}

// retriable is err, unless it is about a number that is taken: another may be free.
func retriable(err error) error {
	if mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("%s has documents with the numbers that %s gives: %s", messages, counters, err)
	}
	return err
}

// insert inserts messages, as places in jobs, until one fails: the one behind the first
// n.
func (b *batch) insert(left []int) (n int, err error) {
	if len(left) == 0 {
		return 0, nil
	}
	next, err := b.d.reserve(b.ctx, len(left))
	if err != nil {
		return 0, err
	}
	docs := make([]mongo.WriteModel, len(left))
	for i, at := range left {
		docs[i] = mongo.NewInsertOneModel().SetDocument(messageDocument(next+int64(i), &b.jobs[at]))
	}
	_, err = b.d.db.Collection(messages).BulkWrite(b.ctx, docs, options.BulkWrite().SetOrdered(true))
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || len(bulk.WriteErrors) == 0 || bulk.WriteConcernError != nil {
		return 0, err
	}
	first := bulk.WriteErrors[0]
	return first.Index, first
}

// missing gives those of left that are not there, or all of them with an error.
func (b *batch) missing(left []int) (rest []int, err error) {
	ids := make([]string, len(left))
	for i, at := range left {
		ids[i] = b.jobs[at].Message.MsgID
	}
	there, err := b.d.numbers(b.ctx, ids)
	if err != nil {
		return left, err
	}
	for i, at := range left {
		if _, is := there[ids[i]]; !is {
			rest = append(rest, at)
		}
	}
	return rest, nil
}

// raise brings the counter of messages to the greatest number that they have: it may
// have been lost, or documents be another's. Names that are no numbers are not looked at.
func (d *Database) raise(ctx context.Context) error {
	var last struct {
		ID int64 `bson:"_id"`
	}
	err := d.db.Collection(messages).FindOne(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: int64(0)}}}}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}}).SetProjection(bson.D{{Key: "_id", Value: 1}})).Decode(&last)
	if err != nil || last.ID == 0 {
		return err
	}
	_, err = d.db.Collection(counters).UpdateOne(ctx, bson.D{{Key: "_id", Value: messages}}, bson.D{{Key: "$max", Value: bson.D{{Key: "next", Value: last.ID}}}})
	return err
}

// reserve takes n numbers for messages.
func (d *Database) reserve(ctx context.Context, n int) (first int64, err error) {
	var doc struct {
		Next int64 `bson:"next"`
	}
	err = d.db.Collection(counters).FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: messages}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "next", Value: int64(n)}}}},
		options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)).Decode(&doc)
	return doc.Next - int64(n) + 1, err
}

func messageDocument(id int64, j *rules.Job) bson.D {
	m := j.Message
	return withExpiry(bson.D{{Key: "_id", Value: id}, {Key: "topic", Value: m.Topic}, {Key: "msgid", Value: m.MsgID}, {Key: "sender", Value: m.Sender},
		{Key: "qos", Value: int32(m.QoS)}, {Key: "retain", Value: m.Retain}, {Key: "payload", Value: payloadValue(j.Rule.Format, m.Payload)}, {Key: "arrived", Value: m.Arrived / 1000}}, j)
}

func retainedDocument(j *rules.Job) bson.D {
	m := j.Message
	return withExpiry(bson.D{{Key: "topic", Value: m.Topic}, {Key: "msgid", Value: m.MsgID}, {Key: "sender", Value: m.Sender},
		{Key: "qos", Value: int32(m.QoS)}, {Key: "payload", Value: payloadValue(j.Rule.Format, m.Payload)}, {Key: "arrived", Value: m.Arrived / 1000}}, j)
}

// withExpiry adds when the document lapses, if it does.
func withExpiry(doc bson.D, j *rules.Job) bson.D {
	at := j.Message.Expires
	if keep := j.Rule.Expiry.Milliseconds(); keep > 0 && (at == 0 || j.Time+keep < at) {
		at = j.Time + keep
	}
	if at == 0 {
		return doc
	}
	return append(doc, bson.E{Key: "expires_at", Value: bson.NewDateTimeFromTime(time.UnixMilli(at))})
}

// moveCursors sets cursors to acknowledged messages, forward only. A message that is no
// more moves none.
func (b *batch) moveCursors() {
	if len(b.acked) == 0 {
		return
	}
	ids := make([]string, len(b.acked))
	for i, at := range b.acked {
		ids[i] = b.jobs[at].Message.MsgID
	}
	numbers, err := b.d.numbers(b.ctx, ids)
	if err != nil {
		b.failed(b.acked[0], err)
		return
	}
	var m models
	for i, at := range b.acked {
		j := &b.jobs[at]
		if n, stored := numbers[ids[i]]; stored {
			m.add(at, upsert(bson.D{{Key: "clientid", Value: j.ClientID}, {Key: "topic", Value: j.Topic}}, bson.D{{Key: "$max", Value: bson.D{{Key: "mongo_id", Value: n}}}}))
		}
	}
	b.write(cursors, &m)
}

// numbers gives the _id of messages by their names.
func (d *Database) numbers(ctx context.Context, msgIDs []string) (map[string]int64, error) {
	found, err := d.db.Collection(messages).Find(ctx, bson.D{{Key: "msgid", Value: bson.D{{Key: "$in", Value: msgIDs}}}}, options.Find().SetProjection(bson.D{{Key: "msgid", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var docs []struct {
		ID    int64  `bson:"_id"`
		MsgID string `bson:"msgid"`
	}
	if err := found.All(ctx, &docs); err != nil {
		return nil, err
	}
	numbers := make(map[string]int64, len(docs))
	for _, doc := range docs {
		numbers[doc.MsgID] = cmp.Or(numbers[doc.MsgID], doc.ID)
	}
	return numbers, nil
}

// deleteCursors forgets the cursors of ended subscriptions: that of the filter, and those
// of the topics that it matches.
func (b *batch) deleteCursors() {
	for _, at := range b.forget {
		j := &b.jobs[at]
		names := bson.A{j.Topic}
		if wildcard(j.Topic) {
			all, err := b.d.cursorsOf(b.ctx, j.ClientID)
			if err != nil {
				b.failed(at, err)
				return
			}
			for name := range all {
				if topic.Match(j.Topic, name) {
					names = append(names, name)
				}
			}
		}
		if _, err := b.d.db.Collection(cursors).DeleteMany(b.ctx, bson.D{{Key: "clientid", Value: j.ClientID}, {Key: "topic", Value: bson.D{{Key: "$in", Value: names}}}}); err != nil {
			b.failed(at, err)
			return
		}
	}
}
