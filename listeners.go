package fairlead

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/coap"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt"
	"github.com/fairlead-iot/fairlead/mqttsn"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto"
)

// Protocol is a protocol that the embedding program adds: Config.Protocols.
type Protocol struct {
	// Name is what listeners write as protocol, and what the Adapter calls itself.
	// It must be none of Fairlead's own.
	Name string
	// New makes the adapter. It is called once, by Gateway.Run, before listeners
	// open; sessions are restored then. It must not block.
	New func(g *core.Gateway) protocols.Adapter
}

// adapterOf is one row of the table of protocols.
type adapterOf struct {
	name string
	make func(g *Gateway, c *core.Gateway) (protocols.Adapter, error)
}

// sure is a row's make that cannot fail.
func sure(make func(c *Config, g *core.Gateway) protocols.Adapter) func(*Gateway, *core.Gateway) (protocols.Adapter, error) {
	return func(g *Gateway, c *core.Gateway) (protocols.Adapter, error) { return make(&g.cfg, c), nil }
}

// ownProtocols is the table: a protocol that Fairlead adds is a row here.
func ownProtocols() []adapterOf {
	return []adapterOf{
		{"mqtt", sure(func(c *Config, g *core.Gateway) protocols.Adapter { return mqtt.New(c.MQTT, g) })},
		{"mqttsn", sure(func(c *Config, g *core.Gateway) protocols.Adapter { return mqttsn.New(c.MQTTSN, g) })},
		{"coap", sure(func(c *Config, g *core.Gateway) protocols.Adapter { return coap.New(c.CoAP, g) })},
		{protocols.Exproto, func(g *Gateway, c *core.Gateway) (protocols.Adapter, error) {
			return exproto.New(exproto.Options{Listeners: g.cfg.ActiveListeners(), Log: g.log}, c)
		}},
	}
}

// adapters are Fairlead's own protocols and those of the embedding program.
func (c *Config) adapters() []adapterOf {
	all := ownProtocols()
	for _, p := range c.Protocols {
		all = append(all, adapterOf{p.Name, sure(func(_ *Config, g *core.Gateway) protocols.Adapter { return p.New(g) })})
	}
	return all
}

func (c *Config) protocolNames() []string {
	var names []string
	for _, a := range c.adapters() {
		names = append(names, a.name)
	}
	return names
}

// validateProtocols reports what is wrong with the protocols of the embedding
// program.
func (c *Config) validateProtocols() error {
	var errs []error
	fault := func(i int, why string) { errs = append(errs, fmt.Errorf("Config.Protocols[%d]: %s", i, why)) }
	names := c.protocolNames()
	own := len(names) - len(c.Protocols)
	for i, p := range c.Protocols {
		switch {
		case p.Name == "":
			fault(i, "has no Name; give it the one that listeners write as protocol")
		case slices.Contains(names[:own+i], p.Name):
			fault(i, fmt.Sprintf("%q is taken already; choose another Name", p.Name))
		}
		if p.New == nil {
			fault(i, "has no New; give it the function that makes the adapter")
		}
	}
	return errors.Join(errs...)
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
