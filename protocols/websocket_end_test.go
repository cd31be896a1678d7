package protocols

import (
	"bufio"
	"crypto/tls"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// A client that opens a WebSocket and says nothing on it is told of the end by a Close,
// over TLS with close_notify behind it. RFC 6455 section 7.1.1, RFC 8446 section 6.1
func TestWebSocketConnectTimeoutIsToldOf(t *testing.T) {
	for _, transport := range []string{WebSocket, SecureWS} {
		t.Run(transport, func(t *testing.T) {
			h := start(t, "", &ListenerConfig{Transport: transport, Address: "127.0.0.1:0", ConnectTimeout: 200 * time.Millisecond})
			seen := &recorded{Conn: h.dialRaw()}
			c := &client{seen, t}
			if transport == SecureWS {
				old := h.tls.Clone()
				old.MaxVersion = tls.VersionTLS12 // whose alerts can be told from without
				c.Conn = tls.Client(seen, old)
			}
			w := &wsRaw{c, bufio.NewReader(c)}
			if resp := w.upgrade(wsVersion, wsLine); resp.StatusCode != 101 {
				t.Fatalf("answer %d", resp.StatusCode)
			}
			w.closes(1000)
			if r := await(t, h.gateway.refusals, "refusal"); r.Reason != core.ConnectTimeout {
				t.Errorf("refused for %s", r.Reason)
			}
			if transport == SecureWS && lastRecord(seen.got) != recordAlert {
				t.Error("no close_notify follows the Close: the connection counts as cut off")
			}
		})
	}
}
