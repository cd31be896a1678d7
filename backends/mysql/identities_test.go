package mysql_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

func TestServiceIdentities(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) { identitytest.Run(t, &identitySite{*s}) })
}

// identitySite has the tables that the guide shows.
type identitySite struct{ site }

func (*identitySite) Driver() rules.Driver { return mysql.Driver() }

func (s *identitySite) Open(t *testing.T) rules.Database {
	s.fresh(t)
	client(t, s.url, "alter database character set utf8mb4")
	for _, statement := range identitytest.Tables(t, "sql") {
		client(t, s.url, statement)
	}
	db := s.open(t)
	t.Cleanup(func() { db.Close() })
	return db
}

func (s *identitySite) SetUsers(t *testing.T, users ...identitytest.User) {
	script, args := identitytest.SQL{Value: "@%s", Same: "binary %s = binary %s"}.Users(users...)
	client(t, s.url, script, args...)
}

func (s *identitySite) SetRules(t *testing.T, list []identitytest.Rule) {
	script, args := identitytest.SQL{Value: "@%s", Same: "binary %s = binary %s"}.Rules(list)
	client(t, s.url, script, args...)
}

// Tables of old may hold letters of one language only: nobody is in there by others, and
// access rules that cannot be asked for let nobody in.
func TestServiceIdentitiesInLatin1(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.fresh(t)
		client(t, s.url, "alter database character set latin1")
		own := &identitySite{*s}
		for _, statement := range identitytest.Tables(t, "sql") {
			client(t, s.url, statement)
		}
		own.SetUsers(t, identitytest.User{Name: "\u00c4nn", Password: "right"})
		db := s.open(t)
		defer db.Close()
		d := mysql.Driver().Identities
		for name, want := range map[string]int{"\u00c4nn": 1, "\U0001d54f": 0, "\u0416": 0} {
			if rows, err := db.Users(t.Context(), d.User, &rules.Job{Username: name}); len(rows) != want || err != nil {
				t.Errorf("%q: %v, %v", name, rows, err)
			}
			_, err := db.Access(t.Context(), d.Access[0], &rules.Job{Username: name})
			if err != nil && !rules.IsPermanent(err) {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}
