package coretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Rights is an Authorizer that a test changes as it goes: a naive list of what is
// allowed and what may not be delivered. A right to subscribe is one to be delivered
// to as well. Safe for concurrent use.
type Rights struct {
	// Changed, unless nil, is called after each change, with what an access rule file
	// of the same meaning says, and nothing locked.
	Changed func(file string)

	mu      sync.Mutex
	version uint64
	broken  bool
	allowed []right
	denied  []right // of ActionDeliver
}

// right is whom a filter is for: a ClientID, "user NAME", "from ADDRESS" or "acl TEXT",
// which is what the identity was granted.
type right struct {
	who    string
	action core.Action
	filter string
}

func (r *right) about(id *core.Identity) bool {
	kind, name, found := strings.Cut(r.who, " ")
	switch {
	case !found:
		return r.who == id.ClientID
	case kind == "user":
		return name == id.Username
	case kind == "acl":
		return id.Grant != nil && fmt.Sprint(id.Grant.ACL) == name
	}
	return name == id.Peer.String()
}

// Allow adds a right.
func (r *Rights) Allow(who string, a core.Action, filters ...string) {
	defer r.change()()
	for _, f := range filters {
		r.allowed = append(r.allowed, right{who, a, f})
	}
}

// Withhold lets nothing that filter matches be delivered to who, whatever it may
// subscribe to.
func (r *Rights) Withhold(who, filter string) {
	defer r.change()()
	r.denied = append(r.denied, right{who, core.ActionDeliver, filter})
}

// Revoke takes every right for filter away from who.
func (r *Rights) Revoke(who, filter string) {
	defer r.change()()
	r.allowed = slices.DeleteFunc(r.allowed, func(o right) bool { return o.who == who && o.filter == filter })
}

// Reload is a change of the rules that changes nothing.
func (r *Rights) Reload() {
	defer r.change()()
}

// Break makes the source unable to answer.
func (r *Rights) Break(on bool) {
	defer r.change()()
	r.broken = on
}

// change begins a change, and returns what ends it.
func (r *Rights) change() (end func()) {
	r.mu.Lock()
	r.version++
	return func() {
		file := r.file()
		r.mu.Unlock()
		if r.Changed != nil {
			r.Changed(file)
		}
	}
}

// file writes the rights as an access rule file. With the lock held.
func (r *Rights) file() string {
	var b strings.Builder
	rule := func(verdict, action string, o *right) {
		kind, name, found := strings.Cut(o.who, " ")
		if !found {
			kind, name = "client", o.who
		}
		if kind == "from" {
			kind = "address"
		}
		fmt.Fprintf(&b, "%s %s %s %s %s\n", verdict, kind, name, action, o.filter)
	}
	for i := range r.denied {
		rule("deny", "subscribe", &r.denied[i])
	}
	for i := range r.allowed {
		action := "subscribe"
		if r.allowed[i].action == core.ActionPublish {
			action = "publish"
		}
		rule("allow", action, &r.allowed[i])
	}
	return b.String()
}

// Name implements core.Authorizer.
func (*Rights) Name() string { return "rights" }

// Version implements core.Authorizer.
func (r *Rights) Version() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version
}

// Authorize implements core.Authorizer. What it does not know it leaves to others.
func (r *Rights) Authorize(id *core.Identity, a core.Action, name string) (core.Verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return core.Allow, errors.New("the rights cannot be read") // the error counts, not the answer
	}
	matches, wanted := topic.Match, a
	switch a {
	case core.ActionSubscribe:
		matches = topic.MatchFilter
	case core.ActionDeliver:
		wanted = core.ActionSubscribe
		for i := range r.denied {
			if d := &r.denied[i]; d.about(id) && topic.Match(d.filter, name) {
				return core.Deny, nil
			}
		}
	}
	for i := range r.allowed {
		if o := &r.allowed[i]; o.action == wanted && o.about(id) && matches(o.filter, name) {
			return core.Allow, nil
		}
	}
	return core.Ignore, nil
}

// Covers implements core.Authorizer.
func (r *Rights) Covers(id *core.Identity, filter string) core.Verdict {
	if v, err := r.Authorize(id, core.ActionSubscribe, filter); v != core.Allow || err != nil {
		return core.Deny
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.denied {
		if d := &r.denied[i]; d.about(id) && topic.Overlaps(d.filter, filter) {
			return core.Ignore
		}
	}
	return core.Allow
}

// Users is an Authenticator with a list: a name's password and what it is granted.
type Users struct {
	mu     sync.Mutex
	broken bool
	list   map[string]User
}

// User is one of Users.
type User struct {
	Password string
	Grant    core.Grant
}

// Put adds or replaces a user.
func (u *Users) Put(name string, v User) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.list == nil {
		u.list = map[string]User{}
	}
	u.list[name] = v
}

// Break makes the source unable to answer.
func (u *Users) Break(on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.broken = on
}

// Name implements core.Authenticator.
func (*Users) Name() string { return "users" }

// Authenticate implements core.Authenticator. It knows nothing of clients that send
// no user name.
func (u *Users) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch v, known := u.list[c.Username]; {
	case !c.HasUsername:
		return core.Ignore, nil, nil
	case u.broken:
		return core.Ignore, nil, errors.New("the users cannot be read")
	case !known || v.Password != string(c.Password):
		return core.Deny, nil, nil
	default:
		g := v.Grant
		return core.Allow, &g, nil
	}
}
