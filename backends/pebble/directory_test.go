package pebble_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

// everything reads all of a directory, to see that a refusal changed nothing.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func unchanged(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	after := everything(t, dir)
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files before, %d after", len(before), len(after))
	}
}

func TestNodeID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	s := open(t, small(dir))
	id := s.NodeID()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(id) != 32 {
		t.Errorf("node id %q has %d digits, want 32", id, len(id))
	}
	s = open(t, small(dir))
	defer s.Close()
	if s.NodeID() != id {
		t.Errorf("node id %q after a start, was %q", s.NodeID(), id)
	}
	other := open(t, small(t.TempDir()))
	defer other.Close()
	if other.NodeID() == id {
		t.Error("two directories have the same node id")
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the directory is open to others: %v, %v", info.Mode(), err)
	}
}

func TestSecondInstance(t *testing.T) {
	dir := t.TempDir()
	s := open(t, small(dir))
	_, err := pebble.Open(small(dir), nil)
	var locked *pebble.LockedError
	if !errors.As(err, &locked) || locked.Dir != dir || locked.PID != os.Getpid() {
		t.Fatalf("the second instance got %v", err)
	}
	for _, part := range []string{dir, strconv.Itoa(os.Getpid()), "store.path"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Errorf("the first instance suffers: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, small(dir)).Close()
}

// holderEnv makes the test binary hold the directory that it names until its
// input ends.
const holderEnv = "FAIRLEAD_TEST_HOLD"

func TestHoldDirectory(t *testing.T) {
	dir := os.Getenv(holderEnv)
	if dir == "" {
		t.Skip("runs as a child of TestKilledHolder")
	}
	s := open(t, small(dir))
	os.Stdout.WriteString("held\n")
	var b [1]byte
	os.Stdin.Read(b[:])
	s.Close()
}

// A lock of a process that was killed does not outlive it.
func TestKilledHolder(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestHoldDirectory$")
	child.Env = append(os.Environ(), holderEnv+"="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var b [5]byte
	if _, err := out.Read(b[:]); err != nil || string(b[:]) != "held\n" {
		t.Fatalf("the child said %q, %v", b, err)
	}
	_, err = pebble.Open(small(dir), nil)
	var locked *pebble.LockedError
	if !errors.As(err, &locked) || locked.PID != child.Process.Pid {
		t.Errorf("beside pid %d: %v", child.Process.Pid, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	open(t, small(dir)).Close()
}

func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	cfg := small(dir)
	cfg.Version = "v1.2.3"
	open(t, cfg).Close()
	name := filepath.Join(dir, "fairlead.json")
	var id map[string]any
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &id); err != nil || id["written_by"] != "v1.2.3" {
		t.Fatalf("%s: %v", text, err)
	}
	id["format"], id["written_by"] = 9, "v9.8.7"
	text, _ = json.Marshal(id)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	before := everything(t, dir)
	_, err = pebble.Open(cfg, nil)
	var format *pebble.FormatError
	if !errors.As(err, &format) || format.Format != 9 || format.WrittenBy != "v9.8.7" || format.Dir != dir {
		t.Fatalf("Open: %v", err)
	}
	unchanged(t, dir, before)
}

// A damaged identity is replaced where the configuration allows it; what lies in
// the directory stays.
func TestIdentityDiscarded(t *testing.T) {
	dir := t.TempDir()
	furnish(t, dir)
	name := filepath.Join(dir, "fairlead.json")
	if err := os.WriteFile(name, []byte(`{"format":`), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := small(dir)
	cfg.Repair = pebble.RepairDiscard
	s := open(t, cfg)
	defer s.Close()
	if got := queued(t, s, "a"); got != "0 1 2 3" {
		t.Errorf("queue: %s", got)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "damaged", "*", "fairlead.json")); len(aside) != 1 {
		t.Errorf("set aside: %q", aside)
	}
}

func TestUnusableDirectory(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string) (path string)
		says    string
	}{
		{"a file in its place", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte("keep me"), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, "is a file"},
		{"a file in its path", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte("keep me"), 0o600); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(path, "data")
		}, "is a file"},
		{"damaged identity", func(t *testing.T, dir string) string {
			open(t, small(dir)).Close()
			if err := os.WriteFile(filepath.Join(dir, "fairlead.json"), []byte(`{"format":`), 0o600); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "restore the file from a backup"},
		{"identity removed", func(t *testing.T, dir string) string {
			open(t, small(dir)).Close()
			if err := os.Remove(filepath.Join(dir, "fairlead.json")); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "restore the file from a backup"},
		{"no permission", func(t *testing.T, dir string) string {
			if os.Geteuid() == 0 {
				t.Skip("root may do everything")
			}
			path := filepath.Join(dir, "closed")
			if err := os.Mkdir(path, 0o500); err != nil {
				t.Fatal(err)
			}
			return path
		}, "no permission"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := tt.prepare(t, dir)
			before := everything(t, dir)
			_, err := pebble.Open(small(path), nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open: %v; want it to say %q", err, tt.says)
			}
			unchanged(t, dir, before)
		})
	}
}

// Errors that a test as root cannot bring about otherwise.
func TestRefusedByTheSystem(t *testing.T) {
	tests := []struct {
		name string
		err  error
		says string
	}{
		{"no permission", os.ErrPermission, "no permission"},
		{"something else", errors.New("the drive is on fire"), "the drive is on fire"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			disk := newFailingDisk(vfs.NewMem())
			disk.fail(tt.err, func(errorfs.Op) bool { return true })
			cfg := small("/data")
			cfg.FS = disk
			_, err := pebble.Open(cfg, nil)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "/data") {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	if cfg := pebble.DefaultConfig(); cfg.Validate() != nil {
		t.Errorf("the default is refused: %v", cfg.Validate())
	}
	bad := pebble.Config{CommitDelay: -1, MaxPendingBytes: 1, MinFreeBytes: -1, CacheSize: -1}
	err := bad.Validate()
	for _, name := range []string{"path", "commit_delay", "commit_operations", "max_pending_bytes", "min_free_bytes", "memtable_size", "cache_size", "max_open_files"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not named in: %v", name, err)
		}
	}
	if _, err := pebble.Open(bad, nil); err == nil {
		t.Error("Open takes a bad configuration")
	}
}

// A directory of an older format is marked as soon as this program opens it, so that
// an older one keeps out of what it would not understand.
func TestOlderFormatIsMarked(t *testing.T) {
	dir := t.TempDir()
	cfg := small(dir)
	cfg.Version = "v2.0.0"
	furnish(t, dir)
	name := filepath.Join(dir, "fairlead.json")
	if err := os.WriteFile(name, []byte(`{"format":1,"node_id":"00ff","written_by":"v1.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg)
	defer s.Close()
	text, err := os.ReadFile(name)
	var id map[string]any
	if err := errors.Join(err, json.Unmarshal(text, &id)); err != nil {
		t.Fatal(err)
	}
	if id["format"] != 3.0 || id["written_by"] != "v2.0.0" || id["node_id"] != "00ff" || s.NodeID() != "00ff" {
		t.Errorf("the identity is %s", text)
	}
	if c := load(t, s); len(c.sessions) != 3 {
		t.Errorf("%d sessions", len(c.sessions))
	}
}
