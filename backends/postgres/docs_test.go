package postgres_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

var update = flag.Bool("update", false, "write the table of docs/backends-postgres.md")

// TestServiceDocumented does what the guide's table shows, looks with psql, and compares.
func TestServiceDocumented(t *testing.T) {
	s, db := opened(t, postgres.Schema+"create table readings (device text, at timestamptz, value float8)")
	tables := map[string]string{
		rulestest.LookClients:  "clientid, state, node, online_at, offline_at from mqtt_client",
		rulestest.LookMessages: "id, msgid, sender, topic, qos, retain, encode(payload, 'escape') as payload, arrived from mqtt_msg order by id",
		rulestest.LookRetained: "topic, msgid, sender, qos, encode(payload, 'escape') as payload, arrived from mqtt_retain",
		rulestest.LookAcked:    "clientid, topic, mid from mqtt_acked order by topic",
		rulestest.LookOwn:      "* from readings",
	}
	table := rulestest.Table(t, &rulestest.Documented{
		Driver: postgres.Driver(), DB: db,
		Statement: "insert into readings (device, at, value) values (${clientid}, to_timestamp(${timestamp} / 1000.0), ${payload}::text::float8)",
		Look: func(what string) []rulestest.Place {
			_, from, _ := strings.Cut(tables[what], "from ")
			name, _, _ := strings.Cut(from, " ")
			rows := psql(t, s.url, "set timezone = 'UTC'; select row_to_json(r) from (select "+tables[what]+") r")
			return []rulestest.Place{{Name: name, Rows: strings.FieldsFunc(rows, func(r rune) bool { return r == '\n' })}}
		},
	}, "psql")
	rulestest.Guide(t, "../../docs/backends-postgres.md", "the tests of backends/postgres", table, "go test ./backends/postgres -run Documented -update", *update)
}
