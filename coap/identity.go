package coap

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"math"
	"strconv"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// identity is who a client said it is. The password is kept as its hash only.
type identity struct {
	clientID    string
	username    string
	hasUsername bool
	password    [sha256.Size]byte
	hasPassword bool
	token       string // that we gave it, or that it showed
	expiry      uint32 // Session Expiry Interval asked for, seconds
}

// identify reads the identity that a request shows. plain is the password itself.
func identify(q *request) (id identity, plain []byte) {
	id.clientID, _ = q.param("c", "clientid")
	id.username, id.hasUsername = q.param("u", "username")
	id.token, _ = q.param("t", "token")
	p, ok := q.param("p", "password")
	if id.hasPassword = ok; ok {
		plain = []byte(p)
		id.password = sha256.Sum256(plain)
	}
	return id, plain
}

// bare says that a request shows nothing of who sent it.
func (id *identity) bare() bool {
	return id.clientID == "" && !id.hasUsername && !id.hasPassword && id.token == ""
}

// shows says that o proves the same as id did: the same name and the same secret.
func (id *identity) shows(o *identity) bool {
	if o.clientID != id.clientID {
		return false
	}
	if o.token != "" {
		return id.token != "" && subtle.ConstantTimeCompare([]byte(o.token), []byte(id.token)) == 1
	}
	return o.username == id.username && o.hasUsername == id.hasUsername &&
		o.hasPassword == id.hasPassword && subtle.ConstantTimeCompare(o.password[:], id.password[:]) == 1
}

// identified says that the request may go on as the client that the machine is linked to.
// Otherwise it was answered, or it waits for core.
func (m *Machine) identified(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) bool {
	id, plain := identify(q)
	linked := m.link.Load() != nil
	switch {
	case at.surface == bridgeSurface && id.clientID == "" && !m.info.Secure && !m.who.bareOf(linked): // as EMQ X
		m.reply(t, a, x, failure(codes.BadRequest, "the query c=, the client id, is missing"))
		return false
	case linked && id.bare() && (m.info.Secure || m.who.bareOf(true)):
		return true // DTLS, or nothing to prove
	case linked && m.who.shows(&id):
		return m.longer(t, s, a, q, at)
	case id.token != "", at.surface == connection && q.code != codes.POST && q.code != codes.GET:
		m.refuse(t, core.BadCredentials, "an unknown token")
		m.reply(t, a, x, failure(codes.Unauthorized, "the token is not known here; POST /"+m.adapter.cfg.Bridge+"/connection gives one"))
		return false
	case linked && id.bare():
		m.reply(t, a, x, failure(codes.Unauthorized, "credentials are missing"))
		return false
	}
	m.leave(t, core.NormalDisconnect) // one address is one client at a time
	m.connect(t, s, a, q, at, id, plain)
	return false
}

// bareOf says that the client that is linked has nothing by which it could be told from
// others at its address.
func (id *identity) bareOf(linked bool) bool { return linked && id.bare() }

// longer begins the session anew where it is asked to outlive its connection and does
// not yet, unless something hangs on it.
func (m *Machine) longer(t *core.Turn, s *scratch, a *protocols.Actions, q *request, at place) bool {
	asked := wantedExpiry(q, at)
	if asked <= m.who.expiry || len(m.observations) > 0 || m.durable || len(m.pending) > 0 {
		return true
	}
	id, plain := identify(q)
	if id.token != "" { // that is no credential for core
		return true
	}
	m.leave(t, core.NormalDisconnect)
	m.connect(t, s, a, q, at, id, plain)
	return false
}

