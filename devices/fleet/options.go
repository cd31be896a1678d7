package fleet

import (
	"cmp"
	"net"
	"runtime"
	"time"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// Options say how to run a scenario. Only Scenario is needed.
type Options struct {
	Scenario *scenario.Scenario // with its Broker set; not changed
	Name     string             // what comparisons call the broker; "": its URL
	Version  string             // of the program, for the report
	// Streams opens what mem:// URLs name, for gateways in the same process.
	Streams func(name string) (loop.Stream, error)
	// Packets opens sockets for datagrams to what mem:// URLs name.
	Packets func(name string) (net.PacketConn, net.Addr, error)
	// Sources are loopback addresses to connect from; "": loop.DefaultSources.
	Sources string
	// BrokerPIDs are the broker's processes, whose processor time and memory are
	// watched; none: not watched.
	BrokerPIDs []int
	// Loops is how many event loops there are; 0: one for each processor.
	Loops int
	// Processes is how many processes hold the devices; 0 and 1: this one.
	Processes int
	// Spawn starts a process that calls Serve on its standard input and output, for
	// Processes above 1, with the scenario's Seed set to seed.
	Spawn func(part Part, seed uint64) (Child, error)
	// Interval is the length of a Sample; 0: a second.
	Interval time.Duration
	// Progress is told with each Sample how the run stands, on the goroutine of Run;
	// nil: nobody is.
	Progress func(s *report.Status)
	// Portable keeps off the system's event interface: for tests in synctest bubbles.
	Portable bool
}

func (o Options) withDefaults() Options {
	o.Loops = cmp.Or(o.Loops, runtime.GOMAXPROCS(0))
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.Processes = max(o.Processes, 1)
	o.Sources = cmp.Or(o.Sources, loop.DefaultSources())
	return o
}

// Part is the share of the devices that one process holds: those whose number
// leaves the rest Number when divided by Of.
type Part struct {
	Number, Of int
}

func (p Part) holds(device uint32) bool { return p.Of <= 1 || int(device)%p.Of == p.Number }
