package core

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// sourced is one source's answer about a client.
type sourced struct {
	origin string
	found  []ProxyRequest
	err    error
}

// unanswered says that nobody knows what origin has for the client: its source is away,
// or nobody asked it. Only what was answered is taken back.
func (r *ConnectRequest) unanswered(origin string) bool {
	if strings.HasPrefix(origin, commanded) || r.Awakes && origin != "" {
		return true // by command, or the client does not begin anew
	}
	for i := range r.sourced {
		if r.sourced[i].origin == origin {
			return r.sourced[i].err != nil
		}
	}
	return false
}

// lookUp asks the sources of subscriptions about a client that was let in, and goes on
// with its Connect once they have answered.
func (g *Gateway) lookUp(t *Turn, r *ConnectRequest, res *ConnectResult, user string, grant *Grant) (*ConnectResult, bool) {
	id := Identity{ClientID: res.ClientID, Username: user, Listener: r.Listener, Peer: peerAddr(r.Conn), Grant: grant}
	look := func(ctx context.Context) {
		err := leftEarly()
		if !r.abandoned.Load() {
			err = g.askSources(ctx, r, &id)
		}
		g.done.call(func(t *Turn) {
			answer, pending := (*ConnectResult)(nil), false
			if err != nil {
				answer = g.refuseConnect(t, r, err)
			} else {
				answer, pending = g.enterFound(t, r, res, user, grant)
			}
			if !pending {
				t.complete(r.Conn, Completion{Op: OpConnect, Connect: answer})
			}
		})
	}
	if !g.auths.submit(r.Conn.Peer().Addr(), look) {
		return g.refuseConnect(t, r, Errorf(ServerBusy, "too many connections wait for their subscriptions")), false
	}
	return nil, true
}

// askSources may block. An error refuses the client.
func (g *Gateway) askSources(ctx context.Context, r *ConnectRequest, id *Identity) *Error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AuthTimeout)
	defer cancel()
	for _, s := range g.sources {
		found, err := s.Subscriptions(ctx, id)
		if err == nil && len(found) > maxProxies {
			err = fmt.Errorf("more than %d subscriptions of one client", maxProxies)
		}
		if err != nil && s.Required() {
			return &Error{Reason: ServerUnavailable, Detail: "the subscriptions of this client cannot be read from " + s.Name(), Err: err}
		}
		if err != nil {
			found = nil
			g.sourceFails(s, id, err)
		}
		r.sourced = append(r.sourced, sourced{origin: s.Name(), found: found, err: err})
	}
	return nil
}

// sourceFails tells of a client that connects without what a source has for it.
func (g *Gateway) sourceFails(s SubscriptionSource, id *Identity, err error) {
	who, listener := id.ClientID, id.Listener
	g.done.call(func(t *Turn) {
		g.complain.sources.log(g.log, slog.LevelWarn, t.now, "proxy subscriptions cannot be read", "source", s.Name(), "client_id", who, "err", err)
		g.Refuse(t, Refusal{Reason: ServerUnavailable, Listener: listener, ClientID: who, Detail: "proxy subscriptions of " + s.Name() + ": " + err.Error()})
	})
}

// commanded begins the origin of subscriptions that ChangeProxies made.
const commanded = "command of "

// ChangeProxies gives a client further proxy subscriptions and takes others, named as
// they were given, at once or, with a durable session, once the store has it: for commands
// of administrators and databases, such as origin tells. They last as long as the session
// does. What the client is refused is explained.
// It is told of nothing; retained messages follow as the options have it. false: the
// client has no session here.
func (g *Gateway) ChangeProxies(t *Turn, clientID, origin string, add []ProxyRequest, remove []string) bool {
	s := g.clients.get(clientID)
	if s == nil {
		return false
	}
	s.mu.Lock()
	l := Link{Session: s, Epoch: s.epoch}
	s.mu.Unlock()
	g.seeProxies()
	w := g.proxying(l)
	for i := range add {
		w.want(t, commanded+origin, &add[i])
	}
	w.checkWanted(t)
	if !w.note(w.named(remove), false) {
		return false
	}
	g.chain.regrants.Add(1) // cached decisions about the session may be wrong now
	if ops := w.proxyOps(); len(ops) > 0 {
		t.commitAlone(ops, &changing{w})
		return true
	}
	w.settle(t)
	return true
}

// named finds the session's proxy subscriptions that remove names.
func (w *subscribing) named(remove []string) (found []proxied) {
	if len(remove) == 0 {
		return nil
	}
	s := w.link.Session
	who := s.placer()
	for _, name := range remove {
		name, ok := topic.Expand(name, s.id, s.user)
		if !ok {
			continue
		}
		p, err := topic.ParseSubscription(name, unlimited())
		if err != nil {
			continue
		}
		if w.g.filterGoesElsewhere(s) {
			var r Reason
			if p, r, _ = w.g.placeFilter(&who, p); r != Success {
				continue
			}
		}
		for _, has := range s.proxies() {
			if has.raw == p.Raw {
				found = append(found, has)
			}
		}
	}
	return found
}

// changing is a ChangeProxies that waits for the store.
type changing struct{ w *subscribing }

func (c *changing) committed(t *Turn, err error) {
	if storeReason(err) != Success {
		c.w.giveUp()
		return
	}
	c.w.settle(t)
}

// seeProxies has UNSUBSCRIBE look for proxy subscriptions, too.
func (g *Gateway) seeProxies() {
	if !g.proxied.Load() {
		g.routes.Update(func(*route.Tx) { g.proxied.Store(true) })
	}
}
