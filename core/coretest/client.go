package coretest

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Gateway runs a core with a MemStore and one turn, for tests that drive it
// step by step.
type Gateway struct {
	*core.Gateway
	T     *core.Turn
	Store *MemStore
	t     testing.TB
	stop  func()

	ends *clientEnds
}

// Stop ends the gateway before the test does. Who still uses it may no longer.
func (g *Gateway) Stop() { g.stop() }

// AllowAll is an Authorizer that allows everything.
type AllowAll struct{}

// Name implements core.Authorizer.
func (AllowAll) Name() string { return "allow all" }

// Authorize implements core.Authorizer.
func (AllowAll) Authorize(*core.Identity, core.Action, string) (core.Verdict, error) {
	return core.Allow, nil
}

// Covers implements core.Authorizer.
func (AllowAll) Covers(*core.Identity, string) core.Verdict { return core.Allow }

// Version implements core.Authorizer.
func (AllowAll) Version() uint64 { return 1 }

// Start makes and runs a gateway; change may alter its options. It ends with the
// test.
func Start(t testing.TB, store *MemStore, change func(*core.Options)) *Gateway {
	t.Helper()
	if store == nil {
		store = NewMemStore()
	}
	o := core.Options{Config: core.DefaultConfig(), Store: store, Node: "test", Version: "test",
		Authorizers: []core.Authorizer{AllowAll{}}, Anonymous: func(*core.Credentials) bool { return true }}
	o.Config.SysInterval = 0
	if change != nil {
		change(&o)
	}
	g := core.New(o)
	if err := g.Restore(context.Background()); err != nil {
		t.Fatalf("restore: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.Run(ctx)
	}()
	h := &Gateway{Gateway: g, T: g.NewTurn(), Store: store, t: t, ends: &clientEnds{}}
	h.stop = sync.OnceFunc(func() {
		h.T.Close()
		cancel()
		<-ended
	})
	t.Cleanup(h.stop)
	return h
}

// Client is a fake connection: it collects what core gives it. Safe for use by
// the completer's turn beside the test's.
type Client struct {
	g       *Gateway
	id      string
	link    core.Link
	Result  *core.ConnectResult
	mu      sync.Mutex
	cond    *sync.Cond
	got     []core.Delivery
	late    []core.Completion
	closed  core.Reason
	blocked bool
	cut     bool // nothing of the gateway is heard any more
	addr    netip.AddrPort
}

// Wake implements core.Conn: it takes everything at once.
func (c *Client) Wake(t *core.Turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocked || c.cut {
		return
	}
	more := true
	for more {
		c.got, more = c.g.Take(t, c.link, c.got, 16)
	}
	c.cond.Broadcast()
}

// Complete implements core.Conn.
func (c *Client) Complete(r core.Completion) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return
	}
	c.late = append(c.late, r)
	c.cond.Broadcast()
}

// Close implements core.Conn.
func (c *Client) Close(r core.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == core.Success {
		c.closed = r
	}
	c.cond.Broadcast()
}

// Peer implements core.Conn.
func (c *Client) Peer() netip.AddrPort { return c.addr }

// Connect connects a client; change may alter the request.
func (g *Gateway) Connect(id string, change func(*core.ConnectRequest)) *Client {
	g.t.Helper()
	return g.ConnectFrom(netip.MustParseAddrPort("127.0.0.1:1000"), id, change)
}

// ConnectFrom is Connect from another address.
func (g *Gateway) ConnectFrom(from netip.AddrPort, id string, change func(*core.ConnectRequest)) *Client {
	g.t.Helper()
	c := &Client{g: g, id: id, addr: from}
	c.cond = sync.NewCond(&c.mu)
	g.ends.join(c)
	r := &core.ConnectRequest{Conn: c, Protocol: "mqtt", Version: 5, Listener: "mqtt", CleanStart: true,
		Credentials: core.Credentials{ClientID: id, Listener: "mqtt", Peer: c.addr}}
	if change != nil {
		change(r)
	}
	g.T.Begin(time.Now())
	res, pending := g.Gateway.Connect(g.T, r)
	g.T.End()
	if pending {
		res = c.await(core.OpConnect).Connect
	}
	if c.isCut() || res == nil {
		c.Result = &core.ConnectResult{Reason: core.ConnectionLost}
		return c
	}
	c.Result = res
	if res.Reason == core.Success {
		c.mu.Lock()
		c.link = res.Link
		c.mu.Unlock()
		if !r.Awakes {
			g.Resume(g.T, res.Link)
		}
		g.T.End()
	}
	return c
}

