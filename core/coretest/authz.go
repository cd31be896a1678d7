package coretest

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Protocol drives clients of one protocol, in one version, for the authorisation
// matrix. Whatever a client is told is checked by the driver, in the protocol's own
// words, written by hand.
type Protocol interface {
	// Name heads the protocol's column.
	Name() string
	// Lacks says that the protocol has no f, and why; "" if it has.
	Lacks(f Feature) (why string)
	// Open stands before a gateway, inside a synctest bubble. It ends with t.
	Open(t testing.TB, g *Gateway) Site
}

// RulesOf is what a Protocol implements whose gateways ask another source of rules than
// the list r: one that says the same.
type RulesOf interface {
	Rules(t testing.TB, r *Rights) core.Authorizer
}

// Site is where a protocol's clients connect.
type Site interface {
	// Dial makes a client's end of a connection on which nothing was said yet.
	Dial(from netip.AddrPort) Wire
	// Wait lets time pass, with all that is due.
	Wait(d time.Duration)
}

// Wire is one client's end of a connection. Each method returns when nothing is left
// to happen, and fails the test where the client is told anything but what want asks.
type Wire interface {
	// Connect says who is there. Except with Success the connection is over
	// afterwards. present is whether a session goes on.
	Connect(l Login, want core.Reason, present bool)
	// Subscribe asks for one filter, prefixes included.
	Subscribe(filter string, qos uint8, want core.Reason)
	// Publish sends a message and takes it through all its steps. A QoS 0 message
	// has no answer.
	Publish(p Post, want core.Reason)
	// Half sends a QoS 2 message, or sends it again, and leaves it there once it was
	// received.
	Half(p Post, again bool)
	// Take gives what came since, and acknowledges it to the last step if finish,
	// for as long as more comes.
	Take(finish bool) []Got
	// Receive acknowledges the first step of a QoS 2 delivery, and takes the second
	// without acknowledging it.
	Receive(g Got)
	// Ended checks that the gateway has ended the connection, for why.
	Ended(why core.Reason)
	// Lose breaks the connection as a network does.
	Lose()
}

// Sleeper is a Wire whose protocol has sleep. It has Sleeps.
type Sleeper interface {
	// Sleep begins sleep, for a minute at most at a time.
	Sleep()
	// Wake asks for what gathered; Take gives it.
	Wake()
}

// Willing is a Wire whose client may change its Will. It has WillUpdates.
type Willing interface {
	// ChangeWill puts the Will on another topic, with the payload it had.
	ChangeWill(topic string, want core.Reason)
}

// Stranger is a Wire on which something may be published without a connection, at QoS 0.
// It has Unconnected.
type Stranger interface {
	// Shout publishes. Nobody is answered.
	Shout(topic, payload string)
}

// Reader is a Wire whose client may ask for a retained message. It has Reads.
type Reader interface {
	// Read gives the payload of a topic's retained message.
	Read(topic string, want core.Reason) (payload string)
}

// Feature is something that not every protocol has.
type Feature string

// The features that rows of the matrix need.
const (
	Aliases   Feature = "topic aliases"
	WillDelay Feature = "delayed Wills"
	Resumes   Feature = "sessions that outlive their connection"
	QoS2      Feature = "QoS 2"
	Passwords Feature = "user names and passwords"
	Wills     Feature = "Wills"
	Claims    Feature = "rules that come with the identity"
	BadRules  Feature = "rules that cannot be read"
	Sleeps    Feature = "sleep"
	Reads     Feature = "reading of retained messages"
	TellTopic Feature = "messages that tell their topic"
	Unasked   Feature = "messages that the client did not ask for"
	Ordered   Feature = "one order of the messages of several subscriptions"

	WillUpdates Feature = "Wills that may be changed"
	WillLasts   Feature = "Wills that last with the session"
	Unconnected Feature = "messages without a connection"
)

// Login is what a client says of itself as it connects.
type Login struct {
	ClientID, Username, Password string // no Username: none is sent
	Kept                         bool   // the session goes on and outlives the connection, for an hour at least
	Will                         *core.Will
}

// Post is a message on its way in.
type Post struct {
	Topic, Payload string
	QoS            uint8
	Retain         bool
	Alias          uint16 // 0 for none; with one the Topic may be empty
}

// Got is what a client received: a message, or the release of one of QoS 2.
type Got struct {
	Topic, Payload string
	QoS            uint8
	ID             uint16
	Released       bool
}

