package main

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// maxUnsent is how much may wait in front of a socket whose broker does not read. What is due beyond is withheld.
const maxUnsent = 64 << 10

// traffic publishes and receives. It owns publishers, windows and counts.
type traffic struct {
	loop       *loop
	plan       *plan
	ledger     *ledger
	version    packet.Version
	qos        byte
	run        uint32
	publishers []publisher
	waiting    []*publisher // may have something to publish, in a closed loop
	pace       pace         // rate 0: closed loop
	stall      int64        // ns
	open       bool         // publishing goes on
	payload    []byte
	out        packet.Outgoing
	in         packet.Publish
	ack        packet.Ack

	counting bool // within the measured time
	counts   counts
}

// counts are what the measured time brought.
type counts struct {
	published  uint64
	deliveries uint64
	latency    histogram
	stalls     uint64
	withheld   uint64 // paced messages that were not sent, the broker not reading or not acknowledging
}

// publisher is the sending side of one client.
type publisher struct {
	client *client
	topic  []byte
	window window
	queued bool // is in traffic.waiting
}

func newTraffic(o *options, p *plan, l *loop, run uint32) *traffic {
	t := &traffic{
		loop: l, plan: p, ledger: newLedger(p), version: o.version(), qos: byte(o.qos), run: run,
		publishers: make([]publisher, p.pubs),
		payload:    make([]byte, o.payload),
		pace:       pace{rate: int64(o.rate)},
		stall:      int64(o.stall),
	}
	for i := range t.payload {
		t.payload[i] = byte('a' + i%26)
	}
	for i := range t.publishers {
		t.publishers[i] = publisher{
			client: &l.clients[p.subs+i],
			topic:  []byte(p.topics[i]),
			window: newWindow(share(o.window, p.pubs, i)),
		}
	}
	return t
}

// start opens the tap.
func (t *traffic) start() {
	t.open = true
	t.pace.start = t.loop.now()
	for i := range t.publishers {
		t.wake(&t.publishers[i])
	}
}

// measure begins a new count.
func (t *traffic) measure() {
	t.counting = true
	t.counts = counts{}
}

func (t *traffic) wake(p *publisher) {
	if !p.queued && t.pace.rate == 0 {
		p.queued = true
		t.waiting = append(t.waiting, p)
	}
}

// pump publishes what may be published now.
func (t *traffic) pump() {
	if !t.open {
		return
	}
	if t.pace.rate > 0 {
		t.pumpPaced()
		return
	}
	for _, p := range t.waiting {
		p.queued = false
		t.fill(p)
	}
	t.waiting = t.waiting[:0]
}

// fill uses up a publisher's window. An acknowledgement wakes it again where the broker's quota was the bound.
func (t *traffic) fill(p *publisher) {
	if len(p.window.free) == 0 {
		return
	}
	now := t.loop.now()
	for len(p.window.free) > 0 && p.client.unacked < p.client.quota {
		n := t.ledger.publish(int(p.client.index))
		slot := p.window.enter(n, t.plan.copies, now)
		t.publish(p, stamp{sequence: n, sent: now, slot: slot})
	}
}

// pumpPaced publishes what is due, publisher after publisher.
func (t *traffic) pumpPaced() {
	now := t.loop.now()
	for ; t.pace.next() <= now; t.pace.done++ {
		p := &t.publishers[t.pace.done%int64(len(t.publishers))]
		if p.client.unacked >= p.client.quota || len(p.client.out)-p.client.sent > maxUnsent {
			t.counts.withheld++
			continue
		}
		t.publish(p, stamp{sequence: t.ledger.publish(int(p.client.index)), sent: t.pace.next(), slot: noSlot})
	}
}

// publish writes one message into the client's out buffer.
func (t *traffic) publish(p *publisher, s stamp) {
	c := p.client
	s.run, s.publisher = t.run, uint32(c.index)
	s.put(t.payload)
	t.out = packet.Outgoing{Topic: p.topic, Payload: t.payload, QoS: t.qos}
	if t.qos > 0 {
		t.out.PacketID = c.nextID()
		c.unacked++
	}
	c.out = t.out.Append(c.out, t.version)
	t.loop.send(c)
	t.counts.published++
}

// take handles one packet of a client that is ready.
func (t *traffic) take(c *client, f packet.Frame) error {
	switch f.Type {
	case packet.TypePublish:
		if err := t.in.Decode(t.version, f.Header, f.Body); err != nil {
			return err
		}
		return t.received(c)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		if err := t.ack.Decode(t.version, f.Header, f.Body); err != nil {
			return err
		}
		return t.acknowledged(c)
	case packet.TypePingresp:
		return nil
	case packet.TypeDisconnect:
		var d packet.Disconnect
		if err := d.Decode(t.version, f.Header, f.Body); err != nil {
			return err
		}
		return fmt.Errorf("the broker sent DISCONNECT: %v", d.Reason)
	}
	return fmt.Errorf("the broker sent %v where it may not", f.Type)
}

// received acknowledges a message and books it.
func (t *traffic) received(c *client) error {
	switch t.in.QoS {
	case 1:
		t.answer(c, packet.TypePuback)
	case 2:
		t.answer(c, packet.TypePubrec)
		if _, again := c.released[t.in.PacketID]; again {
			t.ledger.faults.Duplicates++ // there was no reconnect that would excuse it
			return nil
		}
		if c.released == nil {
			c.released = map[uint16]struct{}{}
		}
		c.released[t.in.PacketID] = struct{}{}
	}
	var s stamp
	if !s.read(t.in.Payload, t.run) || c.role != receiverRole {
		t.ledger.faults.Strays++
		return nil
	}
	t.delivered(c, &s)
	return nil
}

func (t *traffic) answer(c *client, typ packet.Type) {
	c.out = packet.AppendAck(c.out, t.version, typ, t.in.PacketID, packet.ReasonSuccess)
	t.loop.send(c)
}

func (t *traffic) delivered(c *client, s *stamp) {
	if !t.ledger.deliver(int(c.index), int(s.publisher), s.sequence) {
		return
	}
	if t.counting {
		t.counts.deliveries++
		t.counts.latency.add(t.loop.at - s.sent)
	}
	p := &t.publishers[s.publisher]
	if p.window.arrived(s.slot, s.sequence, t.loop.at) {
		t.wake(p)
	}
}

// acknowledged goes on with the exchange that an acknowledgement belongs to.
func (t *traffic) acknowledged(c *client) error {
	a := &t.ack
	if a.Reason.Failed() {
		return fmt.Errorf("the broker refused a message by %v: %v", a.Type, a.Reason)
	}
	switch a.Type {
	case packet.TypePubrec:
		c.out = packet.AppendAck(c.out, t.version, packet.TypePubrel, a.PacketID, packet.ReasonSuccess)
		t.loop.send(c)
		return nil
	case packet.TypePubrel:
		delete(c.released, a.PacketID)
		c.out = packet.AppendAck(c.out, t.version, packet.TypePubcomp, a.PacketID, packet.ReasonSuccess)
		t.loop.send(c)
		return nil
	}
	c.unacked--
	if c.unacked < 0 || c.role != publisherRole {
		return fmt.Errorf("the broker sent %v for a message that was never sent", a.Type)
	}
	t.wake(&t.publishers[c.index])
	return nil
}

// unstick gives up what has not come for too long.
func (t *traffic) unstick() {
	if t.pace.rate > 0 {
		return
	}
	for i := range t.publishers {
		p := &t.publishers[i]
		if !p.window.empty() && t.loop.at-p.window.progress > t.stall {
			p.window.reset()
			t.counts.stalls++
			t.wake(p)
		}
	}
}
