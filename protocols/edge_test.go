package protocols

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// eachEdge runs f over every way a connection can come in. The kernel's buffers
// are small, so that clients that do not read are noticed soon. Strangers have time: how long
// they are waited for is not what it is about, and a busy machine takes its time.
func eachEdge(t *testing.T, f func(t *testing.T, h *harness)) {
	run := func(name, wait string, c ListenerConfig) {
		c.SendBuffer, c.RecvBuffer = 64<<10, 64<<10
		c.ConnectTimeout, c.HandshakeTimeout = patience, patience
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of them wait
			f(t, start(t, wait, &c))
		})
	}
	for _, wait := range []string{"block", "park", "auto", "pump"} {
		run("tcp/"+wait, wait, ListenerConfig{Transport: TCP, Address: "localhost:0"})
	}
	for _, wait := range []string{"auto", "pump"} {
		run("unix/"+wait, wait, ListenerConfig{Transport: Unix, Address: t.TempDir() + "/s"})
	}
	for _, transport := range []string{TLS, WebSocket, SecureWS, QUIC} {
		run(transport, "", ListenerConfig{Transport: transport, Address: "localhost:0"})
	}
}

func TestEcho(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		c.say("one\ntwo\nthree\n")
		c.hears("one\ntwo\nthree\n")
		c.say("bye\n")
		if got := c.hearsEnd(); got != "bye\n" {
			t.Fatalf("end is %q", got)
		}
		if m := await(t, h.adapter.closed, "Closed"); m.reason != core.NormalDisconnect {
			t.Fatalf("closed for %s", m.reason)
		}
	})
}

func TestSplitBytes(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		text := "hello\n" + strings.Repeat("abc", 50) + "\n"
		for i := range text {
			c.say(text[i : i+1])
		}
		c.hears("welcome\n" + text[len("hello\n"):])
	})
}

func TestPipelining(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		var text strings.Builder
		text.WriteString("hello\n")
		for i := range 5000 {
			fmt.Fprintf(&text, "line number %d\n", i)
		}
		go c.Write([]byte(text.String())) // the answers must be read meanwhile
		c.hears("welcome\n" + text.String()[len("hello\n"):])
	})
}

func TestPauseHoldsInputUntilComplete(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\npause\nafter\n")
		c.hears("welcome\n")
		m := await(t, h.adapter.made, "machine")
		c.say("later\n") // comes while paused
		for token := range uint32(3) {
			m.conn.Complete(core.Completion{Op: core.OpReadable, Token: token})
			c.hears(fmt.Sprintf("completed %d\n", token))
			if token == 0 {
				c.hears("after\nlater\n")
			}
		}
		c.say("pause\n")
		m.conn.Close(core.SessionTakenOver)
		if got := c.hearsEnd(); got != "stop session_taken_over\n" {
			t.Fatalf("heard %q", got)
		}
	})
}

func TestCloseFromElsewhere(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		m := await(t, h.adapter.made, "machine")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { m.conn.Close(core.SessionTakenOver) })
		}
		wg.Wait()
		if got := c.hearsEnd(); got != "stop session_taken_over\n" {
			t.Fatalf("heard %q", got)
		}
		if m := await(t, h.adapter.closed, "Closed"); m.reason != core.SessionTakenOver {
			t.Fatalf("closed for %s", m.reason)
		}
	})
}

// A goodbye must reach a client whose input nobody reads any more.
func TestGoodbyeSurvivesUnreadInput(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\nbye\n" + strings.Repeat("unread\n", 1000))
		if got := c.hearsEnd(); got != "welcome\nbye\n" {
			t.Fatalf("heard %q", got)
		}
	})
}

func TestClientGone(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		c.Close()
		if m := await(t, h.adapter.closed, "Closed"); m.reason != core.ConnectionLost {
			t.Fatalf("closed for %s", m.reason)
		}
	})
}

