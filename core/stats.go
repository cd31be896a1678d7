package core

import (
	"time"
)

// Stats are the gateway's figures at one moment.
type Stats struct {
	Counters    [CounterCount]uint64
	Reasons     [ReasonCount]uint64
	Started     time.Time
	Sessions    int64 // connected or not
	Connections int64
	Retained    int64
	// Delayed messages that wait for their time.
	Delayed      int64
	DelayedBytes int64
	// Subscriptions and the route table behind them.
	Subscriptions int64
	Routes        int64
	RouteBytes    int64
	Store         StoreStats
	StoreHealth   error
}

// Get gives one counter.
func (s *Stats) Get(c Counter) uint64 { return s.Counters[c] }

// Pending is what the ledger says is under way: matched and neither delivered,
// expired nor dropped. It equals what the sessions' queues hold.
func (s *Stats) Pending() int64 {
	left := s.Get(Matched) + s.Get(Restored) + s.Get(RetainedMatched)
	return int64(left - s.Get(Delivered) - s.Get(Expired) - s.Get(Dropped))
}

// Stats gathers the figures. The counters are read one after the other while
// work goes on: they balance exactly once the gateway is quiet.
func (g *Gateway) Stats() Stats {
	s := Stats{Started: g.started, Sessions: g.clients.count.Load(), Retained: int64(g.retained.len())}
	waiting, bytes := g.delayed.figures()
	s.Delayed, s.DelayedBytes = int64(waiting), int64(bytes)
	g.mu.Lock()
	sum := func(c *counters) {
		for i := range s.Counters {
			s.Counters[i] += c.values[i].Load()
		}
		for i := range s.Reasons {
			s.Reasons[i] += c.reasons[i].Load()
		}
	}
	sum(&g.closed)
	for _, t := range g.turns {
		sum(&t.counters)
	}
	g.mu.Unlock()
	rs := g.routes.Stats()
	s.Subscriptions, s.Routes, s.RouteBytes = int64(rs.Values), int64(rs.Exact+rs.Wildcard), int64(rs.Bytes)
	s.Connections = int64(s.Get(ConnectionsAccepted) - s.Get(ConnectionsClosed))
	if g.store != nil {
		s.Store, s.StoreHealth = g.store.Stats(), g.store.Health()
	}
	return s
}

// ClientInfo describes one session for administration.
type ClientInfo struct {
	ClientID      string
	Username      string
	Protocol      string
	Version       uint8
	Listener      string
	Peer          string
	Connected     bool
	Asleep        bool  // it sleeps, or is awake to fetch its messages; with a connection or, after a start, without
	ConnectedAt   int64 // Unix seconds
	Expiry        uint32
	Durable       bool
	Subscriptions int
	Queued        int // QoS 1 and 2 messages that wait or are unacknowledged
	Inflight      int
}

// Client describes the session of id; ok is false when there is none.
func (g *Gateway) Client(id string) (info ClientInfo, ok bool) {
	s := g.clients.get(id)
	if s == nil {
		return info, false
	}
	return g.describe(s), true
}

// Clients calls fn for every session until it says false. Weakly consistent;
// holds no lock during fn.
func (g *Gateway) Clients(fn func(ClientInfo) bool) {
	g.clients.each(func(s *Session) bool { return fn(g.describe(s)) })
}

// Kick closes the connection of id; it says whether there was one.
func (g *Gateway) Kick(t *Turn, id string) bool { return g.closeClient(t, id, AdministrativeAction) }

// Redirect is Kick that sends the client to another server, where its protocol has
// words for it.
func (g *Gateway) Redirect(t *Turn, id string) bool { return g.closeClient(t, id, UseAnotherServer) }

func (g *Gateway) closeClient(t *Turn, id string, r Reason) bool {
	s := g.clients.get(id)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return false
	}
	if r > IdentityExpired { // Disconnect counts the others
		t.counters.reason(r)
	}
	t.closeLater(s.conn, r)
	return true
}

func (g *Gateway) describe(s *Session) ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := g.origins.get(s.origin)
	c := ClientInfo{
		ClientID: s.id, Username: s.user, Protocol: o.protocol, Version: o.version, Listener: o.listener,
		Connected: s.conn != nil, ConnectedAt: int64(s.connected), Expiry: s.expiry, Durable: s.durable,
		Subscriptions: int(s.subCount.Load()), Queued: int(s.pending),
	}
	if s.conn != nil {
		c.Peer = peerString(s.conn)
	}
	if s.ring != nil {
		c.Inflight = s.ring.inflight
	}
	c.Asleep = s.asleep || s.fetching
	return c
}
