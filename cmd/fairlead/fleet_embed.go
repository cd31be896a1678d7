package main

import (
	"context"
	"errors"
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
)

// embed runs a gateway in this process, with a directory of its own, that the devices
// reach in memory.
func (t *terminal) embed(ctx context.Context, fo *fleet.Options) (end func(), err error) {
	dir, err := os.MkdirTemp("", "fairlead-")
	if err != nil {
		return nil, err
	}
	rules := filepath.Join(dir, "acl")
	if err := os.WriteFile(rules, []byte("allow all pubsub #\n"), 0o600); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	yes := true
	cfg := fairlead.DefaultConfig()
	cfg.Log.Level = "warn"
	cfg.Auth.ACLFile = rules
	cfg.Node.DataDir = filepath.Join(dir, "data")
	cfg.Admin.Address = "off"
	cfg.MQTTSN.RetryInterval = time.Second // runs are short, and their radios lose much
	cfg.Listeners = map[string]*protocols.ListenerConfig{
		"fleet": {Protocol: "mqtt", Transport: protocols.TCP, Given: true, AllowAnonymous: &yes},
		"radio": {Protocol: "mqttsn", Transport: protocols.UDP, Given: true, AllowAnonymous: &yes, AddressChange: true},
		"coap":  {Protocol: "coap", Transport: protocols.UDP, Given: true, AllowAnonymous: &yes},
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
	sn, err := n.ListenPacket(embeddedSN)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	coap, err := n.ListenPacket(embeddedCoAP)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	fo.Streams, fo.Packets = fleet.Memory(n), fleet.MemoryPackets(n)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	go func() { _ = g.Serve(ln, "fleet") }() // what ends it ends Run, too
	go func() { _ = g.ServePacket(sn, "radio") }()
	go func() { _ = g.ServePacket(coap, "coap") }()
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
