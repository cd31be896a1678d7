package devices

import (
	"context"
	"net"

	"github.com/fairlead-iot/fairlead/devices/fleet"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// Fleet is a run of simulated devices: see package fleet for its options.
type Fleet = fleet.Fleet

// T is what Start needs of a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Running is a fleet that lives beside a test.
type Running struct {
	t      T
	cancel context.CancelFunc
	done   chan struct{}
	result *report.Run
	err    error
}

// Start lets the devices of a scenario live beside a test, against the broker that the
// scenario names, or the one in memory if m is not nil. It returns at once. A fleet
// that cannot start fails the test; one that still runs at the test's end is stopped.
func Start(t T, s *scenario.Scenario, m *Memory) *Running {
	t.Helper()
	o := fleet.Options{Scenario: s}
	if m != nil {
		here := *s
		here.Broker = "mem://" + memoryAddress
		o.Scenario, o.Streams, o.Packets = &here, fleet.Memory(m.network), fleet.MemoryPackets(m.network)
	}
	f, err := fleet.New(o)
	if err != nil {
		t.Fatalf("the fleet cannot start: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &Running{t: t, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.result, r.err = f.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// Wait waits for the end of the scenario and fails the test unless all that it expects
// holds.
func (r *Running) Wait() *report.Run {
	r.t.Helper()
	<-r.done
	switch {
	case r.err != nil:
		r.t.Fatalf("the fleet: %v", r.err)
	case !r.result.Passed:
		r.t.Errorf("%s", report.Text(r.result))
	}
	return r.result
}

// Memory is a network in memory between a fleet and a gateway of the same process. It
// takes no ports and no descriptors, so there may be any number of devices.
type Memory struct {
	network  *simnet.Network
	listener net.Listener
	packets  map[string]net.PacketConn
}

// memoryAddress is where the gateway listens; there is no such network.
const memoryAddress = "10.0.0.1:1883"

// NewMemory makes one. Give its Listener to a gateway's Serve.
func NewMemory() (*Memory, error) {
	n := simnet.New(1)
	ln, err := n.Listen(memoryAddress)
	if err != nil {
		return nil, err
	}
	m := &Memory{network: n, listener: ln, packets: map[string]net.PacketConn{}}
	for protocol, port := range map[string]string{"mqttsn": "1884", "coap": "5683", "mqttsns": "8884", "coaps": "5684"} {
		if m.packets[protocol], err = n.ListenPacket("10.0.0.1:" + port); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// PacketConn is where the gateway hears sensors, with protocol mqttsn or coap, or over DTLS
// mqttsns or coaps, for its ServePacket; whoever serves it closes it.
func (m *Memory) PacketConn(protocol string) net.PacketConn { return m.packets[protocol] }

// Listener is where the gateway accepts; whoever serves it closes it.
func (m *Memory) Listener() net.Listener { return m.listener }
