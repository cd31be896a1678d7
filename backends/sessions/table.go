package sessions

import (
	"context"
	"errors"
)

// ErrClaimed: another gateway has claimed the table since; nothing was written.
var ErrClaimed = errors.New("another gateway has claimed this store")

// ErrRefused: the database will not take these writes however often they are tried, as a
// value, or all of them together, are too large for it; nothing was written, nor will be.
var ErrRefused = errors.New("the database will not take this")

// Table is what a database must give: values under two-part keys, written in
// transactions by one claimant.
//
// A part is up to 32 bytes, a key up to 65,600 and never empty, a value up to 256 MiB; all
// are bytes of any value, compared as bytes. Methods may block up to ctx and are safe for
// concurrent use, but Claim and Write come from one goroutine. An error that is not
// ErrClaimed or ErrRefused says what failed and of which server; the caller tries again.
type Table interface {
	// Claim makes the caller the only one who may write: Write of every Table that
	// claimed before fails with ErrClaimed from now on, also when it is under way and
	// not yet applied. It creates nothing: a missing schema is an error that names
	// "fairlead ctl backend init". who stands beside the claim, for people.
	Claim(ctx context.Context, who string) error
	// Write applies ws in order, all or nothing, and returns once the database has
	// promised what its package states. After an error other than ErrClaimed and ErrRefused
	// it may have been applied, or may yet be: only a new Claim excludes that it is later.
	// The caller keeps ws small where it can, a few MiB and some thousand writes, but a
	// message with its hundred thousand receivers is one Write. A database that cannot
	// take a value of 256 MiB in one piece keeps it in several, or refuses it. It must not
	// keep ws or the bytes in it.
	Write(ctx context.Context, ws []Write) error
	// Get calls f for those of keys in part that are there, in any order. The bytes are
	// f's until it returns. It sees every Write that returned nil.
	Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error
	// Scan calls f for everything, in any order, up to f's first error, which it
	// returns. Nobody writes meanwhile. It reads in pages: a table that is larger than
	// memory must not be gathered.
	Scan(ctx context.Context, f func(part, key, value []byte) error) error
	// Close ends the connections that the Table made for itself.
	Close() error
}

// WriteKind is what a Write does.
type WriteKind uint8

// The kinds of Write.
const (
	Set        WriteKind = iota // Value under Part and Key, new or instead of what stood there
	Delete                      // Key of Part, if it is there
	DeletePart                  // all of Part
)

// Write is one change of a Table.
type Write struct {
	Kind  WriteKind
	Part  []byte
	Key   []byte // not with DeletePart, unless Part holds nothing else than Key, and what the writes before this one name
	Value []byte // with Set; may be empty, and is then read back as empty
}
