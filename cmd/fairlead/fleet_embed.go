package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices/fleet"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Where the gateway in memory listens; there is no such network.
const (
	embeddedAddress = "10.0.0.1:1883"
	embeddedSN      = "10.0.0.1:1884"
	embeddedCoAP    = "10.0.0.1:5683"
	embeddedSNs     = "10.0.0.1:8884"
	embeddedCoAPs   = "10.0.0.1:5684"
)

// embed runs a gateway in this process, with a directory of its own, that the devices
// reach in memory.
func (t *terminal) embed(ctx context.Context, fo *fleet.Options) (end func(), err error) {
	dir, err := os.MkdirTemp("", "fairlead-")
	if err != nil {
		return nil, err
	}
	cfg, err := embeddedConfig(dir, fo)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	log, _ := t.logger(&cfg.Log)
	g, err := fairlead.New(cfg, log)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	n := simnet.New(fo.Scenario.Seed)
	ln, err := n.Listen(embeddedAddress)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	sockets := map[string]net.PacketConn{}
	for name, at := range map[string]string{"radio": embeddedSN, "coap": embeddedCoAP, "radios": embeddedSNs, "coaps": embeddedCoAPs} {
		if sockets[name], err = n.ListenPacket(at); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	fo.Streams, fo.Packets = fleet.Memory(n), fleet.MemoryPackets(n)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	go func() { _ = g.Serve(ln, "fleet") }() // what ends it ends Run, too
	for name, c := range sockets {
		go func() { _ = g.ServePacket(c, name) }()
	}
	end = func() {
		cancel()
		<-ended
		os.RemoveAll(dir)
	}
	select {
	case <-g.Ready():
		return end, nil
	case err := <-ended:
		cancel()
		os.RemoveAll(dir)
		return nil, errors.Join(errors.New("the embedded gateway did not start"), err)
	}
}

// embeddedConfig is that of a gateway in memory, which knows the keys of the fleet's devices.
func embeddedConfig(dir string, fo *fleet.Options) (fairlead.Config, error) {
	cfg := fairlead.DefaultConfig()
	rules, keys := filepath.Join(dir, "acl"), filepath.Join(dir, "keys")
	p, err := fo.Scenario.Plan(1)
	if err != nil {
		return cfg, err
	}
	err = errors.Join(os.WriteFile(rules, []byte("allow all pubsub #\n"), 0o600),
		os.WriteFile(keys, p.AppendKeys([]byte("# identity:key\n")), 0o600))
	if err != nil {
		return cfg, err
	}
	yes := true
	cfg.Log.Level = "warn"
	cfg.Auth.ACLFile = rules
	cfg.Node.DataDir = filepath.Join(dir, "data")
	cfg.Admin.Address = "off"
	cfg.MQTTSN.RetryInterval = time.Second // runs are short, and their radios lose much
	cfg.Listeners = map[string]*protocols.ListenerConfig{
		"fleet":  {Protocol: "mqtt", Transport: protocols.TCP, Given: true, AllowAnonymous: &yes},
		"radio":  {Protocol: "mqttsn", Transport: protocols.UDP, Given: true, AllowAnonymous: &yes, AddressChange: true},
		"coap":   {Protocol: "coap", Transport: protocols.UDP, Given: true, AllowAnonymous: &yes},
		"radios": {Protocol: "mqttsn", Transport: protocols.DTLS, Given: true, DTLS: protocols.DTLSConfig{PSKFile: keys}},
		"coaps":  {Protocol: "coap", Transport: protocols.DTLS, Given: true, DTLS: protocols.DTLSConfig{PSKFile: keys}},
	}
	return cfg, nil
}
