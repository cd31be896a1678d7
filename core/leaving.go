package core

// A session that ends may have thousands of subscriptions. The turn that ends it takes them
// out of the table at its Flushes, some at a time; what they match meanwhile finds that the
// session is over.

const (
	// leaveAtOnce is how many slices of subscriptions go with their session, and at each
	// Flush.
	leaveAtOnce = 2
	// leavingMost bounds the sessions of a turn that have some left; of further ones all go
	// at once.
	leavingMost = 64
)

// leaveRoutes takes the subscriptions of s, which is over, out of the table.
func (t *Turn) leaveRoutes(s *Session) {
	switch {
	case !t.leaveSome(s):
	case len(t.leaving) < leavingMost:
		t.leaving = append(t.leaving, s)
	default:
		t.g.subs.leave(t.g.routes, s, t.g.peers)
	}
}

func (t *Turn) leaveSome(s *Session) (more bool) {
	for range leaveAtOnce {
		if !t.g.subs.leaveSome(t.g.routes, s, t.g.peers) {
			return false
		}
	}
	return true
}

// leaveOn goes on with the session that began to leave last.
func (t *Turn) leaveOn() {
	n := len(t.leaving) - 1
	if n < 0 || t.leaveSome(t.leaving[n]) {
		return
	}
	t.leaving[n] = nil
	if t.leaving = t.leaving[:n]; n == 0 {
		t.leaving = nil
	}
}
