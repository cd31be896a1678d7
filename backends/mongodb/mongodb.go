package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// The collections.
const (
	clients       = "mqtt_client"
	subscriptions = "mqtt_sub"
	messages      = "mqtt_msg"
	retained      = "mqtt_retain"
	cursors       = "mqtt_acked"
	counters      = "mqtt_counter"
)

// Database is one pool. It implements [rules.Database].
type Database struct {
	client *mongo.Client
	db     *mongo.Database
	tls    bool
}

// Open makes a pool. It connects when it is used: a database that is away does not keep
// the gateway from starting.
func Open(c Config) (*Database, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(o)
	if err != nil {
		return nil, err
	}
	return &Database{client: client, db: client.Database(c.Database), tls: o.TLSConfig != nil}, nil
}

// Driver is what the engine must know of MongoDB.
func Driver() rules.Driver {
	return rules.Driver{Name: "mongodb", Functions: rules.SQLFunctions(), Defaults: rules.SQLDefaults(), Identities: identities(), Statement: func(text string) error {
		_, err := parseCommand(text)
		return err
	}}
}

// Ping is nil when a server answers.
func (d *Database) Ping(ctx context.Context) error { return d.client.Ping(ctx, nil) }

// Close ends all connections.
func (d *Database) Close() error { return d.client.Disconnect(context.Background()) }

// index is one that the functions need, or that makes them fast.
type index struct {
	collection string
	keys       bson.D
	unique     bool
	expires    bool
}

func indexes() []index {
	by := func(names ...string) (d bson.D) {
		for _, n := range names {
			d = append(d, bson.E{Key: n, Value: 1})
		}
		return d
	}
	return []index{
		{clients, by("clientid"), true, false},
		{subscriptions, by("clientid", "topic"), true, false},
		{messages, by("msgid"), true, false},
		{messages, by("topic", "_id"), false, false},
		{messages, by("expires_at"), false, true},
		{retained, by("topic"), true, false},
		{retained, by("expires_at"), false, true},
		{cursors, by("clientid", "topic"), true, false},
	}
}

// Init says which indexes are missing and, with create, makes them; collections come to
// be with their first document.
func (d *Database) Init(ctx context.Context, create bool) (report []string, err error) {
	for _, ix := range indexes() {
		has, err := d.has(ctx, ix)
		if err != nil {
			return report, fmt.Errorf("indexes of %s: %w", ix.collection, err)
		}
		if has {
			continue
		}
		if !create {
			report = append(report, fmt.Sprintf("%s has no index on %s", ix.collection, names(ix.keys)))
			continue
		}
		o := options.Index().SetUnique(ix.unique)
		if ix.expires {
			o.SetExpireAfterSeconds(0)
		}
		if _, err := d.db.Collection(ix.collection).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: ix.keys, Options: o}); err != nil {
			return report, fmt.Errorf("%s: make the index on %s: %w", ix.collection, names(ix.keys), err)
		}
		report = append(report, fmt.Sprintf("index of %s on %s: made", ix.collection, names(ix.keys)))
	}
	return report, nil
}

func names(keys bson.D) (list []string) {
	for _, k := range keys {
		list = append(list, k.Key)
	}
	return list
}

func (d *Database) has(ctx context.Context, ix index) (bool, error) {
	list, err := d.db.Collection(ix.collection).Indexes().ListSpecifications(ctx)
	var answer mongo.CommandError
	if errors.As(err, &answer) && answer.Code == namespaceNotFound {
		return false, nil
	}
	for _, s := range list {
		var keys bson.D
		if bson.Unmarshal(s.KeysDocument, &keys) == nil && slices.Equal(names(keys), names(ix.keys)) {
			return true, nil
		}
	}
	return false, err
}

// namespaceNotFound is MongoDB's code for a collection that does not exist.
const namespaceNotFound = 26

// transientCodes are errors of a server that may be over later: not primary, shutting
// down, timed out, no room, no rights (yet).
var transientCodes = [...]int{6, 7, 13, 18, 50, 64, 89, 91, 112, 133, 134, 150, 189, 202, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436, 14031}

// explain is classify with what to do.
func (d *Database) explain(err error) error {
	if err != nil && !d.tls && strings.Contains(err.Error(), "closed unexpectedly by the other side") {
		return fmt.Errorf("%w; a server that wants TLS ends connections without it like this; then say tls = true", err)
	}
	return classify(err)
}

// classify marks the errors that no retry mends.
func classify(err error) error {
	if err == nil || mongo.IsNetworkError(err) || mongo.IsTimeout(err) {
		return err
	}
	var answer mongo.ServerError
	if !errors.As(err, &answer) || answer.HasErrorLabel("RetryableWriteError") || answer.HasErrorLabel("TransientTransactionError") {
		return err
	}
	if slices.ContainsFunc(transientCodes[:], answer.HasErrorCode) {
		return err
	}
	return rules.Permanent(err)
}
