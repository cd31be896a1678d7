package core

import (
	"context"
	"fmt"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Some retained messages are kept elsewhere, and some rights must be asked for: what reads
// such a message waits beside the loops, and is answered by OpRead.

// reading is one Read or List.
type reading struct {
	g      *Gateway
	link   Link
	token  uint32
	verb   string // for people
	filter string // as the rules see it: a Topic Name for Read
	max    int    // most messages
	name   bool   // it is a Topic Name
	look   bool   // elsewhere, too
	rights bool   // must be asked for first
}

// judge says what the answer needs: look and rights. Where it knows the rights, it has
// decided: r.
func (w *reading) judge(t *Turn) (r Reason) {
	g := w.g
	w.look = g.elsewhere != nil && g.elsewhere.LooksUp(w.filter)
	if len(g.chain.preparers) > 0 && !g.remembers(t, w.link, ActionSubscribe, w.filter) {
		id := g.identity(w.link.Session)
		w.rights = g.chain.unprepared(&id, wish{ActionSubscribe, w.filter})
	}
	if w.rights {
		return Success
	}
	return w.permitted(t)
}

// later has the answer come by OpRead, unless too much waits already.
func (w *reading) later(t *Turn) (r Reason, pending bool) {
	g, held := w.g, *w
	id := g.identity(w.link.Session)
	if g.auths.submit(id.Peer, func(ctx context.Context) { held.ask(ctx, &id) }) {
		return Success, true
	}
	g.Refuse(t, Refusal{Reason: ServerBusy, ClientID: w.link.Session.id, Detail: w.verb + " " + clip(w.filter) + ": too much waits already"})
	return ServerBusy, false
}

// permitted says whether the client may have anything of what it asks for.
func (w *reading) permitted(t *Turn) Reason {
	g, s := w.g, w.link.Session
	if g.authorize(t, s, w.link.Epoch, ActionSubscribe, w.filter) && (!w.name || g.authorize(t, s, w.link.Epoch, ActionDeliver, w.filter)) {
		return Success
	}
	g.Refuse(t, Refusal{Reason: NotAuthorized, ClientID: s.id, Detail: w.verb + " " + clip(w.filter)})
	return NotAuthorized
}

// ask asks for what is not here. It may block.
func (w *reading) ask(ctx context.Context, id *Identity) {
	g := w.g
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AuthTimeout)
	defer cancel()
	if w.rights {
		for _, p := range g.chain.preparers {
			p.Prepare(ctx, id, ActionSubscribe, w.filter)
		}
	}
	var found []*Message
	var err error
	if w.look {
		found, _, err = g.elsewhere.ReadRetained(ctx, w.filter, "", w.max)
	}
	g.done.call(func(t *Turn) { w.answer(t, found, err) })
}

// answer decides about what was found, and tells the connection.
func (w *reading) answer(t *Turn, found []*Message, err error) {
	g, s := w.g, w.link.Session
	conn := w.link.conn()
	if conn == nil {
		return // nobody waits for it
	}
	var ms []*Message
	r := w.permitted(t)
	if r == Success {
		ms = w.here(t)
		for _, m := range found {
			if len(ms) < w.max && topic.Match(w.filter, m.Topic) && !m.Expired(t.now) && g.authorize(t, s, w.link.Epoch, ActionDeliver, m.Topic) {
				ms = append(ms, g.seen(s, m))
			}
		}
	}
	if r == Success && err != nil && len(ms) < w.max {
		ms, r = nil, ServerUnavailable
		g.Refuse(t, Refusal{Reason: r, ClientID: s.id, Detail: fmt.Sprintf("%s %s: %v", w.verb, clip(w.filter), err)})
	}
	t.complete(conn, Completion{Op: OpRead, Token: w.token, Reasons: []Reason{r}, Messages: ms})
}

// here gives what is kept by the gateway itself.
func (w *reading) here(t *Turn) []*Message {
	if !w.name {
		return w.list(t)
	}
	if m := w.get(t); m != nil {
		return []*Message{m}
	}
	return nil
}

// get gives the message of a topic, if the gateway keeps it.
func (w *reading) get(t *Turn) *Message {
	if m := w.g.retained.get(w.filter, t.now); m != nil {
		return w.g.seen(w.link.Session, m)
	}
	return nil
}

// list gives those of a filter that the gateway keeps.
func (w *reading) list(t *Turn) (kept []*Message) {
	g, s := w.g, w.link.Session
	cur := new(route.Cursor)
	for done := false; !done && len(kept) < w.max; {
		t.found, done = g.retained.scan(w.filter, cur, w.max-len(kept), t.found[:0])
		for i, m := range t.found {
			t.found[i] = nil
			if !g.retained.lapsed(m, t.now) && g.authorize(t, s, w.link.Epoch, ActionDeliver, m.Topic) {
				kept = append(kept, g.seen(s, m))
			}
		}
	}
	return kept
}
