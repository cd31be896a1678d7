package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

const (
	engineClients  = 4
	engineMessages = 20_000 // of all clients
	engineWindow   = 400    // that wait for their acknowledgement, of each client
)

// Behind the engine nothing is lost, doubled or out of order when the server dies under
// load, whatever acknowledgements wait for.
func TestServiceKilledBehindTheEngine(t *testing.T) {
	s := &site{server: server(t)}
	for _, ack := range []string{rules.AckSync, rules.AckNone} {
		t.Run("ack="+ack, func(t *testing.T) {
			s.fresh(t)
			psql(t, s.url, "set client_min_messages = error;"+postgres.Schema)
			behindTheEngine(t, s, ack)
		})
	}
}

func behindTheEngine(t *testing.T, s *site, ack string) {
	driver := postgres.Driver()
	e, err := rules.New(rules.Options{Driver: driver, Config: rules.DefaultConfig(), Node: "n1",
		Pools: map[string]rules.Database{"main": s.open(t)},
		Rules: []rules.Rule{{Hook: rules.MessagePublish, Topic: "w/#", Function: rules.OnMessagePublish, Ack: ack}}})
	if err != nil {
		t.Fatal(err)
	}
	g := coretest.Start(t, nil, func(o *core.Options) { o.Sinks, o.Subscriptions, o.Retained = e.Sinks(), e.Sources(), e })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); e.Run(ctx, g.Gateway, time.Minute) }()

	var clients [engineClients]*coretest.Client
	for c := range clients {
		clients[c] = g.Connect(fmt.Sprint("client", c), nil)
	}
	quarter, published := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(published)
		for n := range engineMessages {
			if n == engineMessages/4 {
				close(quarter)
			}
			c, id := clients[n%engineClients], n/engineClients
			c.Publish(core.Publish{Topic: fmt.Sprintf("w/%d", n%engineClients), Payload: fmt.Append(nil, id), QoS: 1, PacketID: uint16(id%engineWindow + 1)})
			if (id+1)%engineWindow == 0 {
				acknowledged(t, c, engineWindow)
			}
		}
	}()
	<-quarter
	testservice.Kill(t, "postgres")
	testservice.Start(t, "postgres")
	<-published
	stop()
	<-ended
	for w := range engineClients {
		var want []string
		for i := range engineMessages / engineClients {
			want = append(want, fmt.Sprint(i))
		}
		if got := psql(t, s.url, fmt.Sprintf("select encode(payload, 'escape') from mqtt_msg where topic = 'w/%d' order by id", w)); got != strings.Join(want, "\n") {
			t.Errorf("client %d: %d rows, want %d in order", w, strings.Count(got, "\n")+1, len(want))
		}
	}
	for _, r := range e.Stats() {
		t.Logf("done %d, failed %d, dropped %d", r.Done, r.Failed, r.Dropped)
	}
}

// acknowledged takes the acknowledgements of n messages, all of them good ones.
func acknowledged(t *testing.T, c *coretest.Client, n int) {
	t.Helper()
	for acks := 0; acks < n; {
		for _, d := range c.Take(1) {
			if d.Kind != core.DeliverAck {
				continue
			}
			if d.Reason != core.Success && d.Reason != core.NoMatchingSubscribers {
				t.Errorf("message %d: %s", d.PacketID, d.Reason)
			}
			acks++
		}
	}
}
