package httpauth

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// asker is what one client may do where the server is asked about each topic: the ACL of
// its grant.
type asker struct {
	source *Source
	who    values // shared, never changed

	mu    sync.Mutex
	known map[wish]*held
}

// wish is what is asked: to publish to a topic, or to subscribe to a filter.
type wish struct {
	publish bool
	topic   string
}

// held is an answer that is kept.
type held struct {
	verdict core.Verdict
	at      time.Time // of the answer; zero while there is none yet
	asking  bool
	missed  bool // somebody was denied because there is none
}

func newAsker(s *Source, who values) *asker {
	return &asker{source: s, who: who, known: map[wish]*held{}}
}

// errUnknown denies what the server has not answered.
var errUnknown = errors.New("the server has not answered yet whether this is allowed")

// answer gives what is known, and has it asked for where that is too old.
func (a *asker) answer(w wish) (core.Verdict, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.known[w]
	if h == nil {
		h = a.place(w)
	}
	return a.judge(w, h)
}

// judge gives a kept answer. With a's lock held.
func (a *asker) judge(w wish, h *held) (core.Verdict, error) {
	age := a.source.now().Sub(h.at)
	if age > a.source.cfg.Refresh {
		a.renew(w, h)
	}
	if h.at.IsZero() || age > 2*a.source.cfg.Refresh {
		h.missed = true
		return core.Deny, errUnknown
	}
	return h.verdict, nil
}

// place makes room for an answer: the oldest about publishing gives way, and of those about
// subscriptions, by which messages come, only the oldest of them all.
func (a *asker) place(w wish) *held {
	if len(a.known) >= a.source.cfg.Kept {
		var out wish
		found := false
		for k, h := range a.known {
			before := k.publish && !out.publish || k.publish == out.publish && found && h.at.Before(a.known[out].at)
			if !h.asking && (!found || before) {
				out, found = k, true
			}
		}
		if !found {
			return &held{} // all are being asked for
		}
		delete(a.known, out)
	}
	h := &held{}
	a.known[w] = h
	return h
}

// renew has the answer asked for beside the traffic, unless too much is asked already. With
// a's lock held.
func (a *asker) renew(w wish, h *held) {
	s := a.source
	if h.asking || a.known[w] != h {
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return
	}
	h.asking = true
	go func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
		defer cancel()
		a.fetch(ctx, w, h)
		<-s.slots
	}()
}

// fetch asks the server and keeps what it says. It blocks up to ctx.
func (a *asker) fetch(ctx context.Context, w wish, h *held) {
	s := a.source
	v := maps.Clone(a.who)
	v["topic"], v["action"], v["access"] = w.topic, "subscribe", "1"
	if w.publish {
		v["action"], v["access"] = "publish", "2"
	}
	at := s.now()
	got, err := s.ask(ctx, s.acl, v)
	if errors.Is(err, errValue) {
		got.verdict, err = core.Deny, nil // what cannot be asked is not allowed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h.asking = false
	if err != nil {
		return
	}
	changed := h.missed || !h.at.IsZero() && h.verdict != got.verdict
	h.verdict, h.at, h.missed = got.verdict, at, false
	if changed {
		s.version.Add(1)
	}
}

// knows says that there is an answer that holds.
func (a *asker) knows(w wish) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.known[w]
	return h != nil && a.source.now().Sub(h.at) <= 2*a.source.cfg.Refresh
}

// prepare asks, and waits for the answer.
func (a *asker) prepare(ctx context.Context, w wish) {
	a.mu.Lock()
	h := a.known[w]
	if h == nil {
		h = a.place(w)
	}
	h.asking = true // nobody need ask beside
	a.mu.Unlock()
	a.fetch(ctx, w, h)
}

// delivery answers for a message: by the filters that the client may subscribe to.
func (a *asker) delivery(name string) (core.Verdict, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answered, best := false, core.Deny
	for w, h := range a.known {
		if w.publish || !topic.Match(w.topic, name) {
			continue
		}
		v, err := a.judge(w, h)
		switch {
		case err != nil:
			continue
		case v == core.Allow:
			return v, nil
		case v == core.Ignore:
			best = v
		}
		answered = true
	}
	if answered {
		return best, nil
	}
	w := wish{topic: name}
	h := a.known[w]
	if h == nil {
		h = a.place(w)
	}
	return a.judge(w, h)
}

// of is what the source has granted to id, nil where it asks nothing about it.
func (s *Source) of(id *core.Identity) *asker {
	if id.Grant == nil {
		return nil
	}
	a, _ := id.Grant.ACL.(*asker)
	if a == nil || a.source != s {
		return nil
	}
	return a
}

// Abstains implements core.Abstainer.
func (s *Source) Abstains(id *core.Identity) bool { return s.of(id) == nil && s.keeper.Abstains(id) }

// Authorize implements core.Authorizer.
func (s *Source) Authorize(id *core.Identity, action core.Action, topic string) (core.Verdict, error) {
	a := s.of(id)
	switch {
	case a == nil:
		return s.keeper.Authorize(id, action, topic)
	case action == core.ActionDeliver:
		return a.delivery(topic)
	}
	return a.answer(wish{action == core.ActionPublish, topic})
}

// Prepared implements core.Preparer.
func (s *Source) Prepared(id *core.Identity, action core.Action, topic string) bool {
	a := s.of(id)
	return a == nil || action == core.ActionDeliver || a.knows(wish{action == core.ActionPublish, topic})
}

// Prepare implements core.Preparer.
func (s *Source) Prepare(ctx context.Context, id *core.Identity, action core.Action, topic string) {
	if a := s.of(id); a != nil && action != core.ActionDeliver {
		a.prepare(ctx, wish{action == core.ActionPublish, topic})
	}
}

// Covers implements core.Authorizer.
func (s *Source) Covers(id *core.Identity, filter string) core.Verdict {
	a := s.of(id)
	if a == nil {
		return s.keeper.Covers(id, filter)
	}
	if v, err := a.answer(wish{topic: filter}); err == nil {
		return v
	}
	return core.Ignore
}

// Version implements core.Authorizer. It changes with each answer that is new, and with
// time, so that kept answers are looked at for their age.
func (s *Source) Version() uint64 {
	v := s.version.Load() << 32
	if s.acl != nil {
		v += uint64(s.now().UnixNano()/int64(s.cfg.Refresh)) & (1<<32 - 1)
	}
	return v
}
