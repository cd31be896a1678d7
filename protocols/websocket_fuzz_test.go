package protocols

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core"
)

// wsScript is a connection that gives what a client sends, cut as a network may cut it,
// and keeps what it is answered. Nothing of it waits: a client that is not answered sends
// no frames, and goes.
type wsScript struct {
	in    [][]byte // what is left of the request, or of the frames
	next  [][]byte // the frames, while the request is under way
	mu    sync.Mutex
	out   []byte
	got   []byte // what the machine was given
	ended chan struct{}
	once  sync.Once
}

type wsAddr struct{}

func (wsAddr) Network() string { return "script" }
func (wsAddr) String() string  { return "script" }

func (c *wsScript) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 && len(c.out) > 0 {
		c.in, c.next = c.next, nil
	}
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.in[0])
	if c.in[0] = c.in[0][n:]; len(c.in[0]) == 0 {
		c.in = c.in[1:]
	}
	return n, nil
}

func (c *wsScript) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, b...)
	return len(b), nil
}

// TryRead implements PollConn.
func (c *wsScript) TryRead(b []byte) (int, error) { return c.Read(b) }

// TryWrite implements PollConn: what is written is there before anything else is read.
func (c *wsScript) TryWrite(b []byte) (int, error) { return c.Write(b) }

// Notify implements PollConn.
func (c *wsScript) Notify(f func()) { f() }

func (c *wsScript) Close() error {
	c.once.Do(func() { close(c.ended) })
	return nil
}

func (*wsScript) LocalAddr() net.Addr              { return wsAddr{} }
func (*wsScript) RemoteAddr() net.Addr             { return wsAddr{} }
func (*wsScript) SetDeadline(time.Time) error      { return nil }
func (*wsScript) SetReadDeadline(time.Time) error  { return nil }
func (*wsScript) SetWriteDeadline(time.Time) error { return nil }

// wsScripts is a listener to which they come. One at a time: the machine writes down what
// it gets in the script of now.
type wsScripts struct {
	come chan net.Conn
	end  chan struct{}
	now  *wsScript
}

func (l *wsScripts) Accept() (net.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.end:
		return nil, net.ErrClosed
	}
}

func (l *wsScripts) Close() error { return nil }
func (*wsScripts) Addr() net.Addr { return wsAddr{} }

func (*wsScripts) Name() string { return "line" }

func (l *wsScripts) NewMachine(*ConnInfo, core.Conn) Machine { return &wsWitness{l.now} }

// wsWitness is a machine that takes everything and says nothing.
type wsWitness struct{ of *wsScript }

func (w *wsWitness) Input(_ *core.Turn, b []byte, a *Actions) int {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.of.got, a.Accepted = append(w.of.got, b...), true
	return len(b)
}

func (*wsWitness) Output(*core.Turn, *Out) bool                   { return false }
func (*wsWitness) Complete(*core.Turn, core.Completion, *Actions) {}
func (*wsWitness) Tick(*core.Turn, *Actions)                      {}
func (*wsWitness) Stop(_ *core.Turn, r core.Reason, a *Actions)   { a.Close, a.Reason = true, r }
func (*wsWitness) Closed(*core.Turn, core.Reason)                 {}

// quietGateway counts nothing that it is told.
type quietGateway struct{ *core.Gateway }

func (quietGateway) Refuse(*core.Turn, core.Refusal) {}

// wsOrigin is the origin that the fuzzed listener allows.
const wsOrigin = "https://pages.example"

// pieces cuts b; with 0 there is one.
func pieces(b []byte, cut int) (all [][]byte) {
	for n := 1; len(b) > 0; n++ {
		size := len(b)
		if cut > 0 {
			size = min(size, 1+cut*n%97)
		}
		all = append(all, b[:size])
		b = b[size:]
	}
	return all
}

