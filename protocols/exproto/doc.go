// Package exproto is the adapter of private protocols out of process: a program of the
// user's own, the handler, speaks with the clients, in any language that has gRPC. Its
// service is described in pb/handler.proto, its use in docs/adapters.md.
//
// # Who owns what
//
// An [Adapter] has a link to the handler of each listener, of one lane or several; Run
// keeps them. A lane is what Fairlead and a handler have between them: its clients by
// number, and the events that wait for the stream. It is data behind a mutex, has no
// goroutine and does no I/O. A stream is the lane's gRPC call, while there is one: two
// goroutines, whatever the number of clients.
//
// A [Machine] is the state of one client. It belongs to its connection, as every
// machine does: commands wait in the lane until the edge calls Complete with OpAdapter,
// and what the machine says to the handler it leaves in the lane. Nothing of either
// blocks.
//
// # Bounds
//
// In each direction a client has a window in bytes. Events beyond it are not made: the
// machine neither reads from the client nor takes messages from core, which queues or
// drops them by its own rules. Commands beyond it end the client as outgoing_full, for
// the handler was told. All events that wait for one stream share exproto.queue; beyond
// it none of its clients is read from, no command is done and new clients are refused as
// server_busy. A handler that takes nothing for exproto.stall_timeout is away.
//
// # Faults of handlers
//
// What a handler does wrong is counted and explained under its reason, and told it by a
// Fault. A number that the stream was never given, another stream's client, is a
// protocol_error and touches nobody; one whose client has left meanwhile is none.
package exproto
