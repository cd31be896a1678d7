package snmachine

import (
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// Config is what many machines have in common. It is never changed once a machine has
// it. A zero field means what its comment says.
type Config struct {
	Clean     bool   // CleanSession
	KeepAlive uint16 // seconds; 0: none
	// Retry is the time after which a message is sent again that was not answered; the
	// wait doubles each time, up to eightfold. 0: 10 s. [SN-7.2-1]
	Retry time.Duration
	// Retries is how often, until the gateway is taken for lost. 0: 4.
	Retries uint8
	// CongestionWait is the time after which a message is sent again that the gateway
	// refused for congestion. 0: 5 min.
	CongestionWait time.Duration
	// MaxQueue bounds the messages and requests that wait. 0: 1000.
	MaxQueue int
	// Predefined are the topic ids that gateway and client know beforehand.
	Predefined map[uint16]string
	// ManualAck leaves acknowledging received messages to Machine.Ack; otherwise they
	// are acknowledged when Handler.Message returns.
	ManualAck bool
}

func (c *Config) retry(tries uint8) int64 {
	d := c.Retry
	if d == 0 {
		d = 10 * time.Second
	}
	return int64(d) << min(tries, 3)
}

func (c *Config) retries() uint8 {
	if c.Retries == 0 {
		return 4
	}
	return c.Retries
}

func (c *Config) congestionWait() int64 {
	if c.CongestionWait == 0 {
		return int64(5 * time.Minute)
	}
	return int64(c.CongestionWait)
}

func (c *Config) maxQueue() int {
	if c.MaxQueue == 0 {
		return 1000
	}
	return c.MaxQueue
}

// Will is the message that the gateway publishes for a client that is lost.
type Will struct {
	Topic   string
	Message []byte
	QoS     uint8
	Retain  bool
}

// Turn is what the machines of one goroutine share.
type Turn struct {
	// Now is the time in nanoseconds of any clock that does not go back.
	Now int64
	// Handler takes the datagrams and events of the machine that is called; never nil.
	Handler Handler

	out []byte // of the datagram being written
}

// Handler hears of what happens. All it is given is borrowed: valid until it returns. It
// may call Publish, Subscribe, Unsubscribe and Ack of the machine that called it.
type Handler interface {
	// Send: the datagram is to go to the gateway.
	Send(datagram []byte)
	// Connected: the gateway accepted the client.
	Connected()
	// Message: a PUBLISH came, a QoS 2 message that was acknowledged only once.
	Message(p *packet.Publish, topic string)
	// Done: the gateway answered what was asked for with this token; see Result.
	Done(token uint64, r Result)
	// Asleep: the gateway knows that the client sleeps, or has sent all that gathered
	// meanwhile.
	Asleep()
	// Ended: there is no connection any more. err is nil after the own Disconnect,
	// else ErrNoAnswer, ErrDisconnected or a *RefusedError of the CONNECT.
	Ended(err error)
}

// Result is the gateway's answer to a Publish, Subscribe or Unsubscribe.
type Result struct {
	Code packet.ReturnCode
	QoS  uint8 // that a subscription was granted
}

// The errors a connection ends with, and those of calls that cannot be done.
var (
	// ErrNoAnswer: the gateway answered nothing, however often it was asked.
	ErrNoAnswer = errors.New("the gateway does not answer")
	// ErrDisconnected: the gateway said DISCONNECT; it does not know the client any more,
	// or wants it no more.
	ErrDisconnected = errors.New("the gateway ended the connection")
	// ErrFull: Config.MaxQueue messages wait already.
	ErrFull = errors.New("too many messages wait for the gateway")
	// ErrTooLong: the message does not fit into a datagram.
	ErrTooLong = errors.New("does not fit into a datagram")
	// ErrNeedsID: QoS −1 takes predefined topics and those of two characters only.
	ErrNeedsID = errors.New("QoS -1 needs a topic with a predefined id, or one of two characters")
	// ErrState: the client is not in the state for this.
	ErrState = errors.New("not possible in the client's state")
)

// RefusedError is the gateway's no to a CONNECT.
type RefusedError struct{ Code packet.ReturnCode }

// Error names the code.
func (e *RefusedError) Error() string { return fmt.Sprintf("connection refused: %s", e.Code) }
