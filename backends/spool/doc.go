// Package spool is a bounded, crash-safe queue of records: what a database or a
// bridge cannot take at the moment waits here, first in memory, then on disk.
//
// # Lanes
//
// A spool is split into lanes, each a queue of its own, so that N workers can
// drain it side by side and yet keep the order per key: [Spool.Append] puts equal
// keys into one lane, and a lane hands its records out in the order in which they
// came. Lanes share the bounds of memory and disk. The number of lanes is fixed
// while records are on disk; [Spool.Lanes] says what holds.
//
// # The way of a record
//
// Append copies the record into the lane's memory and returns; it never touches
// the disk. One goroutine, the writer, writes what is not consumed yet to the
// lane's segment files, oldest first, when one of these asks for it: memory is
// more than half used, [Spool.Flushed], [Spool.Spill], [Spool.Close]. Records on
// disk leave the memory, oldest first, while it is more than half used. What is
// consumed before the writer came to it never costs a byte of disk.
//
// [Lane.Next] serves from disk what memory no longer holds, then from memory.
// [Lane.Commit] confirms; only then is a record gone. The position of each lane
// is written to disk about once a second, so after a crash the records confirmed
// in the last second are served again.
//
// # Promises
//
//   - At least once: a record for which [Spool.Flushed] said nil, or that was there
//     at a Close that said nil, is served until it is committed, through kill and
//     loss of power. With [SyncNever] through kill only.
//   - In order: within a lane records are served in the order of Append, after
//     Retry and after a crash as well. A crash may serve again what had been
//     committed, never in another order.
//   - A loss of power may leave holes among the records that were not safe yet;
//     they are counted as damaged.
//   - Without Flushed, a crash loses what was in memory only. Close loses nothing.
//   - Never damaged: a record that does not agree with its checksum is skipped,
//     counted and reported. The unfinished end that a crash leaves is cut.
//   - Nothing is dropped without a name: see [Stats]; appended = committed +
//     dropped + damaged + waiting, as long as the process lives.
//
// # Bounds
//
// Memory is counted by the buffers that are held, not by what is in them. Not
// counted: the batches under way to consumers that came from disk, and a few
// hundred KiB for writing and reading. When memory is full and the writer is
// behind, failing, or at the bound of the disk, or when the disk is at its bound,
// [Options.Overflow] decides: [RefuseNewest] lets Append take less than it was given;
// [DropOldest] gives up the oldest segment on disk, or the oldest records in the
// memory of the lane that wants room. A batch under way is never taken from its
// consumer by that, but what is dropped from disk is not there after a crash.
//
// # Failures of the disk
//
// A failure is logged once, not for each record, and stands in [Spool.Health]
// until the disk works again. Meanwhile records stay in memory up to its bound and
// Flushed says the error. After a failed write or fsync the file is left alone
// from its last safe record on and a new one is begun, because what such a file
// holds is not known. A failure to read stops that lane, losing nothing, until
// reading works.
//
// # Files
//
//	spool          "fairlead-spool 1", "lanes N": the format
//	lock           held while a process uses the directory
//	position       per lane, the first record that is not committed
//	LL-SSSSSSSSSSSSSSSS.seg   lane and number of the first record, in hex
//	*.damaged      segments whose head could not be read, set aside
//
// A segment is a head (magic, version, lane, first number, order of birth, a
// random salt, CRC-32C) and frames: length, number, CRC-32C of both, CRC-32C of
// the record, the record. All checksums begin with the salt, so that nobody can
// plant something in a payload that is taken for a frame when the search for the
// next good one comes across it. A number that a later segment begins with ends
// the earlier one.
//
// Terms: number (seq) counts the records of a lane; the base of a segment is not
// above the number of its first record; low is the first record of a lane that is
// not committed.
package spool
