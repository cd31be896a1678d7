package devices

import (
	"context"
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
	if err := checkUser(m.User); err != nil {
		return nil, fmt.Errorf("publish to %q: %w", m.Topic, err)
	}
	if err := c.waitRoom(ctx); err != nil {
		return nil, err
	}
	p, err := c.publish(m)
	if p == nil || err != nil {
		return nil, err
	}
	select {
	case <-p.sent:
		return p, nil
	case <-p.done:
		return p, nil
	case <-c.done:
		return p, nil // it is the session's now, and goes with the next connection
	case <-ctx.Done():
		c.session.withdraw(p, context.Canceled)
		return nil, ctx.Err()
	}
}

// publish gives m to the machine; the Pending is nil at QoS 0.
func (c *Client) publish(m *Message) (p *Pending, err error) {
	out := m.publish()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.closing {
		return nil, c.overLocked()
	}
	token := uint64(0)
	if m.QoS > 0 {
		p = c.session.add(m)
		token = p.token
	}
	c.tick()
	err = c.machine.Publish(&c.turn, &out, token)
	if err != nil {
		err = fmt.Errorf("publish to %q: %w", m.Topic, err)
		if p != nil {
			c.session.finish(p, packet.ReasonUnspecifiedError, err)
		}
		return nil, err
	}
	c.flush()
	return p, nil
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
