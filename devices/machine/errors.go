package machine

import (
	"errors"
	"fmt"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Errors that callers branch on.
var (
	// ErrNotConnected: the call needs a connection that the server accepted.
	ErrNotConnected = errors.New("not connected")
	// ErrQueueFull: Config.MaxQueue messages wait for room already.
	ErrQueueFull = errors.New("the queue of messages that wait to be sent is full")
	// ErrNoIdentifier: all packet identifiers are in use.
	ErrNoIdentifier = errors.New("65,535 messages are unacknowledged: there is no packet identifier left")
	// ErrRefused: the CONNACK said no; Handler.Connected had it.
	ErrRefused = errors.New("the server refused the connection")
	// ErrDisconnected: the server's DISCONNECT came; Handler.Disconnected had it.
	ErrDisconnected = errors.New("the server ended the connection")
	// ErrNoAnswer: no CONNACK or PINGRESP came in time.
	ErrNoAnswer = errors.New("the server does not answer any more")
	// ErrSessionLost: the server no longer knows the session, so what was sent and not
	// acknowledged will never be. [MQTT-3.2.2-5]
	ErrSessionLost = errors.New("the server has forgotten the session")
)

// RefusalError says that a packet is not one for the server that is connected. It was not
// sent.
type RefusalError struct {
	Code packet.ReasonCode // what the server would answer
	Msg  string
}

// Error gives the reason in words.
func (e *RefusalError) Error() string { return e.Msg }

func tooLarge(size int, most uint32) *RefusalError {
	return &RefusalError{packet.ReasonPacketTooLarge,
		fmt.Sprintf("the packet would have %d bytes, the server takes %d at most [MQTT-3.2.2-15]", size, most)}
}

func tooGood(most byte) *RefusalError {
	return &RefusalError{packet.ReasonQoSNotSupported, fmt.Sprintf("the server takes QoS %d at most [MQTT-3.2.2-11]", most)}
}

func noRetain() *RefusalError {
	return &RefusalError{packet.ReasonRetainNotSupported, "the server keeps no retained messages [MQTT-3.2.2-14]"}
}

// fault makes an error as the codec has them; one of the server's is answered by its code.
func fault(code packet.ReasonCode, clause, msg string) error {
	return &packet.Error{Code: code, Clause: clause, Msg: msg}
}
