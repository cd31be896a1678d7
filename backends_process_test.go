package fairlead

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processEnv makes the test binary a gateway in a process of its own: a folder with its
// backends, in which it says where it listens and keeps its data.
const processEnv = "FAIRLEAD_TEST_GATEWAY"

// TestProcess is that gateway. It ends at SIGTERM, and when its input does: with the test
// that has started it.
func TestProcess(t *testing.T) {
	folder := os.Getenv(processEnv)
	if folder == "" {
		t.Skip("runs as a process of other tests")
	}
	text, err := os.ReadFile(filepath.Join(folder, "backends"))
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(filepath.Join(folder, "data"))
	c.Store.Sync = true // it may be killed
	if !*outageFull {   // of the memory that tests look at the store's own share comes to its bound at once
		c.Store.MemtableSize, c.Store.CacheSize = 1<<20, 1<<20
	}
	if err := json.Unmarshal(text, &c.Backends); err != nil {
		t.Fatal(err)
	}
	g, err := New(c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { io.Copy(io.Discard, os.Stdin); stop() }()
	go func() {
		<-g.Ready()
		where, _ := json.Marshal(map[string]string{"mqtt": g.Addresses()["mqtt"], "admin": g.AdminAddress()})
		os.WriteFile(filepath.Join(folder, "new"), where, 0o600)
		os.Rename(filepath.Join(folder, "new"), filepath.Join(folder, "ready"))
	}()
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// process is a gateway in a process of its own.
type process struct {
	t       *testing.T
	folder  string
	cmd     *exec.Cmd
	input   io.Closer
	mqtt    string
	metrics string
}

// newProcess prepares one with backends, which does not run yet.
func newProcess(t *testing.T, c BackendsConfig) *process {
	t.Helper()
	p := &process{t: t, folder: t.TempDir()}
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.folder, "backends"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs it until it is ready.
func (p *process) start() {
	p.t.Helper()
	os.Remove(filepath.Join(p.folder, "ready"))
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestProcess$", "-test.timeout=0", fmt.Sprint("-outage-full=", *outageFull))
	p.cmd.Env = append(os.Environ(), processEnv+"="+p.folder)
	p.cmd.Stderr, p.cmd.Stdout = log, log
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, input := p.cmd, p.input
	p.t.Cleanup(func() { input.Close(); cmd.Process.Kill(); cmd.Wait() })
	p.awaitReady()
}

func (p *process) awaitReady() {
	p.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for late := time.After(time.Minute); ; {
		var where map[string]string
		if text, err := os.ReadFile(filepath.Join(p.folder, "ready")); err == nil && json.Unmarshal(text, &where) == nil {
			p.mqtt, p.metrics = where["mqtt"], "http://"+where["admin"]+"/metrics"
			return
		}
		select {
		case <-look.C:
		case <-late:
			p.t.Fatalf("the gateway is not ready:\n%s", p.log())
		}
	}
}

// kill ends it as a crash does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// stop ends it in order.
func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the gateway ends: %v\n%s", err, p.log())
	}
}

func (p *process) logFile() string { return filepath.Join(p.folder, "log") }

func (p *process) log() string {
	text, _ := os.ReadFile(p.logFile())
	return string(text)
}

// lines counts those of the log.
func (p *process) lines() int { return strings.Count(p.log(), "\n") }

// memory is what it has resident in bytes, files apart: of those most is the test binary,
// which comes in as it is used.
func (p *process) memory() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, rest, _ := bytes.Cut(text, []byte("RssAnon:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(string(fields[0]))
	return n << 10
}

// figures reads a metric, by the topic of its rule.
func (p *process) figures(name string) map[string]float64 {
	p.t.Helper()
	res, err := http.Get(p.metrics)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, name+"{") {
			continue
		}
		_, rest, _ := strings.Cut(line, `topic="`)
		topic, _, _ := strings.Cut(rest, `"`)
		fields := strings.Fields(line)
		all[topic], _ = strconv.ParseFloat(fields[len(fields)-1], 64)
	}
	return all
}