// wantedExpiry is the Session Expiry Interval that a request asks for. With a publication
// the parameter is the message's.
func wantedExpiry(q *request, at place) uint32 {
	if at.surface != connection && q.code != codes.GET {
		return 0
	}
	v, _ := q.param("expiry", "e")
	if v == "never" {
		return math.MaxUint32
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// connect asks core for the client's session. Its own lifetime is kept: a device that
// sends a value in passing does not end what waits for it elsewhere.
func (m *Machine) connect(t *core.Turn, s *scratch, a *protocols.Actions, q *request, at place, id identity, plain []byte) {
	id.expiry = wantedExpiry(q, at)
	r := &core.ConnectRequest{
		Conn:       m.conn,
		Protocol:   "coap",
		Version:    1,
		Listener:   m.listenerName(),
		Expiry:     id.expiry,
		KeepExpiry: true,
		KeepAlive:  uint16(min(m.adapter.cfg.KeepAlive/time.Second, math.MaxUint16)),
		// Observations are confirmed one by one.
		ReceiveMaximum: uint16(m.adapter.cfg.MaxInflight),
		Credentials: core.Credentials{
			ClientID:    cmp.Or(id.clientID, m.info.PSKIdentity), // a key is a device
			Username:    id.username,
			HasUsername: id.hasUsername,
			Password:    plain,
			HasPassword: id.hasPassword,
			Peer:        m.info.Peer,
			Listener:    m.listenerName(),
			Protocol:    "coap",
			Certificate: certificate(m.info),
			PSKIdentity: m.info.PSKIdentity,
		},
	}
	m.request = &id
	m.hold(s, q.asking(), forConnect)
	if res, pending := m.adapter.gw.Connect(t, r); !pending {
		m.connectDone(t, s, a, res)
	}
}

// certificate is the client's certificate if the handshake verified it.
func certificate(info *protocols.ConnInfo) *x509.Certificate {
	if info.TLS == nil || len(info.TLS.VerifiedChains) == 0 || len(info.TLS.PeerCertificates) == 0 {
		return nil
	}
	return info.TLS.PeerCertificates[0]
}

// connectDone takes core's answer, and goes on with the request that asked for it.
func (m *Machine) connectDone(t *core.Turn, s *scratch, a *protocols.Actions, res *core.ConnectResult) {
	m.waiting = forNothing
	if m.state == ended {
		// The peer went while core decided: undo what it granted.
		if res.Reason == core.Success {
			m.link.Store(&res.Link)
			if m.closed {
				m.leave(t, m.reason)
			}
		}
		return
	}
	if res.Reason != core.Success {
		m.refuseHeld(t, s, a, res)
		return
	}
	l := res.Link
	m.who, m.session = *m.request, res.ClientID
	m.keepAlive = int64(res.KeepAlive) * 1000
	m.durable = res.Expiry > 0
	m.request = nil
	m.link.Store(&l)
	m.subID = firstSubID + uint32(t.Now()/1000)%firstSubID
	a.Accepted = true
	if res.Vouched && m.who.hasPassword { // who forges addresses to harm others has none
		m.prove(a)
	}
	m.restore(t)
	m.adapter.gw.Resume(t, l)
	if q, ok := m.unhold(s); ok {
		m.serve(t, s, a, q, s.raw)
	}
}

// firstSubID is where our Subscription Identifiers begin, far above what MQTT clients
// choose: a session may have subscriptions of both.
const firstSubID = 1 << 27

// refuseHeld answers the request whose client core did not let in.
func (m *Machine) refuseHeld(t *core.Turn, s *scratch, a *protocols.Actions, res *core.ConnectResult) {
	m.request = nil
	if _, ok := m.unhold(s); !ok {
		return
	}
	r := m.refusal(res.Reason, res.Detail)
	if res.Reason == core.NotAuthorized { // of CONNECT: nobody vouches for it
		r.code = codes.Unauthorized // [CoAP-5.9.2-1]
	}
	m.reply(t, a, s.x, r)
}

// connection serves /mqtt/connection; the client is identified.
func (m *Machine) connection(t *core.Turn, a *protocols.Actions, q *request, x asking) {
	switch q.code {
	case codes.POST:
		m.who.token = rand.Text()[:16]
		r := answer(codes.Created)
		r.payload = []byte(m.who.token)
		m.reply(t, a, x, r)
	case codes.PUT: // the heartbeat
		m.reply(t, a, x, answer(codes.Changed))
	case codes.DELETE:
		m.leave(t, core.NormalDisconnect)
		m.reply(t, a, x, answer(codes.Deleted))
	}
}
