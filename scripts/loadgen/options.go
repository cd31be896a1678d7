package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// The modes; doc.go says what they do.
const (
	modeIdle   = "idle"
	modeFanin  = "fanin"
	modeFanout = "fanout"
	modePairs  = "pairs"
	modeShared = "shared"
)

// Bounds of what may be asked for. maxStreams keeps the ledger under 200 MB, maxWindow every Packet Identifier free
// again long before it is used next.
const (
	maxPayload = 1 << 20
	maxStreams = 1_000_000
	maxWindow  = 60_000
	maxRate    = 10_000_000
)

// options are what the command line says.
type options struct {
	mode      string
	addr      string
	level     int // of the protocol as the wire says it: 4 is 3.1.1
	qos       int
	payload   int // bytes
	pubs      int
	subs      int
	window    int // messages under way in all; 0 when paced
	rate      int // messages a second in all; 0 in a closed loop
	warmup    time.Duration
	duration  time.Duration
	drain     time.Duration // how long nothing may come before the rest is lost
	stall     time.Duration // how long a closed loop waits for a message
	keepAlive time.Duration
	settle    time.Duration // idle: until memory is read again
	hold      time.Duration // idle: how long to stay and ping
	pid       int           // the broker's, 0: do not look
}

func (o *options) version() packet.Version { return packet.Version(o.level) }

// errUsage means that the flags' own message has been printed.
var errUsage = errors.New("wrong arguments")

// parseOptions reads the mode and its flags.
func parseOptions(args []string, stderr io.Writer) (*options, error) {
	if len(args) == 0 {
		return nil, errors.New("say what to do: idle, fanin, fanout, pairs or shared")
	}
	o := &options{mode: args[0]}
	f := flag.NewFlagSet("loadgen "+o.mode, flag.ContinueOnError)
	f.SetOutput(stderr)
	n := 0
	f.StringVar(&o.addr, "addr", "127.0.0.1:1883", "the broker's `host:port`")
	f.IntVar(&o.level, "v", 4, "protocol `level`: 4 is MQTT 3.1.1, 5 is MQTT 5")
	f.IntVar(&o.pid, "pid", 0, "the broker's process, to read its CPU time and memory")
	f.DurationVar(&o.keepAlive, "keepalive", 60*time.Second, "Keep Alive; pings go out at half of it")
	switch o.mode {
	case modeIdle:
		f.IntVar(&n, "n", 19000, "connections")
		f.DurationVar(&o.settle, "settle", 10*time.Second, "read memory again after this time")
		f.DurationVar(&o.hold, "hold", 0, "then stay connected for this time, pinging")
	case modePairs:
		f.IntVar(&n, "n", 500, "pairs of a publisher and its receiver")
	case modeFanin, modeShared:
		f.IntVar(&o.pubs, "pubs", 100, "publishers")
		f.IntVar(&o.subs, "subs", map[string]int{modeFanin: 1, modeShared: 10}[o.mode], "receivers")
	case modeFanout:
		f.IntVar(&o.pubs, "pubs", 1, "publishers")
		f.IntVar(&o.subs, "subs", 1000, "receivers")
	default:
		return nil, fmt.Errorf("there is no mode %q; say idle, fanin, fanout, pairs or shared", o.mode)
	}
	if o.mode != modeIdle {
		o.trafficFlags(f)
	}
	if err := f.Parse(args[1:]); err != nil {
		return nil, errUsage
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	switch o.mode {
	case modeIdle:
		o.subs = n
	case modePairs:
		o.pubs, o.subs = n, n
	}
	return o, o.complete()
}

func (o *options) trafficFlags(f *flag.FlagSet) {
	f.IntVar(&o.qos, "qos", 0, "QoS of messages and subscriptions")
	f.IntVar(&o.payload, "payload", 64, "`bytes` of payload")
	f.IntVar(&o.window, "window", 0, "closed loop with so many messages under way (default 1000; pairs one each; fanout 4)")
	f.IntVar(&o.rate, "rate", 0, "paced: so many messages a second in all")
	f.DurationVar(&o.warmup, "warmup", time.Second, "load before the measured time")
	f.DurationVar(&o.duration, "duration", 5*time.Second, "the measured time")
	f.DurationVar(&o.stall, "stall", 2*time.Second, "closed loop: give up what has not come after this time, and go on")
	f.DurationVar(&o.drain, "drain", 2*time.Second, "what has not come after this silence is lost")
}

// complete fills in the default window and checks everything.
func (o *options) complete() error {
	if o.window == 0 && o.rate == 0 && o.mode != modeIdle {
		o.window = map[string]int{modeFanin: 1000, modeShared: 1000, modeFanout: 4, modePairs: o.pubs}[o.mode]
		o.window = max(o.window, o.pubs)
	}
	return errors.Join(o.checkCommon(), o.checkTraffic())
}

func (o *options) checkCommon() error {
	switch {
	case o.level != int(packet.V311) && o.level != int(packet.V5):
		return fmt.Errorf("-v %d: say 4 or 5", o.level)
	case o.subs < 1:
		return errors.New("there must be a receiver at least")
	case o.keepAlive < 2*time.Second || o.keepAlive > 65535*time.Second:
		return fmt.Errorf("-keepalive %v: between 2s and 65535s", o.keepAlive)
	}
	return nil
}

func (o *options) checkTraffic() error {
	switch {
	case o.mode == modeIdle:
		return nil
	case o.pubs < 1:
		return errors.New("there must be a publisher at least")
	case o.mode != modePairs && o.pubs*o.subs > maxStreams:
		return fmt.Errorf("publishers times receivers is over %d", maxStreams)
	case o.qos < 0 || o.qos > 2:
		return fmt.Errorf("-qos %d: say 0, 1 or 2", o.qos)
	case o.payload < stampSize || o.payload > maxPayload:
		return fmt.Errorf("-payload %d: between %d and %d", o.payload, stampSize, maxPayload)
	case o.window != 0 && o.rate != 0:
		return errors.New("-window and -rate exclude each other")
	case o.rate < 0 || o.rate > maxRate:
		return fmt.Errorf("-rate %d: at most %d", o.rate, maxRate)
	case o.rate == 0 && (o.window < o.pubs || o.window > maxWindow):
		return fmt.Errorf("-window %d: between one message for each of the %d publishers and %d", o.window, o.pubs, maxWindow)
	case o.duration <= 0 || o.warmup < 0 || o.drain <= 0 || o.stall <= 0:
		return errors.New("-duration, -drain and -stall must be over 0, -warmup not under")
	}
	return nil
}
