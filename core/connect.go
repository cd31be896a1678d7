package core

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"time"
)

// NeverExpires is the Session Expiry Interval of a session without end.
const NeverExpires = math.MaxUint32

// Connect begins a client's connection: identity, ClientID, session, takeover.
// It answers at once, or pending: then r.Conn gets OpConnect, and nothing else of
// the client may be handed to core before. After Success the adapter queues its
// CONNACK and calls Resume.
func (g *Gateway) Connect(t *Turn, r *ConnectRequest) (res *ConnectResult, pending bool) {
	err := g.checkConnect(r)
	if err == nil {
		err = g.checkBan(t, r.Credentials.ClientID, r.Credentials.Username, peerAddr(r.Conn))
	}
	if err != nil {
		r.Credentials.forget()
		r.Will = nil
		return g.refuseConnect(t, r, err), false
	}
	t.ownWill(r)
	if r.Credentials.Method != "" {
		return g.beginAuthentication(t, r)
	}
	if g.chain.immediate(&r.Credentials) {
		return g.admit(t, r)
	}
	if grant := g.chain.recall(&r.Credentials); grant != nil {
		r.Credentials.forget()
		return g.enter(t, r, grant)
	}
	a := &admission{g: g, r: r}
	// The adapter's bytes are gone when this call returns.
	r.Credentials.Password, r.Credentials.Data = g.chain.password(r.Credentials.Password), nil
	if !g.auths.submit(r.Conn.Peer().Addr(), a.run) {
		r.Credentials.forget()
		return g.refuseConnect(t, r, Errorf(ServerBusy, "too many authentications wait")), false
	}
	return nil, true
}

// forget lets go of the secrets: they were looked at, or nobody needs them.
func (c *Credentials) forget() { c.Password, c.Data = nil, nil }

// Abandon says that the client of a Connect that is pending has left: what was not
// begun for it need not be done. OpConnect comes all the same. Any goroutine.
func (r *ConnectRequest) Abandon() { r.abandoned.Store(true) }

func leftEarly() *Error {
	return Errorf(ConnectionLost, "the client left before its credentials were looked at")
}

func (g *Gateway) checkConnect(r *ConnectRequest) *Error {
	switch c := &r.Credentials; {
	case g.stopping.Load():
		return Errorf(ServerShuttingDown, "the gateway is shutting down")
	case len(c.ClientID) > g.cfg.MaxClientIDLength:
		return Errorf(ClientIDNotValid, "the client id is longer than %d bytes", g.cfg.MaxClientIDLength)
	case g.clients.count.Load() >= int64(g.cfg.MaxSessions) && g.clients.get(c.ClientID) == nil:
		return Errorf(ServerBusy, "no more than %d sessions are allowed", g.cfg.MaxSessions)
	case r.Will != nil && g.beyondLimits(r.Will.Topic):
		return Errorf(TopicNameInvalid, "the will topic is longer than %d bytes or deeper than %d levels", g.cfg.MaxTopicLength, g.cfg.MaxTopicLevels)
	}
	return nil
}

// admission is a Connect that waits for the identity sources.
type admission struct {
	g *Gateway
	r *ConnectRequest
}

func (a *admission) run(ctx context.Context) {
	if a.r.abandoned.Load() {
		a.g.done.call(func(t *Turn) {
			t.complete(a.r.Conn, Completion{Op: OpConnect, Connect: a.g.refuseConnect(t, a.r, leftEarly())})
		})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.g.cfg.AuthTimeout)
	defer cancel()
	grant, err := a.g.chain.authenticate(ctx, &a.r.Credentials)
	a.g.done.call(func(t *Turn) {
		var res *ConnectResult
		pending := false
		if err != nil {
			res = a.g.refuseConnect(t, a.r, err)
		} else {
			res, pending = a.g.enter(t, a.r, grant)
		}
		if !pending {
			t.complete(a.r.Conn, Completion{Op: OpConnect, Connect: res})
		}
	})
}

// admit authenticates where that cannot block.
func (g *Gateway) admit(t *Turn, r *ConnectRequest) (*ConnectResult, bool) {
	grant, err := g.chain.authenticate(context.Background(), &r.Credentials)
	r.Credentials.forget()
	if err != nil {
		return g.refuseConnect(t, r, err), false
	}
	return g.enter(t, r, grant)
}

