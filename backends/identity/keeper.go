package identity

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// Keeper authorizes the clients that one source of identities has let in, by the [Access]
// that it granted them; about others it has no say. It implements core.Authorizer and
// core.Abstainer. Safe for concurrent use.
type Keeper struct {
	name    string
	refresh time.Duration
	timeout time.Duration
	now     func() time.Time
	version atomic.Uint64
	line    line         // whose rights are to be read again
	failed  atomic.Int64 // readings in a row
	log     atomic.Pointer[slog.Logger]
	away    atomic.Bool  // a line said so
	told    atomic.Int64 // when a fault about a client was logged last, Unix nanoseconds
}

// NewKeeper makes the keeper of the source name. Rights that can be read are read again by
// Run when they are older than refresh, and hold no more when older than twice that; one
// reading takes timeout at most. Where none can be read, both are 0. now is the clock; nil
// is the system's.
func NewKeeper(name string, refresh, timeout time.Duration, now func() time.Time) *Keeper {
	if now == nil {
		now = time.Now
	}
	k := &Keeper{name: name, refresh: refresh, timeout: timeout, now: now}
	k.log.Store(slog.New(slog.DiscardHandler))
	return k
}

// Access is what one client may do: the ACL of a core.Grant. Its keeper made it.
type Access struct {
	keeper *Keeper
	read   func(context.Context) (Rights, error) // nil: the rights last as long as the grant

	mu     sync.Mutex
	rights Rights
	at     time.Time
}

// Fixed is access by rights that last as long as the grant.
func (k *Keeper) Fixed(r Rights) *Access { return &Access{keeper: k, rights: r} }

// Read is access by rights that read gives, now and again later, from other goroutines, as
// long as the access is held by somebody. It blocks up to ctx. An error of read that
// rules.IsPermanent knows is about this client, any other about the source.
func (k *Keeper) Read(ctx context.Context, read func(context.Context) (Rights, error)) (*Access, error) {
	a := &Access{keeper: k, read: read}
	if _, err := a.take(ctx); err != nil {
		return nil, err
	}
	k.line.push(a, k.now().Add(k.refresh))
	return a, nil
}

// take reads the rights, and says whether they are others than before. They are of the
// time at which asking began.
func (a *Access) take(ctx context.Context) (changed bool, err error) {
	at := a.keeper.now()
	r, err := a.read(ctx)
	if a.keeper.tell(err); err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed = !r.same(&a.rights)
	a.rights, a.at = r, at
	return changed, nil
}

// tell logs one line when the source goes away, and one when it is back.
func (k *Keeper) tell(err error) {
	switch {
	case errors.Is(err, context.Canceled): // nobody waits any more
	case err == nil:
		if k.away.Load() && k.away.CompareAndSwap(true, false) {
			k.log.Load().Info("users and access rules can be read again", "source", k.name)
		}
	case !rules.IsPermanent(err) && k.away.CompareAndSwap(false, true):
		k.log.Load().Warn("users and access rules cannot be read; nobody can log in by them", "source", k.name, "err", err)
	}
}

// errStale denies: the source has not answered for too long.
var errStale = errors.New("access rules of this client are too old, and their source does not answer")

// present are the rights that hold now.
func (a *Access) present() (Rights, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.keeper; a.read != nil && k.now().Sub(a.at) > 2*k.refresh {
		return Rights{}, errStale
	}
	return a.rights, nil
}

// Run reads rights again as they grow old, those that were read first at first, so many at
// once, until ctx ends. Clients that are silent are no exception: what they send or get
// next must not wait. Of those who are gone nothing is read. What fails goes to log, seldom.
func (k *Keeper) Run(ctx context.Context, readers int, log *slog.Logger) {
	k.log.Store(log)
	if k.refresh <= 0 {
		<-ctx.Done()
		return
	}
	var running sync.WaitGroup
	for range readers {
		running.Go(func() {
			for ctx.Err() == nil {
				pause(ctx, k.next(ctx))
			}
		})
	}
	running.Wait()
}

const (
	retryAfter  = 5 * time.Second  // for whom there was no answer
	outageAfter = 3                // failures in a row, of all clients
	outagePause = time.Second      // of each reader then
	faultPause  = 10 * time.Minute // between lines about faults of clients: a row may speak of all
)

// next reads the rights of one client again, if it is time, and says how long there is
// nothing to do.
func (k *Keeper) next(ctx context.Context) time.Duration {
	a, wait := k.line.pop(k.now())
	if a == nil {
		return min(wait, k.refresh, retryAfter) // who comes meanwhile has a later turn
	}
	asking, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	changed, err := a.take(asking)
	switch {
	case ctx.Err() != nil:
		return 0
	case err == nil:
		k.failed.Store(0)
		if changed {
			k.version.Add(1)
		}
	case rules.IsPermanent(err): // what is known grows too old to hold
		k.fault(err)
	default:
		k.line.pushAgain(a, k.now().Add(min(retryAfter, k.refresh)))
		if k.failed.Add(1) >= outageAfter {
			return outagePause
		}
		return 0
	}
	k.line.push(a, k.now().Add(k.refresh))
	return 0
}

func (k *Keeper) fault(err error) {
	now := k.now().UnixNano()
	if last := k.told.Load(); last == 0 || now-last >= int64(faultPause) {
		k.told.Store(now)
		k.log.Load().Warn("access rules of a client cannot be read; there may be more such clients", "source", k.name, "err", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// of is what the source has granted to id, nil where another one has let it in.
func (k *Keeper) of(id *core.Identity) *Access {
	if id.Grant == nil {
		return nil
	}
	a, _ := id.Grant.ACL.(*Access)
	if a == nil || a.keeper != k {
		return nil
	}
	return a
}

// Name implements core.Authorizer, and core.Authenticator for the source.
func (k *Keeper) Name() string { return k.name }

// Abstains implements core.Abstainer.
func (k *Keeper) Abstains(id *core.Identity) bool { return k.of(id) == nil }

// Authorize implements core.Authorizer.
func (k *Keeper) Authorize(id *core.Identity, action core.Action, topic string) (core.Verdict, error) {
	a := k.of(id)
	if a == nil {
		return core.Ignore, nil
	}
	r, err := a.present()
	if err != nil {
		return core.Deny, err
	}
	return r.Decide(action, topic), nil
}

// Covers implements core.Authorizer: while rights are read again, messages are asked for
// one by one.
func (k *Keeper) Covers(id *core.Identity, filter string) core.Verdict {
	a := k.of(id)
	if a == nil {
		return core.Ignore
	}
	if r, err := a.present(); err == nil {
		return r.Covers(filter)
	}
	return core.Ignore
}

// Version implements core.Authorizer. It changes when some client's rights are
// others, and with time where they are read again, so that cached answers are asked for again.
func (k *Keeper) Version() uint64 {
	v := k.version.Load() << 32
	if k.refresh > 0 {
		v += uint64(k.now().UnixNano()/int64(k.refresh)) & (1<<32 - 1)
	}
	return v
}
