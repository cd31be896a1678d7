package protocols

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// Headers after the PROXY protocol's text, section 2.1 and 2.2.
const (
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2TCP4      = v2Signature + "\x21\x11\x00\x0c" + "\xc0\x00\x02\x07" + "\xc0\x00\x02\x08" + "\x04\xd2" + "\x07\x5b"
	v2Local     = v2Signature + "\x20\x00\x00\x00"
	v2Authority = v2Signature + "\x21\x11\x00\x16" + "\xc0\x00\x02\x07" + "\xc0\x00\x02\x08" + "\x04\xd2" + "\x07\x5b" + "\x02\x00\x07" + "gw.test"
)

func TestParseProxy(t *testing.T) {
	for _, c := range []struct {
		name, in  string
		peer      string
		local     bool
		authority string
		fault     string // part of the error, "" for none
	}{
		{"v1 tcp4", "PROXY TCP4 192.0.2.7 192.0.2.8 1234 1883\r\n", "192.0.2.7:1234", false, "", ""},
		{"v1 tcp6", "PROXY TCP6 2001:db8::7 2001:db8::8 1234 1883\r\n", "[2001:db8::7]:1234", false, "", ""},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "", true, "", ""},
		{"v1 unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", true, "", ""},
		{"v2 tcp4", v2TCP4, "192.0.2.7:1234", false, "", ""},
		{"v2 local", v2Local, "", true, "", ""},
		{"v2 authority", v2Authority, "192.0.2.7:1234", false, "gw.test", ""},
		{"v1 no crlf", "PROXY TCP4 192.0.2.7 192.0.2.8 1234 1883\n", "", false, "", "PROXY header"},
		{"v1 bad port", "PROXY TCP4 192.0.2.7 192.0.2.8 1234 99999\r\n", "", false, "", "PROXY header"},
		{"v1 bad family", "PROXY TCP4 ::1 ::1 1 2\r\n", "", false, "", "PROXY header"},
		{"v1 too long", "PROXY TCP4 " + strings.Repeat("1", 200), "", false, "", "without an end"},
		{"v2 too long", v2Signature + "\x21\x11\xff\xff", "", false, "", "at most"},
		{"v2 bad version", v2Signature + "\x31\x11\x00\x0c" + strings.Repeat("\x00", 12), "", false, "", "PROXY header"},
		{"v2 short addresses", v2Signature + "\x21\x11\x00\x04\x01\x02\x03\x04", "", false, "", "PROXY header"},
		{"mqtt", "\x10\x0c\x00\x04MQTT", "", false, "", "no PROXY header"},
		{"http", "GET / HTTP/1.1\r\n", "", false, "", "no PROXY header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := parseProxy([]byte(c.in + "rest"))
			if c.fault != "" {
				if err == nil || errors.Is(err, errProxyShort) || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("%+v, %v", h, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var peer netip.AddrPort
			if c.peer != "" {
				peer = netip.MustParseAddrPort(c.peer)
			}
			if h.size != len(c.in) || h.peer != peer || h.local != c.local || h.authority != c.authority {
				t.Fatalf("%+v", h)
			}
			for n := range len(c.in) {
				if _, err := parseProxy([]byte(c.in[:n])); !errors.Is(err, errProxyShort) {
					t.Fatalf("after %d bytes: %v", n, err)
				}
			}
		})
	}
}

// However the bytes come in, the header is the same or refused the same way, and
// nothing behind it is looked at.
func FuzzParseProxy(f *testing.F) {
	for _, s := range []string{v2TCP4, v2Local, v2Authority, "PROXY TCP4 192.0.2.7 192.0.2.8 1234 1883\r\nx", "PROXY UNKNOWN\r\n", "\x10\x0c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := parseProxy(b)
		for n := range min(len(b), proxyV2Max) {
			part, partErr := parseProxy(b[:n])
			if errors.Is(partErr, errProxyShort) {
				continue
			}
			if partErr == nil && (err != nil || part != whole) {
				t.Fatalf("after %d bytes %+v, in the end %+v, %v", n, part, whole, err)
			}
			if partErr != nil && err == nil {
				t.Fatalf("after %d bytes %v, in the end %+v", n, partErr, whole)
			}
			break
		}
		if err == nil && (whole.size > len(b) || whole.size <= 0) {
			t.Fatalf("size %d of %d", whole.size, len(b))
		}
	})
}

func proxied(t *testing.T, transport, trusted string) *ListenerConfig {
	return &ListenerConfig{Transport: transport, Address: "127.0.0.1:0", ProxyProtocol: "on",
		ProxyTrusted: []netip.Prefix{netip.MustParsePrefix(trusted)}}
}

