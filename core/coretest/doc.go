// Package coretest holds the conformance suites for what plugs into core, and
// stand-ins for what core plugs into (a store in memory, connections that a test
// drives). Each suite says, as runnable tests, what the contract in core/seams.go
// means; every implementation calls it from a short test of its own. The package
// keeps no state; what a suite opens, it closes.
//
// # Stores
//
// [RunStore] takes a function that opens a core.Store on a directory (a name for
// engines that keep their data elsewhere): opening the same directory again,
// after Close, must show the same data.
//
// Where the contract's words leave room, the suite decides:
//
//   - An error of Commit itself means that nothing was taken and done is never
//     called; done(err) means that nothing of the batch was applied.
//   - Operations on a session that does not exist are no fault and do nothing;
//     the rest of their batch is applied.
//   - A Record's Epoch is never 0.
//   - An enqueue at a Seq that is taken replaces the entry.
//   - OpReleased of an unknown Seq does nothing; a released entry counts as
//     queued until its OpAck.
//   - Load is called once, before the first Commit; QueueEnd may lie beyond the
//     last Seq that was enqueued, never below.
//   - Fetch of an unknown session gives nothing and no error.
//
// The suite compares a store with a model: plain maps that apply the same batches.
package coretest
