package cassandra

import (
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

func TestServiceIdentities(t *testing.T) {
	u, err := url.Parse(testservice.URL(t, "cassandra"))
	if err != nil {
		t.Fatal(err)
	}
	s := &identitySite{site{node: u, look: looker(t, u)}}
	for _, statement := range identitytest.Tables(t, "cql") {
		s.do(t, strings.Replace(statement, "CREATE TABLE ", "CREATE TABLE IF NOT EXISTS "+testKeyspace+".", 1))
	}
	identitytest.Run(t, s)
}

// identitySite has the tables that the guide shows.
type identitySite struct{ site }

func (s *identitySite) do(t *testing.T, text string, values ...any) {
	t.Helper()
	if err := s.look.Query(text, values...).Exec(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func (*identitySite) Driver() rules.Driver { return Driver() }

func (s *identitySite) Open(t *testing.T) rules.Database {
	s.empty(t, "mqtt_user", "username")
	s.empty(t, "mqtt_acl", "username")
	d := s.site.Open(t)
	t.Cleanup(func() { d.Close() })
	return d
}

func (s *identitySite) SetUsers(t *testing.T, users ...identitytest.User) {
	for _, u := range users {
		super := map[bool]int{true: 1}[u.Superuser]
		s.do(t, "INSERT INTO "+testKeyspace+".mqtt_user (username, password, salt, is_superuser) VALUES (?, ?, ?, ?)", u.Name, u.Password, u.Salt, super)
	}
}

func (s *identitySite) SetRules(t *testing.T, list []identitytest.Rule) {
	s.empty(t, "mqtt_acl", "username")
	null := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	for i, r := range list {
		allow := map[bool]int{false: 1}[r.Deny]
		s.do(t, "INSERT INTO "+testKeyspace+".mqtt_acl (username, id, \"allow\", ipaddr, clientid, access, topic) VALUES (?, ?, ?, ?, ?, ?, ?)",
			r.Username, i, allow, null(r.IPAddr), null(r.ClientID), r.Access, r.Topic)
	}
}

// Outage has the node answer no more; that it dies is TestServiceRules' to try, as a start
// takes it long.
func (*identitySite) Outage(t *testing.T) func() {
	testservice.Pause(t, "cassandra")
	return func() { testservice.Resume(t, "cassandra") }
}
