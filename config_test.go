package fairlead

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/config"
	"github.com/fairlead-iot/fairlead/protocols"
)

// load loads text as --set arguments over the defaults.
func load(sets ...string) (Config, error) {
	c := DefaultConfig()
	err := config.Load(&c, config.Options{Sets: sets})
	return c, err
}

func TestDefaultsAreValid(t *testing.T) {
	c := DefaultConfig()
	if err := config.Validate(&c); err != nil {
		t.Fatal(err)
	}
	for name, l := range c.edge().Listeners {
		if !l.Loopback() {
			t.Errorf("listener %s is open beyond this machine: %s", name, l.Address)
		}
	}
}

func TestActiveListeners(t *testing.T) {
	cert := []string{"listeners.mqtts.tls.cert_file=c", "listeners.mqtts.tls.key_file=k"}
	tests := []struct {
		name string
		sets []string
		want map[string]string // name → transport and address
	}{
		{"defaults", nil, map[string]string{"mqtt": "tcp 127.0.0.1:1883", "ws": "ws 127.0.0.1:8083"}},
		{"another address", []string{"listeners.mqtt.address=0.0.0.0:21883"}, map[string]string{"mqtt": "tcp 0.0.0.0:21883", "ws": "ws 127.0.0.1:8083"}},
		{"off", []string{"listeners.ws.address=off"}, map[string]string{"mqtt": "tcp 127.0.0.1:1883"}},
		{"empty", []string{"listeners.ws.address="}, map[string]string{"mqtt": "tcp 127.0.0.1:1883"}},
		{"not enabled", []string{"listeners.ws.enabled=false"}, map[string]string{"mqtt": "tcp 127.0.0.1:1883"}},
		{"a certificate opens mqtts", append(cert, "listeners.ws.address=off"), map[string]string{"mqtt": "tcp 127.0.0.1:1883", "mqtts": "tls 127.0.0.1:8883"}},
		{"a certificate with an address", append(cert, "listeners.mqtts.address=:8883", "listeners.ws.address=off"), map[string]string{"mqtt": "tcp 127.0.0.1:1883", "mqtts": "tls :8883"}},
		{"a certificate, but off", append(cert, "listeners.mqtts.address=off", "listeners.ws.address=off"), map[string]string{"mqtt": "tcp 127.0.0.1:1883"}},
		{"unix", []string{"listeners.unix.address=/run/x.sock", "listeners.ws.address=off"}, map[string]string{"mqtt": "tcp 127.0.0.1:1883", "unix": "unix /run/x.sock"}},
		{"a new name", []string{"listeners.lan.address=10.0.0.1:1883", "listeners.ws.address=off"}, map[string]string{"mqtt": "tcp 127.0.0.1:1883", "lan": "tcp 10.0.0.1:1883"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(tt.sets...)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name, l := range c.edge().Listeners {
				if l.Protocol == "mqtt" { // the other protocols' have their own test
					got[name] = l.Transport + " " + l.Address
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestProtocolsOfListeners: a listener's name tells what it speaks.
func TestProtocolsOfListeners(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		sets       []string
	}{
		{"coap", "coap udp 127.0.0.1:5683", nil},
		{"coap", "coap udp :5683", []string{"listeners.coap.address=:5683"}},
		{"coap", "", []string{"listeners.coap.address=off"}},
		{"coaps", "", nil},
		{"coaps", "coap dtls 127.0.0.1:5684", []string{"listeners.coaps.dtls.psk_file=keys"}},
		{"mqttsn", "mqttsn udp 127.0.0.1:1884", nil},
		{"mqttsn", "", []string{"listeners.mqttsn.address=off"}},
		{"mqttsns", "", nil},
		{"mqttsns", "mqttsn dtls 127.0.0.1:8885", []string{"listeners.mqttsns.dtls.psk_file=keys"}},
		{"sensors", "coap udp :1", []string{"listeners.sensors.address=:1", "listeners.sensors.protocol=coap", "listeners.sensors.transport=udp"}},
	} {
		c, err := load(tt.sets...)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if l := c.edge().Listeners[tt.name]; l != nil {
			got = l.Protocol + " " + l.Transport + " " + l.Address
		}
		if got != tt.want {
			t.Errorf("%v: %s is %q, want %q", tt.sets, tt.name, got, tt.want)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name string
		sets []string
		want []string // parts of the fault, in order
	}{
		{"misspelt key", []string{"listeners.mqtt.adress=x:1"}, []string{"listeners.mqtt.adress", "unknown key", `did you mean "listeners.mqtt.address"?`}},
		{"no port", []string{"listeners.mqtt.address=localhost"}, []string{"--set listeners.mqtt.address: listeners.mqtt.address: ", "localhost", "host:port"}},
		{"tls without certificate", []string{"listeners.mqtts.address=:8883"}, []string{"listeners.mqtts.tls", "cert_file and key_file"}},
		{"unknown protocol", []string{"listeners.x.address=:1", "listeners.x.protocol=amqp"}, []string{"listeners.x.protocol", "amqp", "mqtt"}},
		{"nothing active", []string{"listeners.mqtt.address=off", "listeners.ws.address=off", "listeners.mqttsn.address=off", "listeners.coap.address=off"}, []string{"listeners: none is active"}},
		{"empty data directory", []string{"node.data_dir="}, []string{"--set node.data_dir", "is empty"}},
		{"node name with a slash", []string{"node.name=a/b"}, []string{"--set node.name", "topic level"}},
		{"anonymous policy", []string{"auth.allow_anonymous=sometimes"}, []string{"auth.allow_anonymous", "loopback, always, never"}},
		{"store bounds", []string{"store.memtable_size=1"}, []string{"store", "memtable_size"}},
		{"edge bounds", []string{"edge.wait=x"}, []string{"--set edge.wait: edge.wait: ", "auto, block, park"}},
		{"core bounds", []string{"core.max_inflight=0"}, []string{"core", "max_inflight"}},
		{"admin address", []string{"admin.address=18083"}, []string{"--set admin.address", "host:port"}},
		{"log level", []string{"log.level=loud"}, []string{"log.level", "debug, info, warn, error"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(tt.sets...)
			if err == nil {
				t.Fatal("no fault")
			}
			text := err.Error()
			for _, part := range tt.want {
				_, rest, ok := strings.Cut(text, part)
				if !ok {
					t.Fatalf("no %q in: %v", part, err)
				}
				text = rest
			}
		})
	}
}

func TestStorePath(t *testing.T) {
	c, err := load("node.data_dir=/data")
	if err != nil || c.storeConfig().Path != "/data" {
		t.Errorf("store in %q (%v), want the data directory", c.storeConfig().Path, err)
	}
	c, err = load("node.data_dir=/data", "store.path=/fast")
	if err != nil || c.storeConfig().Path != "/fast" {
		t.Errorf("store in %q (%v), want its own path", c.storeConfig().Path, err)
	}
}

func TestNodeName(t *testing.T) {
	c := DefaultConfig()
	if got := c.nodeName(); got == "" {
		t.Error("the node has no name")
	}
	c.Node.Name = "edge-1"
	if got := c.nodeName(); got != "edge-1" {
		t.Errorf("node name %q", got)
	}
}

func TestAnonymous(t *testing.T) {
	yes, no := true, false
	listeners := map[string]*protocols.ListenerConfig{
		"loop":     {Transport: "tcp", Address: "127.0.0.1:1883"},
		"local":    {Transport: "tcp", Address: "localhost:1883"},
		"any":      {Transport: "tcp", Address: ":1883"},
		"unix":     {Transport: "unix", Address: "/x"},
		"unixprox": {Transport: "unix", Address: "/x", ProxyProtocol: "on"},
		"open":     {Transport: "tcp", Address: ":1884", AllowAnonymous: &yes},
		"shut":     {Transport: "tcp", Address: "127.0.0.1:1885", AllowAnonymous: &no},
	}
	local, mapped, far := "127.0.0.1:5", "[::ffff:127.0.0.1]:5", "10.0.0.1:5"
	tests := []struct {
		policy, listener, peer string
		want                   bool
	}{
		{"loopback", "loop", local, true},
		{"loopback", "loop", mapped, true},
		{"loopback", "local", "[::1]:5", true},
		{"loopback", "loop", far, false}, // through a proxy
		{"loopback", "any", local, false},
		{"loopback", "any", far, false},
		{"loopback", "unix", "", true},
		{"loopback", "unixprox", "", false},
		{"loopback", "unixprox", local, true},
		{"loopback", "unixprox", far, false},
		{"loopback", "loop", "", false},
		{"loopback", "open", far, true},
		{"loopback", "shut", local, false},
		{"loopback", "unknown", local, false},
		{"always", "any", far, true},
		{"always", "shut", local, false},
		{"always", "unknown", local, false},
		{"never", "loop", local, false},
		{"never", "unix", "", false},
		{"never", "open", far, true},
		{"", "loop", local, false},
	}
	for _, tt := range tests {
		t.Run(tt.policy+" "+tt.listener+" "+tt.peer, func(t *testing.T) {
			c := &core.Credentials{Listener: tt.listener}
			if tt.peer != "" {
				c.Peer = netip.MustParseAddrPort(tt.peer)
			}
			if got := anonymous(tt.policy, listeners)(c); got != tt.want {
				t.Errorf("allowed %v, want %v", got, tt.want)
			}
		})
	}
}

// TestEveryKeyIsDescribed: the sample and check show what each setting means.
func TestEveryKeyIsDescribed(t *testing.T) {
	c := DefaultConfig()
	for _, k := range config.Describe(&c) {
		if k.Doc == "" {
			t.Errorf("%s has no doc tag", k.Path)
		}
	}
}

func TestKnownNames(t *testing.T) {
	got := slices.Sorted(maps.Keys(DefaultConfig().Listeners))
	if diff := cmp.Diff([]string{"coap", "coaps", "mqtt", "mqtts", "mqttsn", "mqttsns", "quic", "unix", "ws", "wss"}, got); diff != "" {
		t.Error(diff)
	}
}
