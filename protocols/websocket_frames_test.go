package protocols

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// wsRaw speaks RFC 6455 by hand: what a library would never send must be said, too.
type wsRaw struct {
	*client
	r *bufio.Reader
}

// Opcodes and bits of a frame's first two bytes. RFC 6455 section 5.2.
const (
	fin       = 0x80
	rsv1      = 0x40
	cont      = 0x0
	text      = 0x1
	binaryOp  = 0x2
	closing   = 0x8
	pingOp    = 0x9
	pongOp    = 0xa
	maskedBit = 0x80
)

// upgradeRaw opens a WebSocket with these header fields and gives the answer.
func (h *harness) upgradeRaw(fields ...string) (*wsRaw, *http.Response) {
	h.t.Helper()
	return upgradeRawOn(h.dialRaw(), fields...)
}

func upgradeRawOn(c *client, fields ...string) (*wsRaw, *http.Response) {
	c.t.Helper()
	w := &wsRaw{c, bufio.NewReader(c)}
	return w, w.upgrade(fields...)
}

// upgrade asks for a WebSocket.
func (w *wsRaw) upgrade(fields ...string) *http.Response {
	w.t.Helper()
	w.say("GET /mqtt HTTP/1.1\r\nHost: gw.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		strings.Join(append(fields, ""), "\r\n") + "\r\n")
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

const (
	wsVersion = "Sec-WebSocket-Version: 13"
	wsLine    = "Sec-WebSocket-Protocol: line"
)

// opened is an open WebSocket.
func (h *harness) opened() *wsRaw {
	h.t.Helper()
	ws, resp := h.upgradeRaw(wsVersion, wsLine)
	// RFC 6455 section 1.3 has this answer to that key.
	if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || resp.Header.Get("Sec-WebSocket-Protocol") != "line" {
		h.t.Fatalf("answer %d %v", resp.StatusCode, resp.Header)
	}
	return ws
}

// frame is one frame of a client.
func rawFrame(first byte, payload string) string {
	mask := []byte{0x37, 0xfa, 0x21, 0x3d} // as in RFC 6455 section 5.7
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskedBit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, maskedBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskedBit|127), uint64(n))
	}
	b = append(b, mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

// receives reads one frame of the server, which must not be masked.
func (w *wsRaw) receives() (first byte, payload string) {
	w.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		w.t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		io.ReadFull(w.r, long[:])
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	if n == 127 {
		var long [8]byte
		io.ReadFull(w.r, long[:])
		n = int(binary.BigEndian.Uint64(long[:]))
	}
	if head[1]&maskedBit != 0 {
		w.t.Fatalf("a server's frame that is masked: %x", head)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(w.r, b); err != nil {
		w.t.Fatal(err)
	}
	return head[0], string(b)
}

// gathers reads binary frames until their contents are want.
func (w *wsRaw) gathers(want string) {
	w.t.Helper()
	got := ""
	for len(got) < len(want) {
		first, part := w.receives()
		if first != fin|binaryOp {
			w.t.Fatalf("a frame %x %q", first, part)
		}
		got += part
	}
	if got != want {
		w.t.Fatalf("received %q, want %q", got, want)
	}
}

// closes expects a Close frame with this code and the end.
func (w *wsRaw) closes(code int) {
	w.t.Helper()
	for {
		first, part := w.receives()
		if first == fin|binaryOp {
			continue
		}
		if code == 1005 && first == fin|closing && part == "" { // which stands for none
			break
		}
		if first != fin|closing || len(part) < 2 || int(binary.BigEndian.Uint16([]byte(part))) != code {
			w.t.Fatalf("a frame %x %x, want Close %d", first, part, code)
		}
		break
	}
	if _, err := io.Copy(io.Discard, w.r); err != nil && !strings.Contains(err.Error(), "reset") {
		w.t.Fatal(err)
	}
}

// [MQTT-6.0.0-2]
func TestWebSocketFramesAndPackets(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0"})
	long := strings.Repeat("z", 70_000)
	for _, c := range []struct{ name, say, want string }{
		{"one packet over many frames of a message", rawFrame(binaryOp, "he") + rawFrame(cont, "l") + rawFrame(cont, "") + rawFrame(fin|cont, "lo\n"), "welcome\n"},
		{"one packet over many messages", rawFrame(fin|binaryOp, "he") + rawFrame(fin|binaryOp, "llo\n"), "welcome\n"},
		{"byte by byte", rawFrame(fin|binaryOp, "h") + rawFrame(fin|binaryOp, "e") + rawFrame(fin|binaryOp, "l") + rawFrame(fin|binaryOp, "l") + rawFrame(fin|binaryOp, "o") + rawFrame(fin|binaryOp, "\n"), "welcome\n"},
		{"many packets in a frame", rawFrame(fin|binaryOp, "hello\none\ntwo\n"), "welcome\none\ntwo\n"},
		{"packets that end inside of frames", rawFrame(fin|binaryOp, "hello\non") + rawFrame(fin|binaryOp, "e\ntwo\nth") + rawFrame(fin|binaryOp, "ree\n"), "welcome\none\ntwo\nthree\n"},
		{"empty frames and messages", rawFrame(fin|binaryOp, "") + rawFrame(binaryOp, "") + rawFrame(fin|cont, "hello\n") + rawFrame(fin|binaryOp, ""), "welcome\n"},
		{"a pong that nobody asked for", rawFrame(fin|pongOp, "x") + rawFrame(fin|binaryOp, "hello\n"), "welcome\n"},
		{"frames with 16 and 64 bits of length", rawFrame(fin|binaryOp, "hello\n") + rawFrame(fin|binaryOp, strings.Repeat("y", 300)+"\n") + rawFrame(fin|binaryOp, long+"\n"), "welcome\n" + strings.Repeat("y", 300) + "\n" + long + "\n"},
	} {
		for _, step := range []int{0, 1, 7} { // as one write, and in pieces of the network's choice
			t.Run(fmt.Sprint(c.name, " in steps of ", step), func(t *testing.T) {
				if step > 0 && len(c.say) > 5000 {
					step *= 1000
				}
				w := h.opened()
				for rest := c.say; rest != ""; {
					n := len(rest)
					if step > 0 {
						n = min(n, step)
					}
					w.say(rest[:n])
					rest = rest[n:]
				}
				w.gathers(c.want)
			})
		}
	}
}

// A control frame may stand between the frames of a message. RFC 6455 section 5.4.
func TestWebSocketControlFramesInside(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0"})
	w := h.opened()
	w.say(rawFrame(binaryOp, "he") + rawFrame(fin|pingOp, "are you there"))
	if first, body := w.receives(); first != fin|pongOp || body != "are you there" {
		t.Fatalf("a frame %x %q", first, body)
	}
	w.say(rawFrame(cont, "llo") + rawFrame(fin|pingOp, "") + rawFrame(fin|cont, "\n"))
	if first, body := w.receives(); first != fin|pongOp || body != "" {
		t.Fatalf("a frame %x %q", first, body)
	}
	w.gathers("welcome\n")
}

// What breaks RFC 6455 or the binding of MQTT ends the connection with its code.
func TestWebSocketCloseCodes(t *testing.T) {
	unmasked := "\x82\x06hello\n"
	for _, c := range []struct {
		name, say string
		code      int
		reason    core.Reason
	}{
		{"text [MQTT-6.0.0-1]", rawFrame(fin|text, "hello\n"), 1003, core.ProtocolError},
		{"text in fragments", rawFrame(text, "hel") + rawFrame(fin|cont, "lo\n"), 1003, core.ProtocolError},
		{"not masked (5.1)", unmasked, 1002, core.ProtocolError},
		{"a reserved bit", rawFrame(fin|rsv1|binaryOp, "hello\n"), 1002, core.ProtocolError},
		{"an unknown opcode", rawFrame(fin|3, "hello\n"), 1002, core.ProtocolError},
		{"a continuation of nothing", rawFrame(fin|cont, "hello\n"), 1002, core.ProtocolError},
		{"a message inside of a message", rawFrame(binaryOp, "he") + rawFrame(fin|binaryOp, "llo\n"), 1002, core.ProtocolError},
		{"a control frame in fragments", rawFrame(pingOp, "x"), 1002, core.ProtocolError},
		{"a control frame above 125 bytes", rawFrame(fin|pingOp, strings.Repeat("x", 126)), 1002, core.ProtocolError},
		{"a Close without a code is answered by one", rawFrame(fin|closing, ""), 1005, 0},
		{"a Close with half a code", rawFrame(fin|closing, "\x03"), 1002, core.ProtocolError},
		{"a Close with a code that is none", rawFrame(fin|closing, "\x03\xed"), 1002, core.ProtocolError}, // 1005
		{"a Close whose words are not UTF-8", rawFrame(fin|closing, "\x03\xe8\xff"), 1002, core.ProtocolError},
		{"a Close is answered in kind", rawFrame(fin|closing, "\x03\xe8bye"), 1000, 0},
		{"a message above the limit", rawFrame(fin|binaryOp, strings.Repeat("x", 300_000)), 1009, core.PacketTooLarge},
		{"the machine's end", rawFrame(fin|binaryOp, "hello\nbye\n"), 1000, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", MaxPacketSize: 100_000})
			w := h.opened()
			go w.Write([]byte(c.say))
			w.closes(c.code)
			if c.reason != 0 {
				if r := await(t, h.gateway.refusals, "refusal"); r.Reason != c.reason {
					t.Errorf("refused %+v", r)
				}
			}
			await(t, h.adapter.closed, "Closed")
		})
	}
}

// A gateway that ends says so. RFC 6455 section 7.4.1: 1001.
func TestWebSocketGoingAway(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0"})
	w := h.opened()
	w.say(rawFrame(fin|binaryOp, "hello\n"))
	w.gathers("welcome\n")
	drained := make(chan error, 1)
	go func() { drained <- h.server.Drain(t.Context(), nil) }()
	w.closes(1001)
	w.Close()
	if err := await(t, drained, "end of Drain"); err != nil {
		t.Error(err)
	}
}

// The upgrade itself. [MQTT-6.0.0-3] [MQTT-6.0.0-4]
func TestWebSocketUpgrade(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", Origins: []string{"https://good.example", "http://other.example:8080"}})
	for _, c := range []struct {
		name   string
		fields []string
		status int
	}{
		{"plain", []string{wsVersion, wsLine}, 101},
		{"subprotocols in two fields", []string{wsVersion, "Sec-WebSocket-Protocol: other", wsLine}, 101},
		{"no subprotocol", []string{wsVersion}, 400},
		{"another subprotocol", []string{wsVersion, "Sec-WebSocket-Protocol: mqtt"}, 400},
		{"in other letters", []string{wsVersion, "Sec-WebSocket-Protocol: LINE"}, 400},
		{"an old version", []string{"Sec-WebSocket-Version: 8", wsLine}, 400},
		{"compression offered", []string{wsVersion, wsLine, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"}, 101},
		{"origin of the list", []string{wsVersion, wsLine, "Origin: https://good.example"}, 101},
		{"its second", []string{wsVersion, wsLine, "Origin: http://other.example:8080"}, 101},
		{"in other letters", []string{wsVersion, wsLine, "Origin: HTTPS://Good.example"}, 101},
		{"another scheme", []string{wsVersion, wsLine, "Origin: http://good.example"}, 403},
		{"another port", []string{wsVersion, wsLine, "Origin: https://good.example:8443"}, 403},
		{"a longer name", []string{wsVersion, wsLine, "Origin: https://good.example.bad.example"}, 403},
		{"the same host, which a list excludes", []string{wsVersion, wsLine, "Origin: http://gw.example"}, 403},
		{"null", []string{wsVersion, wsLine, "Origin: null"}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, resp := h.upgradeRaw(c.fields...)
			if resp.StatusCode != c.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, c.status)
			}
			if c.status != 101 {
				if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ProtocolError {
					t.Errorf("refused %+v", r)
				}
				return
			}
			if resp.Header.Get("Sec-WebSocket-Protocol") != "line" || len(resp.Header.Values("Sec-WebSocket-Extensions")) != 0 {
				t.Fatalf("negotiated %v", resp.Header)
			}
			w.say(rawFrame(fin|binaryOp, "hello\n"))
			w.gathers("welcome\n")
		})
	}
}

// Without a list only pages of the gateway's own host may connect; programs send none.
func TestWebSocketSameOrigin(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0"})
	for origin, want := range map[string]int{"": 101, "http://gw.example": 101, "https://GW.example": 101, "http://bad.example": 403, "http://gw.example.bad": 403, "null": 403, "http://%": 403} {
		fields := []string{wsVersion, wsLine}
		if origin != "" {
			fields = append(fields, "Origin: "+origin)
		}
		if _, resp := h.upgradeRaw(fields...); resp.StatusCode != want {
			t.Errorf("origin %q: status %d, want %d", origin, resp.StatusCode, want)
		}
	}
}

// A client that stops in the middle of a frame is ended as any other that says nothing.
func TestWebSocketHalfAFrame(t *testing.T) {
	h := start(t, "", &ListenerConfig{Transport: WebSocket, Address: "127.0.0.1:0", ConnectTimeout: 300 * time.Millisecond})
	w := h.opened()
	w.say(rawFrame(fin|binaryOp, "hello\n")[:9])
	if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
		t.Fatalf("refused %+v", r)
	}
}