// await waits for a completion of op and takes it.
func (c *Client) await(op core.CompletionOp) core.Completion {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for i, l := range c.late {
			if l.Op == op {
				c.late = append(c.late[:i], c.late[i+1:]...)
				return l
			}
		}
		if c.cut {
			return core.Completion{}
		}
		c.cond.Wait()
	}
}

// reason waits for the one reason of an operation; ConnectionLost when the client was
// cut off meanwhile.
func (c *Client) reason(op core.CompletionOp) core.Reason {
	if l := c.await(op); len(l.Reasons) == 1 {
		return l.Reasons[0]
	}
	return core.ConnectionLost
}

// Subscribe subscribes at qos and gives the reason of the first filter that was
// refused, or Success.
func (c *Client) Subscribe(qos uint8, filters ...string) core.Reason {
	r := &core.SubscribeRequest{Token: 1}
	for _, f := range filters {
		r.Filters = append(r.Filters, core.FilterRequest{Filter: f, SubscribeOptions: core.SubscribeOptions{QoS: qos}})
	}
	_, reasons := c.SubscribeWith(r)
	for _, why := range reasons {
		if why != core.Success {
			return why
		}
	}
	return core.Success
}

// SubscribeWith subscribes and gives what was granted.
func (c *Client) SubscribeWith(r *core.SubscribeRequest) ([]uint8, []core.Reason) {
	granted, reasons, pending := c.SubscribeSome(r)
	for r.Unfinished() {
		granted, reasons, pending = c.SubscribeSome(r)
	}
	if pending {
		l := c.await(core.OpSubscribe)
		granted, reasons = l.Granted, l.Reasons
	}
	return granted, reasons
}

// Answered says that a completion has come and was not awaited.
func (c *Client) Answered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.late) > 0
}

// SubscribeSome is one call of Subscribe, in a turn and with a share of its own.
func (c *Client) SubscribeSome(r *core.SubscribeRequest) (granted []uint8, reasons []core.Reason, pending bool) {
	g := c.g
	g.T.Begin(time.Now())
	g.T.Allot()
	granted, reasons, pending = g.Gateway.Subscribe(g.T, c.link, r)
	granted, reasons = append([]uint8(nil), granted...), append([]core.Reason(nil), reasons...)
	g.T.End()
	return granted, reasons, pending
}

// Unsubscribe unsubscribes.
func (c *Client) Unsubscribe(filters ...string) []core.Reason {
	return c.UnsubscribeWith(&core.UnsubscribeRequest{Token: 1, Filters: filters})
}

// UnsubscribeWith unsubscribes.
func (c *Client) UnsubscribeWith(r *core.UnsubscribeRequest) []core.Reason {
	reasons, pending := c.UnsubscribeSome(r)
	for r.Unfinished() {
		reasons, pending = c.UnsubscribeSome(r)
	}
	if pending {
		reasons = c.await(core.OpUnsubscribe).Reasons
	}
	return reasons
}

// UnsubscribeSome is one call of Unsubscribe, as SubscribeSome is.
func (c *Client) UnsubscribeSome(r *core.UnsubscribeRequest) (reasons []core.Reason, pending bool) {
	g := c.g
	g.T.Begin(time.Now())
	g.T.Allot()
	reasons, pending = g.Gateway.Unsubscribe(g.T, c.link, r)
	reasons = append([]core.Reason(nil), reasons...)
	g.T.End()
	return reasons, pending
}

// Publish publishes and ends the turn.
func (c *Client) Publish(p core.Publish) (pause bool, err *core.Error) {
	c.g.T.Begin(time.Now())
	pause, err = c.g.Gateway.Publish(c.g.T, c.link, &p)
	c.g.T.End()
	return pause, err
}

// Publication is one message of PublishTogether.
type Publication struct {
	Client  *Client
	Message core.Publish
}

// PublishTogether publishes in one turn, as a loop does with what came at once.
func (g *Gateway) PublishTogether(list ...Publication) {
	g.T.Begin(time.Now())
	for i := range list {
		g.Gateway.Publish(g.T, list[i].Client.link, &list[i].Message)
	}
	g.T.End()
}

