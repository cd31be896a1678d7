package aclfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

func mustParse(t testing.TB, text string) *Rules {
	t.Helper()
	r, err := Parse("acl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFaults(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"verdict misspelt", "alow all publish x", `acl:2:1: "alow": a rule begins with allow or deny; did you mean allow?`},
		{"verdict of another broker", "permit all publish x", "did you mean allow?"},
		{"verdict missing", "user bob publish x", `acl:2:1: "user": a rule begins with allow or deny; expected is one of: allow, deny`},
		{"verdict in capitals", "DENY all publish x", "did you mean deny?"},
		{"another broker's syntax", `{allow, all}.`, `acl:2:1: "{allow,": this is the syntax of another broker`},
		{"action misspelt", "allow user bob publsih x", `acl:2:16: "publsih": here the action must stand, or a further clause; did you mean publish?`},
		{"action of another broker", "allow all readwrite x", `acl:2:11: "readwrite": here the action must stand, or a further clause; did you mean pubsub?`},
		{"action missing", "allow user bob sensors/#", `acl:2:16: "sensors/#": here the action must stand`},
		{"nothing but the verdict", "allow", "acl:2:7: the action is missing"},
		{"ends after the subject", "allow user bob", "acl:2:16: the action is missing"},
		{"topic missing", "allow all publish", "acl:2:19: the topic is missing"},
		{"subject missing", "deny publish x", `acl:2:6: "publish": before the action must stand whom the rule is about; write all`},
		{"subject misspelt", "allow usr bob publish x", `acl:2:7: "usr": here must stand whom the rule is about; did you mean user?`},
		{"subject of another broker", "allow everyone publish x", "did you mean all?"},
		{"name missing", "allow user publish x", "acl:2:12: after user a value is missing"},
		{"name empty", `allow user "" publish x`, "the name is empty; who gives no user name is anonymous"},
		{"star inside a name", "allow client a*b publish x", `acl:2:14: "a*b": '*' may stand at the end`},
		{"placeholder as name", "allow user %u publish x", "placeholders stand in topics only"},
		{"comma after a name", "allow user a, publish x", "the name ends in ','"},
		{"two users", "allow user a user b publish x", `acl:2:14: "user": the rule has such a clause already`},
		{"user and anonymous", "allow user a and anonymous publish x", "has such a clause already"},
		{"all and a user", "allow all user a publish x", "all stands together with other clauses"},
		{"and at the beginning", "allow and user a publish x", "and stands between two clauses"},
		{"and at the end", "allow user a and publish x", `acl:2:18: "publish": a clause must follow and`},
		{"and twice", "allow user a and and client b publish x", "and stands between two clauses"},
		{"no address", "allow address 10.0.0 publish x", `acl:2:15: "10.0.0": is no IP address`},
		{"localhost", "allow address localhost publish x", "did you mean loopback?"},
		{"bits beyond the mask", "allow address 10.1.2.3/8 publish x", "did you mean 10.0.0.0/8 or 10.1.2.3?"},
		{"mask too long", "allow address 10.0.0.0/33 publish x", "is no IP address"},
		{"zone", "allow address fe80::1%eth0 publish x", "must not have a zone; write fe80::1"},
		{"mapped network", "allow address ::ffff:10.0.0.0/64 publish x", "IPv4 addresses never match an IPv6 network"},
		{"wildcard position", "allow all publish sensors#", `acl:2:19: "sensors#": the topic '+' must fill a whole level, '#' a whole level at the end; did you mean sensors/#?`},
		{"wildcard in the middle", "allow all publish a/#/b", "'#' a whole level at the end"},
		{"empty topic", `allow all publish ""`, "the topic is empty"},
		{"null", "allow all publish a\x00b", "null character"},
		{"comment at the end", "allow all publish x # for all", `acl:2:21: "#": a bare '#' stands among other words`},
		{"comment after one topic", "allow all publish x #", "a bare '#' stands among other words"},
		{"comment after #", "allow all pubsub # open", "a bare '#' stands among other words"},
		{"comment after eq #", "deny all subscribe eq # nobody", "a bare '#' stands among other words"},
		{"glued comment", "allow all publish x #comment", `"#comment": the topic '+' must`},
		{"star as wildcard", "allow all publish sensors/*", "'*' is no wildcard in topics"},
		{"foreign placeholder", "allow all publish a/${clientid}/#", "'${' begins no placeholder"},
		{"capital placeholder", "allow all publish a/%U/#", "small letters"},
		{"comma", "allow all publish a/b, c/d", `acl:2:19: "a/b,": the topic ends in ','`},
		{"eq at the end", "deny all subscribe eq", "after eq a topic filter is missing"},
		{"allow eq", "allow all subscribe eq a/#", "eq with a wildcard stands in deny rules only"},
		{"publish eq", "deny all publish eq a/#", "eq with a wildcard is about subscriptions"},
		{"eq with placeholder", "deny all subscribe eq a/%u", "after eq, %c and %u have no meaning"},
		{"placeholder in a $ level", "allow all subscribe $x%u/a", "cannot stand in a first level"},
		{"share prefix", "allow all subscribe $share/g/a/#", "$share is a prefix, which is taken off"},
		{"open quotation", `allow user "bob publish x`, `acl:2:12: "\"bob publish x": a quotation must fill a whole word`},
		{"text after a quotation", `allow user "bob"s publish x`, "a quotation must fill a whole word"},
		{"quotation inside", `allow user b"o"b publish x`, "a quotation must fill a whole word"},
		{"quoted keyword", `"allow" all publish x`, "a rule begins with allow or deny"},
		{"not UTF-8", "allow user b\xff publish x", "not UTF-8"},
		{"long line", "allow all publish " + strings.Repeat("x", maxLine), "bytes, at most 16384"},
		{"long topic level count", "allow all publish " + strings.Repeat("/", 2000), "more levels than the limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("acl", []byte("allow all publish y\n"+tt.line+"\nallow all publish z\n"))
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != 1 {
				t.Fatalf("Parse = %v, want one fault", err)
			}
			if !strings.Contains(err.Error(), tt.want) || faults[0].Line != 2 {
				t.Errorf("fault = %v\nwant    %s", err, tt.want)
			}
		})
	}
}

