// Package machine is the client's side of MQTT 3.1, 3.1.1 and 5.0 as a pure state
// machine: packets and time go in, bytes and events come out. It has no goroutine,
// lock, socket or clock, so that one goroutine can drive a hundred thousand devices,
// and the same rules stand behind the client of package devices.
//
// A [Machine] is one client with its session; it is embedded by value in whatever
// stands for a device. A [Turn] is what all machines of one goroutine share: the
// time, the bytes that go out, who hears of events, and memory to decode into.
//
//	t.Now, t.Out, t.Handler = now, t.Out[:0], device
//	used, err := device.Input(t, received)
//	… write t.Out, keep received[used:], and if err != nil close, then device.Lost()
//
// # A connection's life
//
// Connect appends the CONNECT; Input takes what comes, from the CONNACK on; Timer
// asks for the connection's end when the server is silent, and keeps it alive. After
// an error of Input or Timer the connection is to be closed, once Out is written: it
// may hold a DISCONNECT that says why. However a connection ends, Lost tells the
// machine, and the next Connect may follow at any time.
//
// # What outlives a connection
//
// Messages of QoS 1 and 2 that wait for their acknowledgement or for room, and the
// identifiers of QoS 2 messages received. After a CONNACK with Session Present they go
// on where they stood: what was sent goes out again with DUP, in its order, and what
// waited follows [MQTT-4.4.0-1]. After one without it, what was sent is reported as
// dropped, and what only waited is sent. Unacknowledged SUBSCRIBE and UNSUBSCRIBE are
// forgotten with their connection, without an event.
//
// # Who owns the bytes
//
// All that a [Handler] is given is borrowed until it returns. All that is handed to a
// Machine is copied before the call returns, if it is kept at all.
//
// # Memory
//
// An idle machine is a few words. Whatever is rare (messages under way, QoS 2
// identifiers, aliases) hangs behind a pointer, is there only while it is used, and goes
// back to its Turn for the next machine that needs it.
package machine
