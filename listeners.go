package fairlead

import (
	"errors"
	"strings"

	"github.com/fairlead-iot/fairlead/coap"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt"
	"github.com/fairlead-iot/fairlead/mqttsn"
	"github.com/fairlead-iot/fairlead/protocols"
)

// adapterOf is one row of the table of protocols.
type adapterOf struct {
	name string
	make func(c *Config, g *core.Gateway) protocols.Adapter
}

// adapters is the table: a protocol that is added is a row here.
func adapters() []adapterOf {
	return []adapterOf{
		{"mqtt", func(c *Config, g *core.Gateway) protocols.Adapter { return mqtt.New(c.MQTT, g) }},
		{"mqttsn", func(c *Config, g *core.Gateway) protocols.Adapter { return mqttsn.New(c.MQTTSN, g) }},
		{"coap", func(c *Config, g *core.Gateway) protocols.Adapter { return coap.New(c.CoAP, g) }},
	}
}

func protocolNames() []string {
	var names []string
	for _, a := range adapters() {
		names = append(names, a.name)
	}
	return names
}

// knownListener is one row of the table of listeners that have a name from the
// start.
type knownListener struct {
	name, protocol, transport string
	address                   string // its usual one
	open                      bool   // without being asked for
}

func knownListeners() []knownListener {
	return []knownListener{
		{"mqtt", "mqtt", protocols.TCP, "127.0.0.1:1883", true},
		{"mqtts", "mqtt", protocols.TLS, "127.0.0.1:8883", false},
		{"ws", "mqtt", protocols.WebSocket, "127.0.0.1:8083", true},
		{"wss", "mqtt", protocols.SecureWS, "127.0.0.1:8084", false},
		{"unix", "mqtt", protocols.Unix, "", false},
		{"quic", "mqtt", protocols.QUIC, "127.0.0.1:14567", false},
		{"mqttsn", "mqttsn", protocols.UDP, "127.0.0.1:1884", true},
		{"mqttsns", "mqttsn", protocols.DTLS, "127.0.0.1:8885", false},
		{"coap", "coap", protocols.UDP, "127.0.0.1:5683", true},
		{"coaps", "coap", protocols.DTLS, "127.0.0.1:5684", false},
	}
}

func defaultListeners() map[string]*protocols.ListenerConfig {
	out := map[string]*protocols.ListenerConfig{}
	for _, k := range knownListeners() {
		l := &protocols.ListenerConfig{Protocol: k.protocol, Transport: k.transport}
		if k.open {
			l.Address = k.address
		}
		out[k.name] = l
	}
	return out
}

// ActiveListeners are the listeners that are to be opened, as copies with what
// their names and other settings imply.
func (c *Config) ActiveListeners() map[string]*protocols.ListenerConfig {
	out := map[string]*protocols.ListenerConfig{}
	for name, l := range c.Listeners {
		if active := activeListener(name, l); active != nil {
			out[name] = active
		}
	}
	return out
}

// edge is the edge's configuration with the listeners that are to be opened.
func (c *Config) edge() protocols.Config {
	e := c.Edge
	e.Listeners = c.ActiveListeners()
	return e
}

// activeListener is the listener with what its name and its other settings
// imply, or nil when it is off.
func activeListener(name string, l *protocols.ListenerConfig) *protocols.ListenerConfig {
	if l == nil || !l.IsEnabled() {
		return nil
	}
	a := *l
	known := knownListener{protocol: "mqtt", transport: protocols.TCP}
	for _, k := range knownListeners() {
		if k.name == name {
			known = k
		}
	}
	if a.Protocol == "" {
		a.Protocol = known.protocol
	}
	if a.Transport == "" {
		a.Transport = known.transport
	}
	if a.Given {
		if a.Address == "" {
			a.Address = "(given)" // for people: there is none
		}
		return &a
	}
	if a.Address == "" && (a.TLS.CertFile != "" || a.DTLS.PSKFile != "") && a.Transport == known.transport {
		a.Address = known.address
	}
	if a.Address == "" || a.Address == "off" {
		return nil
	}
	return &a
}

// keyed rewrites the edge's faults from "key = value: problem" to the form by
// which internal/config finds the row of the key, "section.key: value problem".
func keyed(err error) error {
	var errs []error
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSuffix(line, "\n")
		if key, rest, ok := strings.Cut(line, " = "); ok && !strings.Contains(key, " ") {
			if !strings.HasPrefix(key, "listeners.") {
				key = "edge." + key
			}
			line = key + ": " + strings.Replace(rest, ": ", " ", 1)
		}
		errs = append(errs, errors.New(line))
	}
	return errors.Join(errs...)
}

// mounts are the mount points of the listeners by their names.
func (c *Config) mounts() map[string]string {
	out := map[string]string{}
	for name, l := range c.ActiveListeners() {
		if l.Mountpoint != "" {
			out[name] = l.Mountpoint
		}
	}
	return out
}