// String gives it as rows of the matrix write it.
func (g Got) String() string {
	if g.Released {
		return "release"
	}
	return g.Topic + "=" + g.Payload
}

// AuthzTally counts the cells of a matrix.
type AuthzTally struct {
	Rows, Cells, Passed int
	lines               []string
}

// authzRow is one path on which a message or a client may get somewhere.
type authzRow struct {
	path  string
	needs []Feature
	set   func(*core.Options)
	run   func(w *authzWorld)
}

// RunAuthz runs the authorisation matrix: every path of the table, allowed and
// denied, by every protocol. A cell shows what the client is told; that a denied
// message comes to nobody and an allowed one arrives; and that what was refused has
// its counter and its explain record, and nothing else has.
func RunAuthz(t *testing.T, protocols ...Protocol) AuthzTally {
	var tally AuthzTally
	for _, row := range authzRows() {
		tally.Rows++
		line := fmt.Sprintf("%-62s", row.path)
		for _, p := range protocols {
			line += " " + tally.pair(t, &row, p)
		}
		tally.lines = append(tally.lines, line)
	}
	head := fmt.Sprintf("%-62s", "allowed and denied")
	for _, p := range protocols {
		head += fmt.Sprintf(" %-9s", p.Name())
	}
	t.Logf("\n%s\n%s", head, strings.Join(tally.lines, "\n"))
	t.Logf("authorisation matrix: %d cells, %d passed (%d paths)", tally.Cells, tally.Passed, tally.Rows)
	return tally
}

// pair runs both cells of one row and one protocol.
func (a *AuthzTally) pair(t *testing.T, row *authzRow, p Protocol) string {
	for _, f := range row.needs {
		if p.Lacks(f) != "" {
			return fmt.Sprintf("%-9s", "-")
		}
	}
	mark := ""
	for _, allow := range []bool{true, false} {
		name := map[bool]string{true: "allow", false: "deny"}[allow]
		a.Cells++
		ok := t.Run(row.path+"/"+name+"/"+p.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newAuthzWorld(t, row, p, allow).play() })
		})
		if ok {
			a.Passed++
			mark += " ok"
		} else {
			mark += " FAILED"
		}
	}
	return fmt.Sprintf("%-9s", mark[1:])
}

// authzWorld is one cell being played.
type authzWorld struct {
	t      *testing.T
	p      Protocol
	row    *authzRow
	allow  bool
	rights *Rights
	users  *Users
	door   *doorman
	store  *MemStore
	life   *storeLife
	gw     *Gateway
	site   Site
	named  map[string]int // refusals that the row has named
}

func newAuthzWorld(t *testing.T, row *authzRow, p Protocol, allow bool) *authzWorld {
	return &authzWorld{t: t, p: p, row: row, allow: allow, rights: &Rights{}, users: &Users{}, door: &doorman{}, store: NewMemStore()}
}

func (w *authzWorld) play() {
	w.start()
	w.row.run(w)
	w.judge()
}

// start runs a gateway on what the store holds.
func (w *authzWorld) start() {
	w.life = &storeLife{Store: w.store}
	w.named = map[string]int{}
	var rules core.Authorizer = w.rights
	if p, ok := w.p.(RulesOf); ok {
		rules = p.Rules(w.t, w.rights)
	}
	w.gw = Start(w.t, w.store, func(o *core.Options) {
		o.Store, o.Authorizers, o.Authenticators = w.life, []core.Authorizer{rules}, []core.Authenticator{w.users, w.door}
		if w.row.set != nil {
			w.row.set(o)
		}
	})
	w.site = w.p.Open(w.t, w.gw)
}

// restart kills the gateway and starts another on what was committed.
func (w *authzWorld) restart() {
	w.judge()
	w.life.end()
	w.start()
}

// judge looks for refusals that the row has not named, and for what it named and did
// not happen.
func (w *authzWorld) judge() {
	w.t.Helper()
	synctest.Wait()
	s := w.gw.Stats()
	got := map[string]int{}
	for _, r := range []core.Reason{core.BadCredentials, core.BadAuthenticationMethod, core.NotAuthorized, core.Banned,
		core.AuthUnavailable, core.DeliverNotAuthorized, core.WillNotAuthorized, core.ClientIDNotValid} {
		if n := s.Reasons[r]; n > 0 {
			got[r.String()] = int(n)
		}
	}
	if g, n := listOf(got), listOf(w.named); g != n {
		w.t.Errorf("refusals counted: %s; the row names: %s; records: %v", g, n, w.gw.Explain(20, func(*core.Record) bool { return true }))
	}
	queued := 0
	w.gw.Clients(func(c core.ClientInfo) bool { queued += c.Queued; return true })
	if s.Pending() != int64(queued) {
		w.t.Errorf("the ledger has %d pending, the sessions hold %d", s.Pending(), queued)
	}
}