// play sends a request and frames in pieces and waits for the end.
func (l *wsScripts) play(t *testing.T, request, frames []byte, cut int) (out, got []byte) {
	c := &wsScript{in: pieces(request, cut), next: pieces(frames, cut), ended: make(chan struct{})}
	l.now = c
	l.come <- c
	select {
	case <-c.ended:
	case <-time.After(patience):
		t.Fatal("the connection does not end")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out, c.got
}

// FuzzWebSocket is everything before the machine: the HTTP request and the frames behind
// it, through the server as it runs, in memory. Who gets in is checked against the rules
// one by one, what the machine gets against a naive reading of the frames, and both must
// not depend on how the bytes come.
func FuzzWebSocket(f *testing.F) {
	for _, frames := range wsSeedFrames() {
		f.Add([]byte(wsSeedRequest("line", "")), []byte(frames), uint8(7))
	}
	for _, fields := range []string{"Origin: " + wsOrigin + "\r\n", "Origin: https://other.example\r\n", "Origin: http://gw.example\r\n", "Origin: null\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "X: " + strings.Repeat("y", 5000) + "\r\n"} {
		f.Add([]byte(wsSeedRequest("other, line", fields)), []byte(rawFrame(fin|binaryOp, "hello\n")), uint8(1))
	}
	for _, s := range []string{"", "\r\n", "GET / HTTP/1.1\r\n\r\n", "POST /mqtt HTTP/1.1\r\nHost: a\r\n\r\n", "\x10\x0c\x00\x04MQTT", "GET /mqtt HTTP/0.9\r\n\r\n", wsSeedRequest("mqtt", "")} {
		f.Add([]byte(s), []byte{}, uint8(0))
	}
	l := &wsScripts{come: make(chan net.Conn), end: make(chan struct{})}
	lc := &ListenerConfig{Transport: WebSocket, Protocol: "line", Given: true, Origins: []string{wsOrigin}, MaxPacketSize: 4096}
	cfg := DefaultConfig()
	cfg.Listeners["l"] = lc
	s, err := newServer(cfg, quietGateway{core.New(core.Options{Config: core.DefaultConfig()})}, []Adapter{l}, slog.New(slog.DiscardHandler), makeEngine(newLoops))
	if err != nil {
		f.Fatal(err)
	}
	h := &harness{t: f}
	h.run(s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, "l") }()
	f.Cleanup(func() {
		close(l.end)
		h.stop()
		<-served
	})
	f.Fuzz(func(t *testing.T, request, frames []byte, cut uint8) {
		if len(request)+len(frames) > 100_000 {
			return
		}
		request = untilAnswered(request)
		out, got := l.play(t, request, frames, 0)
		checkWebSocket(t, request, frames, out, got, lc.MaxPacketSize+packetSlack)
		otherOut, otherGot := l.play(t, request, frames, int(cut)+1)
		if !bytes.Equal(withoutPongs(out), withoutPongs(otherOut)) || !bytes.Equal(got, otherGot) {
			t.Fatalf("in pieces: answered %q, the machine got %q; at once %q, %q", otherOut, otherGot, out, got)
		}
	})
}

