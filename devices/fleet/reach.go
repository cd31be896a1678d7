package fleet

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/fairlead-iot/fairlead/devices/loop"
)

// reachTimeout bounds the first look at a broker.
const reachTimeout = 5 * time.Second

// Reach tells whether something answers at every broker's address, before thousands of
// devices find out. The error is a *loop.DialError that says what to do.
func (f *Fleet) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	seen := map[string]bool{}
	var errs []error
	for _, g := range f.plan.Groups {
		if seen[g.Broker] {
			continue
		}
		seen[g.Broker] = true
		e, err := loop.ParseEndpoint(g.Broker, loop.TLS(f.opt.Scenario.TLS))
		if err == nil {
			err = e.Probe(ctx, &net.Dialer{})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
