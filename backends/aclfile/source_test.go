package aclfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acl")
	writeFile(t, path, "allow all publish a\n")
	s, err := Open(Config{File: path})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(topic string, want core.Verdict) {
		t.Helper()
		if v, err := s.Authorize(&core.Identity{}, core.ActionPublish, topic); v != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", topic, v, err, want)
		}
	}
	ask("a", core.Allow)
	ask("b", core.Ignore)
	version := s.Version()

	writeFile(t, path, "allow all publish b\ngarbage\n")
	var faults Faults
	if err := s.Reload(); !errors.As(err, &faults) {
		t.Fatalf("Reload of garbage = %v", err)
	}
	ask("a", core.Allow)
	if s.Version() != version {
		t.Error("a Reload that failed changed the version")
	}

	writeFile(t, path, "allow all publish b\n")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	ask("a", core.Ignore)
	ask("b", core.Allow)
	if s.Version() == version {
		t.Error("the version did not change")
	}
	writeFile(t, path, "deny all subscribe a\n")
	if err := s.Reload(); err != nil || s.Covers(&core.Identity{}, "a") != core.Deny {
		t.Errorf("a denied subscription: %v, %v", s.Covers(&core.Identity{}, "a"), err)
	}
	if s.Name() != "acl" || s.Rules().Len() != 1 || s.Warnings() != nil {
		t.Errorf("name %s, %d rules, warnings %v", s.Name(), s.Rules().Len(), s.Warnings())
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "acl")
	writeFile(t, path, "allow all publish a\n")
	for _, tt := range []struct {
		name, path string
		mode       os.FileMode
		want       string // "" for success
	}{
		{"private", path, 0o600, ""},
		{"all may read", path, 0o644, ""},
		{"all may write", path, 0o646, "changed by everyone"},
		{"a folder", dir, 0o700, "is a folder"},
		{"no such file", filepath.Join(dir, "none"), 0, "leave acl_file empty"},
		{"a stray blank", " " + path, 0, "blank"},
		{"a null", "a\x00b", 0, "null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode != 0 {
				if err := os.Chmod(tt.path, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(Config{File: tt.path})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpenWithoutFile(t *testing.T) {
	s, err := Open(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Covers(who("bob", "c", "192.0.2.1"), "a/#"); v != core.Allow {
		t.Errorf("Covers = %v: the built-in rules do not hold", v)
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
}

func TestReloadWhileAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acl")
	writeFile(t, path, "allow user u publish a/%u\nallow all subscribe #\n")
	s, err := Open(Config{File: path})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			id := who("u", "c", "127.0.0.1")
			for range 2000 {
				if v, _ := s.Authorize(id, core.ActionPublish, "a/u"); v != core.Allow {
					t.Error(v)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := s.Reload(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

// hundred is 99 rules of all kinds that do not answer, and one that does.
func hundred() string {
	var b strings.Builder
	for i := range 33 {
		fmt.Fprintf(&b, "allow user user%d and address 10.%d.0.0/16 pubsub plant/%d/# plant/%d/+/x\n", i, i, i, i)
		fmt.Fprintf(&b, "deny address 192.168.%d.0/24 pubsub site%d/+/cmd\n", i, i)
		fmt.Fprintf(&b, "allow all pubsub dev/%%c/%d/# users/%%u/%d/+\n", i, i)
	}
	b.WriteString("allow all pubsub sensors/+/%u/#\n")
	return b.String()
}

func BenchmarkAuthorize(b *testing.B) {
	rules := mustParse(b, hundred())
	var many strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&many, "allow user user%d pubsub sensors/+/%%u/#\n", i)
	}
	perDevice := mustParse(b, many.String())
	id := who("user49999", "c1", "10.99.1.2")
	for _, bb := range []struct {
		name  string
		rules *Rules
		ask   func(r *Rules) core.Verdict
	}{
		{"publish/100", rules, func(r *Rules) core.Verdict {
			return r.Authorize(id, core.ActionPublish, "sensors/17/user49999/temperature")
		}},
		{"subscribe/100", rules, func(r *Rules) core.Verdict {
			return r.Authorize(id, core.ActionSubscribe, "sensors/+/user49999/#")
		}},
		{"covers/100", rules, func(r *Rules) core.Verdict {
			return r.Covers(id, "sensors/+/user49999/#")
		}},
		{"publish/50000_users", perDevice, func(r *Rules) core.Verdict {
			return r.Authorize(id, core.ActionPublish, "sensors/17/user49999/temperature")
		}},
		{"publish/default", Default(), func(r *Rules) core.Verdict {
			return r.Authorize(id, core.ActionPublish, "sensors/17/user49999/temperature")
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if bb.ask(bb.rules) != core.Allow {
					b.Fatal("not allowed")
				}
			}
		})
	}
}

// TestNoAllocations is the benchmark's claim as a test.
func TestNoAllocations(t *testing.T) {
	r := mustParse(t, hundred())
	id := who("u", "c1", "::ffff:10.99.1.2")
	n := testing.AllocsPerRun(100, func() {
		r.Authorize(id, core.ActionPublish, "sensors/17/u/t")
		r.Authorize(id, core.ActionSubscribe, "sensors/+/u/#")
		r.Covers(id, "sensors/#")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(hundred())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("acl", text); err != nil {
			b.Fatal(err)
		}
	}
}
