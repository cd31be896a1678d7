package devices

import (
	"context"
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
	return c.ask(ctx, "subscribe to", names, true, func(token uint64) error { return c.machine.Subscribe(&c.turn, p, token) })
}

// Unsubscribe removes subscriptions and waits for the server's answer: before
// MQTT 5 it brings no codes.
func (c *Client) Unsubscribe(ctx context.Context, filters ...string) ([]packet.ReasonCode, error) {
	p := &packet.Unsubscribe{}
	for _, f := range filters {
		p.Filters = append(p.Filters, []byte(f))
	}
	// Before MQTT 5 an UNSUBACK has no codes.
	coded := c.opt.Version == packet.V5
	return c.ask(ctx, "unsubscribe from", filters, coded, func(token uint64) error { return c.machine.Unsubscribe(&c.turn, p, token) })
}

// ask sends a packet that wants an answer, and waits for it. coded says that the answer
// has a code for each name.
func (c *Client) ask(ctx context.Context, op string, names []string, coded bool, send func(token uint64) error) ([]packet.ReasonCode, error) {
	w, err := c.sendAsk(send)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", op, names, err)
	}
	if err := c.await(ctx, w.done); err != nil {
		return nil, err // the identifier stays taken until the answer comes
	}
	if coded && len(w.codes) != len(names) {
		return w.codes, fmt.Errorf("%s %d filters: the server answered for %d", op, len(names), len(w.codes))
	}
	for i, code := range w.codes {
		if code.Failed() {
			return w.codes, &ReasonError{Op: fmt.Sprintf("%s %q", op, names[i]), Code: code, Version: c.opt.Version, Text: w.text}
		}
	}
	return w.codes, nil
}

func (c *Client) sendAsk(send func(token uint64) error) (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.closing {
		return nil, c.overLocked()
	}
	c.tick()
	c.asks++
	if err := send(c.asks); err != nil {
		return nil, err
	}
	w := &answer{done: make(chan struct{})}
	c.answers[c.asks] = w
	c.flush()
	return w, nil
}

// answered takes a SUBACK or UNSUBACK.
func (e *events) answered(token uint64, codes []packet.ReasonCode, text []byte) {
	if w := e.answers[token]; w != nil {
		delete(e.answers, token)
		w.codes, w.text = slices.Clone(codes), string(text)
		close(w.done)
	}
}
