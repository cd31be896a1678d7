package postgres_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

// ownServer is a PostgreSQL of the test's own, which it may kill.
type ownServer struct {
	bin, dir string
	port     int
	url      string
	cmd      *exec.Cmd
	exited   chan struct{} // cmd has
}

// newServer makes a server with fsync on, or skips t where there is no PostgreSQL.
func newServer(t testing.TB) *ownServer {
	t.Helper()
	server(t) // tests with services are wanted
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		missing(t, "no PostgreSQL is installed")
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ownServer{bin: filepath.Dir(found[len(found)-1]), dir: dir, port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	if a := s.credential(t); a != nil {
		if err := os.Chown(dir, int(a.Uid), int(a.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if out, err := s.command(t, "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.url = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
	s.start(t)
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGINT)
		<-s.exited
	})
	return s
}

// credential is the user postgres where the test is root, as which PostgreSQL refuses to
// run.
func (s *ownServer) credential(t testing.TB) *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		missing(t, err.Error())
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *ownServer) command(t testing.TB, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential(t)}
	return cmd
}

// start runs the server until it answers: again and again, for what was killed holds its
// memory for a moment.
func (s *ownServer) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	os.Remove(filepath.Join(s.dir, "data", "postmaster.pid")) // it was killed
	for exited := s.launch(t); exec.CommandContext(ctx, "psql", "-X", "-q", "-c", "select 1", s.url).Run() != nil; {
		select {
		case <-exited:
			exited = s.launch(t)
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			t.Fatalf("it does not start:\n%s", text)
		default:
		}
	}
}

func (s *ownServer) launch(t testing.TB) (exited chan struct{}) {
	t.Helper()
	s.cmd = s.command(t, "postgres", "-D", "data", "-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(s.port), "-c", "unix_socket_directories="+s.dir)
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, exited := s.cmd, make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	s.exited = exited
	return exited
}

// kill ends the server and all its processes as a crash does.
func (s *ownServer) kill(t testing.TB) {
	t.Helper()
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.cmd.Process.Pid, s.cmd.Process.Pid))
	s.cmd.Process.Kill()
	<-s.exited
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestServiceRulesWhenKilled(t *testing.T) {
	own := newServer(t)
	rulestest.Run(t, &site{server: own.url, own: own})
}
