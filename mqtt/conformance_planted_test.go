package mqtt

import (
	"slices"
	"strings"
	"testing"
)

func TestClausesIn(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"// [MQTT-3.3.1-9]", "MQTT-3.3.1-9"},
		{"[MQTT-3.1.2-7..9] and [MQTT311-3.3.5-2]", "MQTT-3.1.2-7 MQTT-3.1.2-8 MQTT-3.1.2-9 MQTT311-3.3.5-2"},
		{"// [MQTT-3.1.3-8] of 3.1.1", "MQTT311-3.1.3-8"},
		{"MQTT31-3.1-2 and MQTT-4.2-1", "MQTT31-3.1-2 MQTT-4.2-1"},
		{"[MQTT-3.2.2.3] is a section, [3.1.2.11.4] too", ""},
	} {
		if got := clauseList(clausesIn(c.text)); got != c.want {
			t.Errorf("%q names %q, want %q", c.text, got, c.want)
		}
	}
}

func TestClausesOfName(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"TestMQTT_3_1_2_1_And_2_UnknownVersion", "MQTT-3.1.2-1 MQTT-3.1.2-2"},
		{"TestMQTT311_3_3_5_2_RefusedPublish", "MQTT311-3.3.5-2"},
		{"TestMQTT31_3_1_2_Names", "MQTT31-3.1-2"},
		{"TestMQTT_3_1_3_2_3_WillPayloadFormat", ""}, // a section
		{"TestConnectAccepted", ""},
	} {
		if got := clauseList(clausesOfName(c.name)); got != c.want {
			t.Errorf("%s names %q, want %q", c.name, got, c.want)
		}
	}
}

func clauseList(all []clause) string {
	var names []string
	for _, c := range all {
		names = append(names, c.String())
	}
	return strings.Join(names, " ")
}

// TestConformanceFinds plants what must not be.
func TestConformanceFinds(t *testing.T) {
	plant := func(five, old string, tests ...string) (faults []string) {
		all := []edition{{version: "MQTT", statements: statements(t, five, "MQTT")}, {version: "MQTT311", statements: statements(t, old, "MQTT311")}}
		found := evidence{code: map[clause][]string{}, tests: map[clause][]string{}, older: map[clause][]string{}}
		for _, name := range tests {
			for _, c := range clausesIn(name) {
				found.tests[c] = append(found.tests[c], name)
				if strings.Contains(name, "(3.1.1)") {
					found.older[c] = append(found.older[c], name)
				}
			}
		}
		return slices.Concat(fill(all, found), untested(all))
	}
	for _, c := range []struct {
		name, five, old string
		tests           []string
		want            string
	}{
		{"nothing", "1-1 | S | x", "1-1 | S | x | = 1-1", []string{"MQTT-1.0-1"}, "MQTT-1.0-1, which does not exist"},
		{"no test", "1.0-1 | S | x", "", nil, "MQTT-1.0-1 x"},
		{"a test", "1.0-1 | S | x", "", []string{"MQTT-1.0-1"}, ""},
		{"a reason", "1.0-1 | B | x | because", "", nil, ""},
		{"the client's", "1.0-1 | C | x", "", nil, ""},
		{"the same, but not run in 3.1.1", "1.0-1 | S | x", "2.0-1 | S | y | = 1.0-1", []string{"MQTT-1.0-1"}, "MQTT311-2.0-1 y"},
		{"the same", "1.0-1 | S | x", "2.0-1 | S | y | = 1.0-1", []string{"MQTT-1.0-1 (3.1.1)"}, ""},
		{"the same as nothing", "1.0-1 | C | x", "2.0-1 | C | y | = 1.0-2", nil, "which does not exist"},
		{"twice", "1.0-1 | C | x\n1.0-1 | C | x", "", nil, "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(plant(c.five, c.old, c.tests...), "; ")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}
