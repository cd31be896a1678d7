package rules_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/core"
)

// keeping is a rule that has all of bad/# refused, and keeps it.
func keeping() []rules.Rule {
	return []rules.Rule{
		{Hook: rules.MessagePublish, Topic: "bad/#", Statements: []string{rulestest.RefusedStatement}, Ack: rules.AckSync, OnRefused: rules.RefusedKeep},
		{Hook: rules.MessagePublish, Topic: "t/#", Function: rules.OnMessagePublish, Ack: rules.AckSync},
	}
}

func startKeeping(t *testing.T, most int64) (w *world, file string) {
	dir := filepath.Join(t.TempDir(), "refused")
	w = start(t, nil, keeping(), func(o *rules.Options) { o.Refused, o.Config.Refused = dir, most })
	return w, filepath.Join(dir, "mem.pool1.jsonl")
}

func readRefusals(t *testing.T, file string) (all []rules.Refusal) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var x rules.Refusal
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, x)
	}
	return all
}

// A client before MQTT 5 would be disconnected for ever by what a database refuses for good
// and the device sends again: kept aside it is acknowledged, with all that it was, though the
// statement had no use for the payload.
func TestRefusedIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, file := startKeeping(t, 1<<20)
		old := w.Connect("old", func(r *core.ConnectRequest) { r.Version = 4 })
		old.Publish(pub("bad/1", "a\x00\xff", 1, 1))
		w.gets(old, "ack 1")
		if old.Ended() {
			t.Error("the client is disconnected")
		}
		all := readRefusals(t, file)
		if len(all) != 1 {
			t.Fatalf("%d are kept", len(all))
		}
		x := all[0]
		if x.Topic != "bad/1" || string(x.Payload) != "a\x00\xff" || x.ClientID != "old" || x.QoS != 1 || x.MsgID == "" || x.Pool != "mem.pool1" || x.Hook != rules.MessagePublish || x.Error == "" {
			t.Errorf("%+v", x)
		}
		if st := w.e.Stats()[0]; st.Kept != 1 || st.Dropped != 0 || st.Done != 0 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
		rs := w.Explain(10, func(r *core.Record) bool {
			return strings.Contains(r.Detail, "refused for good and was put into "+file)
		})
		if len(rs) != 1 || w.log.of("was put into") != 1 {
			t.Errorf("%d records and %d lines tell", len(rs), w.log.of("was put into"))
		}
	})
}

// The file is bounded: beyond it publishers are told of a failure, until it was moved away.
// A line that a crash has cut off spoils none that follow.
func TestRefusedIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, file := startKeeping(t, 2000)
		p := w.Connect("p", nil)
		p.Publish(pub("bad/1", strings.Repeat("x", 800), 1, 1))
		w.gets(p, "ack 1")
		p.Publish(pub("bad/1", strings.Repeat("x", 800), 1, 2))
		w.gets(p, "ack 2 store_unavailable")
		p.Publish(pub("t/1", "x", 1, 3)) // goes on
		w.gets(p, "ack 3")
		if st := w.e.Stats()[0]; st.Kept != 1 || st.Dropped != 1 || w.log.of("move it away") == 0 {
			t.Errorf("%+v", st)
		}
		if err := os.Rename(file, file+".old"); err != nil {
			t.Fatal(err)
		}
		p.Publish(pub("bad/1", strings.Repeat("x", 800), 1, 4))
		w.gets(p, "ack 4")
		if len(readRefusals(t, file+".old")) != 1 || len(readRefusals(t, file)) != 1 {
			t.Error("they hold other than one each")
		}
		if err := os.WriteFile(file, []byte(`{"cut":`), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Publish(pub("bad/1", "y", 1, 5))
		w.gets(p, "ack 5")
		text, _ := os.ReadFile(file)
		if lines := strings.Split(string(text), "\n"); len(lines) != 3 || lines[0] != `{"cut":` || !json.Valid([]byte(lines[1])) {
			t.Errorf("%q", text)
		}
	})
}

// What cannot be kept is not acknowledged.
func TestRefusedCannotBeKept(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string){
		"no directory can be made": func(t *testing.T, file string) {
			if err := os.WriteFile(filepath.Dir(file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a directory has its name": func(t *testing.T, file string) {
			if err := os.MkdirAll(file, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, file := startKeeping(t, 1<<20)
				spoil(t, file)
				p, old := w.Connect("p", nil), w.Connect("old", func(r *core.ConnectRequest) { r.Version = 4 })
				p.Publish(pub("bad/1", "x", 1, 1))
				w.gets(p, "ack 1 store_unavailable")
				old.Publish(pub("bad/1", "x", 1, 1))
				synctest.Wait()
				if got := show(old.Now()); got == "ack 1" {
					t.Error("it is acknowledged")
				}
				if st := w.e.Stats()[0]; st.Kept != 0 || st.Dropped != 2 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}
