package tabletest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// Site is a real database.
type Site struct {
	// Fresh makes a namespace that is empty, with the schema, and gives what opens a
	// Table of it; each call another one.
	Fresh func(t testing.TB) (open func() sessions.Database)
	// Bare gives a Table where the schema is missing; nil where nothing needs to be made.
	Bare func(t testing.TB) sessions.Database
	// Kill ends the server as a crash would, Start starts it again, Pause has it answer
	// no more, Resume has it go on. nil leaves out what needs them.
	Kill, Start, Pause, Resume func(t testing.TB)
	// Crashes is how often the server is killed, 0 for three times.
	Crashes int
	// Largest is the largest value that is tried, 0 for 16 MiB.
	Largest int
}

// Run tries a database. It may take a minute.
func Run(t *testing.T, s Site) {
	type trial struct {
		name string
		try  func(*testing.T, Site)
	}
	trials := []trial{
		{"Order", tryOrder},
		{"Empty", tryEmpty},
		{"Bytes", tryBytes},
		{"LongKeys", tryLongKeys},
		{"LargeValues", tryLargeValues},
		{"ManyKeys", tryManyKeys},
		{"Namespaces", tryNamespaces},
		{"Random", tryRandom},
		{"Scan", tryScan},
		{"Claims", tryClaims},
		{"Race", tryRace},
	}
	if s.Bare != nil {
		trials = append(trials, trial{"Schema", tryBare})
	}
	if s.Pause != nil {
		trials = append(trials, trial{"Paused", tryPaused})
	}
	if s.Kill != nil {
		trials = append(trials, trial{"Killed", tryKilled})
	}
	for _, c := range trials {
		t.Run(c.name, func(t *testing.T) {
			testservice.Limit(t, limit)
			c.try(t, s)
		})
	}
}

// patience is longer than any call takes that is not meant to, and limit than any trial:
// one starts the server again.
const (
	patience = time.Minute
	limit    = 2 * time.Minute
)

// table is a Table with what tests do with it.
type table struct {
	sessions.Database
	t testing.TB
}

// fresh is a claimed Table of an empty namespace, and what opens more of it.
func (s Site) fresh(t testing.TB) (table, func() table) {
	open := s.Fresh(t)
	more := func() table {
		d := open()
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return table{d, t}
	}
	first := more()
	first.claim("first")
	return first, more
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (b table) claim(who string) {
	b.t.Helper()
	if err := b.Claim(within(b.t), who); err != nil {
		b.t.Fatalf("claim: %v", err)
	}
}

func (b table) write(ws ...sessions.Write) {
	b.t.Helper()
	if err := b.Write(within(b.t), ws); err != nil {
		b.t.Fatalf("write: %v", err)
	}
}

// get reads keys, each at most once.
func (b table) get(part string, keys ...string) map[string]string {
	b.t.Helper()
	list := make([][]byte, len(keys))
	for i, k := range keys {
		list[i] = []byte(k)
	}
	got := map[string]string{}
	err := b.Get(within(b.t), []byte(part), list, func(key, value []byte) error {
		if _, twice := got[string(key)]; twice {
			b.t.Errorf("get gave %.50q twice", key)
		}
		got[string(key)] = string(value)
		return nil
	})
	if err != nil {
		b.t.Fatalf("get: %v", err)
	}
	return got
}

// pair names a value.
type pair struct{ part, key string }

// all reads everything.
func (b table) all() map[pair]string {
	b.t.Helper()
	got := map[pair]string{}
	err := b.Scan(within(b.t), func(part, key, value []byte) error {
		at := pair{string(part), string(key)}
		if _, twice := got[at]; twice {
			b.t.Errorf("scan gave %.100q twice", at)
		}
		got[at] = string(value)
		return nil
	})
	if err != nil {
		b.t.Fatalf("scan: %v", err)
	}
	return got
}

// want compares everything, by Scan and by Get.
func (b table) want(want map[pair]string) {
	b.t.Helper()
	compare(b.t, "scan", b.all(), want)
	keys := map[string][]string{}
	for at := range want {
		keys[at.part] = append(keys[at.part], at.key)
	}
	got := map[pair]string{}
	for part, list := range keys {
		for key, value := range b.get(part, list...) {
			got[pair{part, key}] = value
		}
	}
	compare(b.t, "get", got, want)
}

func compare(t testing.TB, what string, got, want map[pair]string) {
	t.Helper()
	for at, value := range want {
		is, ok := got[at]
		switch {
		case !ok:
			t.Errorf("%s: %s is missing", what, at)
		case is != value:
			t.Errorf("%s: %s holds %s, want %s", what, at, short(is), short(value))
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok {
			t.Errorf("%s: %s should not be there", what, at)
		}
	}
}

func (p pair) String() string { return short(p.part) + " " + short(p.key) }

func short(s string) string {
	if len(s) <= 40 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…%q (%d bytes)", s[:16], s[len(s)-8:], len(s))
}

func set(part, key, value string) sessions.Write {
	return sessions.Write{Part: []byte(part), Key: []byte(key), Value: []byte(value)}
}

func del(part, key string) sessions.Write {
	return sessions.Write{Kind: sessions.Delete, Part: []byte(part), Key: []byte(key)}
}

func drop(part string) sessions.Write {
	return sessions.Write{Kind: sessions.DeletePart, Part: []byte(part)}
}

func tryBare(t *testing.T, s Site) {
	b := s.Bare(t)
	defer b.Close()
	err := b.Claim(within(t), "nobody")
	if err == nil || !strings.Contains(err.Error(), "fairlead ctl backend init") {
		t.Fatalf("a claim without the schema says %v, want what makes it", err)
	}
	if err := b.Write(within(t), []sessions.Write{set("p", "k", "v")}); err == nil {
		t.Error("a write without a claim is done")
	}
	missing, err := b.Init(within(t), false)
	if err != nil || len(missing) == 0 {
		t.Fatalf("looking tells %q, %v; want what is missing", missing, err)
	}
	if made, err := b.Init(within(t), true); err != nil || len(made) != len(missing) {
		t.Fatalf("making tells %q, %v; want a line for each of %q", made, err, missing)
	}
	if again, err := b.Init(within(t), true); err != nil || len(again) > 0 {
		t.Fatalf("making it again tells %q, %v; want nothing", again, err)
	}
	b2 := table{b, t}
	b2.claim("somebody")
	b2.write(set("p", "k", "v"))
	b2.want(map[pair]string{{"p", "k"}: "v"})
}

// repeat is n bytes that begin with a text.
func repeat(begin string, n int) string {
	return begin + string(bytes.Repeat([]byte{'x'}, n-len(begin)))
}
