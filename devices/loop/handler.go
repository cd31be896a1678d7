package loop

// Handler is what a device does with its connection. All calls come from the
// loop's goroutine and must not block; none comes from within a method that the
// handler calls. For each Dial there is exactly one Closed, and it is the last.
type Handler interface {
	// Opened says that the transport stands: TCP is connected, TLS is agreed upon,
	// the WebSocket is open.
	Opened(c *Conn)
	// Input gives what has come and was not used before. It returns how many bytes
	// of b it used; the rest comes again in front of what follows. b belongs to
	// the loop and is void after the return. More than Options.MaxHeld bytes unused
	// end the connection with ErrHeldTooMuch.
	Input(c *Conn, b []byte) (used int)
	// Closed says that the connection is over; c may be dialled again at once. err is
	// nil after Close, ErrAborted after Abort, ErrCut or ErrRebound by the network
	// condition, ErrStopped with the loop's end, io.EOF when the server ended it in
	// order, a *DialError when it was never open, and else what broke it.
	Closed(c *Conn, err error)
}

// Drainer is a Handler that wants to know when output that had to wait was
// written: Drained is called once the kernel took all of it.
type Drainer interface {
	Drained(c *Conn)
}

// Silencer is a Handler that keeps a record of the network, beside what the device can
// know: Silenced is called when the network condition makes the connection half-open.
// From then on nothing passes.
type Silencer interface {
	Silenced(c *Conn)
}