// A client that says that nothing more comes still gets its answers.
func TestHalfClose(t *testing.T) {
	for _, wait := range []string{"block", "park", "pump"} {
		t.Run(wait, func(t *testing.T) {
			h := start(t, wait, &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0"})
			c := h.dial()
			c.say("hello\nquestion\n")
			c.Conn.(*net.TCPConn).CloseWrite()
			if got := c.hearsEnd(); got != "welcome\nquestion\n" {
				t.Fatalf("heard %q", got)
			}
			await(t, h.adapter.closed, "Closed")
		})
	}
}

func TestLargePayloadsAreReferenced(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\nsend 3 1000000\nsend 5000 100\nsend 100 3000\nend\n")
		const size = 3*1_000_000 + 5000*100 + 100*3000
		want := map[byte]int{'x': size}
		got := map[byte]int{}
		buf := make([]byte, 64<<10)
		total := 0
		for goal := size + len("welcome\nend\n"); total < goal; {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatalf("after %d bytes: %v", total, err)
			}
			total += n
			got['x'] += bytes.Count(buf[:n], []byte{'x'})
		}
		if got['x'] != want['x'] {
			t.Fatalf("%d bytes of payload, want %d", got['x'], want['x'])
		}
	})
}

// A peer that does not read costs a bounded amount, and others nothing.
func TestBlockedWriterIsBounded(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		m := await(t, h.adapter.made, "machine")
		const size, count = 10_000, 2_000
		c.say(fmt.Sprintf("send %d %d\n", count, size))
		other := h.dial()
		other.say("hello\nstill served\n")
		other.hears("welcome\nstill served\n")
		if given := m.unread.Load(); given > size*count/2 {
			t.Fatalf("the machine gave %d bytes to a client that reads nothing", given)
		}
		got, err := io.CopyN(io.Discard, c, size*count)
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		c.say("ping\n")
		c.hears("ping\n")
	})
}

// A client that asks on and on without reading the answers is read no more, until
// it reads; then it gets them all.
func TestRequestsWithoutReading(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		line := bytes.Repeat([]byte{'q'}, 10_000)
		line[len(line)-1] = '\n'
		const most = 30 << 20
		sent := make(chan int, 1)
		var written atomic.Int64
		go func() {
			total := 0
			for total < most {
				n, err := c.Write(line)
				total += n
				written.Store(int64(total))
				if err != nil {
					break
				}
			}
			sent <- total
		}()
		awaitStall(t, &written)
		if n := written.Load(); n >= most {
			t.Fatalf("the gateway read %d bytes from a client that reads nothing", n)
		}
		c.SetWriteDeadline(time.Now()) // the sender stops where it is
		go func() { io.Copy(io.Discard, c) }()
		await(t, sent, "sender")
	})
}

// awaitStall returns once v has stood still for a while.
func awaitStall(t *testing.T, v *atomic.Int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last, same := int64(-1), 0
	for same < 5 {
		<-tick.C
		if now := v.Load(); now != last {
			last, same = now, 0
		} else {
			same++
		}
	}
}

// The same, but the client reads later: nothing is lost or mixed up.
func TestSlowReader(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		var text strings.Builder
		for i := range 4000 {
			fmt.Fprintf(&text, "%d %s\n", i, strings.Repeat("r", i%1500))
		}
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte(text.String()))
			sent <- err
		}()
		c.hears(text.String())
		if err := await(t, sent, "sender"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSilenceFiresTimer(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		begin := time.Now()
		c := h.dial()
		c.say("timer 300ms\nhello\n")
		if got := c.hearsEnd(); got != "welcome\ntoo quiet\n" {
			t.Fatalf("heard %q", got)
		}
		if d := time.Since(begin); d < 300*time.Millisecond {
			t.Fatalf("fired after %s", d)
		}
		if m := await(t, h.adapter.closed, "Closed"); m.reason != core.KeepAliveTimeout {
			t.Fatalf("closed for %s", m.reason)
		}
	})
}

