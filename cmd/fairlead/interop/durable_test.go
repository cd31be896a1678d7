package interop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// place is where the gateway can be reached at present: every life of it has
// other ports.
type place struct {
	mu        sync.Mutex
	endpoints map[transport]endpoint
	moved     chan struct{} // closed when the endpoints change
}

func newPlace() *place { return &place{moved: make(chan struct{})} }

func (p *place) move(to map[transport]endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endpoints = to
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *place) now() (map[transport]endpoint, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endpoints, p.moved
}

// durable is a client whose session outlives every connection, and that comes
// back over another transport each time.
type durable struct {
	name    string
	version packet.Version
	place   *place
	random  *rand.Rand
	session *devices.Session
	known   bool // the gateway has confirmed the session, so it must know it from then on
}

// errForgotten is the fault that the gateway lost a whole session.
var errForgotten = errors.New("the gateway has forgotten the session")

// dial connects, and tries again until it succeeds or ctx ends.
func (d *durable) dial(ctx context.Context) (*devices.Client, error) {
	for {
		endpoints, moved := d.place.now()
		c, err := d.try(ctx, endpoints, moved)
		if err == nil || errors.Is(err, errForgotten) {
			return c, err
		}
		again := time.NewTimer(50 * time.Millisecond)
		select {
		case <-ctx.Done():
			err = fmt.Errorf("%s: %w; last: %w", d.name, ctx.Err(), err)
		case <-moved:
		case <-again.C:
		}
		again.Stop()
		if ctx.Err() != nil {
			return nil, err
		}
	}
}