// enter gives an authenticated client its session.
func (g *Gateway) enter(t *Turn, r *ConnectRequest, grant *Grant) (*ConnectResult, bool) {
	c := &r.Credentials
	res := &ConnectResult{ClientID: c.ClientID, KeepAlive: g.KeepAlive(r.KeepAlive), Expiry: g.expiry(r.Expiry), ReceiveMaximum: g.cfg.ReceiveMaximum}
	if grant != nil && grant.ClientID != "" {
		// [MQTT-3.1.3-8]: bound before any look-up
		if c.ClientID != "" && c.ClientID != grant.ClientID {
			return g.refuseConnect(t, r, Errorf(ClientIDNotValid, "this identity may only use its own client id")), false
		}
		res.ClientID = grant.ClientID
	}
	if res.ClientID == "" {
		res.ClientID, res.Assigned = "fairlead-"+rand.Text()[:20], true // [MQTT-3.1.3-6]
	}
	user := "" // a name that nobody vouched for is none
	if res.Vouched = grant != nil; res.Vouched {
		user = cmp.Or(grant.Username, c.Username)
	}
	who := placer{id: res.ClientID, user: user}
	err := g.mounts.check(r.Listener, &who)
	will, willTopic := r.Will, ""
	if err == nil && will != nil {
		will, willTopic, err = g.placeWill(&who, will)
	}
	if err != nil {
		return g.refuseConnect(t, r, err), false
	}
	id := Identity{ClientID: res.ClientID, Username: user, Listener: r.Listener, Peer: peerAddr(r.Conn), Grant: grant}
	if g.holdConnect(t, r, grant, &id, willTopic) {
		return nil, true
	}
	r.Will = will
	if r.Will != nil && !g.mayLeaveWill(r, willTopic, res.ClientID, user, grant) {
		// Before the session is touched: who is refused changes nothing.
		return g.refuseConnect(t, r, Errorf(NotAuthorized, "the will topic is not allowed")), false
	}
	if err := g.checkBan(t, res.ClientID, user, peerAddr(r.Conn)); err != nil {
		return g.refuseConnect(t, r, err), false
	}
	if len(g.sources) > 0 && !r.Awakes {
		return g.lookUp(t, r, res, user, grant)
	}
	return g.enterFound(t, r, res, user, grant)
}

// enterFound gives the client its session once its subscriptions are known.
func (g *Gateway) enterFound(t *Turn, r *ConnectRequest, res *ConnectResult, user string, grant *Grant) (*ConnectResult, bool) {
	if g.peers != nil {
		g.own(r, res, user, grant)
		return nil, true
	}
	return g.enterOwned(t, r, res, user, grant)
}

// own asks the cluster for the ClientID first: one owner, whatever the node.
func (g *Gateway) own(r *ConnectRequest, res *ConnectResult, user string, grant *Grant) {
	g.peers.Own(res.ClientID, res.Expiry > 0, func(_ uint64, err error) {
		g.done.call(func(t *Turn) {
			pending := false
			if err != nil {
				res = g.refuseConnect(t, r, &Error{Reason: ServerUnavailable, Detail: "the cluster cannot give this client id", Err: err})
			} else {
				res, pending = g.enterOwned(t, r, res, user, grant)
			}
			if !pending {
				t.complete(r.Conn, Completion{Op: OpConnect, Connect: res})
			}
		})
	})
}

// enterOwned gives the client its session on this node.
func (g *Gateway) enterOwned(t *Turn, r *ConnectRequest, res *ConnectResult, user string, grant *Grant) (*ConnectResult, bool) {
	ops, err := g.takeSession(t, r, res, user, grant)
	if err != nil {
		return g.refuseConnect(t, r, err), false
	}
	// Again, for a ban that was made just now did not find the connection.
	if g.checkBan(t, res.ClientID, user, peerAddr(r.Conn)) != nil {
		t.closeLater(r.Conn, Banned)
	}
	proxies, more := g.subscribeProxies(t, res.Link, r)
	if ops = append(ops, more...); len(ops) == 0 {
		g.entered(t, r, res, proxies)
		return res, false
	}
	t.commitAlone(ops, &entering{g: g, r: r, res: res, proxies: proxies})
	return nil, true
}

// entering is a Connect that waits for the store.
type entering struct {
	g   *Gateway
	r   *ConnectRequest
	res *ConnectResult

	proxies *subscribing // what is subscribed for it, or nil
	again   bool         // it was put once more
}

func (e *entering) committed(t *Turn, err error) {
	if errors.Is(err, ErrConflict) && e.replace(t) {
		return
	}
	res := e.res
	if reason := storeReason(err); reason != Success {
		if e.proxies != nil {
			e.proxies.giveUp()
		}
		e.g.leave(t, res.Link)
		res = e.g.refuseConnect(t, e.r, &Error{Reason: reason, Detail: "the session cannot be stored", Err: err})
	} else {
		e.g.entered(t, e.r, res, e.proxies)
	}
	t.complete(e.r.Conn, Completion{Op: OpConnect, Connect: res})
}

