package fairlead

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/coap"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/mqtt"
	"github.com/fairlead-iot/fairlead/mqttsn"
	"github.com/fairlead-iot/fairlead/protocols"
)

// inNamespace says that the test runs in a network of its own.
const inNamespace = "AMPLIFICATION_TEST_NAMESPACE"

// TestAmplificationThroughKernel is TestAmplification with the kernel's sockets, in a network
// namespace whose addresses are not this machine's: who comes from 127.0.0.1 is trusted. What
// takes hours by default takes seconds.
func TestAmplificationThroughKernel(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		t.Parallel() // it waits most of the time
		enterNamespace(t)
		return
	}
	if out, err := exec.Command("sh", "-c", "ip link set lo up && ip address add 192.0.2.1/24 dev lo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := startInKernel(t, "192.0.2.1")
	v := &victims{
		t: t, host: "192.0.2.1", dial: (&net.Dialer{}).DialContext, alive: time.Second, doze: time.Second,
		listen: func(n int) (net.PacketConn, error) { return net.ListenPacket("udp4", fmt.Sprintf("192.0.2.%d:0", n)) },
		settle: func() { awaitConnections(t, server, 1) }, // that of MQTT
	}
	v.suffer()
}

// enterNamespace runs the test again, where nobody else is.
func enterNamespace(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skipf("without iproute2: %v", err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Skipf("this system lets nobody make a network namespace: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// startInKernel runs a gateway that gives up soon.
func startInKernel(t *testing.T, host string) *protocols.Server {
	t.Helper()
	gw := coretest.Start(t, nil, subscribeVictims).Gateway
	cfg := protocols.DefaultConfig()
	for _, protocol := range []string{"mqtt", "mqttsn", "coap"} {
		cfg.Listeners[protocol] = &protocols.ListenerConfig{Protocol: protocol, Transport: protocols.UDP}
	}
	cfg.Listeners["mqtt"].Transport = protocols.TCP
	spoofable(&cfg, pskFile(t))
	for name, port := range map[string]int{"mqtt": 1883, "mqttsn": 1884, "coap": 5683, "mqttsns": 8884, "coaps": 5684} {
		cfg.Listeners[name].Given, cfg.Listeners[name].Address = false, fmt.Sprintf("%s:%d", host, port)
	}
	quick, sensors := coap.DefaultConfig(), mqttsn.DefaultConfig()
	quick.AckTimeout, quick.Piggyback, quick.KeepAlive, quick.ObserverCheck = 100*time.Millisecond, 100*time.Millisecond, time.Second, 10*time.Second
	quick.Lifetime = time.Second
	sensors.RetryInterval = 100 * time.Millisecond
	server, err := protocols.NewServer(cfg, gw, []protocols.Adapter{mqtt.New(mqtt.DefaultConfig(), gw), mqttsn.New(sensors, gw), coap.New(quick, gw)}, nil)
	if err == nil {
		err = server.Open()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return server
}

// awaitConnections polls until at most n are left.
func awaitConnections(t *testing.T, server *protocols.Server, n int) {
	t.Helper()
	late := time.After(time.Minute)
	for poll := time.NewTicker(10 * time.Millisecond); server.Connections() > n; {
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("%d connections are left", server.Connections())
		}
	}
}
