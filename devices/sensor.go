package devices

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Sensor is a connection by a protocol of datagrams, MQTT-SN or CoAP, that the gateway
// accepted. Its methods are those of [Client], as far as the protocol has words for them.
// Safe for concurrent use.
type Sensor struct {
	opt      Options
	url      string
	conn     net.Conn
	session  *Session
	messages chan *Message
	born     time.Time // when its clock began

	joined  chan struct{} // closed when the gateway accepted it
	done    chan struct{} // closed when the connection is over
	drained chan struct{} // closed when the reader returned
	wake    chan struct{} // for the writer: there is something

	mu      *sync.Mutex // the session's: one lock for both
	speaker speaker
	alarm   *time.Timer
	out     [][]byte   // datagrams that wait for the writer
	got     []*Message // what came with the last datagram
	answers map[uint64]*answer
	dozed   chan struct{} // closed when the gateway knows that it sleeps
	err     error
	ended   bool
	leaving bool
}

// speaker is a machine that speaks the protocol for one client. It is called with the
// lock held, and tells what it has to say by the methods of the Sensor it was given last.
type speaker interface {
	begin(s *Sensor) error
	input(b []byte)
	timer() (next int64) // on the Sensor's clock, 0 for none
	publish(m *Message, token uint64) error
	subscribe(sub Subscription, token uint64) error
	unsubscribe(filter string, token uint64) error
	acknowledge(m *Message)
	sleep(d time.Duration) error
	fetch() error
	leave()
	lost()
}

// DialSensor connects to the gateway at rawURL and waits until it accepts:
//
//	mqttsn://HOST[:1884]  mqttsns://HOST[:8884]  coap://HOST[:5683]  coaps://HOST[:5684]
//
// What the options say and the protocol cannot is refused. The error is as Dial's.
func DialSensor(ctx context.Context, rawURL string, o Options) (*Sensor, error) {
	o = o.withDefaults()
	a, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if !a.datagrams() {
		return nil, fmt.Errorf("%s: DialSensor does not speak %s; Dial does", a.shown, a.scheme)
	}
	a.credentials(&o)
	s := newSensor(a, o)
	if err := s.choose(a); err != nil {
		return nil, &DialError{URL: a.shown, Problem: err.Error(), Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if s.conn, err = a.openDatagrams(ctx, &o); err != nil {
		return nil, explainDial(a, err)
	}
	go s.writeLoop()
	go s.readLoop()
	if err := s.join(ctx); err != nil {
		s.Close()
		return nil, s.explain(a, err)
	}
	return s, nil
}

func newSensor(a *address, o Options) *Sensor {
	return &Sensor{
		opt: o, url: a.shown, session: o.Session, mu: &o.Session.mu, born: time.Now(),
		messages: make(chan *Message, o.Buffer), answers: map[uint64]*answer{},
		joined: make(chan struct{}), done: make(chan struct{}), drained: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// choose finds the machine: the session's, if it spoke the protocol before.
func (s *Sensor) choose(a *address) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var old speaker
	if s.session.sensor != nil {
		old = s.session.sensor.speaker
	}
	var err error
	if a.scheme == "mqttsn" || a.scheme == "mqttsns" {
		s.speaker, err = newSNSpeaker(&s.opt, old)
	} else {
		s.speaker, err = newCoAPSpeaker(&s.opt, a, old)
	}
	return err
}

// join says who the client is, and waits for the answer.
func (s *Sensor) join(ctx context.Context) error {
	s.mu.Lock()
	if former := s.session.sensor; former != nil && !former.ended {
		_ = former.endLocked(ErrReplaced)
	}
	s.session.sensor = s
	err := s.speaker.begin(s)
	s.settle()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-s.joined:
		return nil
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sensor) explain(a *address, err error) error {
	e := &DialError{URL: a.shown, Err: err}
	var no *ReasonError
	switch {
	case errors.As(err, &no):
		e.Problem, e.Hint = no.Error(), "may this client connect? the gateway's log and fairlead explain say why not"
	case errors.Is(err, ErrNoAnswer), isTimeout(err):
		e.Problem, e.Hint = "no answer in time", fmt.Sprintf("is the gateway running, and does it have a listener for %s on UDP port %s?", a.scheme, a.port)
	case errors.Is(err, syscall.ECONNREFUSED):
		return explainDial(a, err)
	default:
		e.Problem = err.Error()
	}
	return e
}

// now is the Sensor's clock, in nanoseconds; it never shows 0.
func (s *Sensor) now() int64 { return int64(time.Since(s.born)) + 1 }

// settle ends a call of the speaker: what it said goes out, and its alarm is set. The
// lock is held.
func (s *Sensor) settle() {
	if len(s.out) > 0 {
		signal(s.wake)
	}
	if s.ended {
		return
	}
	next := s.speaker.timer()
	if len(s.out) > 0 {
		signal(s.wake)
	}
	switch {
	case s.ended:
	case s.alarm == nil && next != 0:
		s.alarm = time.AfterFunc(time.Duration(max(next-s.now(), 0)), s.ring)
	case next != 0:
		s.alarm.Reset(time.Duration(max(next-s.now(), 0)))
	case s.alarm != nil:
		s.alarm.Stop()
	}
}

// ring runs when the alarm does.
func (s *Sensor) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
}

func (s *Sensor) writeLoop() {
	for {
		select {
		case <-s.wake:
		case <-s.done:
			s.write() // the last words
			s.conn.Close()
			return
		}
		s.write()
	}
}

func (s *Sensor) write() {
	s.mu.Lock()
	out := s.out
	s.out = nil
	s.mu.Unlock()
	for _, b := range out {
		// What cannot be sent is as good as lost on the way: it is sent again.
		_, _ = s.conn.Write(b)
	}
}

// readLoop takes datagrams until the connection ends.
func (s *Sensor) readLoop() {
	defer close(s.drained)
	defer close(s.messages)
	b := make([]byte, 1<<16)
	for {
		n, err := s.conn.Read(b)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED): // the last datagram found nobody
			if s.nobody() {
				return
			}
			continue
		case err != nil:
			s.over(lost(err))
			return
		}
		for _, m := range s.step(b[:n]) {
			if !s.hand(m) {
				return
			}
		}
	}
}