func listOf(m map[string]int) string {
	var out []string
	for k, n := range m {
		out = append(out, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

// refused says that in the denied cell who was refused for r, n times in all: there
// are as many records of it that speak of about.
func (w *authzWorld) refused(n int, r core.Reason, who, about string) {
	w.t.Helper()
	if w.allow {
		return
	}
	synctest.Wait()
	w.named[r.String()] += n
	records := w.gw.Explain(1000, func(k *core.Record) bool {
		return k.Reason == r && k.ClientID == who && (k.Topic == about || strings.Contains(k.Detail, about))
	})
	if len(records) != n {
		w.t.Errorf("%d explain records of %s for %s about %q, want %d", len(records), r, who, about, n)
	}
}

// want is the answer in the denied cell; in the other it is Success.
func (w *authzWorld) want(r core.Reason) core.Reason {
	if w.allow {
		return core.Success
	}
	return r
}

// grant gives the right that the row is about, in the allowed cell only.
func (w *authzWorld) grant(who string, a core.Action, filters ...string) {
	if w.allow {
		w.rights.Allow(who, a, filters...)
	}
}

// revoke takes it away again, in the denied cell; in the other the rules change as
// well, and this right stays.
func (w *authzWorld) revoke(who, filter string) {
	if w.allow {
		w.rights.Reload()
		return
	}
	w.rights.Revoke(who, filter)
}

// withhold lets nothing of filter through to who, in the denied cell.
func (w *authzWorld) withhold(who, filter string) {
	if !w.allow {
		w.rights.Withhold(who, filter)
	}
}

// authzPeer is one client.
type authzPeer struct {
	Wire
	w *authzWorld
}

// Where clients come from, and where some come from later.
var (
	home = netip.MustParseAddrPort("127.0.0.1:4000")
	away = netip.MustParseAddrPort("192.0.2.9:9")
)

func (w *authzWorld) dial() *authzPeer { return &authzPeer{w.site.Dial(home), w} }

// client is connected with a session that ends with the connection.
func (w *authzWorld) client(id string) *authzPeer {
	w.t.Helper()
	c := w.dial()
	c.Connect(Login{ClientID: id}, core.Success, false)
	return c
}

// kept is connected with a session that stays.
func (w *authzWorld) kept(id string, present bool) *authzPeer {
	w.t.Helper()
	c := w.dial()
	c.Connect(Login{ClientID: id, Kept: true}, core.Success, present)
	return c
}

// watch sees whatever filter matches; publisher may publish whatever it likes.
func (w *authzWorld) watch(filter string) *authzPeer {
	w.t.Helper()
	w.rights.Allow("w1", core.ActionSubscribe, filter)
	c := w.client("w1")
	c.Subscribe(filter, 2, core.Success)
	return c
}

func (w *authzWorld) publisher() *authzPeer {
	w.t.Helper()
	w.rights.Allow("p1", core.ActionPublish, "#", "$SYS/#")
	return w.client("p1")
}

// gets takes everything that came and completes it.
func (c *authzPeer) gets(want string) {
	c.w.t.Helper()
	var got []string
	for _, g := range c.Take(true) {
		got = append(got, g.String())
	}
	if s := c.w.told(strings.Join(got, " ")); s != c.w.told(want) {
		c.w.t.Errorf("received %q, want %q", s, c.w.told(want))
	}
}

// told is what a client makes of these messages: some protocols do not tell their topic,
// or keep the order of each subscription's only.
func (w *authzWorld) told(messages string) string {
	words := strings.Split(messages, " ")
	for i, m := range words {
		if _, payload, ok := strings.Cut(m, "="); ok && w.p.Lacks(TellTopic) != "" {
			words[i] = "=" + payload
		}
	}
	if w.p.Lacks(Ordered) != "" {
		sort.Strings(words)
	}
	return strings.Join(words, " ")
}

// should get what is allowed, and nothing in the denied cell.
func (c *authzPeer) should(get string) {
	c.w.t.Helper()
	if !c.w.allow {
		get = ""
	}
	c.gets(get)
}
