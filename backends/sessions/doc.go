// Package sessions keeps Fairlead's own state (sessions, subscriptions, queues, QoS 2
// identifiers, retained and delayed messages) in a database: it is a [core.Store] over a
// [Table], which each database implements in its own package.
//
// # Who writes
//
// A table has one writer at a time, the gateway that claimed it last. Whoever claimed it
// before finds its next write refused, and says so; nothing of it is half there. So two
// gateways never mix in one table, whatever clocks and networks do, and a session needs no
// fence of its own in the database: the writer compares epochs in its memory.
//
// # The way of a batch
//
// Commit appends to a bounded list. One goroutine takes what has gathered, checks each
// batch, and writes all of them as one transaction, numbered; what arrives meanwhile
// gathers for the next. When the answer to a write is lost, the number that stands in the
// table tells whether it arrived: nothing is written twice, and nothing is confirmed that
// is not there. While the database is away, what was taken waits, and Commit refuses more
// with the reason.
package sessions
