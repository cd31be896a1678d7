package mongodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// Table keeps sessions; a [sessions.Database]. Its collections:
//
//	fairlead_claim  _id (namespace), token, who, claimed, epoch, seq, note, chunks, of
//	fairlead_note   notes of Writes that are longer than 4 MiB, in chunks
//	fairlead_state  _id (namespace, part and key), d: s (number), v (value), c (chunks), gone
//
// It asks for no transactions, which single servers do not have. A Write is first noted in
// the document of the claim, by an update that compares the token: that is when it is done,
// or refused. Then its changes are made; if that does not come to its end, the next call of
// the Table makes them again, or whoever claims next. Each document has in d.s the number
// of the Write that it is of, and only a later one changes it. What is deleted stays as a
// document that is marked gone, for 6 hours, by when whatever comes late has come: so that
// changes nothing, whoever sent it. Documents are looked for by nothing but their names.
//
// What it promises: a Write that returned nil is in the journals of a majority of the
// replica set and survives every failover that MongoDB itself survives; on a single server
// it survives the death of the process and of the machine. Only emulators were at hand to
// test it with, see docs/services.md.
type Table struct {
	d         *Database
	namespace string
	server    string // for errors

	working   chan struct{} // holds one value while nobody writes or settles
	unsettled atomic.Bool   // the last Write may be done by half
	token     string        // "" before Claim
	epoch     int64         // grows with each claim, and when an answer was lost
	seq       int64         // number of the last Write that was noted
	noted     bool          // there may be something in fairlead_note
	chunked   bool          // there may be values in chunks
}

// The collections.
const (
	claims = "fairlead_claim"
	notes  = "fairlead_note"
	states = "fairlead_state"
)

// kept is for how long what is deleted stays as a mark; stale is when changes are no longer
// made.
const (
	kept  = 6 * time.Hour
	stale = time.Hour
)

// OpenTable implements [sessions.Pool].
func (c *Config) OpenTable(namespace string) (sessions.Database, error) {
	if err := sessions.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	if c.Write != "safe" || c.Read != "master" {
		return nil, fmt.Errorf("w_mode: is %s and r_mode is %s; sessions need safe and master", c.Write, c.Read)
	}
	d, err := Open(*c)
	if err != nil {
		return nil, err
	}
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	t := &Table{d: d, namespace: namespace, server: strings.Join(o.Hosts, ", "), working: make(chan struct{}, 1)}
	t.working <- struct{}{}
	return t, nil
}

// Close implements sessions.Table.
func (t *Table) Close() error { return t.d.Close() }

// ended is the index by which MongoDB removes the marks.
func (t *Table) ended() index {
	return index{states, bson.D{{Key: "d.gone", Value: 1}}, false, true}
}

// Init says whether the index is missing that removes what was deleted, and makes it.
func (t *Table) Init(ctx context.Context, create bool) (report []string, err error) {
	has, err := t.d.has(ctx, t.ended())
	if err != nil || has {
		return nil, t.fault("looking at the indexes", err)
	}
	report = []string{states + " has no index on d.gone"}
	if !create {
		return report, nil
	}
	o := options.Index().SetExpireAfterSeconds(int32(kept / time.Second))
	_, err = t.state().Indexes().CreateOne(ctx, mongo.IndexModel{Keys: t.ended().keys, Options: o})
	return report, t.fault("make the index on d.gone", err)
}

// Caveats implements sessions.Database.
func (t *Table) Caveats(ctx context.Context) ([]string, error) {
	var hello struct {
		Set string `bson:"setName"`
		Msg string `bson:"msg"`
	}
	if err := t.d.db.RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Decode(&hello); err != nil {
		return nil, t.fault("looking at the server", err)
	}
	if hello.Set == "" && hello.Msg != "isdbgrid" {
		return []string{"the server is no member of a replica set: sessions are away, or lost, with its machine"}, nil
	}
	return nil, nil
}

// claim is the document of a claim.
type claim struct {
	Token   string    `bson:"token"`
	Who     string    `bson:"who"`
	Claimed time.Time `bson:"claimed"`
	Epoch   int64     `bson:"epoch"`
	Seq     int64     `bson:"seq"`
	Note    []byte    `bson:"note"`
	Chunks  int       `bson:"chunks"`
	Of      string    `bson:"of"` // which chunks
}

