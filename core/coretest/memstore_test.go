package coretest

import (
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// TestMemStore: the store that core's tests stand on keeps the contract as well.
func TestMemStore(t *testing.T) {
	stores := map[string]*MemStore{} // by directory: the suite opens one again
	RunStore(t, func(_ *testing.T, dir string) core.Store {
		s := stores[dir]
		if s == nil {
			s = NewMemStore()
			stores[dir] = s
		}
		s.Reopen()
		return s
	})
}
