package pebble

import (
	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Faults gives how many records were found damaged since Open, with the groups of
// changes that Config.Repair let Open discard, and the names of the first of them. Damaged records are not served; queue entries among them
// are lost messages.
func (s *Store) Faults() (count uint64, names []string) { return s.damage.Faults() }

// fault reports the record under key as damaged.
func (s *Store) fault(key []byte, err error) { s.damage.Fault(s.log, key, err) }

// lose reports a queue entry as damaged and takes it out of the queue, so that
// the session does not wait for it. The message is lost, by name.
func (s *Store) lose(clientID string, key []byte, err error) {
	s.fault(key, err)
	k, ok := image.ParseSessionKey(key)
	if !ok || k.Kind != image.KindEntry {
		return
	}
	ack := core.Op{Kind: core.OpAck, Session: clientID, Entry: core.QueuedMessage{Seq: k.Seq()}}
	// Refused (busy, closed): the next Fetch comes across it again.
	_ = s.Commit(&core.Batch{Ops: []core.Op{ack}}, nil)
}
