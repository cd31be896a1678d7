package fairlead_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestSensorFleets plays the profiles of sensors, small, against a gateway in memory: the
// three protocols deliver to each other over radios that lose, and nothing acknowledged is
// lost.
func TestSensorFleets(t *testing.T) {
	for name, sets := range map[string][]string{
		"sensor-field": {"groups.probe.count=8", "groups.probe.sleep.awake=500ms", "groups.probe.sleep.asleep=500ms", "groups.valve.count=3", "groups.gate.count=3", "network.roaming.rebind=1s"},
		"sensor-fixed": {"groups.valve.count=5", "groups.button.count=5"},
		"coap-meters":  {"groups.meter.count=5", "groups.remote.count=5", "groups.display.count=3"},
		"field-scale":  {"groups.sensor.count=20", "groups.observer.count=20", "groups.sensor.network=radio", "groups.observer.network=radio"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := scenario.Profile(name, append(sets, "seed=1", "duration=3s", "settle=30s", "expect.min_published=5", "expect.loss_qos0=1"))
			if err != nil {
				t.Fatal(err)
			}
			r := devices.Start(t, s, sensorGateway(t, s)).Wait()
			t.Logf("%d messages, %d deliveries, %v, %v", r.Verdict.Total.Sent, r.Verdict.Total.Delivered, r.Took, r.Incidents)
		})
	}
}

// TestSensorFleetsDTLS plays them with a share of their devices over DTLS, each with its own
// key: their associations survive other addresses.
func TestSensorFleetsDTLS(t *testing.T) {
	for name, sets := range map[string][]string{
		"sensor-field": {"groups.probe.count=4", "groups.probe.dtls=0.5", "groups.probe.warm_up=true", "groups.valve.count=2", "groups.valve.dtls=0.5", "groups.valve.warm_up=true", "groups.gate.count=4", "groups.gate.dtls=1", "groups.gate.warm_up=true", "groups.gate.keep_alive=3s", "network.roaming.rebind=5s", "network.roaming.loss=0"},
		"coap-meters":  {"groups.meter.count=4", "groups.meter.dtls=0.5", "groups.remote.count=4", "groups.remote.dtls=0.5", "groups.remote.warm_up=true", "groups.display.count=2", "groups.display.dtls=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := scenario.Profile(name, append(sets, "seed=3", "duration=3s", "settle=30s", "expect.min_published=5", "expect.loss_qos0=1", "expect.unanswered=0.5"))
			if err != nil {
				t.Fatal(err)
			}
			r := devices.Start(t, s, sensorGateway(t, s)).Wait()
			t.Logf("%d messages, %d deliveries, %v, %v", r.Verdict.Total.Sent, r.Verdict.Total.Delivered, r.Took, r.Incidents)
		})
	}
}

// keysOf writes the keys of a scenario's devices over DTLS, as the gateway's psk_file.
func keysOf(t *testing.T, s *scenario.Scenario, path string) {
	p, err := s.Plan(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, p.AppendKeys([]byte("# identity:key\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sensorGateway runs a gateway that the devices of s reach in memory.
func sensorGateway(t *testing.T, s *scenario.Scenario) *devices.Memory {
	dir := t.TempDir()
	rules := filepath.Join(dir, "acl")
	if err := os.WriteFile(rules, []byte("allow all pubsub #\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	keysOf(t, s, keys)
	anyone := true
	cfg := fairlead.DefaultConfig()
	cfg.Node.DataDir = filepath.Join(dir, "data")
	cfg.Admin.Address = "off"
	cfg.Auth.ACLFile = rules
	cfg.MQTTSN.RetryInterval = 500 * time.Millisecond
	cfg.MQTTSN.Predefined = map[string]string{"1": "plant/level", "2": "plant/button"}
	cfg.MQTTSN.UnconnectedTopics, cfg.MQTTSN.UnconnectedNetworks = []string{"plant/button", "bz"}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Listeners = map[string]*protocols.ListenerConfig{
		"mqtt":   {Protocol: "mqtt", Transport: protocols.TCP, Given: true, AllowAnonymous: &anyone},
		"mqttsn": {Protocol: "mqttsn", Transport: protocols.UDP, Given: true, AllowAnonymous: &anyone, AddressChange: true},
		"coap":   {Protocol: "coap", Transport: protocols.UDP, Given: true, AllowAnonymous: &anyone},

		"mqttsns": {Protocol: "mqttsn", Transport: protocols.DTLS, Given: true, DTLS: protocols.DTLSConfig{PSKFile: keys}},
		"coaps":   {Protocol: "coap", Transport: protocols.DTLS, Given: true, DTLS: protocols.DTLSConfig{PSKFile: keys}},
	}
	g, err := fairlead.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := devices.NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	go g.Serve(m.Listener(), "mqtt")
	go g.ServePacket(m.PacketConn("mqttsn"), "mqttsn")
	for _, name := range []string{"coap", "mqttsns", "coaps"} {
		go g.ServePacket(m.PacketConn(name), name)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return m
}
