package protocols

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
)

// wsReads is what a stream brings, one string a read, and what is written into it.
type wsReads struct {
	wsLoop
	reads []string
	out   []byte
}

func (s *wsReads) read(b []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, errAgain{}
	}
	n := copy(b, s.reads[0])
	s.reads = s.reads[1:]
	return n, nil
}

func (s *wsReads) write(b []byte) error {
	s.out = append(s.out, b...)
	return nil
}

// serverFrame is a short frame of the server.
func serverFrame(op byte, payload string) string {
	return string(appendFrame(nil, op, len(payload))) + payload
}

// A pong answers all pings that came by one read, with what the last one had. RFC 6455
// sections 5.5.2 and 5.5.3
func TestWebSocketPongs(t *testing.T) {
	ping := func(payload string) string { return rawFrame(fin|pingOp, payload) }
	pong := func(payload string) string { return serverFrame(wsPong, payload) }
	for _, c := range []struct {
		name  string
		reads []string
		got   string // of messages
		out   []string
	}{
		{"one", []string{ping("a")}, "", []string{pong("a")}},
		{"an empty one", []string{ping("")}, "", []string{pong("")}},
		{"of 125 bytes", []string{ping(strings.Repeat("x", 125))}, "", []string{pong(strings.Repeat("x", 125))}},
		{"several in a read", []string{ping("a") + ping("long") + ping("b")}, "", []string{pong("b")}},
		{"several in two reads", []string{ping("a") + ping("b"), ping("c") + ping("")}, "", []string{pong("b"), pong("")}},
		{"between fragments", []string{rawFrame(binaryOp, "he") + ping("x") + rawFrame(fin|cont, "llo")}, "hello", []string{pong("x")}},
		{"cut", []string{ping("later")[:8], ping("later")[8:]}, "", []string{"", pong("later")}},
		{"whole before one that is cut", []string{ping("now") + ping("later")[:8], ping("later")[8:]}, "", []string{pong("now"), pong("later")}},
		{"before what breaks the rules", []string{ping("x") + rawFrame(fin|cont, "")}, "", []string{pong("x") + serverFrame(wsClose, "\x03\xeaWebSocket: a continuation of nothing")}},
		{"behind a Close", []string{rawFrame(fin|closing, "\x03\xe8") + ping("x")}, "", []string{serverFrame(wsClose, "\x03\xe8")}},
		{"a pong is nothing", []string{rawFrame(fin|pongOp, "x")}, "", []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			under := &wsReads{reads: c.reads}
			s := newWSStream(under, wsListener(), &helds{})
			got, buf := "", make([]byte, readSize)
			for i, want := range c.out {
				under.out = nil
				n, _ := s.read(buf)
				if got += string(buf[:n]); string(under.out) != want {
					t.Errorf("read %d is answered by %q, want %q", i, under.out, want)
				}
			}
			if got != c.got {
				t.Errorf("the machine got %q, want %q", got, c.got)
			}
		})
	}
}

// Behind its Close a server says nothing. RFC 6455 section 5.5.1
func TestWebSocketCloseIsTheLast(t *testing.T) {
	under := &wsReads{reads: []string{rawFrame(fin|pingOp, "x")}}
	s := newWSStream(under, wsListener(), &helds{})
	s.leave(core.ServerShuttingDown)
	s.leave(core.NormalDisconnect)
	if err := s.write([]byte("x")); err == nil {
		t.Error("a message went out behind a Close")
	}
	s.read(make([]byte, 100))
	if want := serverFrame(wsClose, "\x03\xe9"); string(under.out) != want {
		t.Errorf("said %q, want %q", under.out, want)
	}
}

// Answers that are not read have a bound, over edges that poll and such that cannot.
func TestWebSocketPongsThatNobodyReads(t *testing.T) {
	for _, kind := range []string{"simnet", "no more than net.Conn"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := serveGiven(t, kind, &ListenerConfig{Transport: WebSocket})
				w := g.openedGiven()
				w.say(rawFrame(fin|binaryOp, "hello\n"))
				w.gathers("welcome\n")
				m := await(t, g.adapter.made, "the machine")
				socket := m.conn.(*pumpConn).socket
				ping := []byte(rawFrame(fin|pingOp, strings.Repeat("x", 125)))
				pings, most := 0, 0
				for ended := false; !ended; pings++ {
					if _, err := w.Write(ping); err != nil {
						break
					}
					synctest.Wait()
					socket.mu.Lock()
					most = max(most, len(socket.out))
					ended = socket.broken != nil
					socket.mu.Unlock()
				}
				if least := batchKeep + socketKeep - 2*wsControl; most < least || most > batchKeep+socketKeep {
					t.Errorf("after %d pings %d bytes wait, want %d at most", pings, most, batchKeep+socketKeep)
				}
				if m := await(t, g.adapter.closed, "Closed"); m.reason != core.ConnectionLost {
					t.Errorf("ended with %v", m.reason)
				}
			})
		})
	}
}

