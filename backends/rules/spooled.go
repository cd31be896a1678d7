package rules

import "github.com/fairlead-iot/fairlead/backends/spool"

// spooled is a Queue on disk.
type spooled struct{ *spool.Spool }

// NewSpool makes a Queue of an open spool, which Close closes. The spool has as many
// lanes as workers are wanted; where entries of an earlier run wait, as many as that had.
func NewSpool(s *spool.Spool) Queue { return spooled{s} }

// Append implements Queue.
func (q spooled) Append(key string, entry []byte) bool {
	return q.Spool.Append(spool.Hash(key), entry) == 1
}

// Lanes implements Queue.
func (q spooled) Lanes() (list []Lane) {
	for i := range q.Spool.Lanes() {
		list = append(list, q.Lane(i))
	}
	return list
}

// spiller is a Queue that goes to disk while the database is away, so that a crash then
// loses next to nothing.
type spiller interface{ Spill(on bool) }

func (p *pool) spill(on bool) {
	if q, ok := p.queue.(spiller); ok {
		q.Spill(on)
	}
}
