package interop

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reference lets the foreign clients play against mosquitto: where a scenario
// fails there too, doubt the scenario.
var reference = flag.Bool("reference", false, "play against mosquitto, to try the scenarios themselves")

func startReference(t *testing.T) *gateway {
	t.Helper()
	folder := shortDir(t)
	ca := newAuthority(t, folder)
	endpoints := map[transport]endpoint{"unix": {transport: "unix", address: filepath.Join(folder, "mqtt.sock")}}
	var conf strings.Builder
	fmt.Fprintf(&conf, "user root\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlistener 0 %s\n", endpoints["unix"].address)
	all := []transport{"tcp", "tls", "ws", "wss"}
	ports := freePorts(t, len(all))
	for i, tr := range all {
		at := endpoint{transport: tr, address: fmt.Sprint("127.0.0.1:", ports[i])}
		_, port := at.hostPort(t)
		fmt.Fprintf(&conf, "listener %d 127.0.0.1\n", port)
		if tr == "ws" || tr == "wss" {
			fmt.Fprintln(&conf, "protocol websockets")
		}
		if tr == "tls" || tr == "wss" {
			at.ca = ca.path
			fmt.Fprintf(&conf, "certfile %s\nkeyfile %s\n", ca.cert, ca.key)
		}
		endpoints[tr] = at
	}
	file := filepath.Join(folder, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, exec.Command("mosquitto", "-c", file), folder)
	g.endpoints = endpoints
	for _, at := range endpoints {
		g.awaitListener(t, at)
	}
	return g
}

// freePorts finds n ports, each of TCP and UDP, outside the range from which the system
// gives its own, so that nobody else is given one in the meantime.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range 100 * n {
		if len(ports) == n {
			return ports
		}
		address := fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(10_000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		defer l.Close() // held, so that none is found twice
		if u, err := net.ListenPacket("udp", address); err == nil {
			u.Close()
			ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		}
	}
	t.Fatal("no free ports")
	return nil
}

func (g *gateway) awaitListener(t *testing.T, at endpoint) {
	t.Helper()
	network := "tcp"
	if at.transport == "unix" {
		network = "unix"
	}
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if c, err := net.Dial(network, at.address); err == nil {
			c.Close()
			return
		}
		select {
		case <-g.exited:
			t.Fatalf("the reference ended at once (%v):\n%s", g.cmd.ProcessState, g.log)
		case <-late.C:
			t.Fatalf("no %s listener in %v", at.transport, patience)
		case <-poll.C:
		}
	}
}