// openedGiven is an open WebSocket of a listener that was handed in.
func (g *given) openedGiven() *wsRaw {
	g.t.Helper()
	c, err := g.open()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	w, resp := upgradeRawOn(&client{c, g.t}, wsVersion, wsLine)
	if resp.StatusCode != 101 {
		g.t.Fatal(resp.Status)
	}
	return w
}

// What a client sends that is nothing to the machine has its price as well: it rests. The
// polling edge reads in turns of others, the other one by itself.
func TestWebSocketFramesOfNothingTakeTime(t *testing.T) {
	for _, kind := range []string{"simnet", "no more than net.Conn"} {
		for name, frame := range map[string]string{
			"pings":           rawFrame(fin|pingOp, ""),
			"pongs":           rawFrame(fin|pongOp, ""),
			"empty messages":  rawFrame(fin|binaryOp, ""),
			"empty fragments": rawFrame(binaryOp, "") + rawFrame(fin|cont, ""),
		} {
			t.Run(name+" over "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := serveGiven(t, kind, &ListenerConfig{Transport: WebSocket, ClientProcessorShare: 1})
					w := g.openedGiven()
					w.say(rawFrame(fin|binaryOp, "hello\n"))
					w.gathers("welcome\n")
					w.say(strings.Repeat(frame, 3000))
					synctest.Wait()
					if r := await(t, g.gateway.refusals, "a record"); r.Reason != core.MessageRateTooHigh || !strings.Contains(r.Detail, "client_processor_share") {
						t.Errorf("explained as %+v", r)
					}
					if s := g.server.Listeners()["l"].Stats(); s.Throttled != 1 {
						t.Errorf("%d rest", s.Throttled)
					}
					w.say(rawFrame(fin|binaryOp, "and yet\n"))
					for first, body := w.receives(); first != fin|binaryOp || body != "and yet\n"; first, body = w.receives() {
						if first != fin|pongOp {
							t.Fatalf("a frame %x %q", first, body)
						}
					}
					if s := g.server.Listeners()["l"].Stats(); s.Rests == 0 {
						t.Errorf("counters %+v", s)
					}
				})
			})
		}
	}
}

// Frames are taken apart without garbage, whatever they are.
func TestWebSocketFramesMakeNoGarbage(t *testing.T) {
	all := []byte(strings.Repeat(rawFrame(fin|pingOp, strings.Repeat("p", 125))+rawFrame(binaryOp, "")+rawFrame(fin|pongOp, "x")+rawFrame(fin|cont, "hello"), 10))
	f, b := wsFrames{limit: 1000}, make([]byte, len(all))
	if n := testing.AllocsPerRun(100, func() {
		copy(b, all)
		if n, fault := f.decode(b); n != 50 || fault != nil {
			t.Fatal(n, fault)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzWebSocketFrames reads frames whole and in pieces, and holds both against a naive
// reading.
func FuzzWebSocketFrames(f *testing.F) {
	for _, frames := range wsSeedFrames() {
		f.Add([]byte(frames), uint8(3), uint16(300))
	}
	f.Fuzz(func(t *testing.T, frames []byte, cut uint8, limit uint16) {
		read := func(cut int) (got string, fault *wsFault) {
			d := wsFrames{limit: int64(limit)}
			for _, part := range pieces(append([]byte(nil), frames...), cut) {
				n, fault := d.decode(part)
				if got += string(part[:n]); fault != nil {
					return got, fault
				}
				if cap(d.control) > 256 || cap(d.pong) > 256 {
					t.Fatalf("%d and %d bytes are held", cap(d.control), cap(d.pong))
				}
			}
			return got, nil
		}
		got, fault := read(0)
		other, otherFault := read(int(cut) + 1)
		if got != other || (fault == nil) != (otherFault == nil) || fault != nil && *fault != *otherFault {
			t.Fatalf("in pieces %q %+v, at once %q %+v", other, otherFault, got, fault)
		}
		if want := wsPayload(frames, int(limit)); got != string(want) {
			t.Fatalf("got %q (%+v), want %q", got, fault, want)
		}
	})
}
