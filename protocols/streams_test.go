package protocols

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// divideAdapter is the line protocol over several streams: a data stream takes the
// same lines, and what "send" asks for comes by it.
type divideAdapter struct{ *lineAdapter }

// divideMachine checks what the edge promises: of a connection with data streams no
// two calls run at once, Output among them.
type divideMachine struct {
	*lineMachine
	divided bool
	ways    []Stream // of the queue's messages
	ended   chan string
}

func (a *divideAdapter) NewStreamMachine(info *ConnInfo, conn core.Conn) StreamMachine {
	m := &lineMachine{adapter: a.lineAdapter, info: *info, conn: conn}
	a.made <- m
	return &divideMachine{lineMachine: m, ended: make(chan string, 100)}
}

func (m *divideMachine) Input(t *core.Turn, b []byte, a *Actions) int {
	n := m.lineMachine.Input(t, b, a)
	m.note(0)
	return n
}

func (m *divideMachine) InputStream(t *core.Turn, s Stream, b []byte, a *Actions) int {
	m.divided, a.Stream = true, s
	if strings.HasPrefix(string(b), "end\n") {
		a.EndStream = true
		return len(b)
	}
	n := m.lineMachine.Input(t, b, a)
	m.note(s)
	return n
}

// note says where what was queued just now goes.
func (m *divideMachine) note(s Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ways) < len(m.queue) {
		m.ways = append(m.ways, s)
	}
}

func (m *divideMachine) Output(_ *core.Turn, o *Out) bool {
	if m.divided {
		defer m.alone()()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ways) > 0 && o.Len() < o.Limit {
		o.By(m.ways[0])
		if b := m.queue[0]; len(b) > ReferenceAbove {
			o.Ref(b)
		} else {
			o.Buf = append(o.Buf, b...)
		}
		m.queue, m.ways = m.queue[1:], m.ways[1:]
	}
	return len(m.queue) > 0
}

func (m *divideMachine) StreamEnded(_ *core.Turn, s Stream, lost bool, _ *Actions) {
	defer m.alone()()
	m.ended <- fmt.Sprint(s, " ", lost)
}

func (m *divideMachine) Owes(Stream) bool { defer m.alone()(); return false }

// startDivided runs it and gives an accepted client.
func startDivided(t *testing.T) (*harness, *client, *lineMachine) {
	t.Helper()
	a := newLineAdapter()
	h := startWith(t, "", quicListener(QUICConfig{}), &divideAdapter{a})
	h.adapter = a
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	return h, c, await(t, a.made, "machine")
}

// another opens a data stream.
func another(t *testing.T, c *client) *client {
	t.Helper()
	conn := c.Conn.(*quicClient).conn
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
	return &client{&quicClient{s, conn}, t}
}

func TestStreamsTalk(t *testing.T) {
	_, c, m := startDivided(t)
	one, two := another(t, c), another(t, c)
	one.say("one\n")
	one.hears("one\n")
	two.say("two\nsend 3 100000\n")
	two.hears("two\n" + strings.Repeat("x", 300_000))
	c.say("three\nsend 2 3000\n")
	c.hears("three\n" + strings.Repeat("x", 6000))
	one.say("send 2 10\n")
	two.say("send 2 10\n")
	one.hears(strings.Repeat("x", 20))
	two.hears(strings.Repeat("x", 20))
	if m.info.TLS == nil {
		t.Error("the machine knows nothing of TLS")
	}
}

// A pause stops every stream, and nothing that came meanwhile is lost.
func TestStreamsPause(t *testing.T) {
	_, c, m := startDivided(t)
	one, two := another(t, c), another(t, c)
	one.say("a\n")
	one.hears("a\n")
	two.say("b\n")
	two.hears("b\n")
	one.say("pause\nbehind\n")
	one.say("more\n")
	awaitCount(t, func() bool { return m.paused.Load() })
	two.say("two\n")
	c.say("first\n")
	for _, x := range []*client{one, two, c} {
		if !quiet(x) {
			t.Fatal("answered in spite of the pause")
		}
		x.SetReadDeadline(time.Now().Add(patience))
	}
	m.conn.Complete(core.Completion{Token: 7})
	c.hears("completed 7\nfirst\n")
	one.hears("behind\nmore\n")
	two.hears("two\n")
}

