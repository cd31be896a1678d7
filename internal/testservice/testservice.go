package testservice

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// URL is where the service is, in the form that its name in docs/services.md
// says. Without one it ends the test: skipped, or failed where FAIRLEAD_REQUIRE
// names the service.
func URL(t testing.TB, service string) string {
	t.Helper()
	url := os.Getenv(variable(service))
	if url == "" {
		Lack(t, service, fmt.Sprintf(`run scripts/services install %[1]s, then eval "$(scripts/services up %[1]s)"; or set %[2]s to a server that may be written to`, service, variable(service)))
	}
	return url
}

// Kill ends every process of the service by SIGKILL and returns when they are
// gone. "redis-sentinel/master" ends only that process. It blocks for a second
// at most; the service is started again when the test ends.
func Kill(t testing.TB, service string) {
	t.Helper()
	outage(t, "kill", service, "start")
}

// Stop ends the service in order, which may take it some seconds; otherwise it is
// as Kill.
func Stop(t testing.TB, service string) {
	t.Helper()
	outage(t, "stop", service, "start")
}

// Pause holds the service by SIGSTOP: it takes connections and never answers. It
// goes on at Resume, or when the test ends.
func Pause(t testing.TB, service string) {
	t.Helper()
	outage(t, "pause", service, "resume")
}

// Start starts what Kill or Stop has ended, with the same data and ports, and
// returns when the service is well. It blocks for up to SERVICES_TIMEOUT, 180 s;
// Cassandra takes about 20.
func Start(t testing.TB, service string) {
	t.Helper()
	run(t, owned(t, service), "start", service)
}

// Resume lets the service go on after Pause.
func Resume(t testing.TB, service string) {
	t.Helper()
	run(t, owned(t, service), "resume", service)
}

// Acts are [Kill], [Start], [Pause] and [Resume] of one service.
func Acts(service string) (kill, start, pause, resume func(testing.TB)) {
	on := func(act func(testing.TB, string)) func(testing.TB) {
		return func(t testing.TB) { t.Helper(); act(t, service) }
	}
	return on(Kill), on(Start), on(Pause), on(Resume)
}

// outage does what harms the service, and has it healed after the test. The
// remedy does nothing to a service that is well.
func outage(t testing.TB, what, service, remedy string) {
	t.Helper()
	state := owned(t, service)
	t.Cleanup(func() { run(t, state, remedy, service) })
	run(t, state, what, service)
}

// owned returns the folder in which scripts/services keeps the service. It ends
// the test if the URL in the environment is not of that one.
func owned(t testing.TB, service string) string {
	t.Helper()
	name, _, _ := strings.Cut(service, "/")
	url := URL(t, name)
	state := os.Getenv("FAIRLEAD_TEST_SERVICES")
	if state == "" {
		Lack(t, name, variable(name)+" names a server that scripts/services has not started, and only those are killed, stopped or paused")
	}
	known, err := os.ReadFile(filepath.Join(state, name, "url"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		Lack(t, name, fmt.Sprintf("scripts/services has not started it in %s; run scripts/services up %s", state, name))
	case err != nil:
		t.Fatalf("the service %s: %v", name, err)
	case strings.TrimSpace(string(known)) != url:
		Lack(t, name, fmt.Sprintf("%s is not the server that scripts/services has started in %s, and only that one is killed, stopped or paused", variable(name), state))
	}
	return state
}

// Limit ends the whole test binary when t is not over after d: whatever t waits for stands
// in the traces of all goroutines, which are printed. A service that does not answer, or a
// driver that cannot be ended, is told so soon, and of the test that met it.
func Limit(t testing.TB, d time.Duration) {
	t.Helper()
	late := time.AfterFunc(d, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s is not over after %s; what it waits for stands below", t.Name(), d))
	})
	t.Cleanup(func() { late.Stop() })
}

func run(t testing.TB, state, what, service string) {
	t.Helper()
	script, err := find(filepath.Join("scripts", "services"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script, what, service)
	cmd.Env = append(os.Environ(), "SERVICES_DIR="+state)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/services %s %s: %v\n%s", what, service, err, out)
	}
}

// find looks for a file of the repository from the test's folder upwards.
func find(name string) (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		file := filepath.Join(folder, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", fmt.Errorf("there is no %s above this test's folder; run the test within a clone of the repository", name)
		}
		folder = parent
	}
}

// Lack ends a test whose service is not to be had, or what it takes to look at it: skipped,
// or failed where FAIRLEAD_REQUIRE names the service.
func Lack(t testing.TB, service, why string) {
	t.Helper()
	required := strings.Split(os.Getenv("FAIRLEAD_REQUIRE"), ",")
	if slices.Contains(required, service) || slices.Contains(required, "all") {
		t.Fatalf("the service %s is required: %s", service, why)
	}
	t.Skipf("without the service %s: %s", service, why)
}

func variable(service string) string {
	return "FAIRLEAD_TEST_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_URL"
}
