package exproto

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Gateway is what machines and lanes call; *core.Gateway is one. The methods are
// described there.
type Gateway interface {
	NewTurn() *core.Turn
	Connect(t *core.Turn, r *core.ConnectRequest) (res *core.ConnectResult, pending bool)
	Resume(t *core.Turn, l core.Link)
	KeepAlive(asked uint16) uint16
	Publish(t *core.Turn, l core.Link, p *core.Publish) (pause bool, err *core.Error)
	Subscribe(t *core.Turn, l core.Link, r *core.SubscribeRequest) (granted []uint8, reasons []core.Reason, pending bool)
	Unsubscribe(t *core.Turn, l core.Link, r *core.UnsubscribeRequest) (reasons []core.Reason, pending bool)
	Acknowledge(t *core.Turn, l core.Link, k core.AckKind, packetID uint16, r core.Reason)
	Take(t *core.Turn, l core.Link, dst []core.Delivery, max int) (out []core.Delivery, more bool)
	Waiting(l core.Link) bool
	Drop(t *core.Turn, l core.Link, d core.Delivery, r core.Reason)
	Disconnect(t *core.Turn, l core.Link, r core.Reason, expiry *uint32)
	Refuse(t *core.Turn, info core.Refusal)
}

// Options are what an Adapter is made of.
type Options struct {
	// Listeners are those of the configuration by name, with what their names imply;
	// the adapter is for those whose protocol is exproto. They must be valid.
	Listeners map[string]*protocols.ListenerConfig
	Log       *slog.Logger // nil for none
	// Dial, unless nil, reaches a handler in place of the network.
	Dial func(ctx context.Context, handler string) (net.Conn, error)
}

// Adapter makes the machines of clients whose protocol a handler speaks. Safe for
// concurrent use. Handlers are reached while Run runs, and until it does clients are
// treated as while their handler is away.
type Adapter struct {
	gw    Gateway
	log   *slog.Logger
	links map[string]*link // by listener
}

var _ protocols.DatagramAdapter = (*Adapter)(nil)

// New makes an adapter that hands everything over to gw. It reads the certificates that
// the listeners name, and tells all that is wrong with them.
func New(o Options, gw Gateway) (*Adapter, error) {
	a := &Adapter{gw: gw, log: o.Log, links: map[string]*link{}}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	index := uint64(0)
	for name, lc := range o.Listeners {
		if lc.Protocol != protocols.Exproto || !lc.IsEnabled() {
			continue
		}
		k, err := newLink(name, lc, gw, a.log, o.Dial, &index)
		errs = append(errs, err)
		a.links[name] = k
	}
	return a, errors.Join(errs...)
}

// Name implements protocols.Adapter.
func (a *Adapter) Name() string { return protocols.Exproto }

// NewMachine implements protocols.Adapter. A client that comes while its handler is away
// is closed at once, or held.
func (a *Adapter) NewMachine(info *protocols.ConnInfo, conn core.Conn) protocols.Machine {
	m := &Machine{gw: a.gw, listener: info.Listener, info: info, conn: conn}
	k := a.links[info.Listener.Name()]
	m.lane = k.lanes[k.turns.Add(1)%uint64(len(k.lanes))]
	if r := m.lane.join(m); r != core.Success {
		conn.Close(r) // Stop says why
	}
	m.follow(0)
	return m
}

// Split implements protocols.DatagramAdapter: an address is one client.
func (a *Adapter) Split(b []byte) (node, message []byte) { return nil, b }

// Meet implements protocols.DatagramAdapter: whatever comes from a stranger is for the
// handler to judge, but for what was sent to many.
func (a *Adapter) Meet(_ *core.Turn, info *protocols.ConnInfo, _ []byte, _ *protocols.Actions) (open bool) {
	return !info.Local.Addr().IsMulticast()
}

// Run reaches the handlers, and reaches them again whenever they are away, until ctx
// ends; then it ends the streams and returns.
func (a *Adapter) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, k := range a.links {
		for _, l := range k.lanes {
			wg.Go(func() { k.keep(ctx, l) })
		}
	}
	<-ctx.Done()
	wg.Wait()
	return nil
}

// HandlerStats are the figures of the streams of one listener.
type HandlerStats struct {
	Streams int    // configured
	Up      int    // of them, with a handler behind
	Clients int    // that are theirs
	Waiting int    // bytes of events that wait for the handler
	Blocked int    // clients that are not read from, as the handler takes too little
	Faults  uint64 // commands that were wrong
	Lost    uint64 // events that a handler did not get, as it went away
	Ends    uint64 // of streams
}

// Stats gives the figures by listener.
func (a *Adapter) Stats() map[string]HandlerStats {
	out := map[string]HandlerStats{}
	for name, k := range a.links {
		s := HandlerStats{Streams: len(k.lanes)}
		for _, l := range k.lanes {
			l.addTo(&s)
		}
		out[name] = s
	}
	return out
}

// link is the way to the handler of one listener.
type link struct {
	listener string
	cfg      protocols.ExprotoConfig // with defaults filled in
	maxSize  int                     // of a packet
	dial     func(ctx context.Context, handler string) (net.Conn, error)
	gw       Gateway
	log      *slog.Logger
	lanes    []*lane
	turns    atomic.Uint64 // whose lane is next
}

// newLink makes the link of one listener; next counts the lanes of all.
func newLink(name string, lc *protocols.ListenerConfig, gw Gateway, log *slog.Logger, dial func(context.Context, string) (net.Conn, error), next *uint64) (*link, error) {
	full := lc.WithDefaults()
	k := &link{listener: name, cfg: full.Exproto, maxSize: full.MaxPacketSize, dial: dial, gw: gw, log: log.With("listener", name, "handler", lc.Exproto.Handler)}
	if k.dial == nil {
		k.dial = dialHandler
	}
	for range k.cfg.Streams {
		*next++
		k.lanes = append(k.lanes, newLane(*next, &k.cfg))
	}
	_, err := k.credentials()
	return k, err
}
