package mqttsn

import (
	"slices"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// topics are the topic ids of one client, ascending. Core keeps them with the session; this
// is the copy that a connection works with. [SN-7.3-1]
type topics struct {
	list  []entry
	index map[string]int // into list, once it is long
}

type entry struct {
	id    uint16
	known bool // the client knows it
	told  bool // it did not ask for it, and has not used it
	anew  bool // another topic had it, and the client does not know yet
	name  string
	used  int64 // when a message to the client last had it, Unix milliseconds
}

// indexAbove is the length from which looking through the list costs more than an index.
const indexAbove = 16

// restore takes what a session had; known says whether the client still knows it.
func (s *topics) restore(rs []core.Registration, known bool) {
	*s = topics{}
	slices.SortFunc(rs, func(a, b core.Registration) int { return int(a.ID) - int(b.ID) })
	for _, r := range rs {
		s.add(entry{id: r.ID, known: known, told: r.Told, name: r.Topic})
	}
}

func (s *topics) add(e entry) {
	s.list = append(s.list, e)
	switch n := len(s.list); {
	case s.index != nil:
		s.index[e.name] = n - 1
	case n > indexAbove:
		s.index = make(map[string]int, 2*n)
		for i := range s.list {
			s.index[s.list[i].name] = i
		}
	}
}

// byID finds the entry of a topic id, or nil.
func (s *topics) byID(id uint16) *entry {
	i, ok := slices.BinarySearchFunc(s.list, id, func(e entry, id uint16) int { return int(e.id) - int(id) })
	if !ok {
		return nil
	}
	return &s.list[i]
}

// byName finds the entry of a topic name, or nil.
func (s *topics) byName(name string) *entry {
	if s.index != nil {
		if i, ok := s.index[name]; ok {
			return &s.list[i]
		}
		return nil
	}
	for i := range s.list {
		if s.list[i].name == name {
			return &s.list[i]
		}
	}
	return nil
}

// next is the first id above all that were given, and not a predefined one; 0 when there
// is none left. An id that a client asked for or used is never given twice in a session: it may
// remember the first.
func (s *topics) next(predefined map[uint16]string) uint16 {
	id := uint16(1)
	if n := len(s.list); n > 0 {
		id = s.list[n-1].id + 1
	}
	for ; id != packet.NoTopicID && id != packet.ReservedTopicID; id++ {
		if _, taken := predefined[id]; !taken {
			return id
		}
	}
	return packet.NoTopicID
}

// forget takes the last entry back.
func (s *topics) forget(id uint16) {
	n := len(s.list)
	if n == 0 || s.list[n-1].id != id {
		return
	}
	delete(s.index, s.list[n-1].name)
	s.list = s.list[:n-1]
}

// idle finds the entry whose id may be given to another topic: the client neither asked for
// it nor used it, and of those it has been unused for longest, at least since before; nil
// if there is none. busy are ids of messages under way.
func (s *topics) idle(before int64, busy ...uint16) (found *entry) {
	for i := range s.list {
		e := &s.list[i]
		if e.told && e.used < before && !slices.Contains(busy, e.id) && (found == nil || e.used < found.used) {
			found = e
		}
	}
	return found
}

// rename gives e's id to another topic.
func (s *topics) rename(e *entry, to entry) {
	if s.index != nil {
		s.index[to.name] = s.index[e.name]
		delete(s.index, e.name)
	}
	*e = to
}
