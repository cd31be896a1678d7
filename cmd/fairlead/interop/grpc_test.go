package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startLines runs the handler of docs/exproto with grpcio, on which Fairlead's authors
// have no part, and gives its address.
func startLines(t *testing.T) string {
	t.Helper()
	python := os.Getenv("FAIRLEAD_TEST_PYTHON")
	if python == "" {
		lack(t, "grpcio", "set FAIRLEAD_TEST_PYTHON to a python that has grpcio-tools, or run scripts/test")
	}
	if err := exec.Command(python, "-c", "import grpc_tools").Run(); err != nil {
		lack(t, "grpcio", "the python of FAIRLEAD_TEST_PYTHON has no grpcio-tools")
	}
	root := filepath.Join("..", "..", "..")
	made, protos := t.TempDir(), filepath.Join(root, "protocols", "exproto", "pb")
	if out, err := exec.Command(python, "-m", "grpc_tools.protoc", "-I", protos, "--python_out="+made, "--grpc_python_out="+made, filepath.Join(protos, "handler.proto")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), python, filepath.Join(root, "docs", "exproto", "lines.py"), "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+made)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var port int
	if _, err := fmt.Fscanf(out, "port %d\n", &port); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// lineClient speaks the protocol of docs/exproto.
type lineClient struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (c lineClient) say(line string, answers ...string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.c, line); err != nil {
		c.t.Fatal(err)
	}
	for _, want := range answers {
		c.hear(want)
	}
}

func (c lineClient) hear(want string) {
	c.t.Helper()
	if got, err := c.r.ReadString('\n'); got != want+"\n" {
		c.t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

// TestForeignGRPCPython: the example of docs/adapters.md, by the real grpcio.
func TestForeignGRPCPython(t *testing.T) {
	handler := startLines(t)
	folder := shortDir(t)
	g := runGateway(t, folder, "", "--ephemeral", "--set", "listeners.ws.address=off",
		"--set", "listeners.lines.protocol=exproto", "--set", "listeners.lines.address=127.0.0.1:0", "--set", "listeners.lines.exproto.handler="+handler)
	t.Cleanup(func() { g.stop(t) })
	text, err := os.ReadFile(readyFile(folder))
	var r ready
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	dial := func() lineClient {
		c, err := net.Dial("tcp", r.Listeners["lines"])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		return lineClient{t, c, bufio.NewReader(c)}
	}
	one := dial()
	for begin := time.Now(); ; one = dial() { // until the gateway has reached the handler
		fmt.Fprintln(one.c, "hello one")
		if got, _ := one.r.ReadString('\n'); got == "welcome one\n" {
			break
		} else if time.Since(begin) > patience {
			t.Fatalf("%q", got)
		}
	}
	device := coapGateway{gateway: g}.device(t, "room/#")
	one.say("sub room/+", "sub success")
	two := dial()
	two.say("hello two", "welcome two")
	two.say("pub room/1 warm and dry", "pub success")
	one.hear("msg room/1 warm and dry")
	expect(t, device, "room/1", "warm and dry")
	say(t, device, "room/2", "cold", 1, false)
	expect(t, device, "room/2", "cold")
	one.hear("msg room/2 cold")
	for i := range 200 { // more than the window, so that both sides give back
		text := fmt.Sprint(i, strings.Repeat("x", 1000))
		two.say("pub room/3 "+text, "pub success")
		one.hear("msg room/3 " + text)
		expect(t, device, "room/3", text)
	}
	one.say("sub a/#/b", "bye topic_filter_invalid")
	two.say("pub room/+ text", "bye topic_name_invalid")
	dial().say("dance", "bye protocol_error")
	dial().say("pub room/1 too early", "bye protocol_error")
	dial().say(strings.Repeat("x", 5000), "bye packet_too_large")
}