func (d *durable) try(ctx context.Context, endpoints map[transport]endpoint, moved <-chan struct{}) (*devices.Client, error) {
	all := []transport{"tcp", "tls", "ws", "wss", "quic", "unix"}
	at, ok := endpoints[all[d.random.IntN(len(all))]]
	if !ok {
		return nil, errors.New("the gateway is not there yet")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if at.transport == "quic" {
		go during(ctx.Done(), moved, cancel)
	}
	c, err := devices.Dial(ctx, at.deviceURL(), devices.Options{
		Version: d.version, ClientID: d.name, Resume: true, SessionExpiry: 3600,
		Session: d.session, MaxInflight: 32, ManualAck: true, TLS: devices.TLS{CAFile: at.ca},
		Will: &devices.Will{Message: devices.Message{Topic: "will/" + d.name, QoS: 1, Retain: true}},
	})
	if err != nil {
		return nil, err
	}
	if at.transport == "quic" {
		go during(c.Done(), moved, func() { c.Close() })
	}
	if d.known && !c.Accepted().SessionPresent {
		c.Close()
		return nil, fmt.Errorf("%s: %w", d.name, errForgotten)
	}
	return c, nil
}

// during ends a QUIC connection, or the attempt at one, with the life of the gateway:
// nobody says of a UDP port that its process is gone, and the time after which silence
// tells is longer than a life.
func during(over, moved <-chan struct{}, end func()) {
	select {
	case <-moved:
		end()
	case <-over:
	}
}

// deviceURL writes the endpoint as package devices likes it.
func (e endpoint) deviceURL() string {
	switch e.transport {
	case "tcp":
		return "mqtt://" + e.address
	case "tls":
		return "mqtts://" + e.address
	}
	return e.url()
}

// publisher sends numbered messages to topics of its own, QoS 1 and 2 in turn.
type publisher struct {
	durable
	ledger  *ledger
	retain  bool               // its messages are retained, each in place of the one before
	waiting []*devices.Message // numbered and not yet given to a client
	sent    []*devices.Pending
}

// topics are one for each QoS.
func (p *publisher) topics() [2]string {
	return [2]string{"kill/" + p.name + "/q1", "kill/" + p.name + "/q2"}
}

// run sends until stop ends, then waits until everything is acknowledged. It
// returns how many messages were.
func (p *publisher) run(ctx, stop context.Context) (acknowledged int, err error) {
	for {
		c, err := p.dial(ctx)
		if err != nil {
			return 0, err
		}
		p.known = true
		for (stop.Err() == nil || len(p.waiting) > 0) && p.send(ctx, stop, c) == nil {
		}
		if stop.Err() == nil || len(p.waiting) > 0 {
			c.Close() // no second connection beside one that is left open
			continue
		}
		if c.Drain(ctx) == nil {
			n, err := p.verdicts(ctx, c)
			c.Disconnect(ctx) // the last kill may have ended the connection already
			return n, err
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%s: %d messages unacknowledged: %w", p.name, p.session.Unacknowledged(), ctx.Err())
		}
	}
}

// send sends one message of each QoS. What could not be given to c waits for the
// next connection: its number is taken.
func (p *publisher) send(ctx, stop context.Context, c *devices.Client) error {
	if len(p.waiting) == 0 {
		if err := p.compose(stop, c); err != nil {
			return err
		}
	}
	for len(p.waiting) > 0 {
		pending, err := c.Send(ctx, p.waiting[0])
		if err != nil {
			return err
		}
		p.sent = append(p.sent, pending)
		p.waiting = p.waiting[1:]
	}
	return nil
}

// compose numbers the next message of each topic.
func (p *publisher) compose(stop context.Context, c *devices.Client) error {
	for i, topic := range p.topics() {
		if err := p.ledger.awaitRoom(stop, topic, c.Done()); err != nil {
			return err
		}
		select {
		case <-c.Done(): // before a number is given to what could not be sent
			return c.Err()
		default:
		}
		payload := binary.BigEndian.AppendUint32(nil, uint32(p.ledger.number(topic)))
		p.waiting = append(p.waiting, &devices.Message{
			Topic: topic, Payload: append(payload, make([]byte, p.random.IntN(200))...), QoS: byte(i + 1), Retain: p.retain,
		})
	}
	return nil
}

// verdicts asks for the end of each flow.
func (p *publisher) verdicts(ctx context.Context, c *devices.Client) (acknowledged int, err error) {
	for _, pending := range p.sent {
		code, err := c.Wait(ctx, pending)
		if err != nil {
			return acknowledged, fmt.Errorf("%s: a message was refused: %w", p.name, err)
		}
		if code != packet.ReasonSuccess {
			return acknowledged, fmt.Errorf("%s: a message was acknowledged with %v", p.name, code)
		}
		acknowledged++
	}
	return acknowledged, nil
}

// subscription is a durable client that only receives.
type subscription struct {
	durable
	exactlyOnce bool // subscribed with QoS 2
	ledger      *ledger
	ready       chan struct{} // closed after the first SUBACK
	takeovers   int           // of connections that lived
}

// run receives until ctx ends.
func (s *subscription) run(ctx context.Context) error {
	var former *devices.Client
	for {
		c, err := s.dial(ctx)
		if former != nil {
			former.Close()
			former = nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := s.subscribe(ctx, c); err != nil {
			c.Close()
			continue
		}
		over := context.AfterFunc(ctx, func() { c.Close() })
		err = s.receive(c)
		over()
		if errors.Is(err, errTakeover) {
			s.takeovers++
			former = c
			continue
		}
		c.Close()
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// subscribe does so once: from then on the gateway has to remember it.
func (s *subscription) subscribe(ctx context.Context, c *devices.Client) error {
	if s.known {
		return nil
	}
	qos := byte(1)
	if s.exactlyOnce {
		qos = 2
	}
	if _, err := c.Subscribe(ctx, 0, devices.Subscription{Filter: "kill/#", QoS: qos}); err != nil {
		return err
	}
	s.known = true
	close(s.ready)
	return nil
}

// errTakeover says that the next connection shall take over from this one. What this
// one was given and has not acknowledged comes again there.
var errTakeover = errors.New("the next connection takes over")

// receive books what comes until the connection ends. A message counts from
// the moment in which the client keeps its identifier: what it could not
// acknowledge any more is sent again, and that is then the first.
func (s *subscription) receive(c *devices.Client) error {
	after := s.random.IntN(4000)
	for m := range c.Messages() {
		if after--; after == 0 {
			return errTakeover
		}
		if len(m.Payload) < 4 {
			return fmt.Errorf("%s: a message of %d bytes on %s", s.name, len(m.Payload), m.Topic)
		}
		if m.Ack() != nil {
			continue
		}
		if n := int(binary.BigEndian.Uint32(m.Payload)); !s.ledger.note(s.name, m.Topic, n) {
			return fmt.Errorf("%s: number %d on %s, which nobody sent", s.name, n, m.Topic)
		}
	}
	return nil
}
