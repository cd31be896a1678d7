package coretest

import (
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
)

// storeLife is a store as one gateway sees it. Once that gateway is killed, what it
// still does changes nothing.
type storeLife struct {
	core.Store
	over atomic.Bool
}

func (l *storeLife) end() { l.over.Store(true) }

// Commit implements core.Store.
func (l *storeLife) Commit(b *core.Batch, done func(error)) error {
	if l.over.Load() {
		return nil // nobody is told
	}
	return l.Store.Commit(b, done)
}
