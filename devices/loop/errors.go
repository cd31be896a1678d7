package loop

import "errors"

// What Handler.Closed is told besides errors of the network.
var (
	// ErrAborted is the end by Conn.Abort.
	ErrAborted = errors.New("loop: connection aborted by the device")
	// ErrCut is the end by cut_every of a network condition.
	ErrCut = errors.New("loop: connection cut by the network condition")
	// ErrRebound is the end by rebind of a network condition: the device goes on
	// from another address, so it may dial at once.
	ErrRebound = errors.New("loop: connection lost as the network condition gave the device another address")
	// ErrStopped is the end with the loop.
	ErrStopped = errors.New("loop: connection ended with the event loop")
	// ErrHeldTooMuch is the end for a handler that used too little of its input.
	ErrHeldTooMuch = errors.New("loop: the server sent a packet larger than the device holds; raise Options.MaxHeld")
	// ErrOutputTooMuch is the end for a handler that appended to Out beyond all room.
	ErrOutputTooMuch = errors.New("loop: the device appended more output than twice Options.MaxPending; look at Conn.Room first")
)

// DialError is a connection that could not be opened.
type DialError struct {
	URL     string // without password
	Problem string // what is the matter
	Hint    string // what to do, "" if there is no telling
	Err     error
}

// Error gives URL, problem and hint in one line.
func (e *DialError) Error() string {
	text := e.URL + ": " + e.Problem
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Unwrap gives the cause.
func (e *DialError) Unwrap() error { return e.Err }
