package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBadFiles loads each file of testdata/bad, which holds the faults that
// must be found in rows that begin with "# want ", without the file's name.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.SplitSeq(string(text), "\n") {
				if fault, ok := strings.CutPrefix(line, "# want "); ok {
					want = append(want, fault)
				}
			}
			err = Load(defaults(), Options{Path: file})
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("the file was taken, or the error has no faults: %v", err)
			}
			got := strings.Split(strings.ReplaceAll(faults.Error(), file+":", ""), "\n")
			for i := range got {
				got[i] = strings.TrimSpace(got[i])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			refuseGoWords(t, faults.Error())
		})
	}
}

// refuseGoWords: what a user reads names no types of Go's.
func refuseGoWords(t *testing.T, text string) {
	t.Helper()
	for _, word := range []string{"int64", "uint", "struct", "strconv", "reflect", "slog", "netip", "config.", "time.", "float64", "map[", "UnmarshalText"} {
		if strings.Contains(text, word) {
			t.Errorf("%q speaks of Go: %q", text, word)
		}
	}
}

func TestBadOverlay(t *testing.T) {
	for _, tc := range []struct{ name, env, set, want string }{
		{"set without value", "", "core.max_queued", "--set core.max_queued: has no value; write --set section.key=value"},
		{"set without key", "", "=5", "--set : is not a key; write --set section.key=value"},
		{"set of a broken key", "", "core..x=5", "--set core..x: is not a key; write --set section.key=value"},
		{"set of an unknown key", "", "core.max_queud=5", `--set core.max_queud: core.max_queud: unknown key; did you mean "core.max_queued"?`},
		{"set of a key without its section", "", "strategy=sticky", `--set strategy: strategy: unknown key; did you mean "core.strategy"?`},
		{"set of a word for a number", "", "core.max_queued=many", `--set core.max_queued: core.max_queued: "many" is not a whole number`},
		{"set of a table", "", "core=5", "--set core: core: must be a table, not the number 5; begin a table with a row [core]"},
		{"set below a number", "", "core.max_queued.x=5", "--set core.max_queued.x: core.max_queued: must be a whole number, not a table"},
		{"set of half a list", "", `sources=["a"`, `--set sources: sources: "[\"a\"" is not a list of tables; write it as in the file: ["a", "b"] or {key = "value"}`},
		{"set of tables by words", "", "sources=a,b", "--set sources: sources[0]: \"a\" is not a table; write it as in the file: [\"a\", \"b\"] or {key = \"value\"}\n" +
			"--set sources: sources[1]: \"b\" is not a table; write it as in the file: [\"a\", \"b\"] or {key = \"value\"}"},
		{"set of what Validate refuses", "", "core.max_queued=0", "--set core.max_queued: core.max_queued: must be at least 1"},
		{"variable without key", "FAIRLEAD_CORE_MAX_QUEUD=5", "", "FAIRLEAD_CORE_MAX_QUEUD: no key has this name; did you mean FAIRLEAD_CORE_MAX_QUEUED?"},
		{"variable far from any", "FAIRLEAD_BANANA_SPLIT=5", "", "FAIRLEAD_BANANA_SPLIT: no key has this name; every variable that begins with FAIRLEAD_ names a key of the file"},
		{"variable of a listener", "FAIRLEAD_LISTENERS_MQTT_ADRESS=5", "", "FAIRLEAD_LISTENERS_MQTT_ADRESS: no key has this name; did you mean FAIRLEAD_LISTENERS_MQTT_ADDRESS?"},
		{"empty variable for a number", "FAIRLEAD_CORE_MAX_QUEUED=", "", `FAIRLEAD_CORE_MAX_QUEUED: core.max_queued: "" is not a whole number`},
		{"variable too large", "FAIRLEAD_CORE_RECEIVE_MAXIMUM=65536", "", "FAIRLEAD_CORE_RECEIVE_MAXIMUM: core.receive_maximum: 65536 is not between 0 and 65535"},
		{"variable not UTF-8", "FAIRLEAD_NODE_NAME=\xff", "", "FAIRLEAD_NODE_NAME: node_name: is not UTF-8"},
		{"variable with yes", "FAIRLEAD_LOG_JSON=yes", "", `FAIRLEAD_LOG_JSON: log.json: "yes" is not true or false`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{Prefix: "FAIRLEAD"}
			if tc.env != "" {
				o.Env = []string{tc.env}
			}
			if tc.set != "" {
				o.Sets = []string{tc.set}
			}
			err := Load(defaults(), o)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got:  %v\nwant: %s", err, tc.want)
			}
		})
	}
}

func TestBadSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "\n", "binary": "\xff\xfe", "huge": strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, tc := range []struct{ name, file, want string }{
		{"both", "password = \"p\"\npassword_file = \"f\"", "c.toml:3:1: users.a.password_file: and users.a.password are both given; keep one of them"},
		{"missing", "password_file = \"none\"", `c.toml:2:17: users.a.password_file: "none" cannot be read: no such file or directory`},
		{"empty", "password_file = \"empty\"", `c.toml:2:17: users.a.password_file: "empty" is empty`},
		{"binary", "password_file = \"binary\"", `c.toml:2:17: users.a.password_file: "binary" is not UTF-8`},
		{"huge", "password_file = \"huge\"", `c.toml:2:17: users.a.password_file: "huge" is larger than 64 KiB`},
		{"number", "password_file = 7", `c.toml:2:17: users.a.password_file: must be the name of a file, not the number 7; write "7", with quotes`},
		{"never shown", "password = 8472", `c.toml:2:12: users.a.password: must be a text`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile("c.toml", []byte("[users.a]\n"+tc.file+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Load(defaults(), Options{Path: "c.toml"})
			if err == nil || err.Error() != tc.want {
				t.Errorf("got:  %v\nwant: %s", err, tc.want)
			}
		})
	}
}

// TestAllAtOnce: faults of all layers come in one go, the file's first; a key
// that could not be read is not called missing on top.
func TestAllAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	text := "[core]\nmax_queued = \"x\"\nstrategi = \"x\"\nsession_expiry = \"-1s\"\n[listeners.a]\nenabled = true\n[listeners.b]\nadress = \":1\"\n"
	if err := os.WriteFile("c.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Load(defaults(), Options{Path: "c.toml", Prefix: "F", Env: []string{"F_X=1"}, Sets: []string{"log.jason=true"}})
	want := `c.toml:2:14: core.max_queued: must be a whole number, not a text
c.toml:3:1: core.strategi: unknown key; did you mean "core.strategy"?
c.toml:8:1: listeners.b.adress: unknown key; did you mean "listeners.b.address"?
F_X: no key has this name; every variable that begins with F_ names a key of the file
--set log.jason: log.jason: unknown key; did you mean "log.json"?
c.toml:4:18: core.session_expiry: must not be negative
c.toml:5:12: listeners.a.address: is missing`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// TestWrongFile: a large file that is no configuration does not fill the screen.
func TestWrongFile(t *testing.T) {
	for _, tc := range []struct{ name, row string }{
		{"unknown keys", "key%d = 1\n"},
		{"one key again and again", "node_name = 'x' # %d\n"},
		{"tables", "[a%d]\n"},
		{"brackets", "[[["},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			for i := 0; b.Len() < maxConfig/4; i++ {
				if strings.Contains(tc.row, "%") {
					fmt.Fprintf(&b, tc.row, i)
				} else {
					b.WriteString(tc.row)
				}
			}
			err := Load(defaults(), Options{Path: writeFile(t, "f.toml", b.String())})
			if err == nil || strings.Count(err.Error(), "\n") > maxLines {
				t.Errorf("got %.300v", err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	c := defaults()
	if err := Validate(c); err != nil {
		t.Fatal(err)
	}
	c.Core.MaxQueued, c.Core.SessionExpiry = 0, -1
	c.Listeners["x"] = listener{Enabled: true}
	err := Validate(c)
	want := "core.max_queued: must be at least 1\ncore.session_expiry: must not be negative\nlisteners.x.address: is missing"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}