// quiet tells whether nothing comes for a moment.
func quiet(c *client) bool {
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	return n == 0 && err != nil
}

// A client that does not read its answers on one stream is not read from there, and is
// on others.
func TestStreamsStall(t *testing.T) {
	_, c, _ := startDivided(t)
	mute, other := another(t, c), another(t, c)
	line := strings.Repeat("y", 999) + "\n"
	done := make(chan error, 1)
	go func() {
		for range 3000 {
			if _, err := io.WriteString(mute.Conn, line); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 100 {
		other.say(line)
		other.hears(line)
		c.say(line)
		c.hears(line)
	}
	select {
	case err := <-done:
		t.Fatalf("3 MB of answers that nobody reads were taken: %v", err)
	default:
	}
	for range 3000 {
		mute.hears(line)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestStreamsEnds(t *testing.T) {
	h, c, _ := startDivided(t)
	one := another(t, c)
	one.say("end\n")
	if _, err := io.ReadAll(one.Conn); err != nil {
		t.Fatalf("a stream that the machine ended: %v", err)
	}
	two := another(t, c)
	two.say("two\n")
	two.hears("two\n")
	two.Conn.(*quicClient).Stream.Close()
	if b, err := io.ReadAll(two.Conn); err != nil || len(b) > 0 {
		t.Fatalf("a stream that the client ended: %q %v", b, err)
	}
	three := another(t, c)
	three.say("three\n")
	three.hears("three\n")
	three.Conn.(*quicClient).CancelRead(5)
	c.say("still here\n")
	c.hears("still here\n")
	another(t, c).say("send 100 100000\n") // on its way when all ends
	c.say("bye\n")
	if got := c.hearsEnd(); got != "bye\n" {
		t.Errorf("heard %q", got)
	}
	if m := await(t, h.adapter.closed, "Closed"); m.reason != core.NormalDisconnect {
		t.Error(m.reason)
	}
}

// Streams come and go, and none is left behind.
func TestStreamsAreForgotten(t *testing.T) {
	h, c, _ := startDivided(t)
	for i := range 100 {
		s := another(t, c)
		s.say("x\n")
		s.hears("x\n")
		switch i % 3 {
		case 0:
			s.Conn.(*quicClient).Stream.Close()
		case 1:
			s.Conn.(*quicClient).CancelRead(1)
			s.Conn.(*quicClient).CancelWrite(1)
		case 2:
			s.say("end\n")
			s.Conn.(*quicClient).Stream.Close()
		}
	}
	p := h.server.pumps
	for begin := time.Now(); ; {
		p.mu.Lock()
		k := p.slots[0]
		p.mu.Unlock()
		k.input.Lock()
		n := len(k.data.open)
		k.input.Unlock()
		if n == 0 {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%d streams are left", n)
		}
	}
}

// A gateway that ends tells a client by its first stream, whatever its others do.
func TestStreamsDrain(t *testing.T) {
	h, c, _ := startDivided(t)
	busy, half := another(t, c), another(t, c)
	busy.say("send 50 100000\n") // which nobody reads
	half.say("half a line")
	half.say(" more\n")
	half.hears("half a line more\n")
	drained := make(chan error, 1)
	go func() { drained <- h.server.Drain(t.Context(), nil) }()
	if got := c.hearsEnd(); got != "stop "+core.ServerShuttingDown.String()+"\n" {
		t.Errorf("heard %q", got)
	}
	c.Close()
	if err := await(t, drained, "end of Drain"); err != nil {
		t.Error(err)
	}
	if m := await(t, h.adapter.closed, "Closed"); m.reason != core.ServerShuttingDown {
		t.Error(m.reason)
	}
}
