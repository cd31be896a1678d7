package fairlead_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestFleetInMemory is the example of docs/fleets.md: a gateway and a fleet in one
// process, no port, no file but the gateway's data.
func TestFleetInMemory(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "acl")
	if err := os.WriteFile(rules, []byte("allow all pubsub #\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	anyone := true
	cfg := fairlead.DefaultConfig()
	cfg.Node.DataDir = filepath.Join(dir, "data")
	cfg.Admin.Address = "off"
	cfg.Auth.ACLFile = rules
	cfg.Listeners = map[string]*protocols.ListenerConfig{
		"memory": {Protocol: "mqtt", Transport: protocols.TCP, Given: true, AllowAnonymous: &anyone},
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
	go g.Serve(m.Listener(), "memory")
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	s, err := scenario.Profile("smoke", []string{"duration=2s", "expect.min_published=2"})
	if err != nil {
		t.Fatal(err)
	}
	r := devices.Start(t, s, m).Wait() // fails the test unless all arrived that had to
	t.Logf("%d messages, %d deliveries, p99 %d µs", r.Verdict.Total.Sent, r.Verdict.Total.Delivered, r.Verdict.Latency.P99/1000)
}
