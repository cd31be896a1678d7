package devices

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Accepted tells who the client is to the gateway; the protocols grant nothing else.
func (s *Sensor) Accepted() Accepted { return Accepted{ClientID: s.opt.ClientID} }

// Messages gives received messages; it is closed when the connection is over.
func (s *Sensor) Messages() <-chan *Message { return s.messages }

// Done is closed when the connection is over; Err then says why.
func (s *Sensor) Done() <-chan struct{} { return s.done }

// Session is what a following DialSensor needs to go on: topic ids, messages that wait.
func (s *Sensor) Session() *Session { return s.session }

// Err says why the connection is over, nil while it is open.
func (s *Sensor) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Publish sends m and waits until it is acknowledged, at QoS 0 until it is sent.
func (s *Sensor) Publish(ctx context.Context, m *Message) (packet.ReasonCode, error) {
	p, err := s.Send(ctx, m)
	if err != nil {
		return packet.ReasonUnspecifiedError, err
	}
	return s.Wait(ctx, p)
}

// Send hands m over and does not wait; messages go out one after the other.
func (s *Sensor) Send(_ context.Context, m *Message) (*Pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.leaving {
		return nil, s.closed()
	}
	p := s.session.add(m)
	if err := s.speaker.publish(m, p.token); err != nil {
		err = fmt.Errorf("publish to %q: %w", m.Topic, err)
		s.session.finish(p, packet.ReasonUnspecifiedError, err)
		return nil, err
	}
	s.settle()
	return p, nil
}

// Wait waits for the acknowledgement of p.
func (s *Sensor) Wait(ctx context.Context, p *Pending) (packet.ReasonCode, error) {
	if err := s.await(ctx, p.done); err != nil {
		return packet.ReasonUnspecifiedError, err
	}
	return p.code, p.err
}

// Subscribe subscribes to one filter after the other and gives the QoS granted for each.
// The error names the first that failed. id must be 0. Over CoAP the filter "" observes
// what the gateway has subscribed the client to.
func (s *Sensor) Subscribe(ctx context.Context, id uint32, subs ...Subscription) (codes []packet.ReasonCode, err error) {
	if id != 0 {
		return nil, errors.New("subscription identifiers are MQTT 5's")
	}
	for _, sub := range subs {
		code, err := s.ask(ctx, "subscribe to", sub.Filter, func(token uint64) error { return s.speaker.subscribe(sub, token) })
		codes = append(codes, code)
		if err != nil {
			return codes, err
		}
	}
	return codes, nil
}

// Unsubscribe removes subscriptions and waits for the gateway's answers.
func (s *Sensor) Unsubscribe(ctx context.Context, filters ...string) (codes []packet.ReasonCode, err error) {
	for _, f := range filters {
		code, err := s.ask(ctx, "unsubscribe from", f, func(token uint64) error { return s.speaker.unsubscribe(f, token) })
		codes = append(codes, code)
		if err != nil {
			return codes, err
		}
	}
	return codes, nil
}

func (s *Sensor) ask(ctx context.Context, op, name string, send func(token uint64) error) (packet.ReasonCode, error) {
	w, err := s.sendAsk(send)
	if err == nil {
		err = s.await(ctx, w.done)
	}
	if err != nil {
		return packet.ReasonUnspecifiedError, fmt.Errorf("%s %q: %w", op, name, err)
	}
	if code := w.codes[0]; code.Failed() {
		return code, &ReasonError{Op: fmt.Sprintf("%s %q", op, name), Code: code, Version: packet.V5, Text: w.text}
	}
	return w.codes[0], nil
}

func (s *Sensor) sendAsk(send func(token uint64) error) (*answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.leaving {
		return nil, s.closed()
	}
	s.session.last++ // one row of tokens with the messages
	w := &answer{done: make(chan struct{})}
	s.answers[s.session.last] = w
	if err := send(s.session.last); err != nil {
		delete(s.answers, s.session.last)
		return nil, err
	}
	s.settle()
	return w, nil
}

// Sleep tells the gateway that the client sleeps for at most so long, in whole seconds,
// and waits until it knows. MQTT-SN only.
func (s *Sensor) Sleep(ctx context.Context, most time.Duration) error {
	return s.doze(ctx, func() error { return s.speaker.sleep(most) })
}

// Wake fetches what gathered while the client slept, and waits until all was received; it
// sleeps on then. MQTT-SN only.
func (s *Sensor) Wake(ctx context.Context) error { return s.doze(ctx, s.speaker.fetch) }

func (s *Sensor) doze(ctx context.Context, do func() error) error {
	s.mu.Lock()
	dozed := make(chan struct{})
	err := s.closedLocked()
	if err == nil {
		err = do()
	}
	if err == nil {
		s.dozed = dozed
		s.settle()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.await(ctx, dozed)
}

func (s *Sensor) closedLocked() error {
	if s.ended || s.leaving {
		return s.closed()
	}
	return nil
}

// closed is the error of calls that come too late.
func (s *Sensor) closed() error {
	if s.err != nil {
		return s.err
	}
	return ErrClosed
}

// await waits for done; a connection that ends at the same time does not count.
func (s *Sensor) await(ctx context.Context, done <-chan struct{}) error {
	var err error
	select {
	case <-done:
		return nil
	case <-s.done:
		err = s.Err()
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

// Disconnect says goodbye, and waits until the gateway has answered or does not.
func (s *Sensor) Disconnect(ctx context.Context) error {
	s.mu.Lock()
	if s.ended || s.leaving {
		err := s.closed()
		s.mu.Unlock()
		return err
	}
	s.leaving = true
	s.speaker.leave()
	s.settle()
	s.mu.Unlock()
	wait := time.NewTimer(leaveTimeout)
	defer wait.Stop()
	select {
	case <-s.done:
	case <-wait.C:
	case <-ctx.Done():
	}
	s.over(ErrClosed)
	<-s.drained
	return ctx.Err()
}

// Close forgets the connection without a word: the gateway takes the client for lost in
// the end.
func (s *Sensor) Close() error {
	s.over(ErrClosed)
	<-s.drained
	return nil
}
