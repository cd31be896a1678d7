package interop

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestRestart shows what a gateway knows again after its end, sudden or orderly.
func TestRestart(t *testing.T) {
	command(t) // built outside the limits of time
	for name, end := range map[string]func(*testing.T, *gateway){
		"by SIGKILL": func(_ *testing.T, g *gateway) { g.kill() },
		"by SIGTERM": func(t *testing.T, g *gateway) { g.stop(t) },
	} {
		for _, version := range []packet.Version{packet.V311, packet.V5} {
			t.Run(fmt.Sprintf("%s, MQTT %s", name, version), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				r := &restart{version: version, folder: shortDir(t)}
				r.start(t)
				expect := r.prepare(ctx, t)
				end(t, r.gateway)
				r.start(t)
				expect(ctx, t)
				r.gateway.stop(t)
			})
		}
	}
}

// restart is one data directory and the gateway that runs on it.
type restart struct {
	version packet.Version
	folder  string
	gateway *gateway
}

func (r *restart) start(t *testing.T) {
	t.Helper()
	r.gateway = runGateway(t, r.folder, "", "--ephemeral", "--set", "node.data_dir="+filepath.Join(r.folder, "data"))
}

// dial connects with a session that lasts where lasting is true.
func (r *restart) dial(ctx context.Context, t *testing.T, name string, lasting bool, change ...func(*devices.Options)) *devices.Client {
	t.Helper()
	o := devices.Options{Version: r.version, ClientID: name, Resume: lasting}
	if lasting {
		o.SessionExpiry = 3600
	}
	for _, f := range change {
		f(&o)
	}
	c, err := devices.Dial(ctx, r.gateway.endpoint(t, "tcp").deviceURL(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func subscribe(ctx context.Context, t *testing.T, c *devices.Client, filter string) {
	t.Helper()
	if _, err := c.Subscribe(ctx, 0, devices.Subscription{Filter: filter, QoS: 2}); err != nil {
		t.Fatal(err)
	}
}

func publish(ctx context.Context, t *testing.T, c *devices.Client, m devices.Message) {
	t.Helper()
	if _, err := c.Publish(ctx, &m); err != nil {
		t.Fatal(err)
	}
}

// queued is how many messages wait for the client that is away.
const queued = 50

// prepare leaves something of each kind behind, and gives what must be found.
func (r *restart) prepare(ctx context.Context, t *testing.T) func(context.Context, *testing.T) {
	t.Helper()
	away := r.dial(ctx, t, "away", true)
	subscribe(ctx, t, away, "queue/+")
	if err := away.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
	watch := r.dial(ctx, t, "watch", true)
	subscribe(ctx, t, watch, "will/#")
	r.dial(ctx, t, "dying", true, func(o *devices.Options) {
		o.Will = &devices.Will{Message: devices.Message{Topic: "will/dying", Payload: []byte("the gateway died under me"), QoS: 1}}
	})
	subscribe(ctx, t, r.dial(ctx, t, "clean", false), "queue/+")

	pub := r.dial(ctx, t, "pub", false)
	for _, payload := range []string{"old", "kept"} {
		publish(ctx, t, pub, devices.Message{Topic: "retained/a", Payload: []byte(payload), QoS: 1, Retain: true})
	}
	publish(ctx, t, pub, devices.Message{Topic: "retained/b", Payload: []byte("cleared"), QoS: 2, Retain: true})
	publish(ctx, t, pub, devices.Message{Topic: "retained/b", QoS: 2, Retain: true})
	for i := range queued {
		publish(ctx, t, pub, devices.Message{Topic: "queue/a", Payload: fmt.Append(nil, i), QoS: byte(1 + i%2)})
	}
	return r.expect
}

func (r *restart) expect(ctx context.Context, t *testing.T) {
	t.Helper()
	away := r.dial(ctx, t, "away", true)
	if !away.Accepted().SessionPresent {
		t.Error("the session of the client that was away is forgotten")
	}
	var want []string
	for i := range queued {
		want = append(want, fmt.Sprintf("queue/a %d QoS %d", i, 1+i%2))
	}
	arrives(ctx, t, away, want...)

	watch := r.dial(ctx, t, "watch", true)
	if !watch.Accepted().SessionPresent {
		t.Error("the session of a client that was connected is forgotten")
	}
	arrives(ctx, t, watch, "will/dying the gateway died under me QoS 1")

	if r.dial(ctx, t, "clean", true).Accepted().SessionPresent {
		t.Error("a session that was to end with its connection is still there")
	}
	late := r.dial(ctx, t, "late", false)
	subscribe(ctx, t, late, "retained/+")
	publish(ctx, t, late, devices.Message{Topic: "retained/fence", Payload: []byte("-"), QoS: 1})
	arrives(ctx, t, late, "retained/a kept QoS 1", "retained/fence - QoS 1")
	publish(ctx, t, late, devices.Message{Topic: "queue/b", Payload: []byte("fence"), QoS: 1})
	arrives(ctx, t, away, "queue/b fence QoS 1")
}

// arrives waits for exactly these messages, in this order.
func arrives(ctx context.Context, t *testing.T, c *devices.Client, want ...string) {
	t.Helper()
	var got []string
	for len(got) < len(want) {
		select {
		case m, ok := <-c.Messages():
			if !ok {
				t.Fatalf("the connection ended (%v) after %q", c.Err(), got)
			}
			got = append(got, fmt.Sprintf("%s %s QoS %d", m.Topic, m.Payload, m.QoS))
		case <-ctx.Done():
			t.Fatalf("arrived: %q\nwanted: %q", got, want)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("arrived: %q\nwanted: %q", got, want)
	}
}
