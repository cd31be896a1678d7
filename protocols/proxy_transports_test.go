package protocols

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// tlv is one of the values behind a version 2 header's addresses, section 2.2.
func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// v2With is v2TCP4 with such values.
func v2With(tlvs string) string {
	b := []byte(v2TCP4 + tlvs)
	binary.BigEndian.PutUint16(b[14:], uint16(12+len(tlvs)))
	return string(b)
}

// v2Unix is a header for a client that came to the proxy by a Unix socket.
func v2Unix() string {
	path := "/run/client.sock" + strings.Repeat("\x00", 108-16)
	return v2Signature + "\x21\x31\x00\xd8" + path + path
}

// sslTLV tells of the client's TLS: bits, verification, and the names in it.
func sslTLV(inner string) string {
	return tlv(0x20, "\x07\x00\x00\x00\x00"+inner)
}

// proxiedTransports are all that can have a header in front, on both engines.
func proxiedTransports(t *testing.T) map[string]func() (wait string, lc *ListenerConfig) {
	at := func(wait, transport string) func() (string, *ListenerConfig) {
		return func() (string, *ListenerConfig) {
			lc := proxied(t, transport, "127.0.0.0/8")
			if transport == Unix {
				lc.Address, lc.ProxyTrusted = filepath.Join(t.TempDir(), "s"), nil
			}
			return wait, lc
		}
	}
	return map[string]func() (string, *ListenerConfig){
		"tcp": at("", TCP), "tcp of the pump": at("pump", TCP), "tls": at("", TLS), "ws": at("", WebSocket), "wss": at("", SecureWS),
		"unix": at("", Unix), "unix of the pump": at("pump", Unix),
	}
}

// behind dials with a header of the caller's, and everything else of the transport.
func (h *harness) behind(header string) *client {
	h.t.Helper()
	a := h.server.Addresses()["l"]
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte(header))
	if h.server.listeners["l"].secure() {
		c = tls.Client(c, h.tls)
	}
	if t := h.server.listeners["l"].cfg.Transport; t == WebSocket || t == SecureWS {
		c = h.dialWebSocket(c)
	}
	return &client{c, h.t}
}

// One table of headers over each transport.
func TestProxyOverEveryTransport(t *testing.T) {
	own := "" // the connection's own end
	for _, c := range []struct{ name, header, peer, server string }{
		{"v1 IPv4", "PROXY TCP4 192.0.2.7 192.0.2.8 1234 1883\r\n", "192.0.2.7:1234", ""},
		{"v1 IPv6", "PROXY TCP6 2001:db8::7 2001:db8::8 1234 1883\r\n", "[2001:db8::7]:1234", ""},
		{"v1 unknown", "PROXY UNKNOWN\r\n", own, ""},
		{"v2 IPv4", v2TCP4, "192.0.2.7:1234", ""},
		{"v2 health check", v2Local, own, ""},
		{"v2 of a Unix socket", v2Unix(), own, ""},
		{"v2 authority", v2Authority, "192.0.2.7:1234", "gw.test"},
		{"v2 of a client's certificate", v2With(sslTLV(tlv(0x21, "TLSv1.3") + tlv(0x22, "someone else"))), "192.0.2.7:1234", ""},
		{"v2 with many values", v2With(tlv(0x01, "mqtt") + tlv(0x03, "\x00\x00\x00\x00") + tlv(0x04, strings.Repeat("\x00", 300)) + tlv(0x05, "id") + tlv(0x30, "netns") + tlv(0xea, "\x01vpce") + tlv(0x02, "gw.test")), "192.0.2.7:1234", "gw.test"},
	} {
		for name, make := range proxiedTransports(t) {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				h := start(t, first(make()), second(make()))
				k := h.behind(c.header)
				k.say("hello\n")
				k.hears("welcome\n")
				m := await(t, h.adapter.made, "machine")
				want := netip.AddrPort{}
				if c.peer != own {
					want = netip.MustParseAddrPort(c.peer)
				} else if l := k.LocalAddr(); l.Network() == "tcp" {
					want = netip.MustParseAddrPort(l.String())
				}
				if m.info.Peer != want || m.conn.Peer() != want {
					t.Errorf("peer %s, %s, want %s", m.info.Peer, m.conn.Peer(), want)
				}
				server := c.server
				if server == "" && h.server.listeners["l"].secure() {
					server = "gateway.test" // that of the TLS handshake behind it
				}
				if m.info.ServerName != server {
					t.Errorf("server name %q, want %q", m.info.ServerName, server)
				}
				if c.name == "v2 of a client's certificate" && m.info.TLS != nil && len(m.info.TLS.VerifiedChains) > 0 {
					t.Error("a name in the header was taken for a certificate")
				}
			})
		}
	}
}

func first[A, B any](a A, _ B) A  { return a }
func second[A, B any](_ A, b B) B { return b }

// What is no header, or comes too late, ends each of them before a machine is made.
func TestProxyRefusalsOverEveryTransport(t *testing.T) {
	for _, c := range []struct {
		name, header string
		want         core.Reason
	}{
		{"none", "hello\nhello\nhello\nhello\n", core.ProtocolError},
		{"a bad family", "PROXY TCP9 x\r\n", core.ProtocolError},
		{"a value longer than the header", v2With("\x05\xff\xff"), core.ProtocolError},
		{"an SSL value of two bytes", v2With(tlv(0x20, "ab")), core.Success},
		{"half of one", v2TCP4[:20], core.ConnectTimeout},
	} {
		for name, make := range proxiedTransports(t) {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				lc := second(make())
				if c.want == core.ConnectTimeout {
					lc.ConnectTimeout, lc.HandshakeTimeout = 200*time.Millisecond, 200*time.Millisecond
				}
				h := start(t, first(make()), lc)
				if c.want == core.Success { // what nobody needs may be anything
					k := h.behind(c.header)
					k.say("hello\n")
					k.hears("welcome\n")
					return
				}
				k := h.dialRaw()
				k.Write([]byte(c.header))
				if r := await(t, h.gateway.refusals, "refusal"); r.Reason != c.want {
					t.Errorf("refused %+v", r)
				}
				k.hearsRefusal()
				if len(h.adapter.made) != 0 {
					t.Error("a machine was made")
				}
			})
		}
	}
}
