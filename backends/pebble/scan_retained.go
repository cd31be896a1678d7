package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/core"
)

// lastBody finds the highest body id, so that none is given out twice.
func (sc *scan) lastBody(db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{familyBody}, UpperBound: []byte{familyBody + 1}})
	if err != nil {
		return fmt.Errorf("pebble: read messages: %w", err)
	}
	defer it.Close()
	if it.Last() && len(it.Key()) == 9 {
		sc.t.lastBody = max(sc.t.lastBody, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	err = it.Error()
	if pebble.IsCorruptionError(err) {
		sc.s.fault([]byte{familyBody}, err)
		sc.t.lastBody += 1 << 32 // beyond any that was counted up
		return nil
	}
	if err != nil {
		return fmt.Errorf("pebble: read messages: %w", err)
	}
	return nil
}

func (sc *scan) retained(ctx context.Context, db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{familyRetained}, UpperBound: []byte{familyRetained + 1}})
	if err != nil {
		return fmt.Errorf("pebble: read retained messages: %w", err)
	}
	defer it.Close()
	n := 0
	last := []byte{familyRetained}
	for ok := it.First(); ; ok = it.Next() {
		if !ok && !sc.passRetained(it, last) {
			break
		}
		if n++; n%interval == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		last = append(last[:0], it.Key()...)
		m, err := sc.retainedMessage(it)
		if err != nil {
			sc.s.fault(it.Key(), err)
			continue
		}
		sc.t.noteRetained(m.Topic, true)
		if sc.to == nil {
			continue
		}
		if err := sc.to.Retained(m); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebble: read retained messages: %w", err)
	}
	return nil
}

// passRetained goes on behind a damaged part of the retained messages: at the next
// name in the order of bytes, then at ever more distant ones.
func (sc *scan) passRetained(it *pebble.Iterator, last []byte) bool {
	err := it.Error()
	if !pebble.IsCorruptionError(err) {
		return false
	}
	sc.s.fault(last, fmt.Errorf("retained messages behind this one are unreadable: %w", err))
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

func (sc *scan) retainedMessage(it *pebble.Iterator) (*core.Message, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	if value, err = unseal(it.Key(), value); err != nil {
		return nil, err
	}
	r := &reader{rest: value}
	m := readMessage(r)
	if err := r.end(); err != nil {
		return nil, err
	}
	if !bytes.Equal(it.Key()[1:], []byte(m.Topic)) {
		return nil, errCorrupt
	}
	return m, nil
}
