package core

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
)

// Authentication is what core keeps of a connection whose client named an
// authentication method: the method, and the exchange while one is under way. The
// adapter holds it as long as the connection and hands it to Gateway.Authenticate,
// one call at a time.
type Authentication struct {
	g        *Gateway
	method   Exchanger
	exchange Exchange // nil while none is under way
	steps    int      // taken by exchange
	deadline int64    // of exchange, Unix milliseconds
	final    []byte   // the last data of the exchange that let the client in

	conn    Conn
	request *ConnectRequest // until the client is let in
	client  Credentials     // afterwards, for exchanges to come; without its secrets
	link    Link
}

// beginAuthentication answers a Connect that names a method. It is never settled
// at once: a method may block.
func (g *Gateway) beginAuthentication(t *Turn, r *ConnectRequest) (res *ConnectResult, pending bool) {
	c := &r.Credentials
	m := g.chain.method(c.Method)
	if m == nil {
		// [MQTT-4.12.0-1]
		c.forget()
		return g.refuseConnect(t, r, Errorf(BadAuthenticationMethod, "authentication method %q is not offered; %s", c.Method, g.chain.offered())), false
	}
	data := c.Data
	// The method decides alone: no source is asked about a password beside it, and
	// nothing of it is kept.
	c.forget()
	a := &Authentication{g: g, method: m, conn: r.Conn, request: r}
	a.begin(t, c)
	return g.authenticateStep(t, a, data)
}

// method finds an authentication method by its exact name.
func (a *authChain) method(name string) Exchanger {
	for _, m := range a.methods {
		if m.Method() == name {
			return m
		}
	}
	return nil
}

// offered says which methods there are.
func (a *authChain) offered() string {
	if len(a.methods) == 0 {
		return "there are none"
	}
	names := make([]string, len(a.methods))
	for i, m := range a.methods {
		names[i] = m.Method()
	}
	return "there are " + strings.Join(names, ", ")
}

// Authenticate goes on with a client's authentication: data is what it says in the
// step it was asked for, or, with again, what begins the authentication anew on
// its open connection. pending means that the answer comes later, as OpConnect
// until the client is let in, then as OpAuthenticate. Of the result on an open
// connection only Reason, Detail, Continue and Data count. Every Reason but Success
// means that the connection must end; core has counted and explained it.
func (g *Gateway) Authenticate(t *Turn, a *Authentication, again bool, data []byte) (res *ConnectResult, pending bool) {
	switch {
	case again && a.request != nil:
		return a.refuse(t, Errorf(ProtocolError, "an authentication is repeated before the first has ended [4.12.1]")), false
	case again && a.exchange != nil:
		return a.refuse(t, Errorf(ProtocolError, "an authentication begins while one is under way [MQTT-4.12.0-3]")), false
	case !again && a.exchange == nil:
		return a.refuse(t, Errorf(ProtocolError, "a step of an authentication that nobody asked for [4.12.0]")), false
	case again:
		a.begin(t, &a.client)
	}
	return g.authenticateStep(t, a, data)
}

// begin makes a new exchange with its bounds.
func (a *Authentication) begin(t *Turn, c *Credentials) {
	a.exchange, a.steps = a.method.Begin(c), 0
	a.deadline = t.now + a.g.cfg.AuthExchangeTime.Milliseconds()
}

// authenticateStep has the method take data, unless the exchange is beyond its bounds.
func (g *Gateway) authenticateStep(t *Turn, a *Authentication, data []byte) (res *ConnectResult, pending bool) {
	a.steps++
	switch cfg := &g.cfg; {
	case len(data) > cfg.AuthExchangeBytes:
		return a.refuse(t, Errorf(NotAuthorized, "authentication data of more than %d bytes", cfg.AuthExchangeBytes)), false
	case a.steps > cfg.AuthExchangeSteps:
		return a.refuse(t, Errorf(NotAuthorized, "an authentication of more than %d steps", cfg.AuthExchangeSteps)), false
	case t.now > a.deadline:
		return a.refuse(t, Errorf(NotAuthorized, "an authentication that takes longer than %s", cfg.AuthExchangeTime)), false
	}
	w := &authStep{a: a, data: bytes.Clone(data)} // the adapter's bytes are gone when this call returns
	if !g.auths.submit(a.conn.Peer().Addr(), w.run) {
		return a.refuse(t, Errorf(ServerBusy, "too many authentications wait")), false
	}
	return nil, true
}

// authStep is one step of an exchange that waits for the method's answer.
type authStep struct {
	a    *Authentication
	data []byte
}

func (w *authStep) run(ctx context.Context) {
	g := w.a.g
	if r := w.a.request; r != nil && r.abandoned.Load() {
		g.done.call(func(t *Turn) { w.a.complete(t, w.a.refuse(t, leftEarly())) })
		return
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AuthTimeout)
	defer cancel()
	step, err := w.a.exchange.Step(ctx, w.data)
	g.done.call(func(t *Turn) { w.a.answered(t, &step, err) })
}

