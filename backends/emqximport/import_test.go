package emqximport_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/emqximport"
)

var update = flag.Bool("update", false, "write the golden files anew")

const samples = 18

// TestSamples takes over complete files of every kind, each alone.
func TestSamples(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(paths) != samples {
		t.Fatalf("%d samples, want %d: %v", len(paths), samples, err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r := emqximport.Read([]emqximport.File{{Name: name, Text: text}}, emqximport.Options{})
			got := string(r.TOML())
			for _, u := range r.Users {
				got += fmt.Sprintf("# user %q, client id %q\n", u.Name, u.ClientID)
			}
			for _, line := range r.Access {
				got += "# acl: " + line + "\n"
			}
			got += "\n# notes\n" + notes(r)
			golden := strings.TrimSuffix(path, ".conf") + ".golden"
			compareGolden(t, golden, got)
		})
	}
}

func notes(r *emqximport.Result) string {
	var b strings.Builder
	for _, n := range r.Notes {
		b.WriteString(n.String() + "\n")
	}
	return b.String()
}

func read(text string) *emqximport.Result {
	return emqximport.Read([]emqximport.File{{Name: "emqx_backend_redis.conf", Text: []byte(text)}}, emqximport.Options{})
}

// TestLines has each way to write, and miswrite, a line.
func TestLines(t *testing.T) {
	const pool = "backend.redis.p.server = h:1\n"
	const rule = `backend.redis.hook.client.connected.1 = `
	const fine = rule + `{"action":{"function":"on_client_connected"}}` + "\n"
	for name, c := range map[string]struct{ text, toml, note string }{
		"byte order mark, CRLF":    {"\ufeffbackend.redis.p.server = h:1\r\n" + fine, `server = ["h:1"]`, ""},
		"no blanks":                {"backend.redis.p.server=h:1\n" + fine, `server = ["h:1"]`, ""},
		"= in a value":             {pool + "backend.redis.p.password = a=b\n" + fine, `password = "a=b"`, ""},
		"# in a value":             {pool + "backend.redis.p.password = a#b # c\n" + fine, `password = "a#b"`, ""},
		"comment behind a rule":    {pool + strings.TrimSpace(fine) + " # why", `function = "on_client_connected"`, ""},
		"something behind a rule":  {pool + strings.TrimSpace(fine) + " why", "", "something follows"},
		"rule cut off":             {pool + rule + `{"action":`, "", "ends too soon"},
		"rule of wrong type":       {pool + rule + `{"topic":1}`, "", `"topic" cannot be a JSON number`},
		"rule that is no object":   {pool + rule + `on`, "", "no valid JSON"},
		"no action":                {pool + rule + `{}`, "", `"action" of the rule is missing`},
		"empty value":              {pool + "backend.redis.p.password =\n" + fine, "", ":2: backend.redis.p.password: is empty"},
		"not UTF-8":                {pool + "backend.redis.p.password = \xff\n" + fine, "", ":2: the line is not UTF-8"},
		"no port":                  {"backend.redis.p.server = h\n" + fine, "", "no HOST:PORT"},
		"other database":           {pool + "backend.mysql.p.server = h:1\n" + fine, "", "does not belong"},
		"unknown limit":            {pool + "backend.redis.colour = 1\n" + fine, "", "no such setting"},
		"name of a pool":           {"backend.redis.p[.server = h:1\n", "", "the pool's name"},
		"rules without a pool":     {fine, "", "no pool was taken over"},
		"pool without rules":       {pool, `server = ["h:1"]`, "what EMQ X does by default"},
		"two lines of one setting": {pool + "backend.redis.p.server = h:2\n" + fine, `server = ["h:2"]`, ":1: backend.redis.p.server: stands there again"},
		"many servers, single":     {"backend.redis.p.server = h:1,h:2\n" + fine, `server = ["h:1"]`, "the first was taken"},
		"sentinel without master":  {pool + "backend.redis.p.type = sentinel\n" + fine, `server = ["h:1"]`, "name of the master is missing"},
		"files without ssl":        {pool + "backend.redis.p.cafile = /x\n" + fine, `server = ["h:1"]`, "no meaning without ssl"},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(c.text)
			if toml := string(r.TOML()); !strings.Contains(toml, c.toml) {
				t.Errorf("%s\nwant in it %s", toml, c.toml)
			}
			if got := notes(r); c.note == "" && got != "" || !strings.Contains(got, c.note) {
				t.Errorf("notes %q, want %q", got, c.note)
			}
		})
	}
}

