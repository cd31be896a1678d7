package protocols

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// gramAdapter speaks a protocol of datagrams of text, just rich enough to drive every
// part of the edge. A datagram that begins with F carries the name of a node in front,
// up to a colon. See gramMachine.Input.
type gramAdapter struct {
	made   chan *gramMachine
	closed chan *gramMachine
	spy    func(m *gramMachine, t *core.Turn, b []byte) // sees all input, if not nil
	met    atomic.Int64
	said   atomic.Int64
}

func newGramAdapter() *gramAdapter {
	return &gramAdapter{made: make(chan *gramMachine, 200_000), closed: make(chan *gramMachine, 200_000)}
}

// Name is the one that the harness's listeners have.
func (a *gramAdapter) Name() string { return "line" }

func (a *gramAdapter) Split(b []byte) (node, message []byte) {
	if len(b) == 0 || b[0] != 'F' {
		return nil, b
	}
	if node, message, ok := bytes.Cut(b[1:], []byte{':'}); ok {
		return node, message
	}
	return nil, b
}

// Meet answers who by itself, blow N by N bytes, and opens for hello.
func (a *gramAdapter) Meet(_ *core.Turn, info *ConnInfo, message []byte, act *Actions) bool {
	a.met.Add(1)
	words := strings.Fields(string(message))
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "who":
		act.Out = append(act.Out, "me"...)
	case "where":
		act.Out = append(act.Out, info.Local.Addr().String()...)
	case "blow":
		n, _ := strconv.Atoi(words[1])
		act.Out = append(act.Out, bytes.Repeat([]byte{'x'}, n)...)
	case "hello", "strange":
		return true
	}
	return false
}

// Beacon announces twice.
func (a *gramAdapter) Beacon(_ *core.Turn, ln *Listener, act *Actions) time.Duration {
	act.Out = append(act.Out, "here is "+ln.Name()...)
	if a.said.Add(1) == 2 {
		return 0
	}
	return time.Minute
}

func (a *gramAdapter) NewMachine(info *ConnInfo, conn core.Conn) Machine {
	m := &gramMachine{adapter: a, info: *info, conn: conn}
	a.made <- m
	return m
}

// gramMachine is one peer.
type gramMachine struct {
	adapter *gramAdapter
	info    ConnInfo
	conn    core.Conn
	reason  core.Reason
	ends    int
	inside  atomic.Int32

	mu    sync.Mutex
	queue [][]byte
}

func (m *gramMachine) alone() func() {
	if m.inside.Add(1) != 1 {
		panic("two calls of a machine at once")
	}
	return func() { m.inside.Add(-1) }
}

// Input takes hello (accepts the client), prove, bye, timer D, alarm D, pause, send N
// SIZE (N datagrams through Output), two A B (two datagrams of one call); anything else
// is echoed.
func (m *gramMachine) Input(t *core.Turn, b []byte, a *Actions) int {
	defer m.alone()()
	if m.adapter.spy != nil {
		m.adapter.spy(m, t, b)
	}
	words := strings.Fields(string(b))
	if len(words) == 0 {
		words = []string{""}
	}
	switch words[0] {
	case "hello":
		a.Accepted = true
		a.Out = append(a.Out, "welcome"...)
	case "prove":
		a.Proven = true
	case "bye":
		a.Close, a.Reason = true, core.NormalDisconnect
		a.Out = append(a.Out, "bye"...)
	case "timer":
		a.Timer, _ = time.ParseDuration(words[1])
		a.SetTimer = true
	case "alarm":
		a.Alarm, _ = time.ParseDuration(words[1])
		a.SetAlarm = true
	case "pause":
		a.Pause = true
	case "two":
		a.Out = append(a.Out, words[1]...)
		a.EndDatagram()
		a.Out = append(a.Out, words[2]...)
	case "send":
		n, _ := strconv.Atoi(words[1])
		size, _ := strconv.Atoi(words[2])
		for i := range n {
			m.push(append([]byte(fmt.Sprintf("%06d", i)), bytes.Repeat([]byte{'x'}, size-6)...))
		}
		m.conn.Wake(t)
	case "message":
		if a.Limited && a.Messages <= 0 {
			a.Out = append(a.Out, "later"...)
			break
		}
		a.Messages--
		a.Out = append(a.Out, "taken"...)
	default:
		a.Out = append(a.Out, b...)
	}
	return len(b)
}

