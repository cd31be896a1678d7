package loop

import "fmt"

// descriptorReserve is what a process needs besides its connections: logs, results,
// name servers, the loops themselves.
const descriptorReserve = 64

// room makes Room's answer of a limit and what is open.
func room(limit, open int) (int, string) {
	n := max(limit-open-descriptorReserve, 0)
	return n, fmt.Sprintf("the limit of descriptors is %d (ulimit -n), %d are open and %d are kept in reserve", limit, open, descriptorReserve)
}
