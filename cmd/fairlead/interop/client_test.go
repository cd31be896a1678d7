package interop

import (
	"fmt"
	"testing"
	"time"
)

// patience bounds each wait for an event. It is met only when something is
// wrong: a healthy machine answers in milliseconds, a slow one that does much else in
// seconds.
const patience = time.Minute

// message is an Application Message, as sent or as it arrived.
type message struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload"`
	QoS     byte   `json:"qos"`
	Retain  bool   `json:"retain"`
}

func (m message) String() string {
	payload := m.Payload
	if len(payload) > 24 {
		payload = payload[:24]
	}
	return fmt.Sprintf("%s=%q (%d bytes, QoS %d, retain %t)", m.Topic, payload, len(m.Payload), m.QoS, m.Retain)
}

// options are what a scenario wishes of a connection.
type options struct {
	clientID string
	version  int  // 3 (MQTT 3.1), 4 (3.1.1) or 5
	resume   bool // Clean Session or Clean Start off; in version 5 the session lasts 300 s
	will     *message
}

// driver makes clients of one library.
type driver interface {
	// open connects a client and waits for CONNACK.
	open(t *testing.T, at endpoint, o options) client
}

// client is one connection of a foreign library. Every method waits for the
// answer it is entitled to and ends the test where that does not come.
type client interface {
	sessionPresent() bool
	// subscribe waits for SUBACK and gives the granted QoS, 0x80 and above a refusal.
	subscribe(t *testing.T, filter string, qos byte) byte
	// publish sends all, then waits until each flow is complete.
	publish(t *testing.T, all ...message)
	// receive waits for the next n messages.
	receive(t *testing.T, n int) []message
	// next waits for one message; false if none came before stop was closed.
	next(t *testing.T, stop <-chan struct{}) (message, bool)
	disconnect(t *testing.T) // with DISCONNECT
	drop(t *testing.T)       // without
}

// inbox is the receiving side that all drivers share.
type inbox struct {
	name     string
	messages chan message
	gone     chan struct{} // closed when the connection has ended
}

// inboxSize is more than any scenario sends, so that a library's reader never waits.
const inboxSize = 4096

func newInbox(name string) inbox {
	return inbox{name: name, messages: make(chan message, inboxSize), gone: make(chan struct{})}
}

func (in inbox) receive(t *testing.T, n int) []message {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	var got []message
	for len(got) < n {
		select {
		case m := <-in.messages:
			got = append(got, m)
		case <-late.C:
			t.Fatalf("%s: %d of %d messages after %v: %v", in.name, len(got), n, patience, got)
		}
	}
	return got
}

func (in inbox) next(t *testing.T, stop <-chan struct{}) (message, bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case m := <-in.messages:
		return m, true
	case <-stop:
		return message{}, false
	case <-late.C:
		t.Fatalf("%s: no message in %v", in.name, patience)
		return message{}, false
	}
}

// await waits for c, or ends the test.
func await[T any](t *testing.T, name, what string, c <-chan T) T {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v := <-c:
		return v
	case <-late.C:
		t.Fatalf("%s: no %s in %v", name, what, patience)
		panic("unreachable")
	}
}
