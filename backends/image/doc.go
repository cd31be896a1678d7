// Package image is what the stores of sessions have in common: how the batches of core
// become records under keys, and how records become sessions again.
//
// A [Builder] checks a batch against the [Image], the small picture in memory of what a
// store holds, and writes records to the store's [Writer]; where the same store must be
// read at its start, a [Reading] takes the records of each session and hands it over. An
// [Inbox] is the bounded list of batches that wait to be written.
//
// # Records
//
// Every value carries a version byte and a CRC-32C over key and value. A record
// that does not agree is reported, counted (see [Damage]) and skipped; it is
// never served.
//
// Terms: sid is the number that stands for a ClientID in keys; body is a
// message that several queue entries share, or that is too large to lie inline;
// span is a run of consecutive queue entries.
package image
