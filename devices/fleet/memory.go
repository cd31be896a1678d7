package fleet

import (
	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// Memory opens mem:// URLs on a network in memory; what stands behind mem:// is the
// address of a listener there: mem://10.0.0.1:1883.
func Memory(n *simnet.Network) func(name string) (loop.Stream, error) {
	return func(name string) (loop.Stream, error) {
		c, err := n.Connect("", name)
		if err != nil {
			return nil, err
		}
		return memory{c}, nil
	}
}

// memory is a simulated connection as a loop wants it.
type memory struct{ *simnet.Conn }

// Abort implements loop.Stream.
func (m memory) Abort() error { return m.Reset() }
