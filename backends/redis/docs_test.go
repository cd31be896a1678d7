package redis

import (
	"encoding/json"
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

var update = flag.Bool("update", false, "write the table of docs/backends-redis.md")

// TestServiceDocumented does what the guide's table shows, looks with redis-cli, and
// compares.
func TestServiceDocumented(t *testing.T) {
	s := startServer(t)
	keys := map[string][]string{
		rulestest.LookClients:  {"mqtt:client:*", "mqtt:node:*"},
		rulestest.LookMessages: {"mqtt:topics:msg", "mqtt:msg:*"},
		rulestest.LookAcked:    {"mqtt:acked:*"},
		rulestest.LookLatest:   {"mqtt:topics:latest", "mqtt:latest_msg:*"},
		rulestest.LookRetained: {"mqtt:topics:retain", "mqtt:retain:*"},
		rulestest.LookOwn:      {"reading:*"},
	}
	table := rulestest.Table(t, &rulestest.Documented{
		Driver: Driver(), DB: s.open(nil),
		Statement: "HSET reading:${clientid} at ${timestamp} value ${payload}",
		Look: func(what string) (places []rulestest.Place) {
			for _, pattern := range keys[what] {
				found := strings.Fields(s.cli("KEYS", pattern))
				slices.Sort(found)
				for _, key := range found {
					places = append(places, s.show(key))
				}
				if len(found) == 0 {
					places = append(places, rulestest.Place{Name: "`" + pattern + "`"})
				}
			}
			return places
		},
	}, "redis-cli")
	rulestest.Guide(t, "../../docs/backends-redis.md", "the tests of backends/redis", table, "go test ./backends/redis -run Documented -update", *update)
}

// show reads a key, whatever it is.
func (s *server) show(key string) rulestest.Place {
	kind := s.cli("TYPE", key)
	p := rulestest.Place{Name: "`" + key + "`, " + kind}
	switch kind {
	case "hash":
		object := map[string]string{}
		for pair := range slices.Chunk(s.csv([]string{"HGETALL", key})[0], 2) {
			object[pair[0]] = pair[1]
		}
		text, err := json.Marshal(object)
		if err != nil {
			s.t.Fatal(err)
		}
		p.Rows = []string{string(text)}
	case "zset":
		p.Rows = strings.Fields(s.cli("ZRANGE", key, "0", "-1"))
	default:
		p.Rows = []string{s.cli("GET", key)}
	}
	return p
}
