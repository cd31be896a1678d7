package fairlead_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/internal/config"
)

// snippet is one fenced block of a Markdown file.
type snippet struct {
	place  string // file:row of its first line
	lang   string
	mark   string // "run" of <!-- test: run --> in front of it, "" without
	text   string
	beside string // of a run: the block marked "beside" before it, for another terminal
	want   string // of a run: the block marked "output" that follows
}

// snippets takes the fenced blocks out of a Markdown text. A mark stands for
// the next block.
func snippets(name, text string) []snippet {
	marked := regexp.MustCompile(`^<!-- test: ([a-z]+) -->$`)
	var all []snippet
	mark, body, inside := "", &strings.Builder{}, false
	row := 0
	for line := range strings.Lines(text) {
		row++
		trimmed := strings.TrimSpace(line)
		lang, fence := strings.CutPrefix(trimmed, "```")
		switch {
		case fence && !inside:
			inside, body = true, &strings.Builder{}
			all = append(all, snippet{place: place(name, row+1), lang: lang, mark: mark})
			mark = ""
		case fence:
			inside = false
			all[len(all)-1].text = body.String()
		case inside:
			body.WriteString(line)
		default:
			if m := marked.FindStringSubmatch(trimmed); m != nil {
				mark = m[1]
			}
		}
	}
	return joined(all)
}

// joined hands the blocks marked "beside" and "output" to the runs that they
// stand before and behind.
func joined(all []snippet) []snippet {
	var out []snippet
	beside := ""
	for _, s := range all {
		switch {
		case s.mark == "beside":
			beside = s.text
			continue
		case s.mark == "output" && len(out) > 0:
			out[len(out)-1].want = s.text
			continue
		case s.mark == "run":
			s.beside, beside = beside, ""
		}
		out = append(out, s)
	}
	return out
}

func place(name string, row int) string { return name + ":" + strconv.Itoa(row) }

func TestSnippets(t *testing.T) {
	text := "x\n<!-- test: beside -->\n```sh\ns\n```\n<!-- test: run -->\n\n```sh\na\nb\n```\n<!-- test: output -->\n```text\nc\n```\n```toml\nd = 1\n```\n"
	got := snippets("f.md", text)
	want := []snippet{{"f.md:9", "sh", "run", "a\nb\n", "s\n", "c\n"}, {"f.md:17", "toml", "", "d = 1\n", "", ""}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// documents lists the Markdown files that users read.
func documents(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	if texts["README.md"] == "" {
		t.Fatal("README.md is missing or empty")
	}
	return texts
}

// TestLinks: what the documents point to in this repository is there.
func TestLinks(t *testing.T) {
	for file, text := range documents(t) {
		for _, target := range localLinks(text) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: link to %q: %v", file, target, err)
			}
		}
	}
}

func localLinks(text string) []string {
	var targets []string
	for _, m := range regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
			targets = append(targets, m[1])
		}
	}
	return targets
}

// TestTwoCommands: the README keeps its promise of two commands, and what they
// start exists.
func TestTwoCommands(t *testing.T) {
	readme := documents(t)["README.md"]
	for _, command := range []string{"go run ./cmd/fairlead serve\n", "./scripts/test\n"} {
		found := false
		for _, s := range snippets("README.md", readme) {
			found = found || s.lang == "sh" && s.text == command
		}
		if !found {
			t.Errorf("README.md has no sh block with just %q", command)
		}
	}
	if info, err := os.Stat("scripts/test"); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("scripts/test cannot be run: %v", err)
	}
	if !commandExists(t) {
		t.Skip("cmd/fairlead/main.go does not exist")
	}
}

