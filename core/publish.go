package core

import (
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/core/route"
)

// Publish takes a client's message, or leaves it for now, see [Publish.Search]. QoS 1 and 2 are answered by a Delivery
// (DeliverAck, DeliverReceived) with its Reason, in order, once the message has
// the durability that its receivers were promised. pause asks the edge to stop
// reading until OpReadable. err is what must end the connection.
func (g *Gateway) Publish(t *Turn, l Link, p *Publish) (pause bool, err *Error) {
	if g.goesElsewhere(l.Session, p.Topic) {
		p.own()
		placed, w := g.place(l.Session, p)
		return g.publish(t, l, &placed, w)
	}
	return g.publish(t, l, p, way{})
}

func (g *Gateway) publish(t *Turn, l Link, p *Publish, w way) (pause bool, err *Error) {
	if g.holdPublish(t, l, p, w) {
		t.Count(MessagesReceived, 1)
		p.Search.forget()
		return true, nil
	}
	if p.Search == nil {
		t.Count(MessagesReceived, 1)
		return g.publishNow(t, l, p, w)
	}
	if !g.seek(t, l, p, &w) {
		return false, nil
	}
	t.Count(MessagesReceived, 1)
	t.sought = p.Search
	pause, err = g.publishNow(t, l, p, w)
	t.sought = nil
	p.Search.forget()
	return pause, err
}

func (g *Gateway) publishNow(t *Turn, l Link, p *Publish, w way) (pause bool, err *Error) {
	if p.QoS == 0 {
		t.Count(MessagesQoS0, 1)
		r := g.accept(t, l, p, w)
		if p.Answer {
			l.Session.answerUnkept(t, l, Delivery{Kind: DeliverAck, PacketID: p.PacketID, Reason: r})
		}
		return t.awaitFan(l), nil
	}
	t.Count(MessagesQoS0+Counter(p.QoS), 1)
	return g.publishAcknowledged(t, l, p, w)
}

// accept lets a message through, or refuses it.
func (g *Gateway) accept(t *Turn, l Link, p *Publish, w way) (r Reason) {
	s := l.Session
	if p.Retain {
		p.settle() // they count
	}
	if r = g.mayPublish(t, l, p, &w); r == Success {
		if w.delay == 0 && g.onlyReceivers(p) {
			return g.publishPlain(t, s, p)
		}
		switch m := g.message(t, s, p); {
		case w.delay > 0:
			id := g.identity(s)
			r, w.detail = g.delayAs(t, &id, m, w.delay)
		case !g.dispatchAnswered(t, s, m):
			return NoMatchingSubscribers // told to MQTT 5 clients; no fault
		}
	}
	if r != Success {
		g.refusePublish(t, s, p, r, w.detail)
	}
	return r
}

