package sessions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// format is the number of the present layout of a table: 2 has the names of messages in
// the data backends that offered them.
const format = 2

// stamp is what stands beside each transaction.
type stamp struct {
	format uint64
	number uint64 // of the transaction
	name   string // of the Store that wrote it, a random one
	since  int64  // when that Store began, Unix milliseconds
	who    string // it is, for people
}

// stampKey is that of backends/image.
func stampKey() []byte { return []byte{image.FamilyMeta, 's'} }

func appendStamp(dst []byte, s *stamp) []byte {
	dst = image.AppendUvarint(image.AppendUvarint(dst, s.format), s.number)
	dst = image.AppendString(dst, s.name)
	return image.AppendString(image.AppendUvarint(dst, uint64(s.since)), s.who)
}

func openStamp(value []byte) (s stamp, err error) {
	value, err = image.Unseal(stampKey(), value)
	if err != nil {
		return s, err
	}
	r := image.NewReader(value)
	// A later format may say more behind its number.
	if s.format = r.Uvarint(); s.format > format {
		return s, nil
	}
	s.number, s.name, s.since, s.who = r.Uvarint(), r.String(), int64(r.Uvarint()), r.String()
	return s, r.End()
}

// newName makes the name of a Store.
func newName() string { return rand.Text() }

// errNoStamp: nothing was ever written, or all of it was deleted.
var errNoStamp = errors.New("the store is empty")

// readStamp reads the stamp that stands in t. An error of the record is image.ErrCorrupt or
// image.ErrVersion.
func readStamp(ctx context.Context, t Table) (s stamp, err error) {
	part, key := place(nil, stampKey())
	found := false
	err = t.Get(ctx, part, [][]byte{key}, func(_, value []byte) error {
		found = true
		s, err = openStamp(value)
		return err
	})
	if err == nil && !found {
		err = errNoStamp
	}
	return s, err
}

// describe says who wrote, for people.
func (s *stamp) describe() string {
	return fmt.Sprintf("%q, which began at %s", s.who, time.UnixMilli(s.since).UTC().Format(time.DateTime+" UTC"))
}
