package redis

import (
	"strconv"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

func TestServiceIdentities(t *testing.T) { identitytest.Run(t, &identitySite{startServer(t)}) }

// identitySite writes with redis-cli.
type identitySite struct{ s *server }

func (*identitySite) Driver() rules.Driver { return Driver() }

func (s *identitySite) Open(t *testing.T) rules.Database {
	d := (&site{s.s}).Open(t)
	t.Cleanup(func() { d.Close() })
	return d
}

func (s *identitySite) SetUsers(_ *testing.T, users ...identitytest.User) {
	var commands [][]string
	for _, u := range users {
		key, super := "mqtt_user:"+u.Name, map[bool]string{true: "1", false: "0"}[u.Superuser]
		commands = append(commands, []string{"DEL", key}, []string{"HSET", key, "password", u.Password, "salt", u.Salt, "is_superuser", super})
	}
	s.s.run(nil, commands...)
}

func (s *identitySite) SetRules(_ *testing.T, list []identitytest.Rule) {
	commands := [][]string{{"EVAL", "for _, key in ipairs(redis.call('KEYS', 'mqtt_acl:*')) do redis.call('DEL', key) end", "0"}}
	for _, r := range list {
		commands = append(commands, []string{"HSET", "mqtt_acl:" + r.Username, r.Topic, strconv.Itoa(r.Access)})
	}
	s.s.run(nil, commands...)
}

func (*identitySite) Outage(t *testing.T) func() {
	testservice.Kill(t, "redis")
	return func() { testservice.Start(t, "redis") }
}

// Commands of EMQ X: whatever the fields are called, the first is the password.
func TestServiceIdentityCommands(t *testing.T) {
	s := startServer(t)
	d := s.open(func(*Config) {})
	s.cli("HSET", "u:ann", "pw", "secret", "pepper", "salty", "Is_Superuser", "1")
	s.cli("SET", "p:ann", "secret")
	s.cli("SET", "mqtt_acl:ann", "no hash")
	j := &rules.Job{Username: "ann", ClientID: "c1"}
	for text, want := range map[string]string{
		"HGET u:${username} pw":               "pw=secret password=secret",
		"HMGET u:${username} pw pepper":       "pw=secret pepper=salty password=secret salt=salty",
		"HMGET u:${username} pw":              "pw=secret password=secret",
		"HGETALL u:${username}":               "pw=secret pepper=salty is_superuser=1",
		"GET p:${username}":                   "password=secret",
		"HGET u:${username} Is_Superuser":     "is_superuser=1",
		"hmget u:${username} pw Is_Superuser": "pw=secret is_superuser=1 password=secret",
		"HGET u:nobody pw":                    "",
		"HMGET u:nobody pw pepper":            "",
		"HGETALL u:nobody":                    "",
	} {
		rows, err := d.Users(t.Context(), text, j)
		if err != nil || len(rows) > 1 || (len(rows) == 0) != (want == "") {
			t.Errorf("%s: %v, %v", text, rows, err)
			continue
		}
		for _, pair := range strings.Fields(want) {
			name, value, _ := strings.Cut(pair, "=")
			if rows[0][name] != value {
				t.Errorf("%s: %v, want %s", text, rows[0], pair)
			}
		}
		if len(rows) == 1 && len(rows[0]) != len(strings.Fields(want)) {
			t.Errorf("%s: %v, want %s", text, rows[0], want)
		}
	}
	if rows, err := d.Access(t.Context(), "HGETALL mqtt_acl:${username}", j); err == nil || !rules.IsPermanent(err) {
		t.Errorf("what is no hash: %v, %v", rows, err)
	}
}

func TestIdentityCommandFaults(t *testing.T) {
	check := Driver().Identities
	for _, text := range []string{"DEL mqtt_user:${username}", "HGET k", "HGET k ${username}", "HMGET k", "HGETALL k f", "GET", "EVAL x 0", "HGET  k f", "HGET k:${topic} f", "${username} k", ""} {
		if check.Check(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
