package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	flag.Parse()
	folder, err := os.MkdirTemp("", "fl") // short: the paths of Unix sockets are
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv(folderKey, folder)
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// folderKey carries the package's temporary folder from TestMain to the tests.
const folderKey = "INTEROP_TEST_FOLDER"

// command gives the path of the built fairlead command. Go's own cache makes
// building it again cheap; the rename makes two builders at once harmless.
func command(t *testing.T) string {
	t.Helper()
	path := filepath.Join(os.Getenv(folderKey), "fairlead")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	made := filepath.Join(t.TempDir(), "fairlead")
	cmd := exec.Command("go", "build", "-o", made, "github.com/fairlead-iot/fairlead/cmd/fairlead")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// gateway is one running fairlead process.
type gateway struct {
	cmd       *exec.Cmd
	log       *bytes.Buffer // what it wrote; read only after exited
	exited    chan struct{}
	endpoints map[transport]endpoint
	listeners map[string]string // addresses by name
	admin     string            // address of /metrics
}

// startGateway runs a gateway with a listener for each transport until the test
// ends. It must then stop by itself when asked to, without an error.
func startGateway(t *testing.T) *gateway {
	t.Helper()
	if *reference {
		return startReference(t)
	}
	folder := shortDir(t)
	ca := newAuthority(t, folder)
	g := runGateway(t, folder, ca.path, append(ca.listeners(folder), "--ephemeral")...)
	t.Cleanup(func() { g.stop(t) })
	return g
}

// listeners are the settings of a listener for each transport.
func (a authority) listeners(folder string) []string {
	var args []string
	set := func(listener, key, value string) {
		args = append(args, "--set", fmt.Sprintf("listeners.%s.%s=%s", listener, key, value))
	}
	for name, tr := range listenerNames() {
		set(name, "protocol", "mqtt")
		set(name, "transport", string(tr))
		switch tr {
		case "unix":
			set(name, "address", filepath.Join(folder, "mqtt.sock"))
			continue
		case "tls", "wss", "quic":
			set(name, "tls.cert_file", a.cert)
			set(name, "tls.key_file", a.key)
		}
		set(name, "address", "127.0.0.1:0")
	}
	return args
}

// listenerNames are the default names of the listeners.
func listenerNames() map[string]transport {
	return map[string]transport{"mqtt": "tcp", "mqtts": "tls", "ws": "ws", "wss": "wss", "quic": "quic", "unix": "unix"}
}

// ready is the part of the ready file that the tests use.
type ready struct {
	PID       int               `json:"pid"`
	Listeners map[string]string `json:"listeners"` // addresses by name
	Admin     string            `json:"admin"`
}

// runGateway starts `fairlead serve` and waits until clients can connect.
func runGateway(t *testing.T, folder, ca string, args ...string) *gateway {
	t.Helper()
	file := readyFile(folder)
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	g := start(t, serve(t, folder, args...), folder)
	g.awaitFile(t, file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r ready
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("ready file: %v\n%s", err, text)
	}
	if r.PID != g.cmd.Process.Pid {
		t.Errorf("ready file names process %d, started was %d", r.PID, g.cmd.Process.Pid)
	}
	g.admin, g.listeners = r.Admin, r.Listeners
	for name, address := range r.Listeners {
		if tr, ok := listenerNames()[name]; ok {
			e := endpoint{transport: tr, address: address}
			if tr == "tls" || tr == "wss" || tr == "quic" {
				e.ca = ca
			}
			g.endpoints[tr] = e
		}
	}
	return g
}

func readyFile(folder string) string { return filepath.Join(folder, "ready.json") }

// serve is the command line of a gateway.
func serve(t *testing.T, folder string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(command(t), append([]string{"serve", "--ready-file", readyFile(folder)}, args...)...)
}

// start runs cmd as a child whose output is kept for the case that it fails.
func start(t *testing.T, cmd *exec.Cmd, folder string) *gateway {
	t.Helper()
	g := &gateway{cmd: cmd, log: &bytes.Buffer{}, exited: make(chan struct{}), endpoints: map[transport]endpoint{}}
	cmd.Dir = folder
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "FAIRLEAD_") // the tests' own, which the gateway takes for settings
	})
	cmd.Env = append(cmd.Env, "TMPDIR="+folder) // what a killed gateway leaves behind goes with the tests
	cmd.Stdout, cmd.Stderr = g.log, g.log
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		cmd.Wait() // how it ended is asked of cmd.ProcessState
		close(g.exited)
	}()
	t.Cleanup(func() { g.kill() })
	return g
}

// awaitFile polls for the file by which a process says that it is ready: a
// process of its own has no other way to tell.
func (g *gateway) awaitFile(t *testing.T, file string) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case <-g.exited:
			t.Fatalf("the gateway ended at once (%v):\n%s", g.cmd.ProcessState, g.log)
		case <-late.C:
			g.kill()
			t.Fatalf("no ready file in %v:\n%s", patience, g.log)
		case <-poll.C:
			if _, err := os.Stat(file); err == nil {
				return
			}
		}
	}
}

func (g *gateway) endpoint(t *testing.T, tr transport) endpoint {
	t.Helper()
	e, ok := g.endpoints[tr]
	if !ok {
		t.Fatalf("the gateway does not listen on %s: %v", tr, g.endpoints)
	}
	return e
}

// kill ends the process as a power cut would, and waits until it is gone.
func (g *gateway) kill() {
	g.cmd.Process.Kill() // an error says that it has ended already
	<-g.exited
}

// stop asks the process to end, and expects that it does so in good order.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the gateway had ended (%v):\n%s", g.cmd.ProcessState, g.log)
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-g.exited:
	case <-late.C:
		g.kill()
		t.Errorf("the gateway did not stop in %v:\n%s", patience, g.log)
		return
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gateway ended with code %d:\n%s", code, g.log)
	}
	if t.Failed() {
		t.Logf("the gateway's log:\n%s", g.log)
	}
}

// shortDir is a temporary folder whose name leaves room for a Unix socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp(os.Getenv(folderKey), "")
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
