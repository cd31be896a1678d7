// Package core is the one session and routing core that every protocol of
// Fairlead shares: identity, authorisation, sessions, queues, routing, retained
// messages, Wills, fastlane, the drop ledger and the explain records.
//
// An adapter (mqtt, mqttsn, coap, …) translates its protocol into calls of
// [Gateway] and takes what a client shall receive out of its [Session]; it holds
// no behaviour of its own. Whatever core needs from outside (stores, bridges,
// identity sources, the cluster, connections) is declared in seams.go.
//
// # Who owns what
//
//   - A [Session] is owned by its own mutex. Nothing that blocks, and no call out
//     of core, happens under it; two session locks are never held at once.
//   - A [Turn] belongs to the one goroutine that runs it (an event loop's turn, a
//     connection's pump, the store's completions). It carries everything that
//     would otherwise be shared on the hot path: the reader of the route table,
//     the clock, counters, caches, and the sessions that the turn touched.
//   - The route table and the subscriptions behind it are read under the turn's
//     own reader lock and changed in short batches under all of them.
//
// # Lock order
//
// route table (writer) → nothing; connection's outgoing lock (edge) → session; a
// message on its way to very many (fan) → session.
// The route table is never changed while a session lock is held.
//
// # A message's way
//
// [Gateway.Publish] places and authorises, looks for the filters that match, stores what
// must be retained, and puts a [Delivery] into each receiver's session. Receivers whose
// session is durable get QoS 1 and 2 only after the store has committed, and so does the
// publisher its acknowledgement. [Turn.End] wakes each touched connection once.
//
// The look for filters comes before everything that cannot be undone. Where it takes long,
// and the adapter has given a [Search], it is broken off after some steps, and Publish
// returns with nothing done; the adapter leaves the packet where it is and calls again
// after others were served. All that comes before it (the topic's alias, place and
// right) has no effect and is done again.
package core
