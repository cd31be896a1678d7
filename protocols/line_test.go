package protocols

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-iot/fairlead/core"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(loadVariable); spec != "" {
		runLoad(spec)
		return
	}
	goleak.VerifyTestMain(m)
}

// lineAdapter speaks a protocol of text lines, just rich enough to drive every
// part of the edge. See lineMachine.Input.
type lineAdapter struct {
	made   chan *lineMachine // every machine, in the order they were made
	closed chan *lineMachine // every machine whose Closed was called
	work   chan struct{}     // a line "work" says here that it begins
	worked chan struct{}     // and waits here for its end
}

func newLineAdapter() *lineAdapter {
	return &lineAdapter{made: make(chan *lineMachine, 10_000), closed: make(chan *lineMachine, 10_000), work: make(chan struct{}), worked: make(chan struct{})}
}

func (a *lineAdapter) Name() string { return "line" }

func (a *lineAdapter) NewMachine(info *ConnInfo, conn core.Conn) Machine {
	m := &lineMachine{adapter: a, info: *info, conn: conn}
	a.made <- m
	return m
}

// lineMachine is one connection of the line protocol.
type lineMachine struct {
	adapter *lineAdapter
	info    ConnInfo
	conn    core.Conn
	reason  core.Reason
	ends    int
	left    int          // how often the line under way was left
	inside  atomic.Int32 // calls under way that must come one at a time
	paused  atomic.Bool  // it has asked for a pause

	mu     sync.Mutex
	queue  [][]byte
	unread atomic.Int64 // bytes that Output gave
}

func (m *lineMachine) alone() func() {
	if m.inside.Add(1) != 1 {
		panic("two calls of a machine at once")
	}
	return func() { m.inside.Add(-1) }
}

// Input takes lines: hello (accepts the client), bye, timer D, pause, send N SIZE
// (N messages through Output), work (all that one connection may do in a turn), cost D
// (as if it took so long), anything else is echoed.
func (m *lineMachine) Input(t *core.Turn, b []byte, a *Actions) int {
	defer m.alone()()
	t.Allot()
	used := 0
	for !a.Pause && !a.Close && (!a.Limited || a.Messages > 0) {
		end := bytes.IndexByte(b[used:], '\n')
		if end < 0 {
			break
		}
		if t.Spent() {
			a.Again = true
			break
		}
		m.line(t, string(b[used:used+end]), a)
		if a.Again {
			break
		}
		used += end + 1
	}
	return used
}

func (m *lineMachine) line(t *core.Turn, line string, a *Actions) {
	words := strings.Fields(line)
	if len(words) == 0 {
		words = []string{""}
	}
	switch words[0] {
	case "hello":
		a.Accepted = true
		a.Out = append(a.Out, "welcome\n"...)
	case "bye":
		a.Close, a.Reason = true, core.NormalDisconnect
		a.Out = append(a.Out, "bye\n"...)
	case "timer":
		d, _ := time.ParseDuration(words[1])
		a.SetTimer, a.Timer = true, d
	case "pause":
		a.Pause = true
		m.paused.Store(true)
	case "work":
		m.adapter.work <- struct{}{}
		<-m.adapter.worked
		t.Spend(1 << 20)
	case "leave": // it comes again so often
		most, _ := strconv.Atoi(words[1])
		if m.left++; m.left <= most {
			a.Again = true
			return
		}
		a.Out = fmt.Appendf(a.Out, "left %d times\n", m.left-1)
		m.left = 0
	case "cost":
		d, _ := time.ParseDuration(words[1])
		t.Spend(int(d / (120 * time.Nanosecond))) // as a unit is taken for
	case "send":
		n, _ := strconv.Atoi(words[1])
		size, _ := strconv.Atoi(words[2])
		for range n {
			m.push(bytes.Repeat([]byte{'x'}, size))
		}
		m.conn.Wake(t)
	default:
		a.Messages--
		a.Out = append(append(a.Out, line...), '\n')
	}
}

func (m *lineMachine) push(b []byte) {
	m.mu.Lock()
	m.queue = append(m.queue, b)
	m.mu.Unlock()
}

func (m *lineMachine) Output(_ *core.Turn, o *Out) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > 0 && o.Len() < o.Limit {
		b := m.queue[0]
		m.queue[0] = nil
		m.queue = m.queue[1:]
		if len(b) >= ReferenceAbove {
			o.Ref(b)
		} else {
			o.Buf = append(o.Buf, b...)
		}
		m.unread.Add(int64(len(b)))
	}
	return len(m.queue) > 0
}

func (m *lineMachine) Complete(_ *core.Turn, c core.Completion, a *Actions) {
	defer m.alone()()
	a.Out = append(a.Out, "completed "+strconv.Itoa(int(c.Token))+"\n"...)
}

func (m *lineMachine) Tick(_ *core.Turn, a *Actions) {
	defer m.alone()()
	a.Out = append(a.Out, "too quiet\n"...)
	a.Close, a.Reason = true, core.KeepAliveTimeout
}

