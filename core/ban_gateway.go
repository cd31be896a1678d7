package core

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// Ban keeps clients out from now on, and disconnects those that are there. A ban of the
// same kind and value is replaced. b is brought into its canonical form; Created is
// filled in. done, if not nil, is told once the ban is stored, or why it is not: then it
// holds until the process ends. An error says why nothing was banned.
func (g *Gateway) Ban(t *Turn, b *Ban, done func(error)) error {
	b.Source, b.Created = BanStored, t.now
	if err := b.check(); err != nil {
		return err
	}
	if b.expired(t.now) {
		return Errorf(UnspecifiedError, "the ban would have expired already")
	}
	own := *b
	if err := g.enforce(t, &own); err != nil {
		return err
	}
	name, data := own.document()
	t.commitAlone([]Op{g.putDocument(t, name, data)}, banKept{g, own.key(), done})
	return nil
}

// banKept is a change of the bans that waits for the store.
type banKept struct {
	g    *Gateway
	key  banKey
	done func(error)
}

func (k banKept) committed(_ *Turn, err error) {
	if err != nil {
		k.g.log.Error("store: a ban is not stored as it is now", "kind", string(k.key.kind), "value", k.key.value, "err", err)
	}
	if k.done != nil {
		k.done(err)
	}
}

// enforce makes b hold in memory and disconnects whom it keeps out.
func (g *Gateway) enforce(t *Turn, b *Ban) error {
	if !g.bans.put(b, g.cfg.MaxBans) {
		return Errorf(QuotaExceeded, "there are %d bans already, or the configuration has this one", g.cfg.MaxBans)
	}
	g.log.Info("banned", "kind", string(b.Kind), "value", b.Value, "by", b.By, "reason", b.Reason)
	if b.Kind == BanClientID {
		if s := g.clients.get(b.Value); s != nil {
			g.expel(t, s)
		}
		return nil
	}
	g.clients.each(func(s *Session) bool {
		g.expel(t, s)
		return true
	})
	return nil
}

// expel closes a connection whose client is banned.
func (g *Gateway) expel(t *Turn, s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || g.bans.find(t.now, s.id, s.user, s.conn.Peer().Addr()) == nil {
		return
	}
	t.counters.reason(Banned)
	g.record(t, Banned, s.id, nil)
	t.closeLater(s.conn, Banned)
}

// Unban lifts a ban; false when there is none, or only the configuration can. done is
// as for Ban.
func (g *Gateway) Unban(t *Turn, kind BanKind, value string, done func(error)) bool {
	b := Ban{Kind: kind, Value: value}
	if b.check() != nil {
		return false
	}
	old := g.bans.remove(b.key())
	if old == nil {
		return false
	}
	if old.Source == BanStored {
		t.commitAlone([]Op{deleteDocument(old.documentName())}, banKept{g, old.key(), done})
	} else if done != nil {
		done(nil)
	}
	return true
}

// Bans lists what holds now, in the order of kind and value.
func (g *Gateway) Bans(t *Turn) []Ban {
	all := g.bans.list(t.now)
	slices.SortFunc(all, func(a, b Ban) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return all
}

// sweepBans forgets those that are over.
func (g *Gateway) sweepBans(t *Turn) {
	for _, k := range g.bans.lapsed(t.now) {
		g.Unban(t, k.kind, k.value, nil)
	}
}

// checkBan says whether a client is kept out. Before authentication it is asked about
// what the client claims, afterwards about what was proven.
func (g *Gateway) checkBan(t *Turn, id, user string, a netip.Addr) *Error {
	b := g.bans.find(t.now, id, user, a)
	if b == nil {
		return nil
	}
	what := map[BanKind]string{BanClientID: "client id", BanUsername: "user name", BanAddress: "address", BanClientAt: "client id"}
	return Errorf(Banned, "this %s is banned", what[b.Kind])
}

// mayPublishLater asks about what id left behind when it is due, a Will or a delayed
// message: whoever is banned meanwhile is silent as well. A ban of the kind BanClientAt is
// for connections only: it is what flapping leads to, and the Will is how others learn that
// the client is gone.
func (g *Gateway) mayPublishLater(t *Turn, id *Identity, name string) Reason {
	switch {
	case g.bans.look(t.now, id.ClientID, id.Username, id.Peer, false) != nil:
		return Banned
	case !g.chain.decide(id, ActionPublish, name):
		return NotAuthorized
	}
	return Success
}

// restoreDocument takes a document that the store kept.
func (g *Gateway) restoreDocument(name string, data []byte) error {
	b := Ban{Source: BanStored}
	if err := json.Unmarshal(data, &b); err != nil {
		return fmt.Errorf("document %q: %w", name, err)
	}
	if err := b.check(); err != nil || b.documentName() != name {
		return fmt.Errorf("document %q is not the ban that it should be: %v", name, err)
	}
	g.bans.put(&b, 0)
	return nil
}