// dial sends a header of its own in front of everything on such a listener.
func TestProxyHeaderGivesTheClientsAddress(t *testing.T) {
	for _, c := range []struct{ name, wait, transport string }{
		{"loop", "", TCP}, {"pump", "pump", TCP}, {"tls", "", TLS}, {"ws", "", WebSocket}, {"wss", "", SecureWS},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, c.wait, proxied(t, c.transport, "127.0.0.0/8"))
			k := h.dial()
			k.say("hello\n")
			k.hears("welcome\n")
			m := await(t, h.adapter.made, "machine")
			want := netip.MustParseAddrPort("192.0.2.7:1234")
			if m.info.Peer != want || m.conn.Peer() != want {
				t.Fatalf("peer %s, %s", m.info.Peer, m.conn.Peer())
			}
			if c.transport == TLS && m.info.ServerName != "gateway.test" {
				t.Fatalf("server name %q", m.info.ServerName)
			}
		})
	}
}

func TestProxyHeaderSplitAnywhere(t *testing.T) {
	for _, wait := range []string{"auto", "pump"} {
		t.Run(wait, func(t *testing.T) {
			h := start(t, wait, proxied(t, TCP, "127.0.0.0/8"))
			whole := v2Authority + "hello\n"
			for cut := 1; cut < len(whole); cut += 3 {
				c := h.dialRaw()
				c.say(whole[:cut])
				c.say(whole[cut:])
				c.hears("welcome\n")
				if m := await(t, h.adapter.made, "machine"); m.info.ServerName != "gw.test" {
					t.Fatalf("server name %q", m.info.ServerName)
				}
			}
		})
	}
}

func TestProxyHealthCheckKeepsTheProxysAddress(t *testing.T) {
	for _, wait := range []string{"auto", "pump"} {
		h := start(t, wait, proxied(t, TCP, "127.0.0.0/8"))
		c := h.dialRaw()
		c.say(v2Local + "hello\n")
		c.hears("welcome\n")
		if m := await(t, h.adapter.made, "machine"); m.info.Peer.String() != c.LocalAddr().String() {
			t.Fatalf("peer %s, want %s", m.info.Peer, c.LocalAddr())
		}
	}
}

func TestProxyRefusals(t *testing.T) {
	for _, c := range []struct {
		name, trusted, say string
		want               core.Reason
	}{
		{"not trusted", "10.0.0.0/8", "", core.NotAuthorized},
		{"no header", "127.0.0.0/8", "hello\n", core.ProtocolError},
		{"bad header", "127.0.0.0/8", "PROXY TCP9 x\r\n", core.ProtocolError},
	} {
		for _, wait := range []string{"auto", "pump"} {
			t.Run(c.name+"/"+wait, func(t *testing.T) {
				h := start(t, wait, proxied(t, TCP, c.trusted))
				k := h.dialRaw()
				k.Write([]byte(c.say))
				if r := await(t, h.gateway.refusals, "refusal"); r.Reason != c.want {
					t.Fatalf("refused %+v", r)
				}
				k.hearsRefusal()
				if len(h.adapter.made) != 0 {
					t.Fatal("a machine was made")
				}
			})
		}
	}
}

// FuzzInputSplits: the machine gets the same stream however it is cut.
func FuzzInputSplits(f *testing.F) {
	f.Add([]byte("hello\none\ntwo\n"), uint16(3), uint16(7))
	f.Add(bytes.Repeat([]byte("long line without an end "), 20), uint16(100), uint16(64))
	f.Fuzz(func(t *testing.T, text []byte, a, b uint16) {
		var p helds
		var h *held
		var got []byte
		for i := 0; len(text) > 0; i++ {
			n := int(a)%97 + 1
			if i%2 == 1 {
				n = int(b)%1009 + 1
			}
			n = min(n, len(text))
			part := text[:n]
			text = text[n:]
			all := part
			if h != nil {
				all = bytes.Clone(h.b)
				all = append(all, part...)
			}
			used := bytes.LastIndexByte(all, '\n') + 1
			got = append(got, all[:used]...)
			h = p.replace(h, all[used:])
			if h != nil && !bytes.Equal(h.b, all[used:]) {
				t.Fatalf("held %s, want %s", hex.EncodeToString(h.b), hex.EncodeToString(all[used:]))
			}
		}
		if n := bytes.Count(got, []byte{'\n'}); n > 0 && got[len(got)-1] != '\n' {
			t.Fatal("a line was cut")
		}
	})
}
