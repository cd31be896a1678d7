package mongodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
//	fairlead_claim              _id (namespace), token, who, claimed, epoch, seq, note, chunks, of
//	fairlead_note               notes of Writes that are longer than 4 MiB, in chunks
//	fairlead_state.NAMESPACE.N  the pairs; N is the epoch of the claim
//
// It asks for no transactions, which single servers do not have. A Write is first noted in
// the document of the claim, by an update that compares the token: that is when it is done,
// or refused. Then its changes are made; if that does not come to its end, the next call of
// the Table makes them again, or whoever claims next.
//
// Each claim has an epoch of its own, and renames the collection of the pairs to it. So what
// a gateway sends that has lost its claim, or what it had sent and comes late, goes to a
// collection by another name, which the next claim drops: of those that there are the one
// of the highest epoch is the true one.
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
	epoch     atomic.Int64  // of our claim, 0 before it
	token     string        // "" before Claim
	seq       int64         // number of the last Write that was noted
	noted     bool          // there may be something in fairlead_note
	chunked   bool          // there may be values in chunks
}

// The collections.
const (
	claims = "fairlead_claim"
	notes  = "fairlead_note"
	states = "fairlead_state."
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

// Init has nothing to make: collections come to be with their first document.
func (t *Table) Init(ctx context.Context, _ bool) ([]string, error) {
	return nil, t.fault("init", t.d.Ping(ctx))
}

// Caveats implements sessions.Database.
func (t *Table) Caveats(ctx context.Context) ([]string, error) {
	var hello struct {
		Set string `bson:"setName"`
		Msg string `bson:"msg"`
	}
	if err := t.d.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
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

func (t *Table) state(epoch int64) *mongo.Collection {
	return t.d.db.Collection(states + t.namespace + "." + strconv.FormatInt(epoch, 10))
}

// Claim implements sessions.Table.
func (t *Table) Claim(ctx context.Context, who string) error {
	release, err := t.take(ctx)
	if err != nil {
		return t.fault("claim", err)
	}
	defer release()
	t.token = ""
	token := rand.Text()
	own := bson.D{{Key: "_id", Value: t.namespace}}
	set := bson.D{{Key: "token", Value: token}, {Key: "who", Value: strings.ToValidUTF8(who, "?")}, {Key: "claimed", Value: time.Now().UTC()}}
	for {
		err := t.begin(ctx, own, set, true)
		if err == nil {
			break
		}
		if !mongo.IsDuplicateKeyError(err) && !errors.Is(err, errOvertaken) {
			return t.fault("claim", err)
		}
	}
	t.token = token
	return nil
}

// errOvertaken: a later claim has the pairs already.
var errOvertaken = errors.New("another gateway claims at the same time")

// begin begins an epoch: nothing of earlier ones can come any more, and the last Write that
// was noted is made.
func (t *Table) begin(ctx context.Context, where, set bson.D, upsert bool) error {
	update := bson.D{{Key: "$inc", Value: bson.D{{Key: "epoch", Value: int64(1)}}}, {Key: "$set", Value: set}}
	o := options.FindOneAndUpdate().SetUpsert(upsert).SetReturnDocument(options.After)
	var c claim
	if err := t.claims().FindOneAndUpdate(ctx, where, update, o).Decode(&c); err != nil {
		return err
	}
	if err := t.move(ctx, c.Epoch); err != nil {
		return err
	}
	state := t.state(c.Epoch)
	t.chunked, t.noted = true, true
	if err := t.repeat(ctx, state, &c); err != nil {
		return err
	}
	n, err := state.CountDocuments(ctx, within("c"), options.Count().SetLimit(1))
	if err != nil {
		return err
	}
	t.seq, t.chunked = c.Seq, n > 0
	t.epoch.Store(c.Epoch)
	t.unsettled.Store(false)
	return nil
}

// epochs are those of the collections that there are, the highest last.
func (t *Table) epochs(ctx context.Context) (list []int64, err error) {
	names, err := t.d.db.ListCollectionNames(ctx, bson.D{})
	for _, name := range names {
		text, ours := strings.CutPrefix(name, states+t.namespace+".")
		n, bad := strconv.ParseInt(text, 10, 64)
		if ours && bad == nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, err
}

// move gives the pairs to an epoch.
func (t *Table) move(ctx context.Context, epoch int64) error {
	for {
		list, err := t.epochs(ctx)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return t.d.db.CreateCollection(ctx, t.state(epoch).Name())
		}
		last := list[len(list)-1]
		for _, left := range list[:len(list)-1] {
			if err := t.state(left).Drop(ctx); err != nil {
				return err
			}
		}
		switch {
		case last == epoch:
			return nil
		case last > epoch:
			return errOvertaken
		}
		name := t.d.db.Name() + "."
		err = t.d.client.Database("admin").RunCommand(ctx, bson.D{{Key: "renameCollection", Value: name + t.state(last).Name()}, {Key: "to", Value: name + t.state(epoch).Name()}}).Err()
		var answer mongo.CommandError
		if err != nil && !(errors.As(err, &answer) && answer.Code == namespaceNotFound) { // else another claim was faster: look again
			return err
		}
		if err == nil {
			return nil
		}
	}
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
	return t.settle(ctx)
}

// settle begins a new epoch of our own claim.
func (t *Table) settle(ctx context.Context) error {
	err := t.begin(ctx, bson.D{{Key: "_id", Value: t.namespace}, {Key: "token", Value: t.token}}, bson.D{{Key: "token", Value: t.token}}, false)
	if errors.Is(err, mongo.ErrNoDocuments) || errors.Is(err, errOvertaken) {
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
