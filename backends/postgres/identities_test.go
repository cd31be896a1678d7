package postgres_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

func TestServiceIdentities(t *testing.T) {
	identitytest.Run(t, &identitySite{site{server: server(t)}})
}

// identitySite has the tables that the guide shows.
type identitySite struct{ site }

func (*identitySite) Driver() rules.Driver { return postgres.Driver() }

func (s *identitySite) Open(t *testing.T) rules.Database {
	s.fresh(t)
	for _, statement := range identitytest.Tables(t, "sql") {
		psql(t, s.url, statement)
	}
	db := s.open(t)
	t.Cleanup(func() { db.Close() })
	return db
}

func (s *identitySite) SetUsers(t *testing.T, users ...identitytest.User) {
	script, args := identitytest.SQL{Value: ":'%s'", Same: "%s = %s"}.Users(users...)
	psql(t, s.url, script, args...)
}

func (s *identitySite) SetRules(t *testing.T, list []identitytest.Rule) {
	script, args := identitytest.SQL{Value: ":'%s'", Same: "%s = %s"}.Rules(list)
	psql(t, s.url, script, args...)
}
