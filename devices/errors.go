package devices

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fairlead-iot/fairlead/devices/machine"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// ReasonError is a refusal in the server's own words.
type ReasonError struct {
	Op      string            // what was refused: "connection refused", `publish to "a"`
	Code    packet.ReasonCode // in MQTT 5's terms, whatever the version
	Version packet.Version
	Text    string // the server's Reason String, "" for none
	// Reference is another server to use, "" for none.
	Reference string
}

// Error gives the refusal as a person understands it, with the code in brackets.
func (e *ReasonError) Error() string {
	s := fmt.Sprintf("%s: %s", e.Op, e.words())
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Reference != "" {
		s += "; the server names another one: " + e.Reference
	}
	return s
}

// words are the code's name in small letters and its number.
func (e *ReasonError) words() string {
	if e.Version != packet.V5 && strings.HasPrefix(e.Op, "connection refused") {
		r := e.Code.ReturnCode()
		return fmt.Sprintf("%s (code %d)", r, byte(r))
	}
	name := strings.ReplaceAll(strings.ToLower(e.Code.String()), "qos", "QoS")
	return fmt.Sprintf("%s (0x%02x)", name, byte(e.Code))
}

// DialError says why no connection came about, and what to do.
type DialError struct {
	URL     string // without its password
	Problem string
	Hint    string // "" for none
	Err     error  // the cause
}

// Error gives URL, problem and hint in one line.
func (e *DialError) Error() string {
	s := e.URL + ": " + e.Problem
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Errors that callers branch on.
var (
	// ErrClosed: the client was closed by its own side.
	ErrClosed = errors.New("the client is closed")
	// ErrSessionLost: the server no longer knows the session, so what was not
	// acknowledged will never be.
	ErrSessionLost = machine.ErrSessionLost
	// ErrNoAnswer: the server did not answer a PINGREQ.
	ErrNoAnswer = machine.ErrNoAnswer
	// ErrReplaced: another Dial took the session, and with it this client's place.
	ErrReplaced = errors.New("another connection of the client has taken its place")
	// ErrLost: the network connection ended without a word.
	ErrLost = errors.New("connection lost")
)
