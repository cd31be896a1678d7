package fairlead_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestAdapterOfProgram meets the example of docs/adapters.md as a client does.
func TestAdapterOfProgram(t *testing.T) {
	cfg := fairlead.DefaultConfig()
	cfg.Node.DataDir = t.TempDir()
	cfg.Admin.Address = "off"
	cfg.Protocols = []fairlead.Protocol{{Name: "lines", New: newLines}}
	cfg.Listeners = map[string]*protocols.ListenerConfig{"lines": {Protocol: "lines", Address: "127.0.0.1:0"}}
	g, err := fairlead.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	select {
	case <-g.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the clients have left
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	one, two := dialLines(t, g, "lines"), dialLines(t, g, "lines")
	one.say("hello one", "welcome one")
	one.say("sub room/+", "sub success")
	two.say("hello two\r\npub room/1 warm and dry", "welcome two")
	one.hear("msg room/1 warm and dry")
	one.say("sub a/#/b", "sub topic_filter_invalid")
	one.say("pub room/+ text", "bye topic_name_invalid")
	two.say("dance", "bye protocol_error")
	dialLines(t, g, "lines").say("pub room/1 too early", "bye protocol_error")
	dialLines(t, g, "lines").say(strings.Repeat("x", 2*longestLine), "bye packet_too_large")
}

// lineClient speaks the protocol of the example.
type lineClient struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

func dialLines(t *testing.T, g *fairlead.Gateway, listener string) *lineClient {
	c, err := net.Dial("tcp", g.Addresses()[listener])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &lineClient{t: t, c: c, r: bufio.NewReader(c)}
}

func (c *lineClient) say(line, answer string) {
	c.t.Helper()
	if _, err := c.c.Write([]byte(line + "\n")); err != nil {
		c.t.Fatal(err)
	}
	c.hear(answer)
}

func (c *lineClient) hear(want string) {
	c.t.Helper()
	got, err := c.r.ReadString('\n')
	if got != want+"\n" {
		c.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

// TestProtocolsOfProgramValidated tells all that is wrong with them.
func TestProtocolsOfProgramValidated(t *testing.T) {
	cfg := fairlead.DefaultConfig()
	cfg.Protocols = []fairlead.Protocol{{Name: "mqtt", New: newLines}, {}, {Name: "lines", New: newLines}, {Name: "lines", New: newLines}}
	_, err := fairlead.New(cfg, nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`Config.Protocols[0]: "mqtt" is taken`, "Config.Protocols[1]: has no Name", "Config.Protocols[1]: has no New", `Config.Protocols[3]: "lines" is taken`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// TestProtocolMustKeepItsName: an adapter of another name would leave its listeners
// without one.
func TestProtocolMustKeepItsName(t *testing.T) {
	for name, make := range map[string]func(*core.Gateway) protocols.Adapter{
		"another": newLines,
		"none":    func(*core.Gateway) protocols.Adapter { return nil },
	} {
		cfg := fairlead.DefaultConfig()
		cfg.Node.DataDir = t.TempDir()
		cfg.Admin.Address = "off"
		cfg.Protocols = []fairlead.Protocol{{Name: name, New: make}}
		cfg.Listeners = map[string]*protocols.ListenerConfig{"x": {Protocol: name, Address: "127.0.0.1:0"}}
		g, err := fairlead.New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
