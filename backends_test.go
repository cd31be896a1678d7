package fairlead

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/devices"
)

// redisServer is the Redis of the tests, which redis-cli looks into.
type redisServer struct {
	t    *testing.T
	port string
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	u := given(t, "redis")
	r := &redisServer{t, u.Port()}
	r.cli("FLUSHALL")
	return r
}

func (r *redisServer) cli(args ...string) string {
	out, _ := exec.Command("redis-cli", append([]string{"-p", r.port}, args...)...).Output()
	return strings.TrimSpace(strings.ReplaceAll(string(out), "\n", " "))
}

// await asks until the answer is as it should be.
func (r *redisServer) await(want string, args ...string) {
	r.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	got := ""
	for late := time.After(time.Minute); ; {
		if got = r.cli(args...); got == want {
			return
		}
		select {
		case <-look.C:
		case <-late:
			r.t.Fatalf("%v: %q, want %q", args, got, want)
		}
	}
}

// site is a gateway with a database.
type site struct {
	running
	t *testing.T
}

func (s *site) dial(o devices.Options) *devices.Client {
	s.t.Helper()
	c, err := devices.Dial(s.t.Context(), "mqtt://"+s.Addresses()["mqtt"], o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

func (s *site) publish(c *devices.Client, topic, payload string, retain bool) {
	s.t.Helper()
	if _, err := c.Publish(s.t.Context(), &devices.Message{Topic: topic, QoS: 1, Payload: []byte(payload), Retain: retain}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) subscribe(c *devices.Client, filter string) {
	s.t.Helper()
	if _, err := c.Subscribe(s.t.Context(), 0, devices.Subscription{Filter: filter, QoS: 1}); err != nil {
		s.t.Fatal(err)
	}
}

// wants the next messages of c, as topic=payload.
func (s *site) wants(messages <-chan *devices.Message, want ...string) {
	s.t.Helper()
	for _, w := range want {
		select {
		case m := <-messages:
			if m == nil {
				s.t.Fatalf("the connection ended, want %s", w)
			}
			got := fmt.Sprintf("%s=%s", m.Topic, m.Payload)
			if m.Retain {
				got += " retained"
			}
			if got != w {
				s.t.Fatalf("got %s, want %s", got, w)
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("nothing came, want %s", w)
		}
	}
}

// Devices, hubs and other programs meet in Redis, and none of them knows more of it than
// its own protocol or redis-cli.
func TestServiceRedisEndToEnd(t *testing.T) {
	r := startRedis(t)
	c := testConfig(t.TempDir())
	pool := redis.DefaultConfig()
	pool.Server = []string{"127.0.0.1:" + r.port}
	c.Backends.Redis.Pools = map[string]*redis.Config{"main": &pool}
	c.Node.Name = "n1"
	s := &redisSite{site{start(t, c), t}, r}
	hub, device := s.subscribedByOthers()
	s.sensorSubscribedByOthers(device)
	s.commandsOfOthers(device, hub)
	s.missedWhileAway(device)
	s.retainedThere(device)
	s.retainedSeenByTheAdministrator(device)
	s.stop()
	r.await("0", "HGET", "mqtt:client:hub", "state")
}

// redisSite is a gateway and the Redis that it uses.
type redisSite struct {
	site
	r *redisServer
}

// subscribedByOthers: subscriptions that other programs wrote, and online state.
func (s *redisSite) subscribedByOthers() (hub, device *devices.Client) {
	s.r.cli("HSET", "mqtt:sub:hub", "cmd/%c", "1", "pubsub/never", "1")
	hub = s.dial(devices.Options{ClientID: "hub"})
	s.r.await("1", "HGET", "mqtt:client:hub", "state")
	device = s.dial(devices.Options{ClientID: "device"})
	s.publish(device, "cmd/hub", "go", false)
	s.wants(hub.Messages(), "cmd/hub=go")
	return hub, device
}

// sensorSubscribedByOthers: it gets its topics registered without ever having subscribed.
func (s *redisSite) sensorSubscribedByOthers(device *devices.Client) {
	s.r.cli("HSET", "mqtt:sub:sensor", "cmd/sensor", "1")
	sensor, err := devices.DialSensor(s.t.Context(), "mqttsn://"+s.Addresses()["mqttsn"], devices.Options{ClientID: "sensor"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer sensor.Close()
	s.publish(device, "cmd/sensor", "wake", false)
	s.wants(sensor.Messages(), "cmd/sensor=wake")
}

func (s *redisSite) commandsOfOthers(device, hub *devices.Client) {
	s.r.await("1", "PUBLISH", "mqtt_channel", `{"type":"subscribe","topic":"extra","clientid":"hub","qos":"1"}`)
	s.extra(device, hub)
}

// missedWhileAway: a reader gets what was published while it was away, and only that.
func (s *redisSite) missedWhileAway(device *devices.Client) {
	reader := s.dial(devices.Options{ClientID: "reader"})
	s.publish(device, "pubsub/a", "1", false)
	s.r.await("1", "ZCARD", "mqtt:msg:pubsub/a")
	s.subscribe(reader, "pubsub/#")
	s.r.await("1", "EXISTS", "mqtt:acked:reader:pubsub/#")
	reader.Disconnect(s.t.Context())
	s.r.await("0", "HGET", "mqtt:client:reader", "state")
	for i := range 5 {
		s.publish(device, "pubsub/a", fmt.Sprint("away ", i), false)
	}
	s.r.await("6", "ZCARD", "mqtt:msg:pubsub/a")
	reader = s.dial(devices.Options{ClientID: "reader"})
	s.subscribe(reader, "pubsub/#")
	s.publish(device, "pubsub/b", "live", false)
	got := map[string]bool{}
	for range 6 {
		select {
		case m := <-reader.Messages():
			got[string(m.Payload)] = true
		case <-time.After(time.Minute):
			s.t.Fatalf("only %v came", got)
		}
	}
	if len(got) != 6 || got["1"] || !got["live"] {
		s.t.Errorf("the reader got %v", got)
	}
	s.r.await(s.r.cli("ZRANGE", "mqtt:msg:pubsub/a", "-1", "-1"), "GET", "mqtt:acked:reader:pubsub/a")
}

// retainedThere: retained messages are the database's alone, and come once.
func (s *redisSite) retainedThere(device *devices.Client) {
	early := s.dial(devices.Options{ClientID: "early"})
	s.publish(device, "r/1", "kept", true)
	s.r.await("kept", "HGET", "mqtt:retain:r/1", "payload")
	s.subscribe(early, "r/+")
	s.wants(early.Messages(), "r/1=kept retained")
	s.publish(device, "r/1", "", true)
	s.wants(early.Messages(), "r/1=")
	s.r.await("0", "EXISTS", "mqtt:retain:r/1")
	s.publish(device, "r/2", "kept", true)
	s.wants(early.Messages(), "r/2=kept")
	s.r.await("kept", "HGET", "mqtt:retain:r/2", "payload")
	s.r.cli("DEL", "mqtt:retain:r/2") // what the gateway has itself would come below
	late := s.dial(devices.Options{ClientID: "late"})
	s.subscribe(late, "r/2")
	s.publish(device, "r/2", "live", false)
	s.wants(late.Messages(), "r/2=live")
}

// retainedSeenByTheAdministrator, who sees and deletes what is there alone.
func (s *redisSite) retainedSeenByTheAdministrator(device *devices.Client) {
	for _, name := range []string{"r/3", "r/4", "r/5"} {
		s.publish(device, name, "kept", true)
	}
	for _, c := range []struct{ method, path, want string }{
		{"GET", "?topic=r/%2B&limit=2", `"next"`},
		{"GET", "/r%2F3", `"payload": "a2VwdA=="`},
		{"DELETE", "/r%2F3", ""},
		{"GET", "/r%2F3", "not_found"},
		{"DELETE", "?topic=r/%2B", `"deleted": 2`},
		{"GET", "?topic=r/%2B", `"retained": []`},
	} {
		if status, body := api(s.t, s.Gateway, c.method, "/api/v1/retained"+c.path); !strings.Contains(body, c.want) || c.want == "" && status != 204 {
			s.t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	if left := s.r.cli("KEYS", "mqtt:retain:*"); left != "" {
		s.t.Errorf("in Redis there are still %s", left)
	}
}

// extra publishes to extra until hub has it: the command comes when it comes.
func (s *site) extra(from, hub *devices.Client) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		s.publish(from, "extra", "x", false)
		select {
		case m := <-hub.Messages():
			if m == nil || m.Topic != "extra" {
				s.t.Fatalf("got %v", m)
			}
			return
		case <-look.C:
		case <-ctx.Done():
			s.t.Fatal("the command did not come")
		}
	}
}