// answered takes the method's answer and completes the adapter's call.
func (a *Authentication) answered(t *Turn, step *Step, err error) {
	if e := a.fault(step, err); e != nil {
		a.complete(t, a.refuse(t, e))
		return
	}
	if step.Verdict == Ignore {
		a.complete(t, &ConnectResult{Continue: true, Data: step.Data, Authentication: a})
		return
	}
	a.exchange = nil
	if a.request != nil {
		a.final = step.Data
		a.request.auth = a
		if res, pending := a.g.enter(t, a.request, step.Grant); !pending {
			t.complete(a.conn, Completion{Op: OpConnect, Connect: res})
		}
		return
	}
	if e := a.g.renew(t, a, step.Grant); e != nil {
		a.complete(t, a.refuse(t, e))
		return
	}
	t.Count(Reauthentications, 1)
	a.complete(t, &ConnectResult{Data: step.Data, Authentication: a})
}

// fault says why an answer lets nobody in; nil for a step on the way and for success.
func (a *Authentication) fault(step *Step, err error) *Error {
	switch {
	case err != nil: // fails closed
		return &Error{Reason: AuthUnavailable, Detail: "identity source " + a.method.Name() + " cannot answer", Err: err}
	case step.Verdict == Ignore:
		return nil
	case step.Verdict == Allow && step.Grant != nil && step.Grant.Username != "":
		return nil
	case step.Verdict == Allow: // a proof of nobody is none
		return &Error{Reason: AuthUnavailable, Detail: "identity source " + a.method.Name() + " does not say who was authenticated"}
	case step.Reason == Success:
		return &Error{Reason: BadCredentials, Detail: step.Detail}
	}
	return &Error{Reason: step.Reason, Detail: step.Detail}
}

// complete hands res to the connection.
func (a *Authentication) complete(t *Turn, res *ConnectResult) {
	op := OpAuthenticate
	if a.request != nil {
		op = OpConnect
	}
	t.complete(a.conn, Completion{Op: op, Connect: res})
}

// refuse ends the exchange; the adapter ends the connection.
func (a *Authentication) refuse(t *Turn, err *Error) *ConnectResult {
	a.exchange = nil
	if a.request != nil {
		return a.g.refuseConnect(t, a.request, err)
	}
	detail := err.Detail
	if err.Err != nil {
		a.g.complain.renewals.log(a.g.log, slog.LevelWarn, t.now, "re-authentication refused", "client_id", a.client.ClientID, "listener", a.client.Listener, "reason", err.Reason.String(), "err", err)
		detail += ": " + err.Err.Error()
	}
	t.Count(ReauthenticationsRefused, 1)
	a.g.Refuse(t, Refusal{Reason: err.Reason, Listener: a.client.Listener, Peer: peerString(a.conn), ClientID: a.client.ClientID, Detail: "re-authentication: " + detail})
	return &ConnectResult{Reason: err.Reason, Detail: err.Detail, ClientID: a.client.ClientID}
}

// enter notes that the client was let in: what comes next is a re-authentication.
func (a *Authentication) enter(r *ConnectRequest, res *ConnectResult) {
	a.client = r.Credentials
	a.client.ClientID = res.ClientID
	a.link, a.request = res.Link, nil
	res.Authentication, res.Data = a, a.final
	a.final, r.auth = nil, nil
}

// renew puts the grant of a re-authentication in place of the connection's own. The
// session belongs to its user: nobody else may take the connection over by it.
func (g *Gateway) renew(t *Turn, a *Authentication, grant *Grant) *Error {
	s := a.link.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !a.link.live():
		return Errorf(SessionTakenOver, "the session was taken over meanwhile")
	case grant.Username != s.user:
		return Errorf(NotAuthorized, "a re-authentication must not change the user")
	case grant.ClientID != "" && grant.ClientID != s.id:
		return Errorf(NotAuthorized, "this identity may only use its own client id")
	}
	more := s.rarely()
	old := more.grant
	more.grant = grant
	g.watchIdentity(s)
	if sameRights(old, grant) {
		return nil
	}
	s.recheck.Store(true)
	g.chain.regrants.Add(1)
	if s.durable {
		t.commitAlone([]Op{g.putOp(s)}, nil)
	}
	return nil
}

// watchIdentity sees that the connection ends with its grant. There is one timer at
// most that counts, so that renewing often costs no memory: where the grant lasts longer
// than the timer, the timer goes on when it is due. With the session's lock held.
func (g *Gateway) watchIdentity(s *Session) {
	m := s.more
	at := m.grant.Expires
	if at > 0 && (m.endsAt == 0 || at < m.endsAt) {
		m.endsAt = at
		g.timers.add(at, timerIdentity, s, s.epoch)
	}
}

// identityDue takes the timer that was due at at. With the session's lock held and a
// connection present.
func (g *Gateway) identityDue(t *Turn, s *Session, at int64) {
	m := s.more
	if m == nil || m.grant == nil || m.endsAt != at {
		return // another took its place
	}
	m.endsAt = 0
	if ends := m.grant.Expires; ends > 0 && ends <= at {
		t.closeLater(s.conn, IdentityExpired)
		return
	}
	g.watchIdentity(s)
}
