package core

import (
	"context"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Options is what a Gateway is made of.
type Options struct {
	Config         Config
	Store          Store           // required
	Authenticators []Authenticator // asked in order
	Exchangers     []Exchanger     // methods of enhanced authentication; of two with one name the first counts
	Authorizers    []Authorizer    // asked in order; what none answers is denied
	// Anonymous decides whether a client without credentials may connect; nil
	// means never. It is asked when no Authenticator answered.
	Anonymous func(c *Credentials) bool
	Sinks     []Sink
	// Subscriptions are asked at each connect, in order.
	Subscriptions []SubscriptionSource
	Retained      RetainedOwner // nil: core keeps all retained messages
	// Mounts are the mount points of listeners, by their names; ValidateMount says
	// what they may be.
	Mounts  map[string]string
	Peers   Peers  // nil on a single node
	Node    string // the node's name in $SYS topics
	Version string
	Log     *slog.Logger
}

// Gateway is the façade that adapters call: one session and routing core for
// every protocol. Safe for concurrent use; every call takes the caller's Turn.
type Gateway struct {
	cfg    Config
	store  Store
	chain  authChain
	sinks  sinkSet
	peers  Peers
	node   string
	vers   string
	log    *slog.Logger
	limits topic.Limits
	seed   maphash.Seed
	ranks  ranks

	routes    *route.Table
	subs      subscriptions // changed inside routes.Update only
	clients   directory
	order     order
	origins   originTable
	retained  retainedStore
	delayed   delayedMessages
	rewrites  []rewrite // the last rule first
	mounts    mounts
	proxies   []proxyRule
	sources   []SubscriptionSource
	elsewhere RetainedOwner
	proxied   atomic.Bool // there may be proxy subscriptions: by configuration or sources, or restored ones
	timers    timerQueue
	bans      bans
	flaps     flapping
	done      completer
	rooms     sync.Pool // of commits that are over
	fans      fans
	fanCount  atomic.Int32
	complain  complaints

	nextMessage atomic.Uint64
	nextRecord  atomic.Uint64
	started     time.Time

	mu     sync.Mutex // turns, closedTotals
	turns  []*Turn
	closed counters // of turns that were closed

	auths   pool
	fetches pool

	stopping atomic.Bool
}

// New makes a Gateway. It opens nothing; call Restore before listeners open and
// Run for its background work.
func New(o Options) *Gateway {
	g := &Gateway{
		cfg: o.Config, store: o.Store, peers: o.Peers, node: o.Node, vers: o.Version, log: o.Log,
		limits:  topic.Limits{Levels: o.Config.MaxTopicLevels, Length: o.Config.MaxTopicLength},
		routes:  route.New(route.Options{MaxMatchWork: o.Config.MaxMatchWork}),
		started: time.Now(), seed: maphash.MakeSeed(),
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.chain = authChain{sources: o.Authenticators, rules: o.Authorizers, preparers: preparersOf(o.Authorizers), methods: o.Exchangers, anonymous: o.Anonymous, longest: longestOf(o.Authenticators), plain: &Grant{}}
	g.sinks = newSinkSet(o.Sinks)
	g.ranks, _ = parseRanks(&g.cfg) // Validate told what is wrong
	g.subs.init(o.Config.SharedStrategy)
	g.clients.init(o.Config.MaxSessionsPerUser)
	g.order.init()
	g.retained.init(&g.cfg)
	g.delayed.init(&g.cfg)
	g.mounts.init(o.Mounts)
	g.proxies = compileProxies(o.Config.Subscriptions)
	g.sources, g.elsewhere = o.Subscriptions, o.Retained
	g.proxied.Store(len(g.proxies)+len(g.sources) > 0)
	g.rewrites = compileRewrites(o.Config.Rewrite)
	g.timers.init()
	g.bans.init(o.Config.Bans)
	g.done.init()
	g.auths.init(o.Config.AuthBacklog, o.Config.AuthBacklogPerAddress)
	g.fetches.init(0, 0)
	// Message identifiers of different runs must differ: the store keeps bodies by them.
	// They are microseconds and 8 bits more; see passTime.
	g.nextMessage.Store(uint64(time.Now().UnixMicro())<<8 | uint64(rand.N(256)))
	return g
}

// Config gives the bounds that the gateway runs with.
func (g *Gateway) Config() Config { return g.cfg }

// Run does the gateway's background work (store completions, timers,
// authentications, $SYS) until ctx ends, then returns once all of it stopped.
func (g *Gateway) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range g.cfg.AuthWorkers {
		wg.Go(func() { g.auths.run(ctx) })
		wg.Go(func() { g.fetches.run(ctx) })
	}
	wg.Go(func() { g.timerLoop(ctx) })
	completions := make(chan struct{})
	go func() {
		defer close(completions)
		g.completeLoop()
	}()
	<-ctx.Done()
	wg.Wait()
	g.done.close()
	<-completions
	return nil
}

// Stopping tells the core that connections are being closed because the gateway
// ends: Wills of durable sessions stay pending for the next start.
func (g *Gateway) Stopping() { g.stopping.Store(true) }

func (g *Gateway) hash(s string) uint64 { return maphash.String(g.seed, s) }

func (g *Gateway) newMessageID() uint64 { return g.nextMessage.Add(1) }

// passTime keeps message identifiers from falling behind the clock: databases order
// messages of several nodes and runs by them.
func (g *Gateway) passTime(now int64) {
	least := uint64(now) * 1000 << 8 // as New has it
	for {
		last := g.nextMessage.Load()
		if last >= least || g.nextMessage.CompareAndSwap(last, least) {
			return
		}
	}
}
