package mqttsn

import (
	"fmt"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
)

// The table finds by id and by name whatever a plain map would, short or long, restored or
// grown.
func TestTopicsAgainstMaps(t *testing.T) {
	predefined := map[uint16]string{2: "p", 5: "q"}
	for _, restored := range []int{0, 3, 40} {
		var s topics
		byID, byName := map[uint16]string{}, map[string]uint16{}
		var rs []core.Registration
		for i := range restored {
			id, name := uint16(1000-2*i), fmt.Sprintf("r/%d", i)
			rs = append(rs, core.Registration{ID: id, Topic: name})
			byID[id], byName[name] = name, id
		}
		s.restore(rs, true)
		for i := range 40 {
			id, name := s.next(predefined), fmt.Sprintf("t/%d", i)
			if byID[id] != "" || predefined[id] != "" {
				t.Fatalf("id %d is given twice", id)
			}
			s.add(entry{id: id, name: name})
			if i%7 == 3 {
				s.forget(id)
				continue
			}
			byID[id], byName[name] = name, id
		}
		for id := range uint16(1100) {
			if e := s.byID(id); (e != nil) != (byID[id] != "") || e != nil && e.name != byID[id] {
				t.Errorf("id %d: %+v, want %q", id, e, byID[id])
			}
		}
		for i := range 40 {
			for _, name := range []string{fmt.Sprintf("t/%d", i), fmt.Sprintf("r/%d", i)} {
				if e := s.byName(name); (e != nil) != (byName[name] != 0) || e != nil && e.id != byName[name] {
					t.Errorf("name %s: %+v, want %d", name, e, byName[name])
				}
			}
		}
	}
}

func TestSN_5_3_11_1_ReservedIDs(t *testing.T) {
	var s topics
	if id := s.next(nil); id != 1 {
		t.Errorf("the first id is %d", id)
	}
	s.add(entry{id: packet.ReservedTopicID - 2, name: "a"})
	if id := s.next(nil); id != packet.ReservedTopicID-1 {
		t.Errorf("the last id is %d", id)
	}
	s.add(entry{id: packet.ReservedTopicID - 1, name: "b"})
	if id := s.next(nil); id != packet.NoTopicID {
		t.Errorf("behind the last id there is %d", id)
	}
}