// take waits until nobody else writes or settles.
func (t *Table) take(ctx context.Context) (release func(), err error) {
	select {
	case <-t.working:
		return func() { t.working <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *Table) claims() *mongo.Collection { return t.d.db.Collection(claims) }

func (t *Table) state() *mongo.Collection { return t.d.db.Collection(states) }

// Claim implements sessions.Table.
func (t *Table) Claim(ctx context.Context, who string) error {
	release, err := t.take(ctx)
	if err != nil {
		return t.fault("claim", err)
	}
	defer release()
	t.token = ""
	if has, err := t.d.has(ctx, t.ended()); err != nil || !has {
		if err == nil {
			err = errors.New("it has no index on d.gone; make what is missing with: fairlead ctl backend init")
		}
		return t.fault(states, err)
	}
	token := rand.Text()
	own := bson.D{{Key: "_id", Value: t.namespace}}
	set := bson.D{{Key: "token", Value: token}, {Key: "who", Value: strings.ToValidUTF8(who, "?")}, {Key: "claimed", Value: time.Now().UTC()}}
	for {
		err := t.begin(ctx, own, set, true)
		if err == nil {
			break
		}
		if !mongo.IsDuplicateKeyError(err) { // of two first claims at once
			return t.fault("claim", err)
		}
	}
	t.token = token
	return nil
}

// begin begins an epoch: no note of earlier ones can come any more, and the changes of the
// last that came are made.
func (t *Table) begin(ctx context.Context, where, set bson.D, upsert bool) error {
	update := bson.D{{Key: "$inc", Value: bson.D{{Key: "epoch", Value: int64(1)}}}, {Key: "$set", Value: set}}
	if upsert { // numbers begin where the clock is: above all that were there before somebody deleted the document
		update = append(update, bson.E{Key: "$setOnInsert", Value: bson.D{{Key: "seq", Value: time.Now().UnixMicro()}}})
	}
	o := options.FindOneAndUpdate().SetUpsert(upsert).SetReturnDocument(options.After)
	var c claim
	if err := t.claims().FindOneAndUpdate(ctx, where, update, o).Decode(&c); err != nil {
		return err
	}
	t.chunked, t.noted = true, true
	if err := t.repeat(ctx, &c); err != nil {
		return err
	}
	n, err := t.state().CountDocuments(ctx, within(t.partID('c', nil)[:len(t.namespace)+2]), options.Count().SetLimit(1))
	if err != nil {
		return err
	}
	t.seq, t.epoch, t.chunked = c.Seq, c.Epoch, n > 0
	t.unsettled.Store(false)
	return nil
}

// settled makes sure that nothing is done by half.
func (t *Table) settled(ctx context.Context) error {
	if !t.unsettled.Load() {
		return nil
	}
	release, err := t.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	if t.token == "" || !t.unsettled.Load() {
		return nil
	}
	if err := t.settle(ctx); !errors.Is(err, sessions.ErrClaimed) { // who may not write may read
		return err
	}
	return nil
}

// settle begins a new epoch of our own claim.
func (t *Table) settle(ctx context.Context) error {
	err := t.begin(ctx, bson.D{{Key: "_id", Value: t.namespace}, {Key: "token", Value: t.token}}, bson.D{{Key: "token", Value: t.token}}, false)
	if errors.Is(err, mongo.ErrNoDocuments) {
		t.unsettled.Store(false) // it is others' to settle
		return t.claimed(ctx)
	}
	return err
}

// claimed is ErrClaimed with the name of who has claimed.
func (t *Table) claimed(ctx context.Context) error {
	var c claim
	if err := t.claims().FindOne(ctx, bson.D{{Key: "_id", Value: t.namespace}}).Decode(&c); err != nil {
		return sessions.ErrClaimed
	}
	return fmt.Errorf("%w: %s at %s", sessions.ErrClaimed, c.Who, c.Claimed.Format(time.RFC3339))
}

// fault is err with what was done and where, and with what to do about it.
func (t *Table) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	advice := ""
	var answer mongo.ServerError
	switch {
	case !errors.As(err, &answer):
	case answer.HasErrorCode(13):
		advice = "; give the user of the pool the role readWrite on the database"
	case answer.HasErrorCode(10107), answer.HasErrorCode(13435):
		advice = "; the server takes no writes: name the replica set (type = \"rs\", rs_set_name)"
	}
	return fmt.Errorf("mongodb %s: %s: %w%s", t.server, what, err, advice)
}
