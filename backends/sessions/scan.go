package sessions

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// scan is one reading of the whole table: it builds the image and, where there is a loader,
// hands over what core must know. Sessions are gathered, as their records come in any order.
type scan struct {
	s        *Store
	im       *image.Image
	to       core.Loader // nil to build the image only
	sessions map[uint64]*image.Reading
	key      []byte // scratch
}

// scan reads the whole table. The caller holds the turn.
func (s *Store) scan(ctx context.Context, to core.Loader) (*image.Image, error) {
	sc := &scan{s: s, im: image.New(), to: to, sessions: map[uint64]*image.Reading{}}
	if err := s.table.Scan(ctx, sc.take); err != nil {
		return nil, fmt.Errorf("store %s: read the sessions: %w", s.o.Engine, err)
	}
	for _, sid := range slices.Sorted(maps.Keys(sc.sessions)) {
		lost, err := sc.sessions[sid].Handover(sc.im, to, 0)
		if err != nil {
			return nil, err
		}
		if lost > 0 {
			s.fault(image.AppendSession(nil, sid), fmt.Errorf("session #%d has no readable record: %d records below it are lost", sid, lost))
		}
		delete(sc.sessions, sid)
	}
	return sc.im, nil
}

// take takes one record in. What does not agree with its checksum is reported and left out.
func (sc *scan) take(part, rest, value []byte) error {
	key, ok := join(sc.key[:0], part, rest)
	sc.key = key
	if !ok {
		sc.s.fault(slices.Concat(part, rest), image.ErrCorrupt)
		return nil
	}
	var fault, err error
	switch key[0] {
	case image.FamilySession:
		fault = sc.session(key, value)
	case image.FamilyBody:
		sc.im.NoteBody(binary.BigEndian.Uint64(key[1:]), int64(len(value)))
	case image.FamilyRetained:
		fault, err = sc.im.TakeRetained(key, value, sc.to)
	case image.FamilyDelayed:
		fault, err = sc.im.TakeDelayed(key, value, sc.to)
	case image.FamilyMeta:
	default:
		fault = image.ErrCorrupt
	}
	if fault != nil {
		sc.s.fault(key, fault)
	}
	return err
}

func (sc *scan) session(key, value []byte) error {
	k, _ := image.ParseSessionKey(key)
	g := sc.sessions[k.SID]
	if g == nil {
		g = &image.Reading{}
		g.Reset(sc.to == nil)
		sc.sessions[k.SID] = g
		sc.im.NoteSID(k.SID) // never given out again while records are left
	}
	err := g.Take(k, key, value)
	if err != nil && k.Kind == image.KindEntry {
		g.Keep(k.Seq()) // Fetch comes across it, and takes it away
	}
	return err
}