func TestConnectTimeout(t *testing.T) {
	for _, wait := range []string{"block", "park", "pump"} {
		t.Run(wait, func(t *testing.T) {
			h := start(t, wait, &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0", ConnectTimeout: time.Second})
			silent, chatty := h.dial(), h.dial()
			chatty.say("not yet accepted\n")
			silent.hearsEnd()
			chatty.hearsEnd()
			for range 2 {
				if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
					t.Fatalf("refused for %s", r.Reason)
				}
			}
			if n := h.server.Listeners()["l"].Stats().Refused[core.ConnectTimeout]; n != 2 {
				t.Fatalf("counted %d", n)
			}
		})
	}
}

func TestTooMuchHeld(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		go func() { // may fail half-way: the gateway closes
			for range 64 {
				c.Write(bytes.Repeat([]byte{'a'}, 10_000))
			}
		}()
		if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.PacketTooLarge {
			t.Fatalf("refused for %s", r.Reason)
		}
	})
}

func TestDrain(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		var clients []*client
		for range 20 {
			c := h.dial()
			c.say("hello\n")
			c.hears("welcome\n")
			clients = append(clients, c)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		drained := make(chan error, 1)
		last := -1
		go func() { drained <- h.server.Drain(ctx, func(open int) { last = open }) }()
		for _, c := range clients {
			if got := c.hearsEnd(); got != "stop server_shutting_down\n" {
				t.Fatalf("heard %q", got)
			}
			c.Close()
		}
		if err := await(t, drained, "Drain"); err != nil {
			t.Fatal(err)
		}
		if last != 0 || h.server.Connections() != 0 {
			t.Fatalf("progress ended at %d, %d connections", last, h.server.Connections())
		}
		a := h.server.Addresses()["l"]
		if c, err := h.connect(a); err == nil {
			c.Close()
			t.Fatal("still accepts")
		}
	})
}

// A client that reads nothing delays the end by the time of a goodbye, no more.
func TestDrainWithBlockedClient(t *testing.T) {
	test := func(t *testing.T, h *harness) {
		t.Parallel() // they wait
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		c.say("send 2000 10000\n")
		m := await(t, h.adapter.made, "machine")
		for begin := m.unread.Load(); begin == 0; begin = m.unread.Load() {
			runtime.Gosched()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*lingerTime)
		defer cancel()
		if err := h.server.Drain(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ wait, transport string }{{"block", TCP}, {"pump", TCP}, {"", SecureWS}} {
		t.Run(c.transport+"/"+c.wait, func(t *testing.T) {
			test(t, start(t, c.wait, &ListenerConfig{Transport: c.transport, Address: "127.0.0.1:0"}))
		})
	}
}

func TestStopWithoutDrain(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		paused, open := h.dial(), h.dial()
		paused.say("hello\npause\n")
		paused.hears("welcome\n")
		open.say("hello\n")
		open.hears("welcome\n")
		h.stop()
		for range 2 {
			if m := await(t, h.adapter.closed, "Closed"); m.reason != core.ServerShuttingDown && m.reason != core.ConnectionLost {
				t.Fatalf("closed for %s", m.reason)
			}
		}
		if n := h.server.Connections(); n != 0 {
			t.Fatalf("%d connections left", n)
		}
	})
}

func TestWakeFromElsewhere(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
		m := await(t, h.adapter.made, "machine")
		const writers, each = 4, 500
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				turn := h.gateway.NewTurn()
				defer turn.Close()
				for range each {
					m.push([]byte("message\n"))
					m.conn.Wake(turn)
				}
			})
		}
		c.hears(strings.Repeat("message\n", writers*each))
		wg.Wait()
	})
}

// Connections that come and go while others talk: descriptors and slots are used
// again and nobody gets what is another's.
func TestChurn(t *testing.T) {
	eachEdge(t, func(t *testing.T, h *harness) {
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				for i := range 12 {
					c := h.dial()
					word := fmt.Sprintf("%d-%d\n", g, i)
					c.say("hello\n" + word)
					c.hears("welcome\n" + word)
					c.Close()
				}
			})
		}
		wg.Wait()
		for range 6 * 12 {
			await(t, h.adapter.closed, "Closed")
		}
	})
}
