package rules_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func driver() *rules.Driver {
	return &rules.Driver{Name: "postgres", Functions: rules.SQLFunctions(), Defaults: rules.SQLDefaults(), Statement: func(text string) error {
		tmpl, err := rules.ParseTemplate(text)
		if err == nil {
			_, _, err = tmpl.SQL(rules.Dollar)
		}
		return err
	}}
}

func TestRuleValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		rule   rules.Rule
		faults []string // what each line must hold, in order
	}{
		{"everything", rules.Rule{Hook: "message.publsh", Topic: "a/#/b", Function: "on_message_publich", Statements: []string{"x"}, Ack: "yes", MaxReturned: -1, TimeRange: -1, Expiry: -1},
			[]string{"hook: ", "topic: ", "statements: stand beside", `ack: "yes"`, "max_returned: -1", "time_range: ", "expiry: "}},
		{"nearest", rules.Rule{Hook: "message.publsh", Function: "on_message_publich"}, []string{"did you mean message.publish?", "did you mean on_message_publish?"}},
		{"nothing to do", rules.Rule{Hook: rules.MessagePublish}, []string{"function: is empty"}},
		{"wrong hook", rules.Rule{Hook: rules.MessageAcked, Function: rules.OnMessagePublish}, []string{"on_message_publish belongs to message.publish, not to message.acked"}},
		{"topic of a client", rules.Rule{Hook: rules.ClientConnected, Topic: "#", Function: rules.OnClientConnected}, []string{"topic: client.connected has no topic"}},
		{"ack of others", rules.Rule{Hook: rules.MessageAcked, Function: rules.OnMessageAcked, Ack: "sync"}, []string{"ack: \"sync\" belongs to message.publish"}},
		{"limits of others", rules.Rule{Hook: rules.MessageAcked, Function: rules.OnMessageAcked, TimeRange: time.Hour, Required: true}, []string{"max_returned: and time_range belong to", "enforce_acl: and required belong to"}},
		{"variables", rules.Rule{Hook: rules.ClientConnected, Statements: []string{"x ${clientid} ${topic}", " ", "${clientidd}"}},
			[]string{"statements[0]: client.connected has no ${topic}; it has", "statements[1]: is empty", "statements[2]: ${clientidd}: is no variable; did you mean clientid?"}},
		{"later spellings", rules.Rule{Hook: "message.deliver", Topic: "a/+", Statements: []string{"x ${msgid} ${topic} ${clientid}"}}, nil},
		{"other spelling", rules.Rule{Hook: rules.SessionCreated, Function: "on_subscription_lookup", Required: true, EnforceACL: true}, nil},
		{"client.subscribe", rules.Rule{Hook: "client.subscribe", Topic: "#", Function: rules.OnMessageFetch, MaxReturned: 500, TimeRange: 2 * time.Hour}, nil},
		{"sync", rules.Rule{Hook: rules.MessagePublish, Topic: "#", Function: rules.OnMessagePublish, Ack: rules.AckSync}, nil},
	} {
		wantFaults(t, c.name, c.rule.Validate(), c.faults)
	}
}

func wantFaults(t *testing.T, name string, err error, want []string) {
	t.Helper()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	if !slices.EqualFunc(got, want, strings.Contains) {
		t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCheck(t *testing.T) {
	publish := func(f rules.Function, topic, pool string) rules.Rule {
		return rules.Rule{Hook: rules.MessagePublish, Topic: topic, Function: f, Pool: pool}
	}
	fetch := func(topic string) rules.Rule {
		return rules.Rule{Hook: rules.SessionSubscribed, Topic: topic, Function: rules.OnMessageFetch}
	}
	for _, c := range []struct {
		name   string
		rules  []rules.Rule
		faults []string
	}{
		{"functions and pools", []rules.Rule{publish(rules.OnMessageStoreKeepLatest, "#", "pol1")},
			[]string{"rules[0].function: postgres has no on_message_store_keep_latest", `rules[0].pool: "pol1" is no pool of this backend; did you mean pool1?`}},
		{"statement", []rules.Rule{{Hook: rules.MessagePublish, Statements: []string{"good ${topic}", "bad '${topic}'"}}}, []string{"rules[0].statements[1]: '${topic}': stands in quotes"}},
		{"twice", []rules.Rule{publish(rules.OnMessagePublish, "a/#", ""), publish(rules.OnMessageStore, "+/b", "")}, []string{"rules[1].function: on_message_store and on_message_publish of rules[0] store the same"}},
		{"not twice", []rules.Rule{publish(rules.OnMessagePublish, "a/#", ""), publish(rules.OnMessageStore, "b/#", "")}, nil},
		{"in two pools", []rules.Rule{publish(rules.OnMessagePublish, "", "pool1"), publish(rules.OnMessageStore, "", "pool2")}, nil},
		{"fetched twice", []rules.Rule{fetch("a/#"), fetch("")}, []string{"rules[1].function: on_message_fetch and on_message_fetch of rules[0] both fetch"}},
	} {
		wantFaults(t, c.name, rules.Check(driver(), []string{"pool1", "pool2"}, c.rules), c.faults)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	for _, d := range []rules.Driver{*driver(), {Name: "redis", Functions: rules.RedisFunctions(), Defaults: rules.RedisDefaults()}} {
		if err := rules.Check(&d, []string{"pool1"}, d.Defaults); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		for _, r := range d.Defaults {
			if err := r.Validate(); err != nil {
				t.Errorf("%s: %+v: %v", d.Name, r, err)
			}
		}
	}
}
