package cassandra

import (
	goflag "flag"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

var update = goflag.Bool("update", false, "write the table of docs/backends-cassandra.md")

// TestServiceDocumented does what the guide's table shows, looks with cqlsh, and compares.
func TestServiceDocumented(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	u, err := url.Parse(testservice.URL(t, "cassandra"))
	if err != nil {
		t.Fatal(err)
	}
	cqlsh(t, u, "DESCRIBE CLUSTER") // or skips t
	s := &site{node: u, look: looker(t, u)}
	for _, text := range []string{"DROP TABLE IF EXISTS " + testKeyspace + ".readings", "CREATE TABLE " + testKeyspace + ".readings (device text, at timestamp, value text, PRIMARY KEY (device, at))"} {
		if err := s.look.Query(text).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	db := s.Open(t)
	t.Cleanup(func() { db.Close() })
	tables := map[string]string{
		rulestest.LookClients:  "client_id, state, node, connected, disconnected FROM client",
		rulestest.LookMessages: "topic, msgid, sender, qos, retain, blobAsText(payload) AS payload, arrived FROM msg",
		rulestest.LookAcked:    "* FROM acked",
		rulestest.LookRetained: "topic, msgid, sender, qos, blobAsText(payload) AS payload, arrived FROM retain",
		rulestest.LookOwn:      "* FROM readings",
	}
	table := rulestest.Table(t, &rulestest.Documented{
		Driver: Driver(), DB: db,
		Statement: "INSERT INTO readings (device, at, value) VALUES (${clientid}, ${timestamp}, ${payload})",
		Look: func(what string) []rulestest.Place {
			_, name, _ := strings.Cut(tables[what], " FROM ")
			return []rulestest.Place{{Name: name, Rows: cqlsh(t, u, "SELECT JSON "+strings.Replace(tables[what], "FROM ", "FROM "+testKeyspace+".", 1))}}
		},
	}, "cqlsh")
	rulestest.Guide(t, "../../docs/backends-cassandra.md", "the tests of backends/cassandra", table, "go test ./backends/cassandra -run Documented -update", *update)
}

// cqlsh gives the rows that Cassandra's own shell prints, whose one column is JSON. It is
// the program FAIRLEAD_TEST_CQLSH, or on the path.
func cqlsh(t *testing.T, node *url.URL, text string) (rows []string) {
	t.Helper()
	program := os.Getenv("FAIRLEAD_TEST_CQLSH")
	if program == "" {
		program = "cqlsh"
	}
	if _, err := exec.LookPath(program); err != nil {
		testservice.Lack(t, "cassandra", "its shell is missing: "+err.Error()+"; scripts/services install cassandra gets it")
	}
	password, _ := node.User.Password()
	cmd := exec.Command(program, "-u", node.User.Username(), "-p", password, "--no-color", "-e", text, node.Hostname(), node.Port())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", text, err, stderr.String())
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "{") {
			rows = append(rows, line)
		}
	}
	return rows
}