// replace stores a new session once more, and in the place of what the store has: it could
// not be told that the client's former session had ended. false: that is not the fault.
func (e *entering) replace(t *Turn) bool {
	s := e.res.Link.Session
	s.mu.Lock()
	if e.again || !e.res.Link.live() || !s.unstored() {
		s.mu.Unlock()
		return false
	}
	e.again = true
	former := (&Session{id: s.id}).op(OpDeleteSession)
	former.ticket = t.g.order.take(s.id)
	ops := []Op{former, t.g.putOp(s)}
	s.mu.Unlock()
	if e.proxies != nil {
		ops = append(ops, e.proxies.proxyOps()...)
	}
	t.commitAlone(ops, e)
	return true
}

func (g *Gateway) entered(t *Turn, r *ConnectRequest, res *ConnectResult, proxies *subscribing) {
	if r.auth != nil {
		r.auth.enter(r, res)
	}
	t.Count(Connects, 1)
	if e := g.note(t, EventConnected, res.Link.Session, nil); e != nil {
		e.Peer = peerAddr(r.Conn)
	}
	if proxies != nil {
		proxies.settle(t)
	}
}

func (g *Gateway) refuseConnect(t *Turn, r *ConnectRequest, err *Error) *ConnectResult {
	t.Count(ConnectsRefused, 1)
	detail := err.Detail
	if err.Err != nil {
		if err.Reason != BadCredentials { // which is the client's fault, not the gateway's
			g.complain.connects.log(g.log, slog.LevelWarn, t.now, "connect refused", "client_id", r.Credentials.ClientID, "listener", r.Listener, "reason", err.Reason.String(), "err", err)
		}
		detail += ": " + err.Err.Error()
	}
	g.Refuse(t, Refusal{Reason: err.Reason, Listener: r.Listener, Peer: peerString(r.Conn), ClientID: r.Credentials.ClientID, Detail: detail})
	return &ConnectResult{Reason: err.Reason, Detail: err.Detail, ClientID: r.Credentials.ClientID}
}

func peerAddr(c Conn) netip.Addr {
	if c == nil {
		return netip.Addr{}
	}
	return c.Peer().Addr()
}

func peerString(c Conn) string {
	if c == nil || !c.Peer().IsValid() {
		return ""
	}
	return c.Peer().String()
}

// KeepAlive is the keep-alive that holds for a client that asks for so many seconds; 0 is
// none. [MQTT-3.2.2-21]
func (g *Gateway) KeepAlive(asked uint16) uint16 {
	if g.cfg.ServerKeepAlive > 0 {
		return uint16(min(g.cfg.ServerKeepAlive/time.Second, math.MaxUint16))
	}
	if most := g.cfg.MaxKeepAlive; most > 0 && (asked == 0 || time.Duration(asked)*time.Second > most) {
		return uint16(min(most/time.Second, math.MaxUint16))
	}
	return asked
}

// expiry is the Session Expiry Interval granted.
func (g *Gateway) expiry(asked uint32) uint32 {
	if most := g.cfg.MaxSessionExpiry; most > 0 {
		return uint32(min(int64(asked), int64(most/time.Second)))
	}
	return asked
}

// takeSession finds or makes the session, ends what it replaces, and attaches
// the connection. ops is what the store must know before the client is told.
func (g *Gateway) takeSession(t *Turn, r *ConnectRequest, res *ConnectResult, user string, grant *Grant) ([]Op, *Error) {
	mount := g.mounts.ofListener[r.Listener] // enter saw to it that it can be this client's
	for {
		old := g.clients.get(res.ClientID)
		if old != nil && old.user != user {
			return nil, Errorf(NotAuthorized, "the client id belongs to another user")
		}
		if r.Awakes {
			return g.awaken(t, old, r, res, grant)
		}
		if old != nil && !r.CleanStart {
			if err := g.mayResume(old, mount); err != nil {
				return nil, err
			}
			if ops, ok := g.resumeSession(t, old, r, res, grant); ok {
				return ops, nil
			}
		}
		if old == nil && !g.clients.users.add(user, false) {
			return nil, Errorf(QuotaExceeded, "no more than %d sessions of one user are allowed", g.cfg.MaxSessionsPerUser)
		}
		// [MQTT-3.1.2-4] Clean Start, or nothing to resume: a new session.
		s := &Session{id: res.ClientID, user: user, mount: mount}
		var ops []Op
		if old != nil {
			var ok bool
			if ops, ok = g.endSession(t, old, SessionTakenOver, true, 0); !ok {
				runtime.Gosched() // somebody else is about to replace it
				continue
			}
			// Never the same numbers twice for one ClientID.
			s.epoch, s.seq = old.epoch, old.seq
		}
		ops = append(ops, g.begin(t, s, r, res, grant)...)
		if !g.clients.swap(res.ClientID, old, s) {
			t.giveBack(ops)
			g.discard(t, s)
			if old == nil {
				g.clients.users.remove(user)
			}
			continue // somebody else was quicker
		}
		return ops, nil
	}
}

