package pebble_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	raw "github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

// content is what Load gives, by name.
type content struct {
	sessions map[string]core.SessionRecord
	subs     map[string]bool
	retained map[string]bool
	delayed  map[uint64]core.DelayedRecord
}

func (c *content) Session(r core.SessionRecord) error {
	c.sessions[r.ClientID] = r
	return nil
}

func (c *content) Subscription(id string, r core.SubscriptionRecord) error {
	name := id + " " + r.Filter
	if r.Proxy {
		name += " by proxy"
	}
	c.subs[name] = true
	return nil
}

func (c *content) Delayed(r core.DelayedRecord) error {
	c.delayed[r.Msg.ID] = r
	return nil
}

func (c *content) Retained(m *core.Message) error {
	c.retained[m.Topic] = true
	return nil
}

func newContent() *content {
	return &content{sessions: map[string]core.SessionRecord{}, subs: map[string]bool{}, retained: map[string]bool{}, delayed: map[uint64]core.DelayedRecord{}}
}

func load(t *testing.T, s *pebble.Store) *content {
	t.Helper()
	c := newContent()
	if err := s.Load(context.Background(), c); err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// furnish makes a store with three sessions, each with two subscriptions and
// four queue entries: two inline, one large, one shared with the others.
func furnish(t *testing.T, dir string) {
	t.Helper()
	s := open(t, small(dir))
	shared := &core.Message{Topic: "shared", Payload: []byte("for all"), ID: 99, QoS: 1}
	var ops []core.Op
	for _, id := range []string{"a", "b", "c"} {
		ops = append(ops, op(core.OpPutSession, id, 0, 0))
		for _, f := range []string{"x/#", "y"} {
			ops = append(ops, core.Op{Kind: core.OpPutSubscription, Session: id, Subscription: &core.SubscriptionRecord{Filter: f}})
		}
		ops = append(ops, op(core.OpEnqueue, id, 0, 20), op(core.OpEnqueue, id, 1, 20), op(core.OpEnqueue, id, 2, 4000))
		ops = append(ops, core.Op{Kind: core.OpPutReceived, Session: id, PacketID: 5})
	}
	for _, id := range []string{"a", "b", "c"} {
		ops = append(ops, core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: 3, QoS: 1, Msg: shared}})
	}
	for _, topic := range []string{"r/1", "r/2"} {
		ops = append(ops, core.Op{Kind: core.OpPutRetained, Msg: &core.Message{Topic: topic, Payload: []byte("kept")}})
	}
	if err := wait(t, send(t, s, ops...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// key builds a key as the engine does: session sid, kind, rest.
func key(sid byte, kind byte, rest ...byte) []byte {
	return append([]byte{'S', 0, 0, 0, 0, 0, 0, 0, sid, kind}, rest...)
}

func be(seq byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, seq} }

// meddle changes the database below a closed store.
func meddle(t *testing.T, dir string, change func(db *raw.DB)) {
	t.Helper()
	db, err := raw.Open(filepath.Join(dir, "store"), &raw.Options{FormatMajorVersion: raw.FormatWALSyncChunks, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	change(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// quiet is a logger of the raw database that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// flip changes one bit of the value under k.
func flip(t *testing.T, db *raw.DB, k []byte) {
	t.Helper()
	value, closer, err := db.Get(k)
	if err != nil {
		t.Fatalf("key %q: %v", k, err)
	}
	broken := bytes.Clone(value)
	closer.Close()
	broken[len(broken)-1] ^= 4
	if err := db.Set(k, broken, raw.Sync); err != nil {
		t.Fatal(err)
	}
}

// Each kind of record is damaged in the session b alone; a and c must not notice.
func TestDamagedRecord(t *testing.T) {
	tests := []struct {
		name  string
		key   []byte
		named string
		check func(t *testing.T, c *content, s *pebble.Store)
	}{
		{"session", key(2, 0, 'b'), `session "b"`, func(t *testing.T, c *content, s *pebble.Store) {
			if _, ok := c.sessions["b"]; ok || len(c.sessions) != 2 {
				t.Error("a damaged session was served")
			}
		}},
		{"subscription", key(2, 2, 'y'), `subscription "y"`, func(t *testing.T, c *content, s *pebble.Store) {
			if c.subs["b y"] || !c.subs["b x/#"] {
				t.Errorf("subscriptions %v", c.subs)
			}
		}},
		{"QoS 2 identifier", key(2, 3, 0, 5), "packet identifier 5", func(t *testing.T, c *content, s *pebble.Store) {
			if len(c.sessions["b"].Received) != 0 {
				t.Error("a damaged packet identifier was served")
			}
		}},
		{"inline entry", key(2, 4, be(1)...), "queue entry 1", func(t *testing.T, c *content, s *pebble.Store) {
			if r := c.sessions["b"]; r.Queued != 3 {
				t.Errorf("%d entries are counted, want 3", r.Queued)
			}
			if got := queued(t, s, "b"); got != "0 2 3" {
				t.Errorf("queue: %s", got)
			}
		}},
		{"first entry", key(2, 4, be(0)...), "queue entry 0", func(t *testing.T, c *content, s *pebble.Store) {
			if r := c.sessions["b"]; r.QueueHead != 1 {
				t.Errorf("QueueHead is %d, want 1", r.QueueHead)
			}
		}},
		{"large message", append([]byte{'b'}, be(2)...), "queue entry 2", func(t *testing.T, c *content, s *pebble.Store) {
			if got := queued(t, s, "b"); got != "0 1 3" {
				t.Errorf("queue: %s", got)
			}
			// Lost once, by name, and gone: nobody waits for it.
			until(t, "the lost entry is taken out", func() bool { return s.Stats().Queued == 11 })
			if got := queued(t, s, "b"); got != "0 1 3" {
				t.Errorf("queue: %s", got)
			}
		}},
		{"sequence numbers", key(2, 1), "sequence numbers", func(t *testing.T, c *content, s *pebble.Store) {
			if r := c.sessions["b"]; r.QueueEnd < 1<<30 || r.Queued != 4 {
				t.Errorf("QueueEnd is %d, Queued %d", r.QueueEnd, r.Queued)
			}
			end := c.sessions["b"].QueueEnd
			if err := wait(t, send(t, s, op(core.OpEnqueue, "b", end, 10))); err != nil {
				t.Fatal(err)
			}
		}},
		{"retained", []byte("tr/1"), `retained message of "r/1"`, func(t *testing.T, c *content, s *pebble.Store) {
			if c.retained["r/1"] || !c.retained["r/2"] {
				t.Errorf("retained: %v", c.retained)
			}
		}},
		{"number of the last group", []byte("mg"), "mg", func(t *testing.T, c *content, s *pebble.Store) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			furnish(t, dir)
			meddle(t, dir, func(db *raw.DB) { flip(t, db, tt.key) })
			s := open(t, small(dir))
			defer s.Close()
			c := load(t, s)
			for _, id := range []string{"a", "c"} {
				if r := c.sessions[id]; r.Queued != 4 || !c.subs[id+" x/#"] || !c.subs[id+" y"] || len(r.Received) != 1 {
					t.Errorf("session %q suffers: %+v", id, r)
				}
				if got := queued(t, s, id); got != "0 1 2 3" {
					t.Errorf("queue of %q: %s", id, got)
				}
			}
			tt.check(t, c, s)
			if err := wait(t, send(t, s, op(core.OpEnqueue, "a", 4, 10))); err != nil {
				t.Errorf("Commit beside the damage: %v", err)
			}
			n, names := s.Faults()
			if n == 0 || !strings.Contains(strings.Join(names, "\n"), tt.named) {
				t.Errorf("%d faults: %q; want one that names %q", n, names, tt.named)
			}
		})
	}
}

// A message that is not there at all is a loss like a damaged one.
func TestMissingMessage(t *testing.T) {
	dir := t.TempDir()
	furnish(t, dir)
	meddle(t, dir, func(db *raw.DB) {
		if err := db.Delete(append([]byte{'b'}, be(4)...), raw.Sync); err != nil {
			t.Fatal(err)
		}
	})
	s := open(t, small(dir))
	defer s.Close()
	load(t, s)
	for _, id := range []string{"a", "b", "c"} {
		if got := queued(t, s, id); got != "0 1 2" {
			t.Errorf("queue of %q: %s", id, got)
		}
	}
	if n := s.Stats().Damaged; n != 3 {
		t.Errorf("Stats tells of %d damaged records, want 3", n)
	}
	if n, names := s.Faults(); n != 3 {
		t.Errorf("%d faults: %q, want 3", n, names)
	}
}

// rot puts all of a closed store into one table and flips a bit in its middle.
func rot(t *testing.T, dir string) {
	t.Helper()
	meddle(t, dir, func(db *raw.DB) {
		if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
			t.Fatal(err)
		}
	})
	tables, _ := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if len(tables) == 0 {
		t.Fatal("no table was written")
	}
	text, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(tables[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Bits rot in a table of the database: what its blocks hold is lost by name, the
// rest is served.
func TestRottenTable(t *testing.T) {
	dir := t.TempDir()
	cfg := small(dir)
	s := open(t, cfg)
	const sessions = 200
	for i := range sessions {
		id := string(rune('A'+i/26)) + string(rune('a'+i%26))
		ops := []core.Op{op(core.OpPutSession, id, 0, 0)}
		for seq := range uint64(20) {
			ops = append(ops, op(core.OpEnqueue, id, seq, 300))
		}
		if err := wait(t, send(t, s, ops...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rot(t, dir)
	s = open(t, cfg)
	defer s.Close()
	c := load(t, s)
	if n := len(c.sessions); n < sessions/2 || n > sessions {
		t.Errorf("%d of %d sessions are left", n, sessions)
	}
	n, names := s.Faults()
	t.Logf("%d sessions of %d left, %d faults: %.300q", len(c.sessions), sessions, n, names)
	if n == 0 {
		t.Error("nothing was reported")
	}
	if err := wait(t, send(t, s, op(core.OpPutSession, "new", 0, 0), op(core.OpEnqueue, "new", 0, 10))); err != nil {
		t.Errorf("Commit beside the damage: %v", err)
	}
}

// A part of a long queue rots: Fetch gives what lies before and behind it.
func TestRottenQueue(t *testing.T) {
	dir := t.TempDir()
	s := open(t, small(dir))
	const entries = 2000
	ops := []core.Op{op(core.OpPutSession, "c", 0, 0)}
	for seq := range uint64(entries) {
		ops = append(ops, op(core.OpEnqueue, "c", seq, 300))
	}
	if err := wait(t, send(t, s, ops...)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	rot(t, dir)
	s = open(t, small(dir))
	defer s.Close()
	seen, from := 0, uint64(0)
	for {
		got, err := s.Fetch(t.Context(), "c", from, 50, 1<<20, nil)
		if err != nil {
			t.Fatalf("Fetch from %d: %v", from, err)
		}
		if len(got) == 0 {
			break
		}
		seen += len(got)
		from = got[len(got)-1].Seq + 1
	}
	n, _ := s.Faults()
	if seen == entries || seen < entries-100 || from != entries || n == 0 {
		t.Errorf("%d of %d entries are left, the last is %d; %d faults", seen, entries, from-1, n)
	}
}

// A part of the retained messages rots: the rest is loaded.
func TestRottenRetained(t *testing.T) {
	dir := t.TempDir()
	s := open(t, small(dir))
	const topics = 1000
	ops := []core.Op{op(core.OpPutSession, "c", 0, 0)}
	for i := range topics {
		ops = append(ops, core.Op{Kind: core.OpPutRetained, Msg: &core.Message{Topic: fmt.Sprintf("plant/%d/%d", i%7, i), Payload: make([]byte, 100)}})
	}
	if err := wait(t, send(t, s, ops...)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	rot(t, dir)
	s = open(t, small(dir))
	defer s.Close()
	c := load(t, s)
	n, _ := s.Faults()
	if left := len(c.retained); left == topics || left < topics-200 || n == 0 || len(c.sessions) != 1 {
		t.Errorf("%d of %d retained messages are left, %d faults", left, topics, n)
	}
}

// The power fails (the files are taken as they are while the store runs), then
// the log is damaged. A torn end is what a crash leaves and no fault; damage in
// what was synced keeps the store shut, with words, and changes nothing.
func TestDamagedLog(t *testing.T) {
	tests := []struct {
		name   string
		damage func(log []byte) []byte
		opens  bool
	}{
		{"none", func(log []byte) []byte { return log }, true},
		{"garbage at the end", func(log []byte) []byte { return append(log, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) }, true},
		{"bit in the middle", func(log []byte) []byte {
			log[len(log)/2] ^= 1
			return log
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := crashed(t, tt.damage)
			before := everything(t, dir)
			s, err := pebble.Open(small(dir), nil)
			if !tt.opens {
				if err == nil {
					s.Close()
					t.Fatal("the store opens and keeps silent about it")
				}
				for _, part := range []string{dir, "damaged", "backup"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q lacks %q", err, part)
					}
				}
				for name, text := range before {
					if strings.HasSuffix(name, ".log") && everything(t, dir)[name] != text {
						t.Error("the log was changed")
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := queued(t, s, "c"); got != "0 1 2 3 4 5 6 7 8 9" {
				t.Errorf("queue: %s", got)
			}
		})
	}
}

// crashed gives a copy of a running store's files, its log damaged.
func crashed(t *testing.T, damage func([]byte) []byte) string {
	t.Helper()
	dir, left := t.TempDir(), t.TempDir()
	s := open(t, small(dir))
	defer s.Close()
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(10) {
		if err := wait(t, send(t, s, op(core.OpEnqueue, "c", seq, 200))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(left, "store", "*.log"))
	if len(logs) != 1 {
		t.Fatalf("%d logs", len(logs))
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.TrimRight(text, "\x00") // what was preallocated
	if err := os.WriteFile(logs[0], damage(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return left
}
