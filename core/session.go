package core

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Session is a client's lasting state: it outlives connections and belongs to
// the client's identity, not to a protocol. Everything but the atomics and what
// is marked is guarded by mu.
type Session struct {
	mu   sync.Mutex
	id   string // ClientID; never changes
	user string // the identity that owns the ClientID; never changes
	conn Conn   // nil while disconnected
	box  *outbox
	ring *ring
	more *rare

	epoch uint64 // of the connection: stale links differ
	seq   uint64 // the next sequence number of a QoS 1 or 2 message

	index    uint32        // in the table of sessions; never changes
	firstSub uint32        // head of the list of subscriptions; changed in routes.Update only
	subCount atomic.Uint32 // changed there too
	pending  uint32        // QoS 1 and 2 messages accepted for it and not yet done with

	expiry    uint32 // Session Expiry Interval, seconds
	recvMax   uint16 // QoS 1 and 2 window towards the client
	durable   bool   // outlives its connection: kept in the store
	ready     bool   // Resume was called: Wake may come
	dirty     bool   // noted in some turn's touched list, or its connection is blocked
	ended     bool   // over for good
	gone      bool   // its subscriptions were removed; changed in routes.Update only
	spilled   bool   // the store holds messages of the queue beyond the ring
	paused    bool   // the connection waits for OpReadable
	asleep    bool   // the client sleeps, see sleep.go
	fetching  bool   // it sleeps, but is awake to fetch what gathered
	erased    bool   // the store was told to forget it; guarded by order.handing
	feeding   bool   // retained messages are being fed by some turn
	origin    uint16 // protocol, version and listener, in Gateway.origins
	mount     uint16 // its mount point, in Gateway.mounts; never changes
	asking    uint16 // messages of the connection that are held, see Preparer
	connected uint32 // Unix seconds

	// credit is read without the lock by shared groups: how well the session
	// could take a message now.
	credit atomic.Uint32
	// recheck says that the identity came back from elsewhere than where it
	// subscribed: what its subscriptions cover is asked for each message anew.
	recheck atomic.Bool
	// stuffed says that there was no room for a message lately: whoever publishes asks
	// before it makes one.
	stuffed atomic.Bool
}

// Credits of a session, as shared groups see them.
const (
	creditNone    uint32 = iota // ended
	creditOffline               // durable and disconnected: can queue
	creditBusy                  // connected, window or outgoing full
	creditFree                  // connected, window free
)

// rare is the part of a session that few have at a time.
type rare struct {
	will        *Will
	grant       *Grant
	received    []receivedID // inbound QoS 2 identifiers not yet released
	acks        ackQueue
	replays     replays
	proxies     []proxied
	attachments []Attachment
	unread      []Attachment // of them, what was not read to its end before the start, see reading.go
	created     int64
	left        int64 // when the last connection ended, Unix milliseconds; 0 while connected
	willAt      int64
	keptWill    *Will // of the session: what a connection that brings none may go on with
	sleep       sleep
	endsAt      int64      // when the timer of the connection's identity is due, Unix milliseconds; 0 for none
	peer        netip.Addr // of the last connection, while disconnected

	registrations []Registration

	// Of durable sessions, see backlog.go:
	inStore    uint64    // the epoch that the store has when the puts under way are done
	confirmed  uint64    // the epoch that it has said to have
	putting    int       // puts under way
	stored     uint64    // the first sequence number that only the store holds, while spilled
	scattered  []uint64  // with priorities: messages that may have been sent, in order
	exempt     uint64    // messages below it may be under way: not dropped for newer ones
	trimmed    uint64    // those from exempt to here were, see overflow.go
	sent       uint64    // messages below it may have been sent on a former connection: DUP
	committing int       // changes of its queue whose commit is under way
	generation uint32    // of fetches: tells changes before one from those after
	fetch      *fetch    // being brought back from the store, or nil
	doomed     []uint64  // dropped while their commit was under way
	trimming   bool      // the oldest are being read, to be dropped
	restored   [2]uint64 // sequence numbers from one to another: EventRestored is due where they are read
	unsure     bool      // exempt is as far as it might be: nothing was read since the restart

	vetting bool // what waits is being asked about anew, see vet.go
}

// op begins an operation on the session's record.
func (s *Session) op(k OpKind) Op { return Op{Kind: k, Session: s.id, of: s} }

// packetOp is one about a Packet Identifier, or another number like it.
func (s *Session) packetOp(k OpKind, id uint16) Op {
	o := s.op(k)
	o.PacketID = id
	return o
}

// ID is the session's ClientID.
func (s *Session) ID() string { return s.id }