func commandExists(t *testing.T) bool {
	t.Helper()
	_, err := os.Stat("cmd/fairlead/main.go")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// patience bounds everything that the documents' commands may take.
const patience = 2 * time.Minute

// TestDocumentedSettings: every toml block of the documents is a configuration, or
// where marked a fleet's scenario. The files that it names need not be here.
func TestDocumentedSettings(t *testing.T) {
	for name, text := range documents(t) {
		for _, s := range snippets(name, text) {
			if s.lang != "toml" {
				continue
			}
			t.Run(s.place, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "fairlead.toml")
				if err := os.WriteFile(file, []byte(s.text), 0o600); err != nil {
					t.Fatal(err)
				}
				c := fairlead.DefaultConfig()
				err := error(nil)
				if s.mark == "scenario" {
					_, err = scenario.Load(file, nil)
				} else {
					err = config.Load(&c, config.Options{Path: file})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestForeignDocuments does what the documents say with a freshly built
// command: it runs the blocks marked <!-- test: run --> beside a gateway of
// their own.
func TestForeignDocuments(t *testing.T) {
	if !commandExists(t) {
		t.Skip("the documents' commands are not run: cmd/fairlead/main.go does not exist")
	}
	command := filepath.Join(t.TempDir(), "fairlead")
	if out, err := exec.Command("go", "build", "-o", command, "./cmd/fairlead").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for file, text := range documents(t) {
		for _, s := range snippets(file, text) {
			if s.mark == "run" {
				t.Run(s.place, func(t *testing.T) { runSnippet(t, command, s) })
			}
		}
	}
}

// runSnippet runs a block in a folder of its own, where ./fairlead and the
// clients on the path speak to a gateway of its own instead of port 1883.
func runSnippet(t *testing.T, command string, s snippet) {
	clients := []string{"mosquitto_pub", "mosquitto_sub"}
	for _, c := range clients {
		if _, err := exec.LookPath(c); err != nil && strings.Contains(s.text+s.beside, c) {
			lackTool(t, "mosquitto", err)
		}
	}
	folder := t.TempDir()
	host, port := serveAlone(t, command, folder)
	for _, c := range clients {
		if real, err := exec.LookPath(c); err == nil {
			wrap(t, folder, c, fmt.Sprintf("exec %q -h %q -p %q \"$@\"", real, host, port))
		}
	}
	url := "mqtt://" + net.JoinHostPort(host, port)
	// How fast a fleet is served here, beside other tests, is not what the documents say.
	wrap(t, folder, "fairlead", fmt.Sprintf("case \"$1 $2\" in pub*|sub*) exec %[1]q \"$@\" --url %[2]q;; fleet?run*) exec %[1]q \"$@\" --url %[2]q --set expect.latency_p99=60s;; *) exec %[1]q \"$@\";; esac", command, url))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := playSnippet(ctx, folder, s)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%v\n%s%s", err, out, exit.Stderr)
	}
	if err != nil || s.want != "" && string(out) != s.want {
		t.Errorf("%v; it wrote:\n%s\nwant:\n%s", err, out, s.want)
	}
}

// playSnippet runs a block and gives its output; or that of the block beside
// it, while which this one is run again and again: when a subscriber in another
// terminal is ready is for people to see.
func playSnippet(ctx context.Context, folder string, s snippet) ([]byte, error) {
	if s.beside == "" {
		return shell(ctx, folder, s.text).Output()
	}
	type result struct {
		out []byte
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := shell(ctx, folder, s.beside).Output()
		ended <- result{out, err}
	}()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case r := <-ended:
			return r.out, r.err
		case <-again.C:
			if out, err := shell(ctx, folder, s.text).Output(); err != nil {
				return out, err
			}
		}
	}
}

func shell(ctx context.Context, folder, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
	cmd.WaitDelay = time.Second
	return cmd
}

func wrap(t *testing.T, folder, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// lackTool skips a test whose foreign program is missing, loudly, and fails it
// where FAIRLEAD_REQUIRE names the tool.
func lackTool(t *testing.T, tool string, why error) {
	t.Helper()
	required := strings.Split(os.Getenv("FAIRLEAD_REQUIRE"), ",")
	if slices.Contains(required, tool) || slices.Contains(required, "all") {
		t.Fatalf("%s is required: %v", tool, why)
	}
	t.Skipf("without %s: %v", tool, why)
}

// serveAlone runs a gateway on free ports until the test ends, with more arguments, and
// returns where its listener "mqtt" is.
func serveAlone(t *testing.T, command, folder string, more ...string) (host, port string) {
	t.Helper()
	file := filepath.Join(folder, "ready.json")
	var log bytes.Buffer
	cmd := exec.Command(command, append([]string{"serve", "--ephemeral", "--ready-file", file}, more...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { stopGateway(t, cmd, exited, &log) })
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	late := time.After(patience)
	for {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("the gateway ended at once: %v", err)
		case <-late:
			t.Fatalf("the gateway was not ready in %v", patience)
		case <-poll.C:
			if text, err := os.ReadFile(file); err == nil {
				return mqttAddress(t, text)
			}
		}
	}
}

func stopGateway(t *testing.T, cmd *exec.Cmd, exited chan error, log *bytes.Buffer) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the gateway had ended: %v", err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := <-exited; err != nil || t.Failed() {
		t.Errorf("the gateway ended with %v and wrote:\n%s", err, log)
	}
}

func mqttAddress(t *testing.T, text []byte) (host, port string) {
	t.Helper()
	var ready struct{ Listeners map[string]string }
	if err := json.Unmarshal(text, &ready); err != nil {
		t.Fatalf("ready file: %v\n%s", err, text)
	}
	host, port, err := net.SplitHostPort(ready.Listeners["mqtt"])
	if err != nil {
		t.Fatalf("the ready file names no listener mqtt: %v\n%s", err, text)
	}
	return host, port
}