// publishAcknowledged is publish at QoS 1 and 2.
func (g *Gateway) publishAcknowledged(t *Turn, l Link, p *Publish, w way) (pause bool, err *Error) {
	s := l.Session
	d := Delivery{Kind: DeliverAck, PacketID: p.PacketID, QoS: p.QoS}
	if p.QoS == 2 {
		d.Kind = DeliverReceived
	}
	duplicate, err := g.expectPublish(t, l, p, d)
	if duplicate || err != nil {
		return false, err
	}
	before := t.opCount()
	d.Reason = g.accept(t, l, p, w)
	t.awaitFan(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := t.awaited(before)
	if p.QoS == 2 {
		s.received(t, l, d, wait)
	}
	if !l.live() {
		return false, Errorf(SessionTakenOver, "")
	}
	if p.QoS == 1 {
		s.answer(t, d, wait)
	}
	if s.pendingAcks() >= pauseAt && !s.paused {
		s.paused = true
	}
	return s.paused, nil
}

// answerUnkept answers a message that no store need have.
func (s *Session) answerUnkept(t *Turn, l Link, d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.live() {
		s.answer(t, d, nil)
	}
}

func accepts(r Reason) bool { return r == Success || r == NoMatchingSubscribers }

// expectPublish checks a QoS 1 or 2 PUBLISH against what is under way: a QoS 2
// resend is answered again and goes no further [MQTT-4.3.3-10], and a client
// beyond the Receive Maximum is at fault [MQTT-3.3.4-8].
func (g *Gateway) expectPublish(t *Turn, l Link, p *Publish, d Delivery) (duplicate bool, err *Error) {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() {
		return false, Errorf(SessionTakenOver, "")
	}
	if r := s.receivedOf(p.PacketID); p.QoS == 2 && r != nil {
		t.Count(MessagesDuplicate, 1)
		s.receiveAgain(t, d, r)
		return true, nil
	}
	if s.beyond(int(g.cfg.ReceiveMaximum)) && s.limited(g) {
		return false, Errorf(ReceiveMaximumExceeded, "more than %d messages unacknowledged", g.cfg.ReceiveMaximum)
	}
	if p.QoS == 2 {
		s.receive(p.PacketID)
	}
	return false, nil
}

// limited says whether the client knows the Receive Maximum: others are slowed by
// not reading, but may never leave more QoS 2 messages open than identifiers exist.
func (s *Session) limited(g *Gateway) bool {
	o := g.origins.get(s.origin)
	return o.protocol == "mqtt" && o.version >= 5 || len(s.more.received) >= maxWindow-1
}

// mayPublish is authorisation and limits of an incoming message.
func (g *Gateway) mayPublish(t *Turn, l Link, p *Publish, w *way) Reason {
	if w.reason != Success {
		return w.reason
	}
	if !w.permitted {
		if r := g.mayPublishTo(t, l, p); r != Success {
			return r
		}
	}
	if p.Retain && len(p.Payload) > 0 && w.delay == 0 && !g.fitsRetained(p.Topic, retainedSize(p.Topic, p.Payload, p.Properties)) {
		return RetainedLimit
	}
	return Success
}

// mayPublishTo is what of it concerns the topic, which is core's own from then on if it is
// within the limits.
func (g *Gateway) mayPublishTo(t *Turn, l Link, p *Publish) Reason {
	if g.beyondLimits(p.Topic) {
		return TopicNameInvalid
	}
	p.own()
	if !g.authorize(t, l.Session, l.Epoch, ActionPublish, p.Topic) {
		return NotAuthorized
	}
	return Success
}

// beyondLimits says that a valid Topic Name is longer or deeper than allowed here.
func (g *Gateway) beyondLimits(topic string) bool {
	return len(topic) > g.cfg.MaxTopicLength || strings.Count(topic, "/") >= g.cfg.MaxTopicLevels
}

func (g *Gateway) refusePublish(t *Turn, s *Session, p *Publish, r Reason, detail string) {
	t.Count(MessagesRefused, 1)
	t.counters.reason(r)
	t.explain.add(Record{Time: t.now, Reason: r, ClientID: s.id, Publisher: s.id, Topic: p.told(), QoS: p.QoS, Size: len(p.Payload), Detail: detail})
}

// message makes the Message of p. The payload is copied: p's bytes are the
// loop's buffer.
func (g *Gateway) message(t *Turn, s *Session, p *Publish) *Message {
	return p.named(t, s, g.newMessageID())
}

// named is message with an ID that there is already.
func (p *Publish) named(t *Turn, s *Session, id uint64) *Message {
	p.settle()
	m := newMessage(p.Payload)
	m.Topic, m.QoS, m.Retain, m.Properties = p.Topic, p.QoS, p.Retain, p.Properties
	m.Publisher, m.Username, m.ID, m.Published = s.id, s.user, id, t.now
	if p.HasExpiry {
		m.Expires = t.now + int64(p.Expiry)*1000
	}
	return m
}

// Small payloads stand behind their Message: one allocation a message. The sizes
// fill the allocator's classes of 192 and 256 bytes.
type (
	message64 struct {
		Message
		bytes [64]byte
	}
	message128 struct {
		Message
		bytes [128]byte
	}
)

func newMessage(payload []byte) *Message {
	switch n := len(payload); {
	case n <= 64:
		m := new(message64)
		m.Payload = append(m.bytes[:0:n], payload...)
		return &m.Message
	case n <= 128:
		m := new(message128)
		m.Payload = append(m.bytes[:0:n], payload...)
		return &m.Message
	}
	return &Message{Payload: append([]byte(nil), payload...)}
}

// PublishInternal publishes on the gateway's own behalf ($SYS, the administration
// API after its own authorisation, bridges). m must not be changed afterwards. An
// error says what of m is not valid; nothing was published then.
func (g *Gateway) PublishInternal(t *Turn, m *Message) error {
	if _, err := g.limits.ParseName(m.Topic); err != nil {
		return &Error{Reason: TopicNameInvalid, Detail: "publish to " + m.Topic, Err: err}
	}
	delay, name, reason, detail := g.parseDelayed(m.Topic)
	m.ID, m.Published, m.Topic = g.newMessageID(), t.now, name
	t.Count(MessagesReceived, 1)
	if reason == Success && delay > 0 {
		reason, detail = g.delayAs(t, &Identity{}, m, delay)
	} else if reason == Success {
		g.dispatch(t, m)
	}
	if reason != Success {
		g.refuseDelayed(t, m, reason, detail)
		return &Error{Reason: reason, Detail: "publish to " + m.Topic + ": " + detail}
	}
	return nil
}

// dispatch gives m to the retained store and to every receiver. Nobody waits for the
// sinks, and their faults are theirs alone. found says that there is, or may be, a receiver.
func (g *Gateway) dispatch(t *Turn, m *Message) (found bool) {
	if m.Retain {
		g.retain(t, m)
	}
	g.note(t, EventPublish, nil, m)
	return g.route(t, m)
}

// dispatchAnswered is dispatch of a message whose publisher, s, waits for an answer.
// found says that there was a receiver.
func (g *Gateway) dispatchAnswered(t *Turn, s *Session, m *Message) (found bool) {
	if m.Retain {
		g.retain(t, m)
	}
	g.notePublished(t, s, m)
	return g.route(t, m)
}

// route gives m to every receiver. found says that there was one.
func (g *Gateway) route(t *Turn, m *Message) (found bool) {
	return g.hand(t, m, g.match(t, m))
}

// hand gives m to the receivers that match found.
func (g *Gateway) hand(t *Turn, m *Message, nodes uint64) (found bool) {
	if nodes != 0 && g.peers != nil {
		g.forward(t, m, nodes)
	}
	if len(t.targets) == 0 {
		if nodes == 0 {
			t.Count(MessagesUnmatched, 1)
			return false
		}
		return true
	}
	g.deliverTargets(t, m)
	return true
}

// forward hands m to the cluster; the publisher's answer waits for it.
func (g *Gateway) forward(t *Turn, m *Message, nodes uint64) {
	if m.QoS == 0 {
		g.peers.Forward(m, nodes, func(error) {})
		return
	}
	g.peers.Forward(m, nodes, t.keeping().wait())
}

// DeliverRemote gives a message that another node forwarded to this node's
// receivers. done, unless nil, is called once it has the durability that they
// were promised; it must not block.
func (g *Gateway) DeliverRemote(t *Turn, m *Message, done func(error)) {
	before := t.opCount()
	g.match(t, m)
	g.deliverTargets(t, m)
	switch {
	case done == nil:
	case t.opCount() > before:
		c := t.keeping()
		c.after = append(c.after, waiter(done))
	default:
		done(nil)
	}
}

// waiter is whoever else waits for a commit.
type waiter func(error)

func (r waiter) committed(_ *Turn, err error) { r(err) }

// target is one receiver of one message, copied out of the table under the
// reader lock.
type target struct {
	session *Session
	group   *group
	subIDs  *[]uint32
	subID   uint32
	checked uint32
	vetted  uint32 // low bits of the rules' version under which it may be delivered
	qos     uint8
	flags   subFlags
}

// retained says how the receiver sees the RETAIN flag. [MQTT-3.3.1-12]
// [MQTT-3.3.1-13]
func (tg *target) retained(m *Message) bool {
	return tg.flags&subRetainAsPublished != 0 && m.Retain
}

// match fills t.targets with m's receivers and gives the nodes that have some.
func (g *Gateway) match(t *Turn, m *Message) (nodes uint64) {
	t.targets, t.twins = t.targets[:0], false
	entries, truncated := 0, false
	t.matches(m.Topic, func(ms *route.Matches) {
		entries, truncated = ms.Entries(), ms.Truncated
		t.Spend(workPublish + entries + ms.Work/workSteps)
		for i := range entries {
			nodes |= ms.Nodes(i)
			it := route.Iter{}
			ms.Values(i, &it)
			for vs, ok := it.Next(); ok; vs, ok = it.Next() {
				g.collect(t, m, vs)
			}
		}
	})
	if truncated {
		g.drop(t, m, "", MatchWorkLimit)
		t.Count(Matched, 1)
	}
	if (entries > 1 || t.twins) && len(t.targets) > 1 {
		t.mergeTargets()
	}
	return nodes
}

// collect copies the receivers behind vs. Under the reader lock.
func (g *Gateway) collect(t *Turn, m *Message, vs []uint32) {
	for _, v := range vs {
		var tg target
		if v&groupTag != 0 {
			tg.group = g.subs.groups[v&^groupTag]
			if !tg.choose(g, m, nil) {
				t.Count(Matched, 1)
				g.drop(t, m, tg.group.key.share, NoSharedReceiver)
				continue
			}
		} else {
			sub := g.subs.at(v)
			tg.take(sub)
			tg.session = g.subs.session(sub.session)
		}
		if tg.flags&subNoLocal != 0 && tg.session.id == m.Publisher {
			continue // [MQTT-3.8.3-3]
		}
		if tg.flags&subMounted != 0 && !g.below(&tg, m) {
			continue
		}
		t.twins = t.twins || tg.flags&subTwin != 0
		if n := len(t.targets); n == 0 || !t.targets[n-1].absorbs(&tg) { // one client may have them all
			t.targets = append(t.targets, tg)
		}
	}
}

func (tg *target) take(sub *subscription) {
	tg.subID, tg.qos, tg.flags, tg.checked = sub.subID, sub.qos, sub.flags, sub.checked
}

// choose lets the group pick its receiver among those not passed.
func (tg *target) choose(g *Gateway, m *Message, passed []*Session) bool {
	mb, ok := tg.group.pick(g, m, passed)
	if ok {
		tg.session = mb.session
		tg.take(&mb.sub)
	}
	return ok
}

// mergeTargets makes one of the overlapping subscriptions of one client: the
// highest QoS, all Subscription Identifiers. [MQTT-3.3.4-2] [MQTT-3.3.4-3]
// Shared and fastlane subscriptions stay deliveries of their own.
func (t *Turn) mergeTargets() {
	bySession := func(a, b target) int { return int(a.session.index) - int(b.session.index) }
	if !slices.IsSortedFunc(t.targets, bySession) {
		slices.SortStableFunc(t.targets, bySession)
	}
	out := t.targets[:1]
	for i := 1; i < len(t.targets); i++ {
		if tg := t.targets[i]; !out[len(out)-1].absorbs(&tg) {
			out = append(out, tg)
		}
	}
	t.targets = out
}

// absorbs makes one of tg and o, where both are the same client's and may be one.
func (tg *target) absorbs(o *target) bool {
	same := tg.session == o.session && tg.mergeable() && o.mergeable()
	if same {
		tg.merge(o)
	}
	return same
}

func (tg *target) mergeable() bool { return tg.group == nil && tg.flags&subFastlane == 0 }

func (tg *target) merge(o *target) {
	if o.subID != 0 {
		switch {
		case tg.subIDs != nil:
			*tg.subIDs = append(*tg.subIDs, o.subID)
		case tg.subID != 0:
			tg.subIDs = &[]uint32{tg.subID, o.subID}
		default:
			tg.subID = o.subID
		}
	}
	tg.qos = max(tg.qos, o.qos)
	tg.flags |= o.flags & subRetainAsPublished
	tg.flags &= o.flags | ^subCovered
}

// deliver gives m to one receiver, or names why not.
func (g *Gateway) deliver(t *Turn, m *Message, tg *target) {
	reason := g.deliverTo(t, m, tg)
	if tg.group != nil && passesOn(reason) {
		reason = g.deliverToAnother(t, m, tg, reason)
	}
	if reason != Success {
		g.drop(t, m, tg.session.id, reason)
		if reason == QueueFull || reason == QueueBytesFull || reason == OutgoingFull {
			tg.session.stuffed.Store(true)
		}
	}
}

// passesOn says that a shared group's message goes to another member: the one that
// was chosen ended meanwhile, or may not have it.
func passesOn(r Reason) bool { return r == SessionEnded || r == DeliverNotAuthorized }

// maxPasses bounds how many members of a shared group a message is offered to.
const maxPasses = 16

// deliverToAnother offers m to further members, and gives the last one's reason.
func (g *Gateway) deliverToAnother(t *Turn, m *Message, tg *target, r Reason) Reason {
	passed := make([]*Session, 0, maxPasses)
	for passesOn(r) && len(passed) < maxPasses {
		passed = append(passed, tg.session)
		if !tg.choose(g, m, passed) {
			break
		}
		r = g.deliverTo(t, m, tg)
	}
	return r
}

func (g *Gateway) deliverTo(t *Turn, m *Message, tg *target) Reason {
	s := tg.session
	if !g.mayDeliver(t, m, tg) {
		return DeliverNotAuthorized
	}
	qos := min(m.QoS, tg.qos) // [MQTT-3.8.4-8]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return SessionEnded
	}
	if qos > 0 || g.queuesQoS0(s) {
		return g.enqueue(t, s, m, tg, qos)
	}
	switch {
	case s.away():
		return OfflineQoS0
	case g.outgoingFull(s, tg):
		return OutgoingFull
	}
	if tg.flags&subFastlane != 0 {
		t.Count(FastlaneDelivered, 1)
	}
	s.push(t, Delivery{Msg: m, SubID: tg.subID, SubIDs: tg.subIDs, Retain: tg.retained(m), Skip: uint16(g.mounts.length(s))})
	return Success
}

// queuesQoS0 says that a message of QoS 0 waits in the queue of s. With the session's lock
// held, as what follows.
func (g *Gateway) queuesQoS0(s *Session) bool {
	return g.cfg.QueueQoS0 && s.away() && (s.durable || s.conn != nil)
}

// outgoingFull says that no more of QoS 0 is written for s.
func (g *Gateway) outgoingFull(s *Session, tg *target) bool {
	return s.box != nil && tg.flags&subPaced == 0 && (s.box.len() >= g.cfg.MaxOutgoing || s.held() > g.cfg.MaxQueuedBytes)
}

// mayDeliver checks a delivery where its subscription does not settle it.
func (g *Gateway) mayDeliver(t *Turn, m *Message, tg *target) bool {
	s := tg.session
	tg.vetted = uint32(g.chain.version())
	if tg.flags&subCovered != 0 && tg.checked == tg.vetted && !s.recheck.Load() {
		return true
	}
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	return g.authorize(t, s, epoch, ActionDeliver, m.Topic)
}
