package coapmachine

import (
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Config is what many machines have in common. It is never changed once a machine has
// it. A zero field means what its comment says.
type Config struct {
	// Expiry is how long the session outlives the connection, in seconds; 0xFFFFFFFF:
	// for ever. 0: not at all, and observations are forgotten.
	Expiry uint32
	// KeepAlive is the time between heartbeats, in seconds. 0: none.
	KeepAlive uint16
	// AckTimeout is the first wait before a message is sent again; it grows by up to a
	// half at random, and doubles each time. 0: 2 s.
	AckTimeout time.Duration
	// Retransmits is how often, until the gateway is taken for lost. 0: 4.
	Retransmits uint8
	// BlockSize is the payload of one datagram: 16, 32, … 1024. 0: 1024.
	BlockSize int
	// MaxBody bounds what is put together from blocks, in bytes. 0: 1 MiB.
	MaxBody int
	// MaxQueue bounds the messages and requests that wait. 0: 1000.
	MaxQueue int
	// ManualAck leaves acknowledging notifications to Machine.Ack; otherwise they are
	// acknowledged when Handler.Message returns.
	ManualAck bool
}

func (c *Config) ackTimeout() int64 {
	if c.AckTimeout == 0 {
		return int64(2 * time.Second)
	}
	return int64(c.AckTimeout)
}

func (c *Config) retransmits() uint8 {
	if c.Retransmits == 0 {
		return 4
	}
	return c.Retransmits
}

// szx is the size exponent of BlockSize.
func (c *Config) szx() uint8 {
	szx := uint8(6)
	for szx > 0 && c.BlockSize != 0 && 16<<szx > c.BlockSize {
		szx--
	}
	return szx
}

func (c *Config) maxBody() int {
	if c.MaxBody == 0 {
		return 1 << 20
	}
	return c.MaxBody
}

func (c *Config) maxQueue() int {
	if c.MaxQueue == 0 {
		return 1000
	}
	return c.MaxQueue
}

// Identity is who a client is. ClientID may be empty where DTLS tells.
type Identity struct {
	ClientID    string
	Username    string
	Password    string
	HasPassword bool
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
	// Message: a notification came, whole.
	Message(m *Notification)
	// Done: the gateway answered what was asked for with this token. text is its
	// diagnostic payload where it refused.
	Done(token uint64, code codes.Code, text string)
	// Ended: there is no connection any more. err is nil after the own Disconnect,
	// else ErrNoAnswer, ErrUnknown or a *RefusedError of the login.
	Ended(err error)
}

// Notification is a message for an observation. CoAP does not tell its topic, only that of
// the observation.
type Notification struct {
	Filter   string // "": what the gateway has subscribed the client to
	Topic    string // told by notifications of Filter "", "" otherwise
	Payload  []byte
	QoS      uint8  // 1 where it is to be acknowledged
	ID       uint16 // for Ack
	Retained bool   // the state that was there when the observation began
}

// Publication is a message to be published.
type Publication struct {
	Topic   string
	Payload []byte
	QoS     uint8
	Retain  bool
	Expiry  uint32 // seconds, valid when HasExpiry

	HasExpiry bool
}

// The errors a connection ends with, and those of calls that cannot be done.
var (
	// ErrNoAnswer: the gateway answered nothing, however often it was asked.
	ErrNoAnswer = errors.New("the gateway does not answer")
	// ErrUnknown: the gateway does not know the client's token, or not at this address.
	ErrUnknown = errors.New("the gateway does not know the connection any more")
	// ErrFull: Config.MaxQueue messages wait already.
	ErrFull = errors.New("too many messages wait for the gateway")
	// ErrTooLong: a level of the topic has more than 255 bytes, or the payload is larger
	// than Config.MaxBody.
	ErrTooLong = errors.New("too long for CoAP")
	// ErrState: not possible so.
	ErrState = errors.New("not possible in the client's state")
)

// RefusedError is the gateway's no to a login.
type RefusedError struct {
	Code codes.Code
	Text string // diagnostic payload, "" for none
}

// Error gives code and text.
func (e *RefusedError) Error() string {
	s := fmt.Sprintf("connection refused: %d.%02d %s", e.Code>>5, e.Code&31, e.Code)
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}