// rarely gives the rare part, made on demand.
func (s *Session) rarely() *rare {
	if s.more == nil {
		s.more = &rare{}
	}
	return s.more
}

// live says whether l still holds its session. With the session's lock held.
func (l Link) live() bool { return l.Session.epoch == l.Epoch && l.Session.conn != nil }

// conn is the connection of a link that still holds its session, else nil.
func (l Link) conn() Conn {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() {
		return nil
	}
	return s.conn
}

// unstored says that the store never had the session. With its lock held.
func (s *Session) unstored() bool { return s.durable && s.more.confirmed == 0 }

// isDurable says whether the session outlives its connection.
func (s *Session) isDurable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable
}

// noteCredit publishes how well the session could take a message.
func (s *Session) noteCredit(window int) {
	c := creditFree
	switch {
	case s.ended || (s.conn == nil && !s.durable):
		c = creditNone
	case s.away():
		c = creditOffline
	case s.ring != nil && (s.ring.inflight >= window || s.ring.waiting() > 0):
		c = creditBusy
	}
	if s.credit.Load() != c {
		s.credit.Store(c)
	}
}

// window is how many QoS 1 and 2 messages may be unacknowledged.
func (g *Gateway) window(s *Session) int { return min(int(s.recvMax), g.cfg.MaxInflight) }

// push puts d into the outbox and sees that the connection is woken. With the
// session's lock held and a connection present.
func (s *Session) push(t *Turn, d Delivery) {
	if s.box == nil {
		s.box = t.boxes.get()
	}
	s.box.push(d)
	s.wake(t)
}

func (s *Session) wake(t *Turn) {
	if s.ready && !s.dirty {
		s.dirty = true
		t.touch(s.conn)
	}
}

// Take moves at most max items of what l's connection shall send behind dst; more
// says that some are left. The adapter encodes and writes them at once: a QoS 0
// message counts as delivered from here. Called under the connection's outgoing
// lock, from Machine.Output.
func (g *Gateway) Take(t *Turn, l Link, dst []Delivery, max int) (out []Delivery, more bool) {
	s := l.Session
	s.mu.Lock()
	if !l.live() {
		s.mu.Unlock()
		return dst, false
	}
	s.dirty = false
	if s.box == nil {
		hungry := s.hungry()
		s.mu.Unlock()
		if hungry {
			g.feedRetained(t, s)
		}
		return dst, false
	}
	o := s.box
	from := len(dst)
	dst = o.take(dst, max)
	if more = o.len() > 0; more {
		s.dirty = true // the connection goes on by itself
	} else {
		s.box = nil
		t.boxes.put(o)
	}
	g.pump(t, s)
	hungry := s.hungry()
	s.mu.Unlock()
	g.countTaken(t, s, dst[from:])
	if hungry {
		g.feedRetained(t, s)
	}
	return dst, more
}

func (g *Gateway) countTaken(t *Turn, s *Session, ds []Delivery) {
	sent, done := uint64(0), uint64(0)
	told := g.sinks.kinds&EventDelivered != 0
	for i := range ds {
		if ds[i].Kind != DeliverMessage {
			continue
		}
		sent++
		if ds[i].QoS == 0 {
			done++
		}
		if told {
			g.note(t, EventDelivered, s, ds[i].Msg).QoS = ds[i].QoS
		}
	}
	t.Count(DeliveriesSent, sent)
	t.Count(Delivered, done)
}

// Drop says that the adapter could not send d, a message that Take gave: it is
// counted and explained under r, and its place in the window is freed as if the
// client had acknowledged it. [MQTT-3.1.2-25]
func (g *Gateway) Drop(t *Turn, l Link, d Delivery, r Reason) {
	if d.Kind != DeliverMessage {
		return
	}
	s := l.Session
	if d.QoS == 0 {
		// Take counted it as delivered; the ledger is put right here.
		t.counters.sub(Delivered, 1)
		g.lapseOrDrop(t, d.Msg, s.id, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() || s.ring == nil {
		return
	}
	c, seq := s.ring.find(d.PacketID)
	if c == nil || c.state != cellSent || c.msg != d.Msg {
		return
	}
	g.lapseOrDrop(t, d.Msg, s.id, r)
	s.noteSkipped(t, d.Msg, r)
	g.finish(t, s, c, seq)
}

// lapseOrDrop keeps expiry and drops apart in the ledger.
func (g *Gateway) lapseOrDrop(t *Turn, m *Message, clientID string, r Reason) {
	if r == MessageExpired {
		t.Count(Expired, 1)
		g.record(t, r, clientID, m)
		return
	}
	g.drop(t, m, clientID, r)
}