func (m *gramMachine) push(b []byte) {
	m.mu.Lock()
	m.queue = append(m.queue, b)
	m.mu.Unlock()
}

func (m *gramMachine) Output(_ *core.Turn, o *Out) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > 0 && o.Len() < o.Limit {
		b := m.queue[0]
		m.queue[0] = nil
		m.queue = m.queue[1:]
		if len(b) >= ReferenceAbove {
			o.Buf = append(o.Buf, b[:6]...)
			o.Ref(b[6:])
		} else {
			o.Buf = append(o.Buf, b...)
		}
		o.EndDatagram()
	}
	return len(m.queue) > 0
}

func (m *gramMachine) Complete(_ *core.Turn, c core.Completion, a *Actions) {
	defer m.alone()()
	a.Out = append(a.Out, "completed "+strconv.Itoa(int(c.Token))...)
}

func (m *gramMachine) Tick(_ *core.Turn, a *Actions) {
	defer m.alone()()
	a.Out = append(a.Out, "tick"...)
}

func (m *gramMachine) Stop(_ *core.Turn, r core.Reason, a *Actions) {
	defer m.alone()()
	a.Out = append(a.Out, "stop "+r.String()...)
	a.Close = true
}

func (m *gramMachine) Closed(_ *core.Turn, r core.Reason) {
	defer m.alone()()
	m.ends++
	if m.ends > 1 {
		panic("Closed twice")
	}
	m.reason = r
	m.adapter.closed <- m
}

// echo is a server that echoes.
type echo struct {
	*harness
	peers *gramAdapter
}

// startEcho runs one with a listener named "l"; batches says whether the system's own
// sockets are used.
func startEcho(t testing.TB, batches bool, lc *ListenerConfig) *echo {
	t.Helper()
	if lc.Transport == "" {
		lc.Transport = UDP
	}
	if lc.Address == "" && !lc.Given {
		lc.Address = "127.0.0.1:0"
	}
	lc.Protocol = "line"
	cfg := DefaultConfig()
	cfg.Loops = 2
	cfg.Listeners["l"] = lc
	h := &harness{t: t, gateway: newFakeGateway()}
	e := &echo{harness: h, peers: newGramAdapter()}
	s, err := newServer(cfg, h.gateway, []Adapter{e.peers}, slog.New(slog.NewTextHandler(&h.log, nil)), newLoops)
	if err != nil {
		t.Fatal(err)
	}
	if !batches {
		s.datagrams.open = func(ln *Listener, a netip.AddrPort, _ int) ([]datagramSocket, error) { return openPlain(ln, a) }
	}
	h.run(s)
	return e
}

// dgramClient is one device.
type dgramClient struct {
	*net.UDPConn
	t testing.TB
}

func (e *echo) client() *dgramClient {
	e.t.Helper()
	return dialDatagrams(e.t, e.server.Addresses()["l"])
}

func dialDatagrams(t testing.TB, to net.Addr) *dgramClient {
	t.Helper()
	c, err := net.DialUDP("udp", nil, to.(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return &dgramClient{c, t}
}

func (c *dgramClient) say(s string) {
	c.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads one datagram.
func (c *dgramClient) hear() string {
	c.t.Helper()
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b[:n])
}

func (c *dgramClient) hears(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.hear(); got != w {
			c.t.Fatalf("heard %.80q, want %.80q", got, w)
		}
	}
}

func (c *dgramClient) asks(question, answer string) {
	c.t.Helper()
	c.say(question)
	c.hears(answer)
}
