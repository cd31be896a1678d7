package mongodb

import (
	"context"
	"flag"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

var update = flag.Bool("update", false, "write the table of docs/backends-mongodb.md")

// TestServiceDocumented does what the guide's table shows, looks by the driver alone, and
// compares.
func TestServiceDocumented(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	address := testservice.URL(t, "mongodb")
	ctx := context.Background()
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(ctx) })
	look := client.Database(testDatabase)
	if err := look.Drop(ctx); err != nil {
		t.Fatal(err)
	}
	db := (&site{url: address}).Open(t)
	t.Cleanup(func() { db.Close() })
	collections := map[string][]string{
		rulestest.LookClients:  {"mqtt_client"},
		rulestest.LookMessages: {"mqtt_msg", "mqtt_counter"},
		rulestest.LookAcked:    {"mqtt_acked"},
		rulestest.LookRetained: {"mqtt_retain"},
		rulestest.LookOwn:      {"readings"},
	}
	table := rulestest.Table(t, &rulestest.Documented{
		Driver: Driver(), DB: db,
		Statement: `{"insert": "readings", "documents": [{"device": "${clientid}", "at": "${timestamp}", "value": "${payload}"}]}`,
		Look: func(what string) (places []rulestest.Place) {
			for _, name := range collections[what] {
				places = append(places, rulestest.Place{Name: name, Rows: documents(t, look.Collection(name))})
			}
			return places
		},
	}, "the driver")
	rulestest.Guide(t, "../../docs/backends-mongodb.md", "the tests of backends/mongodb", table, "go test ./backends/mongodb -run Documented -update", *update)
}

// documents are those of a collection as extended JSON, without an _id that the driver
// made up.
func documents(t *testing.T, c *mongo.Collection) (rows []string) {
	t.Helper()
	found, err := c.Find(context.Background(), bson.D{}, options.Find().SetSort(by("_id", 1)))
	var docs []bson.D
	if err == nil {
		err = found.All(context.Background(), &docs)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		doc = slices.DeleteFunc(doc, func(e bson.E) bool { _, chance := e.Value.(bson.ObjectID); return chance })
		text, err := bson.MarshalExtJSON(doc, false, false)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, string(text))
	}
	return rows
}