func TestFaultsAllAtOnce(t *testing.T) {
	_, err := Parse("acl", []byte("alow usr bob publsih a#\n# fine\n\nallow all pubsub b#\n"))
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var at []string
	for _, f := range faults {
		at = append(at, fmt.Sprintf("%d:%d", f.Line, f.Column))
	}
	if got, want := strings.Join(at, " "), "1:1 1:6 1:14 1:22 4:18"; got != want {
		t.Errorf("faults at %s, want %s:\n%v", got, want, err)
	}
	_, err = Parse("acl", []byte(strings.Repeat("x y z\n", 1000)))
	if errors.As(err, &faults); len(faults) != maxFaults {
		t.Errorf("%d faults told, want %d", len(faults), maxFaults)
	}
}

func TestBounds(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"rules", strings.Repeat("deny all publish x\n", MaxRules+1), "more than 100000 rules"},
		{"bytes", strings.Repeat("#\n", MaxFile/2+1), "at most 16777216 are read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse("acl", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestReading: layouts that must be read alike.
func TestReading(t *testing.T) {
	bob := &core.Identity{Username: "bob", ClientID: "c 1", Listener: "mqtt"}
	for _, tt := range []struct{ name, text string }{
		{"plain", "allow user bob publish a/b"},
		{"tabs", "\tallow\tuser\tbob  publish \t a/b\t"},
		{"windows", "allow user bob publish a/b\r\n"},
		{"byte order mark", "\xef\xbb\xbfallow user bob publish a/b\n"},
		{"quotes", `allow user "bob" publish "a/b"`},
		{"comments", "# one\n\n  # two\nallow user bob publish a/b\n#"},
		{"second topic", "allow user bob publish x a/b"},
		{"quoted hash among others", `allow user bob publish x "#"`},
		{"prefix of a name", "allow user b* publish a/+"},
		{"name with a blank", `allow client "c 1" publish a/b`},
		{"clauses with and", `allow user bob and client "c 1" and listener mqtt publish a/b`},
		{"clauses without and", `allow user bob client "c 1" listener mqtt publish a/b`},
		{"eq without wildcard", "allow user bob publish eq a/b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := mustParse(t, tt.text)
			if v := r.Authorize(bob, core.ActionPublish, "a/b"); v != core.Allow || r.Len() != 1 {
				t.Errorf("%d rules, verdict %v", r.Len(), v)
			}
			if v := r.Authorize(&core.Identity{}, core.ActionPublish, "a/b"); v != core.Ignore {
				t.Errorf("a stranger gets %v", v)
			}
		})
	}
}

func TestQuotedNames(t *testing.T) {
	r := mustParse(t, `allow user "a*" publish x
allow user "say \"hi\" \\ %u" publish y
allow user "publish" publish z`)
	for _, tt := range []struct {
		user, topic string
		want        core.Verdict
	}{
		{"a*", "x", core.Allow}, {"ab", "x", core.Ignore},
		{`say "hi" \ %u`, "y", core.Allow}, {"publish", "z", core.Allow},
	} {
		if v := r.Authorize(&core.Identity{Username: tt.user}, core.ActionPublish, tt.topic); v != tt.want {
			t.Errorf("user %q, topic %s: %v, want %v", tt.user, tt.topic, v, tt.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"none", "deny all publish a\nallow all pubsub #\n", ""},
		{"empty file", "# nothing\n", "acl: there are no rules: nobody may publish"},
		{"after everything", "allow all pubsub #\n\ndeny user bob publish secret/#\n", "acl:3: the rule is never reached: line 1"},
		{"one of two actions left", "allow all publish #\ndeny user bob pubsub secret/#\n", ""},
		{"both actions gone", "allow all publish #\nallow all subscribe #\ndeny user bob pubsub a/%u\n", "acl:3: the rule is never reached: line 2"},
		{"$ is not reached by #", "allow all pubsub #\ndeny all subscribe $SYS/#\n", ""},
		{"not for everyone", "allow user * pubsub #\ndeny user bob publish x\n", ""},
		{"eq after everything", "allow all subscribe #\ndeny all subscribe eq #\n", "acl:2: the rule is never reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(mustParse(t, tt.text).Warnings(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("warnings = %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(DefaultText))
	f.Add([]byte("deny all subscribe eq # eq +/#\nallow user a* and address 10.0.0.0/8 pubsub a/%u/# \"b c/%c\"\n"))
	f.Add([]byte("allow anonymous listener \"x\\\"\" publish $SYS/+\r\nallow address ::ffff:1.2.3.4 publish %c%u/x"))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := Parse("f", content)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || len(faults) > maxFaults {
				t.Fatalf("error %v", err)
			}
			for _, fault := range faults {
				if fault.Line == 0 || fault.Column == 0 || strings.Contains(fault.Error(), "\n") {
					t.Fatalf("fault %+v", fault)
				}
			}
			return
		}
		id := &core.Identity{Username: "a", ClientID: "b"}
		for _, filter := range []string{"#", "a/+", "$SYS/x", "a/b"} {
			checkSafe(t, r, id, filter, []string{"a", "a/b", "a/c", "$SYS/x", "b c/b"})
		}
	})
}
