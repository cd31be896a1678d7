package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func sample() *rules.Job {
	return &rules.Job{Hook: rules.MessagePublish, Time: 1234567, Node: "n1", ClientID: "c 1", Username: "u'1", Protocol: "mqtt", Peer: "192.0.2.1",
		Topic: "t/1", QoS: 1, Message: &rules.Message{MsgID: "M1", Topic: "t/1", Payload: []byte("a b\x00"), QoS: 1, Retain: true, Sender: "c 1", Arrived: 5000}}
}

func TestTemplateSQL(t *testing.T) {
	for text, want := range map[string]string{
		"insert into t values (${topic}, ${payload}, ${qos})": `insert into t values ($1, $2, $3) ["t/1" "a b\x00" 'ŧ']`,
		"call f('it''s', ${msgid})":                           `call f('it''s', $1) ["M1"]`,
		"select 1":                                            `select 1 []`,
		"${clientid}${clientid}":                              `$1$2 ["c 1" "c 1"]`,
		"x = '${topic}'":                                      "${topic}': stands in quotes",
		`x = "${topic}"`:                                      "stands in quotes",
		"x = ${Topic}":                                        "did you mean topic?",
		"x = ${clientId}":                                     "did you mean clientid?",
		"x = ${completely}":                                   "${completely}: is no variable",
		"x = ${topic":                                         "has no closing }",
		"x = ${message}":                                      "name one, such as ${payload}",
		"$1 ? {} $":                                           `$1 ? {} $ []`,
	} {
		want = strings.Replace(want, "'ŧ'", "'\\x01'", 1)
		got := ""
		tmpl, err := rules.ParseTemplate(text)
		if err == nil {
			var bind []rules.Variable
			got, bind, err = tmpl.SQL(rules.Dollar)
			got += fmt.Sprintf(" %q", sample().Values(bind))
		}
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// What a variable holds is part of one argument, whatever it is.
func TestTemplateCommand(t *testing.T) {
	for text, want := range map[string]string{
		"HSET mqtt:x:${clientid}:${topic} at ${timestamp}": `["HSET" "mqtt:x:c 1:t/1" "at" "1234567"]`,
		"SET k ${payload}":              `["SET" "k" "a b\x00"]`,
		"HMSET m:${msgid} f ${message}": `["HMSET" "m:M1" "f" "id" "M1" "from" "c 1" "qos" '\x01' "topic" "t/1" "payload" "a b\x00" "ts" '\x05' "retain" "true"]`,
		"SET  k":                        "argument 2 is empty",
		"":                              "is empty",
		"${topic} x":                    "cannot be a variable",
		"SET k x${message}":             "argument of its own",
		"SET k ${payloads}":             "did you mean payload?",
		"SET ${retain}${qos} 1":         `["SET" "11" "1"]`,
	} {
		c, err := rules.ParseCommand(text)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%q", c.Args(sample()))
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"insert into t values (${topic}, ${payload})", "SET a${msgid} ${message}", "${", "$${topic}}", "'${qos}'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, err := rules.ParseTemplate(text)
		if err != nil {
			return
		}
		var back strings.Builder
		for _, p := range tmpl {
			if p.Variable != "" {
				p.Text = "${" + string(p.Variable) + "}"
			}
			back.WriteString(p.Text)
		}
		if back.String() != text {
			t.Errorf("%q became %q", text, back.String())
		}
		query, bind, err := tmpl.SQL(func(int) string { return "\x00" })
		if err == nil && strings.Count(query, "\x00")-strings.Count(text, "\x00") != len(bind) {
			t.Errorf("%q binds %v", query, bind)
		}
		c, err := rules.ParseCommand(text)
		if err != nil {
			return
		}
		j := sample()
		j.Topic, j.ClientID = " x  y\r\n", "${payload}"
		if args := c.Args(j); len(args) < len(c) || !slices.ContainsFunc(c, func(p rules.Template) bool { return len(p) == 1 && p[0].Variable == rules.VarMessage }) && len(args) != len(c) {
			t.Errorf("%q has arguments %q", text, args)
		}
	})
}
