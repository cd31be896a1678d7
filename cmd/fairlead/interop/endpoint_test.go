package interop

import (
	"fmt"
	"net"
	"strconv"
	"testing"
)

// transport is one way to carry MQTT: tcp, tls, ws, wss, quic, unix.
type transport string

// endpoint is where a gateway listens, and how its clients trust it.
type endpoint struct {
	transport transport
	address   string // host:port, or the path of a Unix socket
	ca        string // PEM file with the authority of tls, wss and quic, else ""
}

// webPath is where the gateway takes WebSocket connections.
const webPath = "/mqtt"

// hostPort splits the address of all transports but unix.
func (e endpoint) hostPort(t *testing.T) (string, int) {
	t.Helper()
	host, text, err := net.SplitHostPort(e.address)
	if err != nil {
		t.Fatalf("%s endpoint: %v", e.transport, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s endpoint: %v", e.transport, err)
	}
	return host, port
}

// url writes the endpoint as Go's libraries like it.
func (e endpoint) url() string {
	switch e.transport {
	case "unix":
		return "unix://" + e.address
	case "ws", "wss":
		return fmt.Sprintf("%s://%s%s", e.transport, e.address, webPath)
	}
	return fmt.Sprintf("%s://%s", e.transport, e.address)
}
