package fairlead_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// TestServicePostgresPath does what a user does who has read "Five minutes from nothing":
// the blocks marked <!-- test: path -->, one after the other in one folder, with a real
// PostgreSQL in the place of the one that Debian installs.
func TestServicePostgresPath(t *testing.T) {
	testservice.Limit(t, 3*time.Minute) // it builds the command
	server, err := url.Parse(testservice.URL(t, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"psql", "mosquitto_pub"} {
		if _, err := exec.LookPath(tool); err != nil {
			lackTool(t, "mosquitto", err)
		}
	}
	folder := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "fairlead"), "./cmd/fairlead").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	administrator := func(script string) {
		if out, err := exec.Command("psql", "-X", "-q", "-c", script, server.String()).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	clean := func() {
		administrator("drop database if exists mqtt with (force)")
		administrator("drop role if exists gateway")
	}
	clean()
	t.Cleanup(clean)
	// Who the administrator is, and at which port the server is, are not Debian's.
	wrap(t, folder, "sudo", fmt.Sprintf(`shift 3; exec psql -X %q "$@"`, server.String()))
	t.Setenv("PGPORT", server.Port())
	t.Setenv("PGSSLMODE", "disable")
	guide := documents(t)["docs/backends-postgres.md"]
	steps := 0
	for _, s := range snippets("docs/backends-postgres.md", guide) {
		if s.mark != "path" {
			continue
		}
		steps++
		switch {
		case s.lang == "toml":
			text := strings.ReplaceAll(s.text, "127.0.0.1:5432", net.JoinHostPort(server.Hostname(), server.Port()))
			if err := os.WriteFile(filepath.Join(folder, "fairlead.toml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		case strings.Contains(s.text, "fairlead serve"):
			host, port := serveAlone(t, filepath.Join(folder, "fairlead"), folder, strings.Fields(s.text)[2:]...)
			wrap(t, folder, "mosquitto_pub", fmt.Sprintf("exec %q -h %q -p %q \"$@\"", must(exec.LookPath("mosquitto_pub")), host, port))
		default:
			walk(t, folder, s)
		}
	}
	if steps < 7 {
		t.Errorf("the path has %d steps", steps)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// walk does a step, until it shows what the guide shows: the database has a message a
// moment after its publisher was answered. What only reads may be done again.
func walk(t *testing.T, folder string, s snippet) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		cmd := shell(ctx, folder, s.text)
		var wrong bytes.Buffer
		cmd.Stderr = &wrong
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", s.place, err, out, wrong.Bytes())
		}
		if string(out) == s.want || s.want == "" {
			t.Logf("$ %s%s", s.text, out)
			return
		}
		if !strings.Contains(s.text, "select") {
			t.Fatalf("%s wrote:\n%s\nwant:\n%s", s.place, out, s.want)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s wrote:\n%s\nwant:\n%s", s.place, out, s.want)
		}
	}
}
