package fairlead

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/simnet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// givenConfig is a gateway whose only clients come from a network in memory.
func givenConfig(dir string) Config {
	c := testConfig(dir)
	anyone := true
	c.Listeners = map[string]*protocols.ListenerConfig{
		"memory": {Transport: protocols.TCP, Given: true, AllowAnonymous: &anyone},
	}
	c.Admin.Address = "off"
	return c
}

// serveMemory runs a gateway on a network in memory.
func serveMemory(t *testing.T) (running, *simnet.Network, <-chan error) {
	t.Helper()
	n := simnet.New(1)
	ln, err := n.Listen("gateway:1883")
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, givenConfig(t.TempDir()))
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ln, "memory") }()
	return g, n, ended
}

func TestServeCarriesDevices(t *testing.T) {
	defer leavesNothing(t)()
	g, n, ended := serveMemory(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// From loopback, whom the rules of access let do everything when there are none.
	dial := func(id string) *devices.Client {
		c, err := devices.Dial(ctx, "mqtt://gateway", devices.Options{ClientID: id, DialContext: n.Dialer("127.0.0.1:0")})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	n.SetConditions(simnet.Conditions{Latency: time.Millisecond, Jitter: time.Millisecond})
	sub, pub := dial("sub"), dial("pub")
	if _, err := sub.Subscribe(ctx, 0, devices.Subscription{Filter: "a/#", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	const count = 100
	for i := range count {
		if _, err := pub.Publish(ctx, &devices.Message{Topic: "a/b", QoS: 1, Payload: []byte(strconv.Itoa(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		if m := <-sub.Messages(); m == nil || string(m.Payload) != strconv.Itoa(i) {
			t.Fatalf("%d: %v, %v", i, m, sub.Err())
		}
	}
	if err := pub.Disconnect(ctx); err != nil {
		t.Error(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	<-sub.Done() // the drain told it to leave
	var why *devices.ReasonError
	if !errors.As(sub.Err(), &why) {
		t.Error(sub.Err())
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error("Serve:", err)
	}
}

func TestServeBeforeAndAfterRun(t *testing.T) {
	defer leavesNothing(t)()
	n := simnet.New(1)
	listen := func() net.Listener {
		ln, err := n.Listen("gateway:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	g, err := New(givenConfig(t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	var at *Error
	if err := g.Serve(listen(), "mqtt"); !errors.As(err, &at) || at.Stage != StageConfig {
		t.Error(err)
	}
	ended := make(chan error, 1)
	ln := listen()
	go func() { ended <- g.Serve(ln, "memory") }() // waits for Run
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	c, err := devices.Dial(ctx, "mqtt://"+ln.Addr().String(), devices.Options{DialContext: n.Dialer("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	cancel()
	if err := errors.Join(<-ran, <-ended); err != nil {
		t.Error(err)
	}
	if err := g.Serve(listen(), "memory"); !errors.Is(err, protocols.ErrNotServing) {
		t.Error(err)
	}
}

// fleetVariable sets how many connections TestIdleFleetMemory opens.
const fleetVariable = "FAIRLEAD_TEST_FLEET"

// Idle MQTT connections through Serve, both ends of the stream, session and all: so
// that 200,000 of them fit well into 8 GiB.
func TestIdleFleetMemory(t *testing.T) {
	count := 2000
	if text := os.Getenv(fleetVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	_, n, _ := serveMemory(t)
	settled := memory()
	clients := make([]*simnet.Conn, count)
	for i := range clients {
		clients[i] = idleDevice(t, n, i)
	}
	now := memory()
	per := func(a, b uint64) float64 { return (float64(a) - float64(b)) / float64(count) }
	total := per(now.HeapInuse+now.StackInuse, settled.HeapInuse+settled.StackInuse)
	t.Logf("%d connections: %.0f bytes each, of them live heap %.0f, stack %.0f; %d goroutines",
		count, total, per(now.HeapAlloc, settled.HeapAlloc), per(now.StackInuse, settled.StackInuse), runtime.NumGoroutine())
	if total > 8000 {
		t.Error("more than 8,000 bytes each")
	}
	runtime.KeepAlive(clients)
}

// idleDevice connects and subscribes with bare packets: the client's memory is not
// what is measured.
func idleDevice(t *testing.T, n *simnet.Network, i int) *simnet.Conn {
	t.Helper()
	c, err := n.Dial(t.Context(), "127.0.0.1:0", "gateway:1883")
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	id := fmt.Sprintf("device-%09d", i)
	topic := fmt.Sprintf("plant/%09d/in", i)
	talk := func(say string, want []byte) {
		c.Write([]byte(say))
		got := make([]byte, len(want))
		for have := 0; have < len(got); {
			k, err := c.Read(got[have:])
			if err != nil {
				t.Fatal(err)
			}
			have += k
		}
		if string(got) != string(want) {
			t.Fatalf("% x, want % x", got, want)
		}
	}
	talk(fmt.Sprintf("\x10%c\x00\x04MQTT\x04\x02\x00\x3c\x00%c%s", 12+len(id), len(id), id), []byte{0x20, 2, 0, 0})
	talk(fmt.Sprintf("\x82%c\x00\x01\x00%c%s\x01", 5+len(topic), len(topic), topic), []byte{0x90, 3, 0, 1, 1})
	return c
}

func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func TestServePacketNeedsItsListener(t *testing.T) {
	n := simnet.New(1)
	g := start(t, givenConfig(t.TempDir()))
	for name, stage := range map[string]Stage{"nobody": StageConfig, "memory": StageServe} { // memory is of streams
		c, err := n.ListenPacket("gateway:0")
		if err != nil {
			t.Fatal(err)
		}
		var why *Error
		if err := g.ServePacket(c, name); !errors.As(err, &why) || why.Stage != stage {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the socket was left open", name)
		}
	}
}
