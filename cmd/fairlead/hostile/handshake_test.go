package hostile

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestHandshakes are the attacks of strangers: before CONNECT was accepted.
func TestHandshakes(t *testing.T) {
	soon, later := []string{"listeners.mqtt.connect_timeout=1s"}, []string{"listeners.mqtt.connect_timeout=4s"}
	if *full { // so that all are there at once
		soon[0] = "listeners.mqtt.connect_timeout=10s"
		later = soon
	}
	proxy := []string{"listeners.proxy.protocol=mqtt", "listeners.proxy.transport=tcp", "listeners.proxy.address=127.0.0.1:0",
		"listeners.proxy.proxy_protocol=on", "listeners.proxy.proxy_trusted=127.0.0.0/8", "listeners.proxy.connect_timeout=1s"}
	run(t, []attack{
		{name: "silent sockets", does: "opens 2,000 sockets (in full 15,000) and says nothing", holds: "ended after connect_timeout", settings: soon, wage: silent, reasons: []string{"connect_timeout"}, many: true},
		{name: "slowloris", does: "sends CONNECT byte by byte on 200 sockets", holds: "ended after connect_timeout, whatever comes", settings: soon, wage: slowloris, reasons: []string{"connect_timeout"}, many: true},
		{name: "half CONNECTs", does: "sends 60 KiB of a CONNECT on each of 1,000 sockets and waits", holds: "the bytes of all strangers together are bounded", settings: later, wage: halfConnects, reasons: []string{"packet_too_large"}, ceiling: target, many: true},
		{name: "connection flood", does: "opens 500 connections from one address where 100 are allowed", holds: "address_limit, and other addresses come in", settings: []string{"listeners.mqtt.max_connections_per_address=100"}, wage: connectionFlood, reasons: []string{"address_limit"}, many: true, once: true},
		{name: "connect and leave", does: "connects and breaks off without end", holds: "nothing is left", wage: connectLeave},
		{name: "PROXY header dribbled", does: "sends a PROXY header byte by byte on 100 sockets", holds: "ended after connect_timeout", settings: proxy, wage: proxyDribble, reasons: []string{"connect_timeout"}, many: true},
		{name: "PROXY header too long", does: "announces a PROXY header of 64 KiB", holds: "protocol_error", settings: proxy, wage: proxyLong, reasons: []string{"protocol_error"}},
		{name: "HTTP and TLS on the MQTT port", does: "sends HTTP requests and TLS hellos to the plain listener", holds: "malformed_packet", wage: foreignTongues, reasons: []string{"malformed_packet"}},
	})
}

// crowd opens n connections to address; they close with the test.
func crowd(t *testing.T, address string, n int) []*peer {
	t.Helper()
	all := make([]*peer, n)
	for i := range all {
		all[i] = dial(t, address)
	}
	return all
}

// allEnd waits until the gateway has ended every connection.
func allEnd(t *testing.T, all []*peer) {
	t.Helper()
	for _, p := range all {
		p.ended(t)
		p.Close()
	}
}

func silent(t *testing.T, at *arena) {
	allEnd(t, crowd(t, at.mqtt, size(2000, 15_000)))
}

// dribble sends b byte by byte on all connections until they end.
func dribble(all []*peer, b []byte) {
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for i := range b {
				<-tick.C
				if p.raw(b[i:i+1]) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

func slowloris(t *testing.T, at *arena) {
	all := crowd(t, at.mqtt, size(200, 2000))
	dribble(all, bytesOf(greeting(strings.Repeat("x", 500))))
	allEnd(t, all)
}

func halfConnects(t *testing.T, at *arena) {
	big := bytesOf(greeting("attacker", withWill("hostile/will", bytes.Repeat([]byte("x"), 60_000))))
	all := crowd(t, at.mqtt, size(1000, 8000))
	for _, p := range all {
		p.raw(big[:len(big)-1]) // may end in the midst: it is more than the share
	}
	allEnd(t, all)
}

// from dials as another address of this machine's own network.
func from(t *testing.T, address, source string) *peer {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: patience}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Skipf("this machine cannot dial from %s: %v", source, err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{Conn: c}
}

func connectionFlood(t *testing.T, at *arena) {
	in := 0
	for i := range 500 {
		p := from(t, at.mqtt, "127.0.0.2")
		p.raw(bytesOf(greeting(fmt.Sprint("attacker-", i))))
		p.SetReadDeadline(time.Now().Add(patience))
		if f, err := p.next(); err == nil && f.Type == packet.TypeConnack {
			in++
		}
	}
	if in != 100 {
		t.Errorf("%d connections of one address came in, allowed are 100", in)
	}
	if code := from(t, at.mqtt, "127.0.0.3").hello(t, "neighbour"); code != packet.ReasonSuccess {
		t.Errorf("another address is refused: %#x", byte(code))
	}
}

func connectLeave(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_sessions"]
	n := 0
	for stop := time.Now().Add(span()); time.Now().Before(stop); n++ {
		p := dial(t, at.mqtt)
		p.raw(bytesOf(greeting("")))
		p.Conn.(*net.TCPConn).SetLinger(0)
		p.Close()
	}
	eventually(t, "the end of the sessions", func() bool { return at.metrics(t)["fairlead_sessions"] == before })
	t.Logf("%d connections", n)
}

func proxyDribble(t *testing.T, at *arena) {
	all := crowd(t, at.ready.Listeners["proxy"], 100)
	dribble(all, []byte("PROXY TCP4 192.0.2.1 192.0.2.2 "+strings.Repeat("1", 60)))
	allEnd(t, all)
}

func proxyLong(t *testing.T, at *arena) {
	for range 20 {
		p := dial(t, at.ready.Listeners["proxy"])
		p.raw([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"))
		p.ended(t)
	}
}

func foreignTongues(t *testing.T, at *arena) {
	for range size(20, 1000) {
		p := dial(t, at.mqtt)
		p.raw([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		p.ended(t)
		tls.Client(dial(t, at.mqtt), &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context())
	}
}
