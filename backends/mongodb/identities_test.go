package mongodb

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

func TestServiceIdentities(t *testing.T) {
	identitytest.Run(t, &identitySite{site{url: testservice.URL(t, "mongodb")}})
}

// identitySite writes documents as the guide shows them.
type identitySite struct{ site }

func (*identitySite) Driver() rules.Driver { return Driver() }

func (s *identitySite) Open(t *testing.T) rules.Database {
	s.look = s.open(t)
	t.Cleanup(func() { s.look.Close() })
	for _, name := range []string{"mqtt_user", "mqtt_acl"} {
		if _, err := s.look.db.Collection(name).DeleteMany(context.Background(), bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
	d := s.open(t)
	t.Cleanup(func() { d.Close() })
	return d
}

func (s *identitySite) SetUsers(t *testing.T, users ...identitytest.User) {
	all := s.look.db.Collection("mqtt_user")
	for _, u := range users {
		if _, err := all.DeleteMany(context.Background(), by("username", u.Name)); err != nil {
			t.Fatal(err)
		}
		if _, err := all.InsertOne(context.Background(), bson.M{"username": u.Name, "password": u.Password, "salt": u.Salt, "is_superuser": u.Superuser, "created": nil}); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *identitySite) SetRules(t *testing.T, list []identitytest.Rule) {
	all := s.look.db.Collection("mqtt_acl")
	if _, err := all.DeleteMany(context.Background(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		name := map[int]string{1: "subscribe", 2: "publish", 3: "pubsub"}[r.Access]
		if _, err := all.InsertOne(context.Background(), bson.M{"username": r.Username, "clientid": nil, name: bson.A{r.Topic}}); err != nil {
			t.Fatal(err)
		}
	}
}

// Outage holds the server: it keeps all in memory, and would forget it.
func (*identitySite) Outage(t *testing.T) func() {
	testservice.Pause(t, "mongodb")
	return func() { testservice.Resume(t, "mongodb") }
}

// Documents of others have their own types, and what they deny is denied.
func TestAccessDocuments(t *testing.T) {
	for _, c := range []struct {
		doc  bson.D
		want string // allow access topic username clientid, for each row
		bad  bool
	}{
		{doc: bson.D{{Key: "username", Value: "u"}, {Key: "pubsub", Value: bson.A{"a", "b/#"}}, {Key: "publish", Value: "one"}, {Key: "subscribe", Value: nil}}, want: "1 2 one u .;1 3 a u .;1 3 b/# u ."},
		{doc: bson.D{{Key: "allow", Value: false}, {Key: "clientid", Value: "c"}, {Key: "subscribe", Value: bson.A{"a"}}}, want: "false 1 a . c"},
		{doc: bson.D{{Key: "allow", Value: int32(0)}, {Key: "subscribe", Value: bson.A{"a"}}}, want: "0 1 a . ."},
		{doc: bson.D{{Key: "username", Value: "u"}}},
		{doc: bson.D{{Key: "publish", Value: bson.A{"a", 1}}}, bad: true},
		{doc: bson.D{{Key: "publish", Value: bson.D{{Key: "a", Value: 1}}}}, bad: true},
	} {
		rows, err := accessRows(c.doc)
		var got []string
		for _, r := range rows {
			fields := []string{r["allow"], r["access"], r["topic"], r["username"], r["clientid"]}
			for i := range fields {
				if fields[i] == "" {
					fields[i] = "."
				}
			}
			got = append(got, strings.Join(fields, " "))
		}
		if strings.Join(got, ";") != c.want || (err != nil) != c.bad {
			t.Errorf("%v: %v, %v", c.doc, got, err)
		}
	}
}

func TestIdentityCommandFaults(t *testing.T) {
	check := Driver().Identities
	for _, text := range []string{"", "{}", `{"delete": "mqtt_user"}`, `{"find": "x", "filter": {"${username}": 1}}`, `{"find": "x", "filter": {"a": "${topic}"}}`, "username=%u"} {
		if check.Check(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