// Ack acknowledges.
func (c *Client) Ack(k core.AckKind, id uint16) {
	c.g.T.Begin(time.Now())
	c.g.Acknowledge(c.g.T, c.link, k, id, core.Success)
	c.g.T.End()
}

// Sleep lets the client sleep for at most d at a time.
func (c *Client) Sleep(d time.Duration) core.Reason {
	c.g.T.Begin(time.Now())
	r, pending := c.g.Gateway.Sleep(c.g.T, c.link, d)
	c.g.T.End()
	if pending {
		return c.reason(core.OpSleep)
	}
	return r
}

// Awake lets the client fetch what gathered.
func (c *Client) Awake() bool {
	c.g.T.Begin(time.Now())
	ok := c.g.Gateway.Awake(c.g.T, c.link)
	c.g.T.End()
	return ok
}

// Register notes a number for a topic.
func (c *Client) Register(id uint16, topic string) core.Reason {
	c.g.T.Begin(time.Now())
	r, pending := c.g.Gateway.Register(c.g.T, c.link, 1, core.Registration{ID: id, Topic: topic})
	c.g.T.End()
	if pending {
		return c.reason(core.OpRegister)
	}
	return r
}

// Attach puts an attachment into the session; it is not committed before what follows.
func (c *Client) Attach(a core.Attachment) core.Reason { return c.g.Gateway.Attach(c.g.T, c.link, a) }

// Attachments are those of the session.
func (c *Client) Attachments() []core.Attachment { return c.g.Gateway.Attachments(c.link) }

// SetWill replaces the Will; nil deletes it.
func (c *Client) SetWill(w *core.Will) core.Reason {
	c.g.T.Begin(time.Now())
	r, pending := c.g.Gateway.SetWill(c.g.T, c.link, w)
	c.g.T.End()
	if pending {
		return c.reason(core.OpWill)
	}
	return r
}

// Disconnect ends the connection.
func (c *Client) Disconnect(r core.Reason) {
	c.g.T.Begin(time.Now())
	c.g.Gateway.Disconnect(c.g.T, c.link, r, nil)
	c.g.T.End()
}

// clientEnds are the clients of a gateway, and what has cut them off.
type clientEnds struct {
	mu      sync.Mutex
	clients []*Client
	cuts    []func(clientID string) bool
}

// Cut breaks the connections of the clients that which accepts, as a killed gateway
// does: they hear nothing from here on, not even an answer that they wait for. What
// they received before stays. Any goroutine.
func (g *Gateway) Cut(which func(clientID string) bool) {
	e := g.ends
	e.mu.Lock()
	e.cuts = append(e.cuts, which)
	cs := append([]*Client(nil), e.clients...)
	e.mu.Unlock()
	for _, c := range cs {
		c.breakIf(which)
	}
}

// join notes a client, which may come after a cut.
func (e *clientEnds) join(c *Client) {
	e.mu.Lock()
	e.clients = append(e.clients, c)
	cuts := append(e.cuts[:0:0], e.cuts...)
	e.mu.Unlock()
	for _, which := range cuts {
		c.breakIf(which)
	}
}

func (c *Client) breakIf(which func(string) bool) {
	if !which(c.id) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	c.cond.Broadcast()
}

func (c *Client) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// Block makes the client take nothing, as a full socket would; unblocking takes
// what waits.
func (c *Client) Block(on bool) {
	c.mu.Lock()
	c.blocked = on
	c.mu.Unlock()
	if !on {
		c.Wake(c.g.T)
		c.g.T.End()
	}
}

// Take waits until at least n deliveries came and takes them all.
func (c *Client) Take(n int) []core.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.got) < n {
		c.cond.Wait()
	}
	got := c.got
	c.got = nil
	return got
}

// Now takes what came so far.
func (c *Client) Now() []core.Delivery { return c.Take(0) }

// Closed waits until core closed the connection and says why.
func (c *Client) Closed() core.Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.closed == core.Success {
		c.cond.Wait()
	}
	return c.closed
}

// Ended says whether core closed the connection.
func (c *Client) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed != core.Success
}

// Completed waits for a completion of op.
func (c *Client) Completed(op core.CompletionOp) core.Completion { return c.await(op) }
