package mqtt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// recorder is a gateway whose answers the test sets and whose calls it reads.
type recorder struct {
	calls []string

	connect        core.ConnectResult
	connectPending bool
	request        *core.ConnectRequest

	auths       []core.ConnectResult // answers to Authenticate, one a call
	authPending bool
	authAsked   bool

	publishPause bool
	publishErr   *core.Error
	publishWork  []int // units of one after the other
	published    []core.Publish

	granted     []uint8
	reasons     []core.Reason
	subPending  bool
	subscribed  []core.SubscribeRequest
	unreasons   []core.Reason
	deliveries  []core.Delivery
	dropped     []core.Reason
	refusals    []core.Refusal
	disconnects []core.Reason
	expiry      *uint32
}

func (r *recorder) note(format string, a ...any) {
	r.calls = append(r.calls, fmt.Sprintf(format, a...))
}

func (r *recorder) Connect(_ *core.Turn, q *core.ConnectRequest) (*core.ConnectResult, bool) {
	r.note("connect %s", q.Credentials.ClientID)
	c := &q.Credentials // core takes the adapter's bytes away
	c.Password, c.Data = bytes.Clone(c.Password), bytes.Clone(c.Data)
	if w := q.Will; w != nil && q.BorrowedWill {
		w.Topic, w.Payload, q.BorrowedWill = strings.Clone(w.Topic), bytes.Clone(w.Payload), false
	}
	r.request = q
	if r.connectPending {
		return nil, true
	}
	return r.result(q), false
}

// result is the scripted answer, granting what was asked where it says nothing.
func (r *recorder) result(q *core.ConnectRequest) *core.ConnectResult {
	res := r.connect
	if res.ClientID == "" {
		res.ClientID = q.Credentials.ClientID
	}
	if res.Expiry == 0 {
		res.Expiry = q.Expiry
	}
	if res.KeepAlive == 0 {
		res.KeepAlive = q.KeepAlive
	}
	if res.Reason == core.Success {
		res.Link = core.Link{Session: &core.Session{}, Epoch: 1}
	}
	return &res
}

func (r *recorder) Authenticate(_ *core.Turn, a *core.Authentication, again bool, data []byte) (*core.ConnectResult, bool) {
	r.note("authenticate %v %q", again, data)
	r.authAsked = true
	if r.authPending {
		return nil, true
	}
	return r.nextAuth(), false
}

func (r *recorder) nextAuth() *core.ConnectResult {
	if len(r.auths) == 0 {
		return &core.ConnectResult{Reason: core.NotAuthorized}
	}
	res := r.auths[0]
	r.auths = r.auths[1:]
	return &res
}

func (r *recorder) Resume(*core.Turn, core.Link) { r.note("resume") }

func (r *recorder) Publish(t *core.Turn, _ core.Link, p *core.Publish) (bool, *core.Error) {
	if n := len(r.published); n < len(r.publishWork) {
		t.Spend(r.publishWork[n])
	}
	r.note("publish %s %d", p.Topic, p.QoS)
	c := *p
	c.Topic, c.Borrowed, c.Payload, c.Search = strings.Clone(p.Topic), false, bytes.Clone(p.Payload), nil
	if p.Later != nil {
		c.Properties, c.Later = p.Later.Properties(), nil
	}
	r.published = append(r.published, c)
	return r.publishPause, r.publishErr
}

func (r *recorder) Subscribe(_ *core.Turn, _ core.Link, q *core.SubscribeRequest) ([]uint8, []core.Reason, bool) {
	r.note("subscribe %d", len(q.Filters))
	c := *q
	c.Filters = slices.Clone(q.Filters)
	r.subscribed = append(r.subscribed, c)
	if r.subPending {
		return nil, nil, true
	}
	if r.reasons == nil {
		var g []uint8
		for _, f := range q.Filters {
			g = append(g, f.QoS)
		}
		return g, make([]core.Reason, len(g)), false
	}
	return r.granted, r.reasons, false
}

func (r *recorder) Unsubscribe(_ *core.Turn, _ core.Link, q *core.UnsubscribeRequest) ([]core.Reason, bool) {
	r.note("unsubscribe %s", strings.Join(q.Filters, " "))
	if r.subPending {
		return nil, true
	}
	if r.unreasons == nil {
		return make([]core.Reason, len(q.Filters)), false
	}
	return r.unreasons, false
}

func (r *recorder) Acknowledge(_ *core.Turn, _ core.Link, k core.AckKind, id uint16, why core.Reason) {
	r.note("ack %d %d %s", k, id, why)
}

func (r *recorder) Take(_ *core.Turn, _ core.Link, dst []core.Delivery, max int) ([]core.Delivery, bool) {
	n := min(max, len(r.deliveries))
	dst = append(dst, r.deliveries[:n]...)
	r.deliveries = r.deliveries[n:]
	return dst, len(r.deliveries) > 0
}

func (r *recorder) Drop(_ *core.Turn, _ core.Link, _ core.Delivery, why core.Reason) {
	r.dropped = append(r.dropped, why)
}

func (r *recorder) Disconnect(_ *core.Turn, _ core.Link, why core.Reason, expiry *uint32) {
	r.note("disconnect %s", why)
	r.disconnects = append(r.disconnects, why)
	r.expiry = expiry
}

