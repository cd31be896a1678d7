package mqtt

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// upgrade opens a WebSocket by hand and gives what the server answered.
func upgrade(t *testing.T, url string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	address, _, _ := strings.Cut(strings.TrimPrefix(url, "ws://"), "/")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: other, mqtt\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, r, resp
}

// frame is a WebSocket frame of a client; its mask is all zeros.
func frame(kind byte, b []byte) []byte {
	return append([]byte{kind, 0x80 | byte(len(b)), 0, 0, 0, 0}, b...)
}

// readFrame gives the kind and content of a short frame.
func readFrame(t *testing.T, r io.Reader) (kind byte, b []byte) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	b = make([]byte, head[1])
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return head[0], b
}

// [MQTT-6.0.0-1] [MQTT-6.0.0-4] [MQTT311-6.0.0-1] [MQTT311-6.0.0-2] [MQTT311-6.0.0-4]
func TestMQTT_6_0_0_2_FramesAndPackets(t *testing.T) {
	urls := startEdge(t, nil)
	for name, connect := range map[string]string{
		"3.1.1": "100e 0004 4d515454 04 02 003c 0002 6331",
		"5":     "100f 0004 4d515454 05 02 003c 00 0002 6331",
	} {
		t.Run(name, func(t *testing.T) {
			c, r, resp := upgrade(t, urls["ws"])
			if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
				t.Fatalf("answer %d, protocol %q", resp.StatusCode, resp.Header.Get("Sec-WebSocket-Protocol"))
			}
			b := unhex(t, connect)
			c.Write(frame(0x82, b[:1]))
			c.Write(frame(0x82, b[1:7]))
			c.Write(frame(0x82, append(b[7:], 0xc0, 0, 0xc0))) // and a PINGREQ and a half
			c.Write(frame(0x82, []byte{0}))
			var got []byte
			for !bytes.HasSuffix(got, []byte{0xd0, 0, 0xd0, 0}) {
				kind, part := readFrame(t, r)
				if kind != 0x82 {
					t.Fatalf("frame %x of kind %x", part, kind)
				}
				got = append(got, part...)
			}
			if got[0] != 0x20 || strings.Count(hex.EncodeToString(got), "d000") != 2 {
				t.Fatalf("received %x", got)
			}
			c.Write(frame(0x81, []byte{0xc0, 0})) // text
			for {
				if _, err := r.ReadByte(); err == io.EOF {
					break
				} else if err != nil {
					return // reset: closed as well
				}
			}
		})
	}
}
