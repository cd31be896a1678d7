package sessions

import (
	"context"
	"errors"
)

// ErrUnclaimed: Write came without a Claim before it that succeeded.
var ErrUnclaimed = errors.New("nobody has claimed this store yet")

// Pool is a pool of connections that is configured; its database can keep sessions.
type Pool interface {
	// OpenTable makes the Table of a namespace. It reads the files that the
	// configuration names, but connects later: the server may be away.
	OpenTable(namespace string) (Database, error)
}

// Database is a [Table] in a real database.
type Database interface {
	Table
	// Init says what of the schema that sessions need is missing or differs, a line
	// each, and with create makes what is missing. It never alters what is there.
	Init(ctx context.Context, create bool) (report []string, err error)
	// Caveats says by which of its settings the server may lose what it has promised to
	// keep, a line each, with what to do; none where it keeps the promise of its package.
	Caveats(ctx context.Context) ([]string, error)
}