func (m *lineMachine) Stop(_ *core.Turn, r core.Reason, a *Actions) {
	defer m.alone()()
	a.Out = append(a.Out, "stop "+r.String()+"\n"...)
	a.Close = true
}

func (m *lineMachine) Closed(_ *core.Turn, r core.Reason) {
	defer m.alone()()
	m.ends++
	if m.ends > 1 {
		panic("Closed twice")
	}
	m.reason = r
	m.adapter.closed <- m
}

// fakeGateway makes real turns and records refusals.
type fakeGateway struct {
	*core.Gateway
	refusals chan core.Refusal
}

func newFakeGateway() *fakeGateway {
	return &fakeGateway{core.New(core.Options{Config: core.DefaultConfig()}), make(chan core.Refusal, 10_000)}
}

func (g *fakeGateway) Refuse(_ *core.Turn, r core.Refusal) { g.refusals <- r }

// lockedBuffer is a log's target.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// harness is a running server.
type harness struct {
	t       testing.TB
	server  *Server
	adapter *lineAdapter
	gateway *fakeGateway
	stop    func()
	tls     *tls.Config // of clients
	log     lockedBuffer
}

// start runs a server with one listener, named "l", on the loops with this wait
// mode, or "pump".
func start(t testing.TB, wait string, lc *ListenerConfig) *harness {
	t.Helper()
	a := newLineAdapter()
	h := startWith(t, wait, lc, a)
	h.adapter = a
	return h
}

func startWith(t testing.TB, wait string, lc *ListenerConfig, adapter Adapter) *harness {
	t.Helper()
	lc.Protocol = "line"
	cfg := DefaultConfig()
	cfg.Loops = 2
	cfg.Listeners["l"] = lc
	own := makeEngine(newLoops)
	if wait == "pump" {
		own = func(*Config, gateway, *slog.Logger, *tally) (engine, error) { return nil, nil }
	} else {
		cfg.Wait = wait
	}
	h := &harness{t: t, gateway: newFakeGateway()}
	if lc.HasCertificate() {
		h.tls = certify(t, &lc.TLS)
	}
	s, err := newServer(cfg, h.gateway, []Adapter{adapter}, slog.New(slog.NewTextHandler(&h.log, nil)), own)
	if err != nil {
		t.Fatal(err)
	}
	h.run(s)
	return h
}

// run serves until the test ends.
func (h *harness) run(s *Server) {
	t := h.t
	t.Helper()
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	h.server = s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.stop)
}

// patience bounds each wait for what must come. It costs nothing where all is well, and
// is met only when something is wrong: other tests, and other programs, may be as busy.
const patience = time.Minute

// await receives from c or fails the test.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// client is the other end of a connection.
type client struct {
	net.Conn
	t testing.TB
}

func (h *harness) dial() *client {
	h.t.Helper()
	return h.dialAddr(h.server.Addresses()["l"])
}

// connect opens the connection under all else.
func (h *harness) connect(a net.Addr) (net.Conn, error) {
	if h.server.listeners["l"].cfg.Transport == QUIC {
		return dialQUIC(h.t, a.String(), h.tls, nil)
	}
	return net.Dial(a.Network(), a.String())
}

// dialAddr connects as the listener's transport asks for.
func (h *harness) dialAddr(a net.Addr) *client {
	h.t.Helper()
	c, err := h.connect(a)
	if err != nil {
		h.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	cfg := h.server.listeners["l"].cfg
	if cfg.ProxyProtocol == "on" {
		c.Write([]byte("PROXY TCP4 192.0.2.7 192.0.2.8 1234 1883\r\n"))
	}
	if h.server.listeners["l"].secure() {
		c = tls.Client(c, h.tls)
	}
	if cfg.Transport == WebSocket || cfg.Transport == SecureWS {
		c = h.dialWebSocket(c)
	}
	h.t.Cleanup(func() { c.Close() })
	return &client{c, h.t}
}

func (c *client) say(s string) {
	c.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads exactly s.
func (c *client) hears(s string) {
	c.t.Helper()
	got := make([]byte, 0, len(s))
	for len(got) < len(s) {
		n, err := c.Read(got[len(got):len(s)])
		got = got[:len(got)+n]
		if err != nil {
			c.t.Fatalf("read %d bytes %.80q, then %v; want %d bytes %.80q", len(got), got, err, len(s), s)
		}
	}
	if string(got) != s {
		c.t.Fatalf("read %.80q, want %.80q (%d bytes, which may differ further behind)", got, s, len(s))
	}
}

// hearsEnd reads until the end, which must be orderly, and gives what came.
func (c *client) hearsEnd() string {
	c.t.Helper()
	var all bytes.Buffer
	if _, err := all.ReadFrom(c.Conn); err != nil {
		c.t.Fatalf("after %d bytes %.80q: %v", all.Len(), all.String(), err)
	}
	return all.String()
}
