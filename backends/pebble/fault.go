package pebble

import (
	"sync"

	"github.com/fairlead-iot/fairlead/core"
)

// maxNamedFaults is how many damaged records are remembered by name; the count
// goes on beyond.
const maxNamedFaults = 1024

// damage is what was found damaged since the start.
type damage struct {
	mu    sync.Mutex
	count uint64
	named []string
	seen  map[string]struct{} // keys in named
}

// note counts a damaged record once, as long as it is remembered; false for one
// that was counted before.
func (d *damage) note(key []byte, what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, again := d.seen[string(key)]; again {
		return false
	}
	d.count++
	if len(d.named) < maxNamedFaults {
		if d.seen == nil {
			d.seen = map[string]struct{}{}
		}
		d.seen[string(key)] = struct{}{}
		d.named = append(d.named, what)
	}
	return true
}

// add counts n lost things under one name.
func (d *damage) add(n uint64, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count += n
	if len(d.named) < maxNamedFaults {
		d.named = append(d.named, what)
	}
}

// Faults gives how many records were found damaged since Open, with the groups of
// changes that Config.Repair let Open discard, and the names of the first of them. Damaged records are not served; queue entries among them
// are lost messages.
func (s *Store) Faults() (count uint64, names []string) {
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	return s.damage.count, append([]string(nil), s.damage.named...)
}

// fault reports the record under key as damaged.
func (s *Store) fault(key []byte, err error) {
	what := describeKey(key) + ": " + err.Error()
	if s.damage.note(key, what) {
		s.log.Error("a record of the store is damaged and left out", "record", describeKey(key), "err", err)
	}
}

// lose reports a queue entry as damaged and takes it out of the queue, so that
// the session does not wait for it. The message is lost, by name.
func (s *Store) lose(clientID string, key []byte, err error) {
	s.fault(key, err)
	k, ok := parseSessionKey(key)
	if !ok || k.kind != kindEntry {
		return
	}
	ack := core.Op{Kind: core.OpAck, Session: clientID, Entry: core.QueuedMessage{Seq: k.seq()}}
	// Refused (busy, closed): the next Fetch comes across it again.
	_ = s.Commit(&core.Batch{Ops: []core.Op{ack}}, nil)
}
