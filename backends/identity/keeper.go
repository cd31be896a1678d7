package identity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

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
	slots   chan struct{} // one for each reading of access rules in the background
}

// refreshers is how many clients' access rules are read again at once; what must wait
// longer is read when it is asked for the next time.
const refreshers = 4

// NewKeeper makes the keeper of the source name. Rights that can be read are read again
// when they are older than refresh, and hold no more when older than twice that; one
// reading takes timeout at most. Where none can be read, both are 0. now is the clock; nil
// is the system's.
func NewKeeper(name string, refresh, timeout time.Duration, now func() time.Time) *Keeper {
	if now == nil {
		now = time.Now
	}
	return &Keeper{name: name, refresh: refresh, timeout: timeout, now: now, slots: make(chan struct{}, refreshers)}
}

// Access is what one client may do: the ACL of a core.Grant. Its keeper made it.
type Access struct {
	keeper *Keeper
	read   func(context.Context) (Rights, error) // nil: the rights last as long as the grant

	mu      sync.Mutex
	rights  Rights
	at      time.Time
	reading bool
}

// Fixed is access by rights that last as long as the grant.
func (k *Keeper) Fixed(r Rights) *Access { return &Access{keeper: k, rights: r} }

// Read is access by rights that read gives, now and again later, from other goroutines.
// It blocks up to ctx.
func (k *Keeper) Read(ctx context.Context, read func(context.Context) (Rights, error)) (*Access, error) {
	a := &Access{keeper: k, read: read}
	if err := a.take(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// take reads the rights.
func (a *Access) take(ctx context.Context) error {
	at := a.keeper.now()
	r, err := a.read(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.rights, a.at = r, at
	a.mu.Unlock()
	return nil
}

// errStale denies: the source has not answered for too long.
var errStale = errors.New("access rules of this client are too old, and their source does not answer")

// present are the rights that hold now. Those that are no more fresh are read again in the
// background.
func (a *Access) present() (Rights, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.read == nil {
		return a.rights, nil
	}
	k := a.keeper
	age := k.now().Sub(a.at)
	if age > k.refresh && !a.reading {
		select {
		case k.slots <- struct{}{}:
			a.reading = true
			go a.again()
		default: // others are being read
		}
	}
	if age > 2*k.refresh {
		return Rights{}, errStale
	}
	return a.rights, nil
}

func (a *Access) again() {
	k := a.keeper
	ctx, cancel := context.WithTimeout(context.Background(), k.timeout)
	defer cancel()
	err := a.take(ctx)
	a.mu.Lock()
	a.reading = false
	a.mu.Unlock()
	<-k.slots
	if err == nil {
		k.version.Add(1)
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

// Version implements core.Authorizer. It changes when some client's rights were read
// again, and with time where they are, so that cached answers are asked for again.
func (k *Keeper) Version() uint64 {
	v := k.version.Load() << 32
	if k.refresh > 0 {
		v += uint64(k.now().UnixNano()/int64(k.refresh)) & (1<<32 - 1)
	}
	return v
}
