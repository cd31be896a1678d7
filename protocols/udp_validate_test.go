package protocols

import (
	"net/netip"
	"strings"
	"testing"
)

func TestValidateDatagrams(t *testing.T) {
	group := []netip.Addr{netip.MustParseAddr("224.0.1.187")}
	keys := DTLSConfig{PSKFile: "keys"}
	pair := TLSConfig{CertFile: "c", KeyFile: "k"}
	for _, c := range []struct {
		name, want string
		cfg        ListenerConfig
	}{
		{"udp", "", ListenerConfig{Transport: UDP, UDP: UDPConfig{Groups: group, Interfaces: []string{"lo"}, AnswerRate: 7}}},
		{"dtls with keys", "", ListenerConfig{Transport: DTLS, DTLS: keys}},
		{"dtls with a certificate", "", ListenerConfig{Transport: DTLS, TLS: pair}},
		{"dtls with both", "", ListenerConfig{Transport: DTLS, TLS: pair, DTLS: keys}},
		{"dtls with neither", "dtls.psk_file", ListenerConfig{Transport: DTLS}},
		{"client certificates without own", "only holds for", ListenerConfig{Transport: DTLS, DTLS: keys, TLS: TLSConfig{ClientAuth: "require"}}},
		{"dtls 1.3", "must be 1.2", ListenerConfig{Transport: DTLS, TLS: TLSConfig{CertFile: "c", KeyFile: "k", MinVersion: "1.3"}}},
		{"keys elsewhere", "only holds for the transport dtls", ListenerConfig{Transport: UDP, DTLS: keys}},
		{"groups elsewhere", "only holds for the transports udp and dtls", ListenerConfig{Transport: TCP, UDP: UDPConfig{Groups: group}}},
		{"groups of dtls", "DTLS has no groups", ListenerConfig{Transport: DTLS, DTLS: keys, UDP: UDPConfig{Groups: group}}},
		{"no group", "must be multicast addresses", ListenerConfig{Transport: UDP, UDP: UDPConfig{Groups: []netip.Addr{netip.MustParseAddr("10.1.2.3")}}}},
		{"announcement without port", "must be addresses with a port", ListenerConfig{Transport: UDP, UDP: UDPConfig{Announce: []netip.AddrPort{netip.MustParseAddrPort("225.1.1.1:0")}}}},
		{"interfaces for nothing", "does nothing without", ListenerConfig{Transport: UDP, UDP: UDPConfig{Interfaces: []string{"lo"}}}},
		{"rate", "udp.answer_rate", ListenerConfig{Transport: UDP, UDP: UDPConfig{AnswerRate: -1}}},
		{"size", "max_packet_size", ListenerConfig{Transport: UDP, MaxPacketSize: 1 << 20}},
		{"proxy", "datagrams have no PROXY header", ListenerConfig{Transport: UDP, ProxyProtocol: "on", ProxyTrusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			c.cfg.Protocol, c.cfg.Address = "line", "127.0.0.1:0"
			cfg.Listeners["l"] = &c.cfg
			err := cfg.Validate("line")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestSharedKeyFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, text, want string }{
		{"good", "# c\n\na:" + testKey + "\nb:c:" + testKey + "\r\n", ""},
		{"no key", "a\n", "line 1"},
		{"no identity", "# c\n:" + testKey, "line 2"},
		{"short", "a:0011", "8 to 64 bytes"},
		{"no hex", "a:" + strings.Repeat("zz", 16), "hexadecimal"},
		{"twice", "a:" + testKey + "\na:" + testKey, "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := loadPSK(writeFile(t, dir+"/keys", []byte(c.text)))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), testKey) {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			known, _ := k.find([]byte("b:c"))
			one, _ := k.find([]byte("x"))
			again, _ := k.find([]byte("x"))
			other, _ := k.find([]byte("y"))
			if len(known) != 16 || string(one) != string(again) || string(one) == string(other) || string(one) == string(known) {
				t.Fatalf("%x %x %x %x", known, one, again, other)
			}
		})
	}
}

func TestKeysAreReadAgain(t *testing.T) {
	name := t.TempDir() + "/keys"
	lc := &ListenerConfig{Transport: DTLS, DTLS: DTLSConfig{PSKFile: writeFile(t, name, []byte("a:"+testKey)), PSK: func(id string) []byte {
		if id == "hook" {
			return []byte("0123456789abcdef")
		}
		return nil
	}}}
	e := startEcho(t, true, lc)
	e.mustDial(withKey("a", testKey)...)
	e.mustDial(withKey("hook", "30313233343536373839616263646566")...)
	writeFile(t, name, []byte("b:"+testKey))
	if err := e.server.Reload(); err != nil {
		t.Fatal(err)
	}
	e.mustDial(withKey("b", testKey)...)
	writeFile(t, name, []byte("nonsense"))
	if err := e.server.Reload(); err == nil {
		t.Fatal("read nonsense")
	}
	e.mustDial(withKey("b", testKey)...)
}
