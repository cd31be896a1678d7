package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// lastBody finds the highest body id, so that none is given out twice.
func (sc *scan) lastBody(db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{image.FamilyBody}, UpperBound: []byte{image.FamilyBody + 1}})
	if err != nil {
		return fmt.Errorf("pebble: read messages: %w", err)
	}
	defer it.Close()
	if it.Last() && len(it.Key()) == 9 {
		sc.t.NoteBody(binary.BigEndian.Uint64(it.Key()[1:]), 0)
	}
	err = it.Error()
	if pebble.IsCorruptionError(err) {
		sc.s.fault([]byte{image.FamilyBody}, err)
		sc.t.UnreadableBodies()
		return nil
	}
	if err != nil {
		return fmt.Errorf("pebble: read messages: %w", err)
	}
	return nil
}

// family reads all records of one family, which take hands over: it gives an error
// of the record's as fault, one of the loader's as err.
func (sc *scan) family(ctx context.Context, db *pebble.DB, family byte, what string, take func(key, value []byte, to core.Loader) (fault, err error)) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{family}, UpperBound: []byte{family + 1}})
	if err != nil {
		return fmt.Errorf("pebble: read %s: %w", what, err)
	}
	defer it.Close()
	n := 0
	last := []byte{family}
	for ok := it.First(); ; ok = it.Next() {
		if !ok && !sc.passFamily(it, last, what) {
			break
		}
		if n++; n%interval == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		last = append(last[:0], it.Key()...)
		value, fault := it.ValueAndErr()
		if fault == nil {
			fault, err = take(it.Key(), value, sc.to)
		}
		if fault != nil {
			sc.s.fault(it.Key(), fault)
		}
		if err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebble: read %s: %w", what, err)
	}
	return nil
}

// passFamily goes on behind a damaged part of a family: at the next key in the order
// of bytes, then at ever more distant ones.
func (sc *scan) passFamily(it *pebble.Iterator, last []byte, what string) bool {
	err := it.Error()
	if !pebble.IsCorruptionError(err) {
		return false
	}
	sc.s.fault(last, fmt.Errorf("%s behind this one are unreadable: %w", what, err))
	const attempts = 4096
	key := append(bytes.Clone(last), 0)
	for range attempts {
		for len(key) > 1 && key[len(key)-1] == 0xff {
			key = key[:len(key)-1]
		}
		if len(key) == 1 {
			return false
		}
		key[len(key)-1]++
		if it.SeekGE(key) {
			return true
		}
		if !pebble.IsCorruptionError(it.Error()) {
			return false
		}
	}
	return false
}
