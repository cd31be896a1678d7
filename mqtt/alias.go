package mqtt

import (
	"hash/maphash"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// aliasesOut are the Topic Aliases towards one client: a table with one slot for
// each alias, in which a topic has one place, found by its hash. A topic that is sent
// a second time while it is in its place gets the alias of that place; one that finds
// another there pushes it out. So topics that do not repeat cost the receiver
// nothing, looking costs one comparison, and memory is bounded. [MQTT-3.3.2-7]
type aliasesOut struct {
	slots   []aliasSlot
	streams *streams // of a connection with data streams; both halves', which then take turns
}

// aliasSlot is one place.
type aliasSlot struct {
	topic string
	known bool // the client knows the alias
}

// note takes over what was sent.
func (s *aliasSlot) note(topic string, aliased bool) {
	if s.topic != topic {
		*s = aliasSlot{topic: topic}
		return
	}
	s.known = s.known || aliased
}

// minAliased is the shortest topic for which an alias is worth its three bytes.
const minAliased = 5

// chooseAlias puts an alias into out if topic has one; the slot, to be noted once the
// packet is on its way, is nil where the client takes none.
// [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
func (m *Machine) chooseAlias(out *packet.Outgoing, topic string) *aliasSlot {
	if m.aliasMax == 0 || len(topic) < minAliased {
		return nil
	}
	if m.aliases == nil {
		m.aliases = &aliasesOut{}
	}
	if m.aliases.slots == nil {
		m.aliases.slots = make([]aliasSlot, m.aliasMax)
	}
	i := maphash.String(m.adapter.seed, topic) % uint64(len(m.aliases.slots))
	slot := &m.aliases.slots[i]
	if slot.topic != topic {
		return slot
	}
	out.TopicAlias = uint16(i) + 1
	if slot.known {
		out.Topic = nil
	}
	return slot
}
