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
//
// # The stamp
//
// Beside its number each transaction writes a random name of the [Store] that wrote it.
// The stamp that stands decides who the table belongs to; a claim only keeps the writes of
// others out. A store that has lost its claim, or does not know what became of a write,
// reads the stamp: another's name is its end, its own means that nobody wrote since, and
// it claims anew. So a gateway that was cut off does not take the table back from one that
// came after it, and one that only lost an answer goes on.
//
// # Where things lie
//
// Keys and records are those of backends/image. Everything of a session but its queue is
// one part; queue entries and bodies lie in parts of 1,024 numbers, which are deleted as a
// whole when nothing is left in them, so that a database which marks what is deleted never
// reads through the marks. Fetch knows from the image which entries there are, and asks for
// just these. Retained and delayed messages are spread over 256 parts each.
package sessions