func (r *recorder) Refuse(_ *core.Turn, info core.Refusal) { r.refusals = append(r.refusals, info) }

// fakeConn is a connection that remembers how it was closed.
type fakeConn struct{ closed []core.Reason }

func (c *fakeConn) Wake(*core.Turn)          {}
func (c *fakeConn) Complete(core.Completion) {}
func (c *fakeConn) Close(r core.Reason)      { c.closed = append(c.closed, r) }
func (c *fakeConn) Peer() netip.AddrPort     { return netip.MustParseAddrPort("192.0.2.1:4711") }

// rig drives one machine with bytes written as hexadecimal.
type rig struct {
	t    testing.TB
	gw   *recorder
	conn *fakeConn
	turn *core.Turn
	m    *Machine
	a    protocols.Actions
	used int
}

// newTurn gives a turn of an empty core, to which the topics are no news.
func newTurn(tb testing.TB, topics ...string) *core.Turn {
	gw := core.New(core.Options{Config: core.DefaultConfig()})
	turn := gw.NewTurn()
	for _, name := range topics {
		gw.PublishInternal(turn, &core.Message{Topic: name})
	}
	turn.Begin(time.UnixMilli(1_000_000))
	tb.Cleanup(turn.Close)
	return turn
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	cfg := DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, gw: &recorder{}, conn: &fakeConn{}, turn: newTurn(t)}
	info := &protocols.ConnInfo{Peer: r.conn.Peer()}
	r.m = New(cfg, r.gw).NewMachine(info, r.conn).(*Machine)
	return r
}

// unhex reads hexadecimal with spaces; ".." stands for the number of bytes behind
// it, as a Remaining Length.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	head, body, counted := strings.Cut(strings.ReplaceAll(s, " ", ""), "..")
	b, err := hex.DecodeString(head + body)
	if err != nil {
		t.Fatalf("test bytes %q: %v", s, err)
	}
	if counted {
		at := len(head) / 2
		b = append(binary.AppendUvarint(bytes.Clone(b[:at]), uint64(len(b)-at)), b[at:]...)
	}
	return b
}

// in gives bytes to the machine and returns what it wants to send.
func (r *rig) in(s string) string {
	r.t.Helper()
	return r.raw(unhex(r.t, s))
}

func (r *rig) raw(b []byte) string {
	r.a.Reset()
	r.used = r.m.Input(r.turn, b, &r.a)
	return hex.EncodeToString(r.a.Out)
}

// out takes what core has for the client.
func (r *rig) out(d ...core.Delivery) string {
	r.gw.deliveries = append(r.gw.deliveries, d...)
	o := &protocols.Out{Limit: 1 << 20}
	r.m.Output(r.turn, o)
	return hex.EncodeToString(o.Buf)
}

func (r *rig) wantOut(got, want string) {
	r.t.Helper()
	want = strings.ReplaceAll(want, " ", "")
	if got != want {
		r.t.Fatalf("out:\n got %s\nwant %s", got, want)
	}
}

// wantEnd checks that the connection is to end for why.
func (r *rig) wantEnd(why core.Reason) {
	r.t.Helper()
	if !r.a.Close || r.a.Reason != why {
		r.t.Fatalf("close = %v for %s, want true for %s", r.a.Close, r.a.Reason, why)
	}
}

// wantRefusal checks that core was told once, with the clause.
func (r *rig) wantRefusal(why core.Reason, clause string) {
	r.t.Helper()
	if len(r.gw.refusals) != 1 {
		r.t.Fatalf("refusals = %+v, want one", r.gw.refusals)
	}
	if got := r.gw.refusals[0]; got.Reason != why || !strings.Contains(got.Detail, clause) || got.Peer == "" {
		r.t.Fatalf("refusal = %+v, want %s with %q", got, why, clause)
	}
}

func (r *rig) wantCalls(want ...string) {
	r.t.Helper()
	if got := strings.Join(r.gw.calls, "; "); got != strings.Join(want, "; ") {
		r.t.Fatalf("calls:\n got %s\nwant %s", got, strings.Join(want, "; "))
	}
}

// CONNECT packets of client "c1" with a keep alive of 60 s and a clean session.
const (
	connect31  = "10 10 0006 4d5149736470 03 02 003c 0002 6331"
	connect311 = "10 0e 0004 4d515454 04 02 003c 0002 6331"
	connect5   = "10 0f 0004 4d515454 05 02 003c 00 0002 6331"

	connack3 = "20 02 00 00"
	// Receive Maximum is the library's default, so only Maximum Packet Size and
	// Topic Alias Maximum are told.
	connack5 = "20 0b 00 00 08 22 0020 27 00100000"
)

// opened is a rig whose client is accepted in the version of connect.
func opened(t testing.TB, connect string, change ...func(*Config)) *rig {
	r := newRig(t, change...)
	r.in(connect)
	if r.m.state != open {
		t.Fatalf("not accepted: %+v", r.gw.refusals)
	}
	r.gw.calls = nil
	return r
}

// connect5With is a CONNECT of version 5 with the given property bytes.
func connect5With(props string) string {
	n := len(strings.ReplaceAll(props, " ", "")) / 2
	return fmt.Sprintf("10 %02x 0004 4d515454 05 02 003c %02x %s 0002 6331", 15+n, n, props)
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
