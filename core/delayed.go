package core

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// delayedMessages are the messages that wait for their time, $delayed/SECONDS/TOPIC.
// The Store holds each until it was sent. In memory one costs its topic, payload and
// properties and about 400 bytes: the Message, this record, its place in the table
// and its timer.
type delayedMessages struct {
	mu          sync.Mutex
	byID        map[uint64]*delayedMessage
	byPublisher map[string]int
	bytes       int // of all, as retainedSize counts
	max         int
	maxBytes    int
	maxOfClient int
	maxDelay    uint32 // seconds
}

// delayedMessage is one of them. The message and its time never change; state is
// guarded by the table's mutex.
type delayedMessage struct {
	msg    *Message
	due    int64
	grant  *Grant
	peer   netip.Addr
	origin uint16 // where its publisher was connected, in Gateway.origins
	state  delayedState
	again  bool // it was sent, but the store could not note it
}

type delayedState uint8

const (
	delayedStoring delayedState = iota // its commit is under way: it has no timer yet
	delayedWaiting
	delayedSending // the commit of what it became is under way
)

// delayedRetry is how soon a message is sent again after the store could not take it.
const delayedRetry = time.Second

func (d *delayedMessages) init(c *Config) {
	d.byID, d.byPublisher = map[uint64]*delayedMessage{}, map[string]int{}
	d.max, d.maxBytes, d.maxOfClient = c.MaxDelayed, c.MaxDelayedBytes, c.MaxDelayedOfClient
	d.maxDelay = uint32(c.MaxDelay / time.Second)
}

// offer takes e in within the bounds; detail names the one that is reached.
func (d *delayedMessages) offer(e *delayedMessage) (detail string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case len(d.byID) >= d.max:
		return "max_delayed messages are waiting"
	case d.bytes+sizeRetained(e.msg) > d.maxBytes:
		return "max_delayed_bytes of messages are waiting"
	case e.msg.Publisher != "" && d.byPublisher[e.msg.Publisher] >= d.maxOfClient:
		return "max_delayed_of_client messages of this client are waiting"
	}
	d.putLocked(e)
	return ""
}

func (d *delayedMessages) putLocked(e *delayedMessage) {
	d.byID[e.msg.ID] = e
	d.byPublisher[e.msg.Publisher]++
	d.bytes += sizeRetained(e.msg)
}

func (d *delayedMessages) removeLocked(e *delayedMessage) {
	delete(d.byID, e.msg.ID)
	d.bytes -= sizeRetained(e.msg)
	if d.byPublisher[e.msg.Publisher]--; d.byPublisher[e.msg.Publisher] == 0 {
		delete(d.byPublisher, e.msg.Publisher)
	}
}

// take gives the message of id in order to send it, or nil: it was taken back.
func (d *delayedMessages) take(id uint64) *delayedMessage {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.byID[id]
	if e == nil || e.state != delayedWaiting {
		return nil
	}
	e.state = delayedSending
	return e
}

func (d *delayedMessages) putBack(e *delayedMessage) {
	d.mu.Lock()
	e.state = delayedWaiting
	d.mu.Unlock()
}

func (d *delayedMessages) figures() (messages, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.byID), d.bytes
}

// parseDelayed takes $delayed/SECONDS/ off name. reason says why it cannot be.
func (g *Gateway) parseDelayed(name string) (seconds uint32, rest string, reason Reason, detail string) {
	seconds, inner, ok, err := g.limits.ParseDelayed(name)
	switch {
	case !ok:
		return 0, name, Success, ""
	case errors.Is(err, topic.ErrDelayTooLong), err == nil && seconds > g.delayed.maxDelay:
		return 0, name, DelayedLimit, "the delay is longer than max_delay"
	case err != nil:
		return 0, name, TopicNameInvalid, err.Error()
	}
	return seconds, string(inner), Success, ""
}

// delayAs keeps m, which id published, for seconds; its publisher's answer waits for
// the store.
func (g *Gateway) delayAs(t *Turn, id *Identity, m *Message, seconds uint32) (r Reason, detail string) {
	e := &delayedMessage{msg: m, due: m.Published + int64(seconds)*1000, grant: id.Grant, peer: id.Peer}
	e.origin = g.origins.number(origin{listener: id.Listener})
	if detail = g.delayed.offer(e); detail != "" {
		return DelayedLimit, detail
	}
	t.Count(MessagesDelayed, 1)
	rec := &DelayedRecord{Msg: m, Due: e.due, Listener: id.Listener, Peer: id.Peer, Superuser: id.Grant != nil && id.Grant.Superuser}
	c := t.op(Op{Kind: OpPutDelayed, Delayed: rec})
	c.after = append(c.after, e)
	return Success, ""
}

// committed ends the storing of a message, or its sending.
func (e *delayedMessage) committed(t *Turn, err error) {
	g, d := t.g, &t.g.delayed
	d.mu.Lock()
	was := e.state
	next := int64(0) // when its timer is due
	switch {
	case was == delayedStoring && err == nil:
		e.state, next = delayedWaiting, e.due
	case was == delayedSending && err != nil:
		e.state, e.again, next = delayedWaiting, true, t.now+delayedRetry.Milliseconds()
	default:
		d.removeLocked(e)
	}
	d.mu.Unlock()
	switch {
	case next != 0:
		g.timers.add(next, timerDelayed, nil, e.msg.ID)
	case err != nil: // not kept, and its publisher is told; something else of the commit may have failed
		t.counters.reason(storeReason(err))
		g.record(t, storeReason(err), e.msg.Publisher, e.msg)
		t.op(Op{Kind: OpDeleteDelayed, MessageID: e.msg.ID})
	}
}

