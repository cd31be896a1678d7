package image

import (
	"log/slog"
	"sync"
)

// maxNamedFaults is how many damaged records are remembered by name; the count
// goes on beyond.
const maxNamedFaults = 1024

// Damage is what was found damaged since the start. The zero value has found nothing;
// safe for concurrent use.
type Damage struct {
	mu    sync.Mutex
	count uint64
	named []string
	seen  map[string]struct{} // keys in named
}

// Fault reports the record under key as damaged, once, to log as well.
func (d *Damage) Fault(log *slog.Logger, key []byte, err error) {
	what := DescribeKey(key)
	if d.note(key, what+": "+err.Error()) {
		log.Error("a record of the store is damaged and left out", "record", what, "err", err)
	}
}

// note counts a damaged record once, as long as it is remembered; false for one
// that was counted before.
func (d *Damage) note(key []byte, what string) bool {
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

// Add counts n lost things under one name.
func (d *Damage) Add(n uint64, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count += n
	if len(d.named) < maxNamedFaults {
		d.named = append(d.named, what)
	}
}

// Faults gives how many there were, and the names of the first of them.
func (d *Damage) Faults() (count uint64, names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count, append([]string(nil), d.named...)
}
