package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/core"
)

// TestHashWorkerGivesWay: all its threads come behind the gateway's, it has nothing of the
// environment, and it answers. SIGTERM, which a service's processes get together, does not end it.
func TestHashWorkerGivesWay(t *testing.T) {
	t.Setenv("SECRET", "of the gateway")
	file := filepath.Join(t.TempDir(), "users")
	hash, err := passwd.NewHash([]byte("s3cret"), passwd.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	if err := passwd.Edit(file, func(old []byte) ([]byte, error) { return passwd.SetPassword(old, "alice", hash, passwd.Scram{}) }); err != nil {
		t.Fatal(err)
	}
	var begun []*exec.Cmd
	workers := hashes.NewWorkers(nil, func() *exec.Cmd {
		c := hashWorker()
		c.Args[0] = "fairlead" // the tests' program is the command then
		begun = append(begun, c)
		return c
	})
	defer workers.Close()
	users, err := passwd.Open(passwd.Config{File: file, Hashes: hashes.NewMaker(workers)})
	if err != nil {
		t.Fatal(err)
	}
	login := func() {
		t.Helper()
		v, _, err := users.Authenticate(t.Context(), &core.Credentials{HasUsername: true, Username: "alice", HasPassword: true, Password: []byte("s3cret")})
		if v != core.Allow || err != nil {
			t.Fatalf("%v, %v", v, err)
		}
	}
	login()
	if s := workers.Stats(); s.Apart != 1 || len(begun) != 1 {
		t.Fatalf("%+v, %d processes", s, len(begun))
	}
	folder := fmt.Sprintf("/proc/%d/", begun[0].Process.Pid)
	if env, err := os.ReadFile(folder + "environ"); err != nil || strings.Contains(string(env), "SECRET") {
		t.Errorf("its environment: %q, %v", env, err)
	}
	tasks, err := os.ReadDir(folder + "task")
	if err != nil || len(tasks) == 0 {
		t.Fatal(err)
	}
	ours, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		var tid int
		fmt.Sscan(task.Name(), &tid)
		if theirs, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && theirs > max(ours-niceness, 1) {
			t.Errorf("thread %d: niceness %d, ours is %d", tid, 20-theirs, 20-ours)
		}
	}
	if err := begun[0].Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	login()
	if s := workers.Stats(); s.Apart != 2 || s.Failed != 0 {
		t.Errorf("after SIGTERM: %+v", s)
	}
}