// TestTimes has each way to write a limit.
func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"90": `time_range = "1m30s"`, "90s": `time_range = "1m30s"`, "2h": `time_range = "2h"`, "1d2h": `time_range = "26h"`, "1w": `time_range = "168h"`,
		"5S": `time_range = "5s"`, "250ms": `time_range = "250ms"`, "infinity": "", "2x": "note", "h": "note", "99999999999999999999s": "note", "999999999w": "note", "-1h": "note",
	} {
		r := read("backend.redis.p.server = h:1\nbackend.redis.time_range = " + text + "\n" +
			`backend.redis.hook.session.subscribed.1 = {"topic":"a","action":{"function":"on_message_fetch"}}`)
		toml := string(r.TOML())
		switch {
		case (want == "note") != (len(r.Notes) > 0):
			t.Errorf("%s: notes %q", text, notes(r))
		case want == "note", want == "":
			if strings.Contains(toml, "time_range") {
				t.Errorf("%s: %s", text, toml)
			}
		case !strings.Contains(toml, want+"\n"):
			t.Errorf("%s: %s\nwant in it %s", text, toml, want)
		}
	}
}

// TestSecretsStayOutOfNotes: whatever is wrong, nobody's password is told.
func TestSecretsStayOutOfNotes(t *testing.T) {
	for _, text := range []string{"backend.redis.p.password = hunter2", "backend.redis.p.passwort = hunter2", "backend.mysql.p.password = hunter2",
		"backend.redis.password = hunter2", "password hunter2", "backend.redis.p.password = hunter2\nbackend.redis.p.password = hunter2"} {
		if got := notes(read(text + "\n")); got == "" || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// FuzzRead: whatever stands in a file, each note has a line of it, and all rules are
// such that the gateway takes them.
func FuzzRead(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.conf")
	more, _ := filepath.Glob("testdata/etc-*/*")
	for i, path := range append(paths, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), text)
	}
	names := []string{"emqx_backend_redis.conf", "emqx_backend_mysql.conf", "emqx_backend_pgsql.conf", "emqx_backend_mongo.conf", "emqx_backend_cassa.conf", "emqx_bridge_kafka.conf",
		"emqx_auth_redis.conf", "emqx_auth_mysql.conf", "emqx_auth_pgsql.conf", "emqx_auth_mongo.conf", "emqx_auth_username.conf", "emqx_auth_clientid.conf", "acl.conf", "emqx_auth_jwt.conf", "emqx_auth_ldap.conf", "emqx_auth_http.conf",
		"emqx.conf", "emqx_modules.conf", "emqx_retainer.conf", "emqx_sn.conf", "emqx_coap.conf", "loaded_plugins"}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		r := emqximport.Read([]emqximport.File{{Name: names[int(which)%len(names)], Text: text}}, emqximport.Options{})
		lines := strings.Count(string(text), "\n") + 1
		for _, n := range r.Notes {
			if n.Line > lines || n.Why == "" || n.Do == "" {
				t.Errorf("note %+v of %d lines", n, lines)
			}
		}
		for _, b := range r.Backends {
			for _, rule := range b.Rules {
				if err := rule.Validate(); err != nil {
					t.Errorf("%+v: %v", rule, err)
				}
			}
		}
		if len(r.Backends) > 0 && len(r.TOML()) == 0 {
			t.Error("a backend, and no TOML")
		}
	})
}
