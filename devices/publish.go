package devices

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Publish sends m and waits for its acknowledgement: none at QoS 0, where it
// returns once the packet waits to be written. The code tells, among successes, that
// there were no subscribers (MQTT 5). When ctx ends first, the message stays on its
// way; Session.Unacknowledged counts it.
func (c *Client) Publish(ctx context.Context, m *Message) (packet.ReasonCode, error) {
	p, err := c.Send(ctx, m)
	if err != nil || p == nil {
		return packet.ReasonSuccess, err
	}
	return c.Wait(ctx, p)
}

// Send sends m and does not wait for its acknowledgement, only for room: QoS 1 and 2
// keep to the server's Receive Maximum. The Pending is nil at QoS 0.
func (c *Client) Send(ctx context.Context, m *Message) (*Pending, error) {
	if err := c.check(m); err != nil {
		return nil, fmt.Errorf("publish to %q: %w", m.Topic, err)
	}
	if err := c.waitRoom(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.ended || c.closing {
		c.mu.Unlock()
		return nil, c.overErr()
	}
	if m.QoS == 0 {
		p := m.publish()
		c.queue(&p)
		c.mu.Unlock()
		return nil, nil
	}
	p, ok := c.session.add(m)
	if ok {
		c.pump()
	}
	c.mu.Unlock()
	if !ok {
		return nil, errors.New("65,535 messages are unacknowledged: there is no packet identifier left")
	}
	select {
	case <-p.sent:
		return p, nil
	case <-p.done:
		return p, nil
	case <-c.done:
		return p, nil // it is the session's now, and goes with the next connection
	case <-ctx.Done():
		c.withdraw(p)
		return nil, ctx.Err()
	}
}

// withdraw takes back what was never sent.
func (c *Client) withdraw(p *Pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.state == queued && c.session.byID[p.id] == p {
		c.session.finish(p, packet.ReasonUnspecifiedError, context.Canceled)
	}
}

// Wait waits for the acknowledgement of p, sent by this client or a former one of the
// same session.
func (c *Client) Wait(ctx context.Context, p *Pending) (packet.ReasonCode, error) {
	if err := c.await(ctx, p.done); err != nil {
		return packet.ReasonUnspecifiedError, err
	}
	return p.code, p.err
}

// Drain waits until every own message is acknowledged.
func (c *Client) Drain(ctx context.Context) error {
	c.mu.Lock()
	idle := c.session.idle
	c.mu.Unlock()
	return c.await(ctx, idle)
}

// await waits for done; a connection that ends at the same time does not count.
func (c *Client) await(ctx context.Context, done <-chan struct{}) error {
	var err error
	select {
	case <-done:
		return nil
	case <-c.done:
		err = c.overErr()
	case <-ctx.Done():
		err = ctx.Err()
	}
	select {
	case <-done:
		return nil
	default:
		return err
	}
}

// check holds m against what MQTT can say and what the server takes.
func (c *Client) check(m *Message) error {
	if m.QoS > 2 {
		return fmt.Errorf("QoS %d does not exist", m.QoS)
	}
	if err := checkUser(m.User); err != nil {
		return err
	}
	p := m.publish()
	p.Payload = nil
	if m.QoS > 0 {
		p.PacketID = 1
	}
	if err := p.Validate(c.opt.Version); err != nil {
		return err
	}
	size := p.Size(c.opt.Version) + len(m.Payload) + 3 // the length field may grow
	switch a := &c.accepted; {
	case m.QoS > a.MaximumQoS:
		return fmt.Errorf("the server takes QoS %d at most [MQTT-3.2.2-11]", a.MaximumQoS)
	case m.Retain && !a.RetainAvailable:
		return errors.New("the server keeps no retained messages [MQTT-3.2.2-14]")
	case size > packet.MaxRemaining:
		return errors.New("the message is larger than MQTT can express")
	case a.MaximumPacketSize != 0 && uint64(size-3) > uint64(a.MaximumPacketSize):
		return fmt.Errorf("the packet would have %d bytes, the server takes %d at most [MQTT-3.2.2-15]", size-3, a.MaximumPacketSize)
	}
	return nil
}

// pump sends what the window has room for; the lock is held. [MQTT-4.9.0-2]
func (c *Client) pump() {
	s := c.session
	for len(s.unsent) > 0 && c.inflight < c.window && !c.ended && !c.closing {
		p := s.unsent[0]
		s.unsent[0] = nil
		s.unsent = s.unsent[1:]
		c.inflight++
		p.onWire = true
		if p.state == released { // [MQTT-4.3.3-6]
			c.queue(&packet.Ack{Type: packet.TypePubrel, PacketID: p.id})
			continue
		}
		out := p.message.publish()
		out.PacketID, out.Dup = p.id, p.state == sent // [MQTT-3.3.1-1]
		if p.state == queued {
			p.state = sent
			close(p.sent)
		}
		c.queue(&out)
	}
}
