package loop

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

var (
	_ Stream = (*simnet.Conn)(nil)
	_        = Conditions(scenario.Network{})
	_        = TLS(scenario.TLS{})
)

// TestSimnet: the loop on streams of the simulated network, which has its own
// latency, in the false time of a bubble and outside of it.
func TestSimnet(t *testing.T) {
	network := func(t *testing.T, o Options, n *simnet.Network) {
		ln, err := n.Listen("gateway:1883")
		if err != nil {
			t.Fatal(err)
		}
		serve(t, ln, func(c net.Conn) { echo(c) })
		o.Streams = func(name string) (Stream, error) { return n.Connect("", name) }
		l := start(t, o)
		for range 2 {
			d := newDevice()
			d.dial(t, l, "mem://gateway:1883", TLS{}, nil)
			exchange(t, l, d, []byte("hello"))
			exchange(t, l, d, pattern(300_000))
			d.close(t, l)
		}
		e, err := ParseEndpoint("mem://gateway:1", TLS{})
		if err != nil {
			t.Fatal(err)
		}
		d := newDevice()
		do(t, l, func() { l.Dial(&d.Conn, e, nil, 0, d) })
		if err := <-d.closed; err == nil || !strings.Contains(err.Error(), "nothing listens") {
			t.Error(err)
		}
	}
	kinds(t, func(t *testing.T, o Options) { network(t, o, simnet.New(1)) })
	t.Run("false time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(1)
			n.SetConditions(simnet.Conditions{Latency: 50 * time.Millisecond})
			began := time.Now()
			network(t, Options{Portable: true}, n)
			if took := time.Since(began); took < 300*time.Millisecond {
				t.Errorf("%v for six ways there and back", took)
			}
		})
	})
}
