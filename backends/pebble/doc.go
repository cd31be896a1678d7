// Package pebble is the embedded store: the core.Store that a single node uses
// when nothing else is configured. It keeps sessions, subscriptions, queues,
// QoS 2 identifiers and retained messages in one cockroachdb/pebble database
// below one directory.
//
// # The way of a batch
//
// Commit appends the batch to a bounded list and returns. The committer, one
// goroutine, takes what has gathered (a group), checks and applies each batch
// to the image (see backends/image), writes the
// group as one pebble batch into the write-ahead log, and hands it on. The
// finisher, a second goroutine, waits for the log's fsync and calls the done
// functions in order. While an fsync runs, arriving batches gather in the next
// group; when nothing is under way, a batch is committed at once.
//
// # Who owns what
//
// The committer alone owns the image and the numbering of groups; Fetch reads
// the image's directory of sessions under a lock that is held for the look-up
// only. A handle is one opening of the database; it is replaced when the disk
// failed below it (see below) and closed when its last reader left.
//
// # Failures
//
// Pebble treats a failing log or manifest as the end of the process. Here every
// handle works through a fence, a file system that notices such a failure,
// condemns the handle and lets nothing more of it reach the disk. Batches whose
// fate is then unknown are neither confirmed nor refused: the committer opens
// the directory anew until that works, reads from the number of the last stored
// group which of them had arrived, confirms those and commits the others again.
// Meanwhile Commit refuses new batches with the reason, and Fetch goes on with
// the old handle.
//
// Below Config.MinFreeBytes of free space, batches that would grow the store
// fail with core.ErrStoreFull, while those that shrink it go through.
//
// # Records
//
// Keys and records are those of backends/image, in one order: everything of a session
// shares a prefix. See [Store.Faults] for damaged ones.
package pebble