// discard forgets a new session that nobody found.
func (g *Gateway) discard(t *Turn, s *Session) {
	s.mu.Lock()
	s.ended, s.conn = true, nil
	s.mu.Unlock()
	g.subs.leave(g.routes, s, nil)
	t.Count(SessionsEnded, 1)
}

// begin attaches r to a new session, before anyone can find it.
func (g *Gateway) begin(t *Turn, s *Session, r *ConnectRequest, res *ConnectResult, grant *Grant) (ops []Op) {
	t.Count(SessionsCreated, 1)
	g.note(t, EventSessionCreated, s, nil)
	g.subs.enter(g.routes, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.attach(t, s, r, res, grant)
	if s.durable {
		s.more.created = t.now
		ops = append(ops, g.putOp(s))
	}
	return ops
}

// resumeSession attaches r to a session that may go on. ok is false when it
// ended meanwhile or was never to outlive its connection.
func (g *Gateway) resumeSession(t *Turn, s *Session, r *ConnectRequest, res *ConnectResult, grant *Grant) (ops []Op, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.durable {
		return nil, false
	}
	if s.conn != nil {
		t.Count(Takeovers, 1)
		// [MQTT-3.1.4-3]: a Will without delay is sent, one with delay is not:
		// the client is back.
		if s.more.sleep.seconds == 0 {
			g.willOnTakeover(t, s)
		}
		g.detach(t, s, SessionTakenOver)
	}
	res.SessionPresent = true // [MQTT-3.2.2-3]
	if r.KeepExpiry {
		res.Expiry = max(res.Expiry, s.expiry)
	}
	from, peer, granted := s.origin, s.more.peer, s.more.grant
	g.attach(t, s, r, res, grant)
	if s.origin != from || s.more.peer != peer || !sameRights(granted, grant) {
		s.recheck.Store(true)
	}
	return []Op{g.putOp(s)}, true
}

// sameRights says whether two grants let the same through.
func sameRights(a, b *Grant) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Superuser == b.Superuser && a.ACL == nil && b.ACL == nil
}

// attach makes r's connection the session's. With the session's lock held.
func (g *Gateway) attach(t *Turn, s *Session, r *ConnectRequest, res *ConnectResult, grant *Grant) {
	s.epoch++
	s.conn = r.Conn
	s.ready, s.dirty, s.paused, s.asking = false, false, false, 0
	s.asleep, s.fetching = false, false
	s.durable = s.durable || res.Expiry > 0
	s.expiry = res.Expiry
	s.recvMax = r.ReceiveMaximum
	if s.recvMax == 0 {
		s.recvMax = math.MaxUint16
	}
	s.origin = g.originOf(r)
	s.connected = uint32(t.now / 1000)
	if s.durable || r.Will != nil || grant != nil || s.more != nil {
		m := s.rarely()
		m.grant, m.left, m.willAt = grant, 0, 0
		m.beginWill(r, s.durable)
		m.peer, m.sleep = r.Conn.Peer().Addr(), sleep{port: r.Conn.Peer().Port()}
		res.Registrations = slices.Clone(m.registrations)
		m.acks = ackQueue{first: m.acks.first + uint64(len(m.acks.slots))}
	}
	res.Link = Link{Session: s, Epoch: s.epoch}
	if grant != nil {
		s.more.endsAt = 0 // that one was a former connection's
		g.watchIdentity(s)
	}
	s.noteCredit(g.window(s))
}

// Resume lets messages flow: the adapter has queued its CONNACK. What a former
// connection left unacknowledged goes first. [MQTT-4.4.0-1]
func (g *Gateway) Resume(t *Turn, l Link) {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() {
		return
	}
	s.ready = true
	if s.box != nil {
		s.wake(t)
	}
	g.pump(t, s)
}

// recordLocked is the session as the store keeps it.
func (g *Gateway) recordLocked(s *Session) *SessionRecord {
	r := &SessionRecord{ClientID: s.id, Username: s.user, Epoch: s.epoch, Expiry: s.expiry, Mount: g.mounts.list[s.mount].template}
	o := g.origins.get(s.origin)
	r.Protocol, r.Version, r.Listener = o.protocol, o.version, o.listener
	if m := s.more; m != nil {
		r.Peer, r.Superuser = m.peer, m.grant != nil && m.grant.Superuser
		r.Created, r.Disconnected, r.Will, r.WillAt = m.created, m.left, m.will, m.willAt
		r.KeptWill, r.Asleep, r.Port = m.keptWill, m.sleep.seconds, m.sleep.port
	}
	return r
}
