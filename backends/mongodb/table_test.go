package mongodb

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// openTable opens the Table of a namespace in a database that the test t has for itself:
// the emulator looks through whole collections.
func openTable(t testing.TB, database, namespace string) *Table {
	t.Helper()
	c := DefaultConfig()
	c.URL, c.Type, c.Database, c.Timeout = testservice.URL(t, "mongodb"), "unknown", database, 30*time.Second
	return tabletest.Open(t, &c, namespace).(*Table)
}

// fresh is the database of a test, which is dropped afterwards.
func fresh(t testing.TB) (database string) {
	database = fmt.Sprintf("sessions_%x", crc32.ChecksumIEEE([]byte(t.Name())))
	d := openTable(t, database, "none")
	defer d.Close()
	if _, err := d.Init(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d := openTable(t, database, "none")
		defer d.Close()
		if err := d.d.db.Drop(context.Background()); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return database
}

func TestServiceTable(t *testing.T) {
	try := tabletest.Site{
		Fresh: func(t testing.TB) func() sessions.Database {
			database, namespace := fresh(t), tabletest.Namespace()
			return func() sessions.Database { return openTable(t, database, namespace) }
		},
		Bare: func(t testing.TB) sessions.Database {
			d := openTable(t, fresh(t), tabletest.Namespace())
			if err := d.state().Drop(context.Background()); err != nil {
				t.Fatal(err)
			}
			return d
		},
	}
	try.Kill, try.Start, try.Pause, try.Resume = testservice.Acts("mongodb")
	tabletest.Run(t, try)
}

// content is everything that stands in d.
func content(t *testing.T, d *Table) string {
	t.Helper()
	all := map[string]string{}
	if err := d.Scan(t.Context(), func(part, key, value []byte) error {
		all[string(part)+"/"+string(key)] = string(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(fmt.Sprint(all), "map")
}

func put(part, key, value string) sessions.Write {
	return sessions.Write{Part: []byte(part), Key: []byte(key), Value: []byte(value)}
}

// A gateway dies when a Write is decided and none of it made; whoever claims then makes it.
// What the dead one sent comes even later, and changes nothing.
func TestServiceTableHalf(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	database, namespace := fresh(t), tabletest.Namespace()
	ctx := t.Context()
	a := openTable(t, database, namespace)
	defer a.Close()
	if err := a.Claim(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "1"), put("p", "gone", "1"), put("q", "k", "1")}); err != nil {
		t.Fatal(err)
	}
	half := sessions.Net([]sessions.Write{put("p", "k", "2"), {Kind: sessions.Delete, Part: []byte("p"), Key: []byte("gone")}, {Kind: sessions.DeletePart, Part: []byte("q")}, put("q", "new", "2")})
	if err := a.note(ctx, sessions.AppendChanges(nil, half)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, a); got != "[p/k:2 q/new:2]" { // its own next call makes it, too
		t.Errorf("after a write that was decided: %s", got)
	}
	again := sessions.Net([]sessions.Write{put("p", "k", "3"), put("q", "new", "3"), put("q", "zombie", "3")})
	first := a.seq
	if err := a.note(ctx, sessions.AppendChanges(nil, again)); err != nil {
		t.Fatal(err)
	}
	b := openTable(t, database, namespace)
	defer b.Close()
	if err := b.Claim(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, b); got != "[p/k:3 q/new:3 q/zombie:3]" {
		t.Errorf("after the claim: %s", got)
	}
	if err := b.Write(ctx, []sessions.Write{put("p", "k", "4"), {Kind: sessions.DeletePart, Part: []byte("q")}}); err != nil {
		t.Fatal(err)
	}
	for seq, changes := range map[int64][]sessions.Change{first: half, a.seq: again} {
		if err := a.apply(ctx, seq, changes); err != nil {
			t.Fatal(err)
		}
	}
	if got := content(t, b); got != "[p/k:4]" {
		t.Errorf("after what came late: %s", got)
	}
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "5")}); !errors.Is(err, sessions.ErrClaimed) || !strings.Contains(err.Error(), ": b at ") {
		t.Errorf("the first writes: %v", err)
	}
	c := openTable(t, database, namespace)
	defer c.Close()
	if err := c.Claim(ctx, "c"); err != nil || content(t, c) != "[p/k:4]" {
		t.Errorf("whoever claims next: %v, %s", err, content(t, c))
	}
}

func TestServiceTableFaults(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	c := DefaultConfig()
	c.Server, c.Timeout = []string{"127.0.0.1:1"}, time.Second
	d, err := c.OpenTable("n")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Claim(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("away: %v", err)
	}
	c.Write = "unsafe"
	if _, err := c.OpenTable("n"); err == nil || !strings.HasPrefix(err.Error(), "w_mode: ") {
		t.Errorf("w_mode unsafe: %v", err)
	}
	real := openTable(t, fresh(t), tabletest.Namespace())
	defer real.Close()
	if list, err := real.Caveats(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("one server: %q, %v", list, err)
	}
}

func TestDocumentNames(t *testing.T) {
	d := &Table{namespace: "n"}
	for _, part := range []string{"", "p", "\x00\xff", strings.Repeat("\xff", 32)} {
		for _, key := range []string{"k", "\x00", "\xff\xff", strings.Repeat("x", 65600)} {
			p, k, ok := d.parseID(d.keyID([]byte(part), []byte(key)))
			if !ok || string(p) != part || string(k) != key {
				t.Errorf("%q %q is read as %q %q", part, key, p, k)
			}
		}
	}
	for _, bad := range []string{"", "n ", "n k", "n k\x05abc", "n c\x01pk", "m k\x01pk"} {
		if _, _, ok := d.parseID(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The driver's own: one unordered bulk write. That alone is neither done as a whole nor kept
// from who has lost the claim: so the loop that is compared first puts all of it into a
// document, by an update that compares the claim.
func BenchmarkTable(b *testing.B) {
	d := openTable(b, fresh(b), tabletest.Namespace())
	defer d.Close()
	claim, plain := d.d.db.Collection("plain_claim"), d.d.db.Collection("plain")
	if _, err := claim.InsertOne(b.Context(), bson.D{{Key: "_id", Value: "gateway"}, {Key: "holder", Value: "me"}, {Key: "number", Value: int64(0)}}); err != nil {
		b.Fatal(err)
	}
	number := int64(0)
	tabletest.Compare(b, d, func(ctx context.Context, group []sessions.Write) error {
		var note []byte
		for _, w := range group {
			note = append(append(append(note, w.Part...), w.Key...), w.Value...)
		}
		where := bson.D{{Key: "_id", Value: "gateway"}, {Key: "holder", Value: "me"}, {Key: "number", Value: number}}
		number++
		done, err := claim.UpdateOne(ctx, where, bson.D{{Key: "$set", Value: bson.D{{Key: "number", Value: number}, {Key: "note", Value: note}}}})
		if err != nil || done.MatchedCount != 1 {
			return errors.Join(err, errors.New("the claim is lost"))
		}
		return plainBulk(ctx, plain, d, group)
	}, func(ctx context.Context, group []sessions.Write) error { return plainBulk(ctx, plain, d, group) })
}

func plainBulk(ctx context.Context, c *mongo.Collection, d *Table, group []sessions.Write) error {
	models := make([]mongo.WriteModel, len(group))
	for i, w := range group {
		models[i] = mongo.NewReplaceOneModel().SetUpsert(true).SetFilter(bson.D{{Key: "_id", Value: d.keyID(w.Part, w.Key)}}).SetReplacement(bson.D{{Key: "v", Value: w.Value}})
	}
	_, err := c.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return err
}
