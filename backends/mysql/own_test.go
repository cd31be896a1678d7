package mysql_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

// ownServer is a MariaDB of the test's own, which it may kill.
type ownServer struct {
	bin, dir string
	port     int
	url      string
	cmd      *exec.Cmd
	exited   chan struct{} // cmd has
}

// newServer makes a server that syncs each transaction, or skips t where there is no
// MariaDB.
func newServer(t testing.TB) *ownServer {
	t.Helper()
	server(t, "MariaDB", servers()["MariaDB"]) // tests with services are wanted
	bin, err := exec.LookPath("mariadbd")
	if err != nil {
		bin = "/usr/sbin/mariadbd"
	}
	if _, err := os.Stat(bin); err != nil {
		missing(t, "MariaDB", err.Error())
	}
	dir, err := os.MkdirTemp("", "my")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ownServer{bin: bin, dir: dir, port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			missing(t, "MariaDB", err.Error())
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	install := []string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db"}
	if out, err := exec.Command("mariadb-install-db", append(install, s.as()...)...).CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	script := "create database gw;\ncreate user gw@'%' identified by 'gw';\ngrant all on *.* to gw@'%';\n"
	if err := os.WriteFile(filepath.Join(dir, "init.sql"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	s.url = fmt.Sprintf("mysql://gw:gw@127.0.0.1:%d/gw", s.port)
	s.start(t)
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		<-s.exited
	})
	return s
}

// as is the user mysql where the test is root, as which MariaDB refuses to run.
func (s *ownServer) as() []string {
	if os.Getuid() == 0 {
		return []string{"--user=mysql"}
	}
	return nil
}

// start runs the server until it answers.
func (s *ownServer) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s.launch(t)
	u := mustParse(t, s.url)
	for exec.CommandContext(ctx, "mysql", "--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P"+u.Port(), "-ugw", "-pgw", "-e", "select 1", "gw").Run() != nil {
		select {
		case <-s.exited:
			s.launch(t)
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			t.Fatalf("it does not start:\n%s", text)
		default:
		}
	}
	os.WriteFile(filepath.Join(s.dir, "init.sql"), nil, 0o644) // it is done
}

func (s *ownServer) launch(t testing.TB) {
	t.Helper()
	args := []string{"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.port),
		"--socket=" + filepath.Join(s.dir, "s"), "--pid-file=" + filepath.Join(s.dir, "pid"), "--skip-name-resolve", "--innodb-buffer-pool-size=64M",
		"--performance-schema=OFF", "--init-file=" + filepath.Join(s.dir, "init.sql")}
	s.cmd = exec.Command(s.bin, append(args, s.as()...)...)
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
}

// kill ends the server as a crash does.
func (s *ownServer) kill(t testing.TB) {
	t.Helper()
	s.cmd.Process.Kill()
	<-s.exited
}

func TestServiceRulesWhenKilled(t *testing.T) {
	own := newServer(t)
	rulestest.Run(t, &site{server: own.url, own: own})
}
