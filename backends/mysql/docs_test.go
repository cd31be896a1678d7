package mysql_test

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

var update = flag.Bool("update", false, "write the table of docs/backends-mysql.md")

// TestServiceDocumented does what the guide's table shows, looks with the server's client,
// and compares: the guide is true of both kinds.
func TestServiceDocumented(t *testing.T) {
	tables := map[string]string{
		rulestest.LookClients:  "json_object('clientid', clientid, 'state', state, 'node', node, 'online_at', online_at, 'offline_at', offline_at) from mqtt_client",
		rulestest.LookMessages: "json_object('id', id, 'msgid', msgid, 'sender', sender, 'topic', topic, 'node', node, 'qos', qos, 'retain', retain, 'payload', convert(payload using utf8mb4), 'arrived', arrived) from mqtt_msg order by id",
		rulestest.LookRetained: "json_object('topic', topic, 'msgid', msgid, 'sender', sender, 'node', node, 'qos', qos, 'payload', convert(payload using utf8mb4), 'arrived', arrived) from mqtt_retain",
		rulestest.LookAcked:    "json_object('clientid', clientid, 'topic', topic, 'mid', mid) from mqtt_acked order by topic",
		rulestest.LookOwn:      "json_object('device', device, 'at', at, 'value', value) from readings",
	}
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema+"create table readings (device varchar(100), at datetime(3), value double)")
		table := rulestest.Table(t, &rulestest.Documented{
			Driver: mysql.Driver(), DB: db,
			Statement: "insert into readings (device, at, value) values (${clientid}, from_unixtime(${timestamp} / 1000), ${payload})",
			Look: func(what string) []rulestest.Place {
				_, from, _ := strings.Cut(tables[what], "from ")
				place := rulestest.Place{}
				place.Name, _, _ = strings.Cut(from, " ")
				for line := range strings.Lines(client(t, s.url, "set time_zone = '+00:00'; select "+tables[what])) {
					place.Rows = append(place.Rows, normal(t, line))
				}
				return []rulestest.Place{place}
			},
		}, "the client mysql")
		rulestest.Guide(t, "../../docs/backends-mysql.md", "the tests of backends/mysql", table, "go test ./backends/mysql -run Documented -update", *update)
	})
}

// normal writes an object as Go does: each kind of server orders and spaces it otherwise.
func normal(t *testing.T, object string) string {
	var values map[string]any
	if err := json.Unmarshal([]byte(object), &values); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	for name, v := range values {
		if at, ok := v.(string); ok && len(at) == len("2006-01-02 15:04:05.000000") {
			values[name] = strings.TrimSuffix(at, "000")
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
