package core

import (
	"context"
	"hash/maphash"
	"sync/atomic"
)

// authChain is who may connect, and what they may do.
type authChain struct {
	sources   []Authenticator
	methods   []Exchanger
	rules     []Authorizer
	preparers []Preparer // those of the rules that ask elsewhere
	anonymous func(*Credentials) bool
	longest   int           // bytes of a password that may pass, 0 for any number
	plain     *Grant        // of a source that allowed and granted nothing else
	regrants  atomic.Uint64 // grants that changed while their connection went on
}

// authenticate asks the sources in order. It may block. Without a Grant nobody
// vouched for the client: what it claims to be called is then not its Username.
func (a *authChain) authenticate(ctx context.Context, c *Credentials) (*Grant, *Error) {
	for _, s := range a.sources {
		v, grant, err := s.Authenticate(ctx, c)
		switch {
		case v == Deny:
			return nil, &Error{Reason: BadCredentials, Detail: "bad user name or password", Err: err}
		case err != nil: // fails closed
			return nil, &Error{Reason: AuthUnavailable, Detail: "identity source " + s.Name() + " cannot answer", Err: err}
		case v == Allow && grant == nil:
			return a.plain, nil
		case v == Allow:
			return grant, nil
		}
	}
	if c.HasUsername || c.HasPassword {
		if len(a.sources) > 0 || a.anonymous == nil || !a.anonymous(c) {
			return nil, &Error{Reason: BadCredentials, Detail: "bad user name or password"}
		}
		return nil, nil // no source is configured: the name is a claim nobody checks
	}
	if a.anonymous != nil && a.anonymous(c) {
		return nil, nil
	}
	return nil, &Error{Reason: NotAuthorized, Detail: "anonymous clients may not connect here; send a user name and password"}
}

// immediate says that authenticate cannot block.
func (a *authChain) immediate(c *Credentials) bool {
	return len(a.sources) == 0 || (!c.HasUsername && !c.HasPassword && c.Certificate == nil && c.PSKIdentity == "")
}

// longestOf is the longest password that one of the sources may let pass, 0 where one of
// them does not say.
func longestOf(sources []Authenticator) (n int) {
	for _, s := range sources {
		b, ok := s.(PasswordBound)
		if !ok {
			return 0
		}
		n = max(n, b.LongestPassword())
	}
	return n
}

// password copies what the sources need of b.
func (a *authChain) password(b []byte) []byte {
	if a.longest > 0 {
		b = b[:min(len(b), a.longest+1)]
	}
	return append([]byte(nil), b...)
}

// recall gives the Grant of a client that the first source remembers, or nil.
func (a *authChain) recall(c *Credentials) *Grant {
	if len(a.sources) == 0 {
		return nil
	}
	if r, ok := a.sources[0].(Recaller); ok {
		return r.Recall(c)
	}
	return nil
}

// version changes when any rule, or a new grant, may answer otherwise than before.
func (a *authChain) version() (v uint64) {
	v = a.regrants.Load()
	for _, r := range a.rules {
		v += r.Version()
	}
	return v
}

// decide asks the rules; what none answers is denied, and so is an error.
func (a *authChain) decide(id *Identity, act Action, topic string) bool {
	if id.Grant != nil && id.Grant.Superuser {
		return true
	}
	for _, r := range a.rules {
		v, err := r.Authorize(id, act, topic)
		if err != nil || v == Deny {
			return false
		}
		if v == Allow {
			return true
		}
	}
	return false
}

// covers says whether everything that filter matches may be delivered to id. Of several
// sources only the first that has a say can settle it: a later one's Allow does not tell
// what an earlier one denies in part.
func (a *authChain) covers(id *Identity, filter string) Verdict {
	if id.Grant != nil && id.Grant.Superuser {
		return Allow
	}
	for _, r := range a.rules {
		if silent, ok := r.(Abstainer); ok && silent.Abstains(id) {
			continue
		}
		return r.Covers(id, filter)
	}
	return Ignore
}

// decisionCache remembers a turn's latest decisions, by session, connection,
// action and topic; a changed rule set forgets all.
type decisionCache struct {
	version uint64
	slots   []decision
}

type decision struct {
	session *Session
	epoch   uint64
	topic   string
	action  Action
	allowed bool
}

const decisionSlots = 2048 // a power of two

// authorize is the one choke point: every publish, subscribe, delivery, retained
// message and Will passes here. epoch and peer are the connection's.
func (g *Gateway) authorize(t *Turn, s *Session, epoch uint64, act Action, topic string) bool {
	d := &t.allow
	if d.slots == nil {
		d.slots = make([]decision, decisionSlots)
	}
	if v := g.chain.version(); v != d.version {
		clear(d.slots)
		d.version = v
	}
	e := &d.slots[g.decisionSlot(s, act, topic)]
	if e.session == s && e.epoch == epoch && e.action == act && e.topic == topic {
		return e.allowed
	}
	var permitted bool
	t.who, permitted = g.identityFor(s, act, topic)
	ok := permitted || g.chain.decide(&t.who, act, topic)
	*e = decision{session: s, epoch: epoch, topic: topic, action: act, allowed: ok}
	return ok
}

// decisionSlot is where a decision is remembered.
func (g *Gateway) decisionSlot(s *Session, act Action, topic string) uint64 {
	return (maphash.String(g.seed, topic) ^ uint64(s.index)*0x9e3779b97f4a7c15 ^ uint64(act)<<7) & (decisionSlots - 1)
}

// identity gives who s acts as.
func (g *Gateway) identity(s *Session) Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.identityLocked(s)
}

// identityFor is identity, and whether one of the session's proxy subscriptions permits
// act, whatever the rules say.
func (g *Gateway) identityFor(s *Session, act Action, topic string) (id Identity, permitted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.identityLocked(s), act == ActionDeliver && s.permits(topic)
}

func (g *Gateway) identityLocked(s *Session) Identity {
	id := Identity{ClientID: s.id, Username: s.user, Listener: g.origins.get(s.origin).listener}
	if s.conn != nil {
		id.Peer = s.conn.Peer().Addr()
	}
	if s.more != nil {
		id.Grant = s.more.grant
		if s.conn == nil {
			id.Peer = s.more.peer
		}
	}
	return id
}
