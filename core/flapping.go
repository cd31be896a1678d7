package core

import (
	"net/netip"
	"sync"
)

// flapping counts how often clients that had been let in lose their connection. Only
// those count: who fails to authenticate can have nobody banned. The table is begun
// anew with every window, and bounded.
type flapping struct {
	mu    sync.Mutex
	since int64 // Unix milliseconds
	seen  map[flapKey]int
}

type flapKey struct {
	id   string
	addr netip.Addr
}

// mostFlapping is how many clients are watched in one window: those beyond are not.
const mostFlapping = 65_536

// abrupt says whether an end for r counts: the client's own orderly ones do not, nor
// those that the gateway wanted.
func abrupt(r Reason) bool {
	switch r {
	case NormalDisconnect, ServerShuttingDown, AdministrativeAction, IdentityExpired, Banned, UseAnotherServer:
		return false
	}
	return true
}

// noteEnd counts the end of the connection of a client that was let in, and bans it
// once it flaps. With no session's lock of others held.
func (g *Gateway) noteEnd(t *Turn, id string, c Conn, r Reason) {
	if g.cfg.FlappingCount == 0 || c == nil || !abrupt(r) || !c.Peer().IsValid() {
		return
	}
	k := flapKey{id, plainAddr(c.Peer().Addr())}
	f := &g.flaps
	f.mu.Lock()
	if t.now-f.since >= g.cfg.FlappingWindow.Milliseconds() || f.seen == nil {
		f.since, f.seen = t.now, map[flapKey]int{}
	}
	n := f.seen[k] + 1
	if n == 1 && len(f.seen) >= mostFlapping {
		f.mu.Unlock()
		return
	}
	f.seen[k] = n
	if n >= g.cfg.FlappingCount {
		delete(f.seen, k)
	}
	f.mu.Unlock()
	if n < g.cfg.FlappingCount {
		return
	}
	b := &Ban{
		Kind: BanClientAt, Value: clientAt(k.id, k.addr), By: "flapping", Source: BanInMemory,
		Reason:  "connections that end abruptly, too many within " + g.cfg.FlappingWindow.String(),
		Created: t.now, Expires: t.now + g.cfg.FlappingBan.Milliseconds(),
	}
	if g.bans.put(b, g.cfg.MaxBans) {
		t.counters.reason(Banned)
		t.explain.add(Record{Time: t.now, Reason: Banned, ClientID: id, Peer: c.Peer().String(), Detail: b.Reason})
		g.log.Warn("banned", "kind", string(b.Kind), "value", b.Value, "by", b.By, "reason", b.Reason)
	}
}
