package devices

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Subscription is one Topic Filter with its options. [MQTT 5 section 3.8.3.1]
type Subscription struct {
	Filter string
	QoS    byte
	// The rest is for MQTT 5 only.
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0: send retained messages, 1: if the subscription is new, 2: never
}

// answer waits for a SUBACK or UNSUBACK.
type answer struct {
	kind  packet.Type
	codes []packet.ReasonCode
	text  string
	done  chan struct{}
}

// Subscribe subscribes and waits for the server's answer: a code for each filter,
// the QoS granted or a failure. The error names the first filter that failed. id is the
// Subscription Identifier that messages shall bring (MQTT 5), 0 for none.
func (c *Client) Subscribe(ctx context.Context, id uint32, subs ...Subscription) ([]packet.ReasonCode, error) {
	p := &packet.Subscribe{}
	names := make([]string, 0, len(subs))
	for _, s := range subs {
		names = append(names, s.Filter)
		p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(s.Filter), QoS: s.QoS, NoLocal: s.NoLocal,
			RetainAsPublished: s.RetainAsPublished, RetainHandling: s.RetainHandling})
	}
	if id != 0 {
		p.Properties.AddSubscriptionID(id)
	}
	return c.ask(ctx, "subscribe to", names, packet.TypeSuback, func(packetID uint16) packetOut { p.PacketID = packetID; return p })
}

// Unsubscribe removes subscriptions and waits for the server's answer: before
// MQTT 5 it brings no codes.
func (c *Client) Unsubscribe(ctx context.Context, filters ...string) ([]packet.ReasonCode, error) {
	p := &packet.Unsubscribe{}
	for _, f := range filters {
		p.Filters = append(p.Filters, []byte(f))
	}
	return c.ask(ctx, "unsubscribe from", filters, packet.TypeUnsuback, func(packetID uint16) packetOut { p.PacketID = packetID; return p })
}

// packetOut is a packet that can be checked before it is sent.
type packetOut interface {
	packet.Packet
	packet.Validator
}

// ask sends a packet with an identifier and waits for its answer.
func (c *Client) ask(ctx context.Context, op string, names []string, kind packet.Type, with func(id uint16) packetOut) ([]packet.ReasonCode, error) {
	w := &answer{kind: kind, done: make(chan struct{})}
	id, err := c.sendAsk(op, names, w, with)
	if err != nil {
		return nil, err
	}
	if err := c.await(ctx, w.done); err != nil {
		return nil, err // the identifier stays taken until the answer comes
	}
	if len(w.codes) != len(names) && (kind == packet.TypeSuback || c.opt.Version == packet.V5) {
		return w.codes, fmt.Errorf("%s %d filters: the server answered for %d (packet %d)", op, len(names), len(w.codes), id)
	}
	for i, code := range w.codes {
		if code.Failed() {
			return w.codes, &ReasonError{Op: fmt.Sprintf("%s %q", op, names[i]), Code: code, Version: c.opt.Version, Text: w.text}
		}
	}
	return w.codes, nil
}

func (c *Client) sendAsk(op string, names []string, w *answer, with func(id uint16) packetOut) (uint16, error) {
	c.mu.Lock()
	if c.ended || c.closing {
		c.mu.Unlock()
		return 0, c.overErr()
	}
	defer c.mu.Unlock()
	id, ok := c.session.reserve()
	if !ok {
		return 0, errors.New("all packet identifiers are in use")
	}
	p := with(id)
	err := p.Validate(c.opt.Version)
	if size := p.Size(c.opt.Version); err == nil && c.accepted.MaximumPacketSize != 0 && uint64(size) > uint64(c.accepted.MaximumPacketSize) {
		err = fmt.Errorf("the packet would have %d bytes, the server takes %d at most [MQTT-3.2.2-15]", size, c.accepted.MaximumPacketSize)
	}
	if err != nil {
		delete(c.session.other, id)
		return 0, fmt.Errorf("%s %q: %w", op, names, err)
	}
	c.answers[id] = w
	c.queue(p)
	return id, nil
}

// answer takes a SUBACK or UNSUBACK; one that nobody asked for is ignored.
func (c *Client) answer(kind packet.Type, id uint16, codes []packet.ReasonCode, p *packet.Properties) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.answers[id]
	if w == nil || w.kind != kind {
		return
	}
	delete(c.answers, id)
	delete(c.session.other, id)
	w.codes, w.text = slices.Clone(codes), string(p.ReasonString)
	close(w.done)
}
