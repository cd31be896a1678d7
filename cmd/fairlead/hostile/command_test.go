package hostile

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	full          = flag.Bool("full", false, "attack with the sizes of the promises: minutes, and 20,000 descriptors")
	apart         = flag.Bool("apart", false, "give the gateway processors of its own (Linux, as root): what the innocent notice is then the gateway's doing")
	lasting       = flag.Duration("lasting", 10*time.Second, "with -full, how long attacks go on that would never end")
	rounds        = flag.Int("rounds", 1, "with -full, how often this gateway and another one are attacked by turns; the median of the rounds is told")
	share         = flag.Int("share", 0, "client_processor_share of the listeners, in percent; 0: none, as without a configuration")
	faults        = flag.Bool("faults", false, "let the attacks fail that are known to succeed")
	prebuilt      = flag.String("command", "", "attack this fairlead command; empty builds it")
	updateFigures = flag.Bool("update-figures", false, "write what was measured into docs/limits.md")
)

// patience bounds each wait for an event. It is met only when something is wrong: longer
// than any of them takes on a slow machine that is busy with other tests.
const patience = time.Minute

// folderKey carries the package's temporary folder from TestMain to the tests.
const folderKey = "HOSTILE_TEST_FOLDER"

func TestMain(m *testing.M) {
	flag.Parse()
	folder, err := os.MkdirTemp("", "fh")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv(folderKey, folder)
	if *apart && os.Getenv(innocentsKey) == "" {
		if err := keepApart(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if code == 0 && *updateFigures {
		if err := writeFigures(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

// command gives the path of the built fairlead command. The rename makes two
// builders at once harmless.
func command(t *testing.T) string {
	t.Helper()
	if *prebuilt != "" {
		return *prebuilt
	}
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

// gateway is one running fairlead process under attack.
type gateway struct {
	cmd      *exec.Cmd
	log      *journal
	exited   chan struct{}
	ready    ready
	password string // the administrator's
	stopped  bool   // stop was called
}

// ready is the part of the ready file that the tests use.
type ready struct {
	PID       int               `json:"pid"`
	Listeners map[string]string `json:"listeners"` // addresses by name
	Admin     string            `json:"admin"`
}

// journal is what a process writes, readable while it runs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// startGateway runs `fairlead serve` on free ports until the test ends; settings
// are section.key=value. It must then stop by itself, without an error.
func startGateway(t *testing.T, settings []string) *gateway {
	t.Helper()
	return startGatewayAt(t, ofGateway, settings)
}

func startGatewayAt(t *testing.T, where place, settings []string) *gateway {
	t.Helper()
	folder, err := os.MkdirTemp(os.Getenv(folderKey), "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "ready.json")
	args := []string{"serve", "--ephemeral", "--ready-file", file, "--set", "log.level=warn"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	g := &gateway{cmd: placed(where, command(t), args...), log: &journal{}, exited: make(chan struct{})}
	g.cmd.Dir = folder
	g.cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "FAIRLEAD_") // the gateway would take them for settings
	})
	g.cmd.Env = append(g.cmd.Env, "TMPDIR="+folder)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	dieWithUs(g.cmd)
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		g.cmd.Wait() // how it ended is asked of cmd.ProcessState
		close(g.exited)
	}()
	t.Cleanup(func() {
		if !g.stopped {
			g.stop(t)
		}
	})
	g.awaitReady(t, file)
	return g
}

// awaitReady polls for the ready file: a process of its own has no other way to
// tell.
func (g *gateway) awaitReady(t *testing.T, file string) {
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
			t.Fatalf("no ready file in %v:\n%s", patience, g.log)
		case <-poll.C:
			text, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			if err := json.Unmarshal(text, &g.ready); err != nil {
				t.Fatalf("ready file: %v\n%s", err, text)
			}
			return
		}
	}
}

// awaitLog polls until the gateway's output has what find finds in it.
func (g *gateway) awaitLog(t *testing.T, what string, find func(string) string) string {
	t.Helper()
	found := ""
	eventually(t, what, func() bool { found = find(g.log.String()); return found != "" })
	return found
}

// eventually polls for cond, which another process makes true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	if !soon(cond) {
		t.Fatalf("%s: not within %v", what, patience)
	}
}

// soon is eventually, but only tells. What a client was told of may be counted a moment
// later.
func soon(cond func() bool) bool {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !cond() {
		select {
		case <-poll.C:
		case <-late.C:
			return false
		}
	}
	return true
}

// stop asks the process to end and expects that it does so in good order.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	g.stopped = true
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the gateway had ended (%v):\n%s", g.cmd.ProcessState, g.log)
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-g.exited:
	case <-late.C:
		g.cmd.Process.Kill()
		<-g.exited
		t.Errorf("the gateway did not stop in %v", patience)
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gateway ended with code %d", code)
	}
	if t.Failed() {
		text := g.log.String()
		t.Logf("the end of the gateway's log:\n%s", text[max(0, len(text)-4000):])
	}
}