// nobody ends a connection that has not begun: later the gateway may come back.
func (s *Sensor) nobody() bool {
	select {
	case <-s.joined:
		return false
	default:
		s.over(syscall.ECONNREFUSED)
		return true
	}
}

func (s *Sensor) step(b []byte) []*Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.speaker.input(b)
	s.settle()
	got := s.got
	s.got = nil
	return got
}

// hand gives m to the caller, waiting until there is room, and acknowledges it unless
// that is the caller's; false when the connection ends meanwhile.
func (s *Sensor) hand(m *Message) bool {
	select {
	case s.messages <- m:
	case <-s.done:
		return false
	}
	if s.opt.ManualAck {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.speaker.acknowledge(m)
		s.settle()
	}
	return true
}

// ack does what Message.Ack says.
func (s *Sensor) ack(m *Message) error {
	if !s.opt.ManualAck {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return s.endLocked(nil)
	}
	s.speaker.acknowledge(m)
	s.settle()
	return nil
}

// The speaker's words. The lock is held.

func (s *Sensor) send(b []byte) { s.out = append(s.out, append([]byte(nil), b...)) }

func (s *Sensor) accepted() { close(s.joined) }

func (s *Sensor) received(m *Message) {
	m.client = s
	s.got = append(s.got, m)
}

// answer ends the message or request of the token; text says more of a refusal.
func (s *Sensor) answer(token uint64, code packet.ReasonCode, text string) {
	if p := s.session.pending[token]; p != nil {
		var err error
		if code.Failed() {
			err = &ReasonError{Op: fmt.Sprintf("publish to %q", p.topic), Code: code, Version: packet.V5, Text: text}
		}
		s.session.finish(p, code, err)
		return
	}
	if w := s.answers[token]; w != nil {
		delete(s.answers, token)
		w.codes, w.text = []packet.ReasonCode{code}, text
		close(w.done)
	}
}

func (s *Sensor) asleep() {
	if s.dozed != nil {
		close(s.dozed)
		s.dozed = nil
	}
}

// endLocked ends the connection for err, nil for ErrClosed; only the first counts, and it
// is returned.
func (s *Sensor) endLocked(err error) error {
	if s.ended {
		return s.err
	}
	if err == nil || s.leaving {
		err = ErrClosed
	}
	s.ended, s.err = true, err
	s.speaker.lost()
	if s.alarm != nil {
		s.alarm.Stop()
	}
	close(s.done)
	return err
}

func (s *Sensor) over(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.endLocked(err)
}
