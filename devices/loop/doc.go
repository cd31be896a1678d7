// Package loop holds the event loops on which simulated devices live: connections,
// timers and network conditions without a goroutine for each of them. It knows
// bytes, not protocols.
//
// # Who owns what
//
// A [Loop] is one goroutine, the one that calls [Loop.Run]. All methods of its
// connections and timers, and all calls of their [Handler], happen on it; only
// [Loop.Post] may be called from elsewhere. A [Conn] and a [Timer] are fields of
// the device that uses them. An idle connection has no buffer and no goroutine on
// Linux, where the loop waits in epoll; elsewhere, or with Options.Portable,
// each connection over the network has one goroutine behind the same API.
//
// # Turns
//
// A turn takes a batch of events from the kernel, reads the clock once, feeds what
// came to the handlers, runs what was posted, fires the timers, and then writes
// what all of them appended: one system call for each connection that said
// something. [Loop.Now] is the time of the turn.
//
// # Back pressure
//
// Output waits in [Conn.Pending] bytes, at most Options.MaxPending: [Conn.Write]
// refuses what does not fit, and a [Drainer] hears when there is room again. A
// handler that cannot take more calls [Conn.Pause]. Every queue is bounded; what
// was refused is counted in [Counters].
//
// # Conditions
//
// Latency, jitter, bandwidth, cuts, silence and rebinding ([Conditions]) act
// on the bytes of the devices, above TLS and WebSocket, in both directions; the
// handshakes are delayed as a whole. All choices come from the seed of the Dial,
// so a run can be repeated. Without conditions there is no cost.
package loop