// withoutPongs leaves out what depends on how the bytes come: a pong answers the pings of
// one read. What the last one says does not.
func withoutPongs(out []byte) (rest []byte) {
	head := bytes.Index(out, []byte("\r\n\r\n")) + 4
	if head < 4 || !bytes.HasPrefix(out, []byte("HTTP/1.1 101 ")) {
		return out
	}
	var last []byte
	rest = bytes.Clone(out[:head])
	for b := out[head:]; len(b) >= 2; {
		n := min(2+int(b[1]), len(b))
		if b[0] == fin|pongOp {
			last = b[:n]
		} else {
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	return append(rest, last...)
}

// untilAnswered takes off what follows a request: a client that sends frames before it is
// answered is refused, or not, as the network brings them. RFC 6455 section 4.1
func untilAnswered(b []byte) []byte {
	in := bytes.NewReader(b)
	r := bufio.NewReader(in)
	if _, err := http.ReadRequest(r); err != nil {
		return b
	}
	return b[:len(b)-in.Len()-r.Buffered()]
}

func wsSeedRequest(protocol, fields string) string {
	return "GET /mqtt HTTP/1.1\r\nHost: gw.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		wsVersion + "\r\nSec-WebSocket-Protocol: " + protocol + "\r\n" + fields + "\r\n"
}

func wsSeedFrames() []string {
	return []string{
		rawFrame(fin|binaryOp, "hello\n"),
		rawFrame(binaryOp, "he") + rawFrame(fin|pingOp, "now") + rawFrame(cont, "") + rawFrame(fin|cont, "llo\n"),
		rawFrame(fin|binaryOp, strings.Repeat("y", 300)) + rawFrame(fin|binaryOp, strings.Repeat("z", 70_000)),
		rawFrame(fin|binaryOp, "a") + rawFrame(fin|text, "b"), rawFrame(fin|cont, "a"), rawFrame(binaryOp, "a") + rawFrame(fin|binaryOp, "b"),
		rawFrame(fin|binaryOp|rsv1, "a"), rawFrame(pingOp, "a"), rawFrame(fin|pingOp, strings.Repeat("p", 126)), rawFrame(fin|0x3, "a"),
		rawFrame(fin|closing, "\x03\xe8bye"), rawFrame(fin|closing, "\x03"), rawFrame(fin|closing, ""), rawFrame(fin|closing, "\x03\xed"),
		"\x82\x01a", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04", "\x82\xfe\xff", rawFrame(fin|binaryOp, "whole")[:9],
	}
}

// checkWebSocket holds what happened against the rules.
func checkWebSocket(t *testing.T, request, frames, out, got []byte, limit int) {
	if len(out) == 0 {
		if len(got) > 0 {
			t.Fatalf("the machine got %q, and no WebSocket was opened", got)
		}
		return
	}
	answer := bufio.NewReader(bytes.NewReader(out))
	resp, err := http.ReadResponse(answer, nil)
	if err != nil {
		t.Fatalf("answered %q: %v", out, err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if len(got) > 0 || resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Fatalf("answered %d, and the machine got %q", resp.StatusCode, got)
		}
		return
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil || !mayOpenWebSocket(r) {
		t.Fatalf("opened for %q (%v)", request, err)
	}
	if p := resp.Header.Values(wsProtocols); !slices.Equal(p, []string{"line"}) || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("opened with %v", resp.Header)
	}
	if want := wsPayload(frames, limit); !bytes.Equal(got, want) {
		t.Fatalf("the machine got %q, want %q", got, want)
	}
	control, _ := io.ReadAll(answer)
	checkControl(t, control, len(frames))
}

// mayOpenWebSocket is who may come in. [MQTT-6.0.0-3], RFC 6455 section 4.2.1
func mayOpenWebSocket(r *http.Request) bool {
	has := func(field, want string) bool {
		for _, v := range r.Header.Values(field) {
			for _, word := range strings.Split(v, ",") {
				if strings.EqualFold(strings.TrimSpace(word), want) {
					return true
				}
			}
		}
		return false
	}
	origin := r.Header.Get("Origin")
	return r.Method == "GET" && r.URL.Path == "/mqtt" && has("Connection", "upgrade") && has("Upgrade", "websocket") && has("Sec-WebSocket-Version", "13") &&
		has(wsProtocols, "line") && (origin == "" || strings.EqualFold(origin, wsOrigin))
}

// wsPayload is a naive reading of a client's frames: what is in binary messages, up to the
// first frame that RFC 6455 section 5 or the size limit forbids, or the end.
func wsPayload(b []byte, limit int) (got []byte) {
	message, size := false, 0
	for len(b) >= 2 {
		first, n, head := b[0], uint64(b[1]&0x7f), 2
		final, op := first&fin != 0, first&0xf
		control := op >= closing
		switch {
		case first&0x70 != 0 || b[1]&maskedBit == 0, op > binaryOp && op < closing || op > pongOp,
			control && (!final || n > 125), op == cont && !message, !control && op != cont && message:
			return got
		case n == 126 && len(b) >= 4:
			n, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
		case n == 127 && len(b) >= 10:
			n, head = binary.BigEndian.Uint64(b[2:]), 10
		case n >= 126:
			return got
		}
		if len(b) < head+4 || op == text || op == closing || control && uint64(len(b)-head-4) < n {
			return got
		}
		if !control {
			if op != cont {
				size = 0
			}
			if n > uint64(limit) || size+int(n) > limit {
				return got
			}
			size += int(n)
			message = !final
		}
		mask, payload := b[head:head+4], b[head+4:]
		payload = payload[:min(uint64(len(payload)), n)]
		for i := range payload {
			if !control {
				got = append(got, payload[i]^mask[i%4])
			}
		}
		b = b[head+4+len(payload):]
	}
	return got
}

// checkControl: a server whose machine says nothing sends answers to pings, and one Close
// at most, which is the last; not more than it was asked, and none of them masked.
func checkControl(t *testing.T, b []byte, asked int) {
	if len(b) > asked+125 {
		t.Fatalf("%d bytes answer %d", len(b), asked)
	}
	for len(b) > 0 {
		if len(b) < 2 || b[0] != fin|pongOp && b[0] != fin|closing || b[1] > 125 || len(b) < 2+int(b[1]) {
			t.Fatalf("the server says %q", b)
		}
		payload := b[2 : 2+b[1]]
		if b[0] == fin|closing && (len(b) > 2+len(payload) || len(payload) == 1 || len(payload) > 2 && !utf8.Valid(payload[2:])) {
			t.Fatalf("the server closes with %q", b)
		}
		b = b[2+len(payload):]
	}
}