// sendDelayed publishes the message of id, whose time has come: what its durable
// receivers get and its own removal are one batch of the store. A crash leaves both
// or neither.
func (g *Gateway) sendDelayed(t *Turn, id uint64) {
	e := g.delayed.take(id)
	if e == nil {
		return
	}
	if g.store.Health() != nil { // nothing could be kept: later
		g.delayed.putBack(e)
		g.timers.add(t.now+delayedRetry.Milliseconds(), timerDelayed, nil, id)
		return
	}
	t.closeCommit() // what came before has a batch of its own
	why := g.mayStillPublish(t, e)
	switch {
	case e.msg.Expired(t.now):
		t.counters.reason(MessageExpired)
		g.record(t, MessageExpired, e.msg.Publisher, e.msg)
	case why == Banned:
		g.refuseDelayed(t, e.msg, why, "delayed publish: its publisher is banned")
	case why != Success:
		g.refuseDelayed(t, e.msg, why, "delayed publish: its publisher has no right to the topic any more")
	case e.again:
		g.sendAgain(t, e.msg)
	default:
		t.Count(DelayedPublished, 1)
		g.dispatch(t, e.msg)
	}
	c := t.op(Op{Kind: OpDeleteDelayed, MessageID: id})
	c.after = append(c.after, e)
	t.closeCommit()
}

// sendAgain repeats a message for those alone whose copies the store refused.
func (g *Gateway) sendAgain(t *Turn, m *Message) {
	if m.Retain {
		g.retain(t, m)
	}
	g.match(t, m)
	t.targets = slices.DeleteFunc(t.targets, func(tg target) bool { return !tg.session.isDurable() })
	g.deliverTargets(t, m)
}

// mayStillPublish asks the rules anew, with the rights that the publisher has now.
func (g *Gateway) mayStillPublish(t *Turn, e *delayedMessage) Reason {
	m := e.msg
	if m.Publisher == "" {
		return Success // the gateway's own
	}
	id := Identity{ClientID: m.Publisher, Username: m.Username, Listener: g.origins.get(e.origin).listener, Peer: e.peer, Grant: e.grant}
	if s := g.clients.get(m.Publisher); s != nil && s.user == m.Username {
		now := g.identity(s)
		id.Grant = now.Grant
	}
	return g.mayPublishLater(t, &id, m.Topic)
}

// refuseDelayed refuses a message of nobody who waits for an answer.
func (g *Gateway) refuseDelayed(t *Turn, m *Message, r Reason, detail string) {
	t.Count(MessagesRefused, 1)
	t.counters.reason(r)
	t.explain.add(Record{Time: t.now, Reason: r, ClientID: m.Publisher, Publisher: m.Publisher, Topic: m.Topic, MessageID: m.ID, QoS: m.QoS, Size: len(m.Payload), Detail: detail})
}

// Delayed takes one stored message that waits, whatever the bounds say.
func (l *restoring) Delayed(r DelayedRecord) error {
	g := l.g
	e := &delayedMessage{msg: r.Msg, due: r.Due, peer: r.Peer, state: delayedWaiting}
	if r.Superuser {
		e.grant = &Grant{Superuser: true}
	}
	if r.Listener != "" {
		e.origin = g.origins.number(origin{listener: strings.Clone(r.Listener)})
	}
	g.delayed.mu.Lock()
	g.delayed.putLocked(e)
	g.delayed.mu.Unlock()
	// Nothing new may have its identifier, also where the clock went back.
	g.nextMessage.Store(max(g.nextMessage.Load(), r.Msg.ID))
	g.timers.add(r.Due, timerDelayed, nil, r.Msg.ID)
	return nil
}

// DelayedInfo describes a message that waits for its time, for administration.
type DelayedInfo struct {
	ID        uint64
	Topic     string
	Publisher string // "" for the gateway's own
	QoS       uint8
	Retain    bool
	Size      int   // bytes of the payload
	Published int64 // Unix milliseconds
	Due       int64 // Unix milliseconds
}

// Delayed calls fn for each message that waits, in no order, until it says false.
// It holds no lock during fn; what comes or goes meanwhile may be told or not.
func (g *Gateway) Delayed(fn func(DelayedInfo) bool) {
	d := &g.delayed
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.byID))
	d.mu.Unlock()
	for _, e := range all {
		if !fn(e.info()) {
			return
		}
	}
}

func (e *delayedMessage) info() DelayedInfo {
	m := e.msg
	return DelayedInfo{ID: m.ID, Topic: m.Topic, Publisher: m.Publisher, QoS: m.QoS, Retain: m.Retain, Size: len(m.Payload), Published: m.Published, Due: e.due}
}

// DelayedMessage describes one message that waits; ok is false when there is none.
func (g *Gateway) DelayedMessage(id uint64) (info DelayedInfo, ok bool) {
	d := &g.delayed
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.byID[id]
	if e == nil {
		return info, false
	}
	return e.info(), true
}

// CancelDelayed takes a message back that waits; it says whether there was one. The
// store forgets it soon after: a crash just then may bring it back.
func (g *Gateway) CancelDelayed(t *Turn, id uint64) bool {
	d := &g.delayed
	d.mu.Lock()
	e := d.byID[id]
	if ok := e != nil && e.state == delayedWaiting; !ok {
		d.mu.Unlock()
		return false
	}
	d.removeLocked(e)
	d.mu.Unlock()
	g.record(t, AdministrativeAction, e.msg.Publisher, e.msg)
	t.counters.reason(AdministrativeAction)
	t.op(Op{Kind: OpDeleteDelayed, MessageID: id})
	return true
}
