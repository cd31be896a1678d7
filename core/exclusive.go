package core

import (
	"github.com/fairlead-iot/fairlead/core/route"
)

// takeExclusive makes s the holder of an exclusive filter; false: another session
// holds it. One that is away holds it as well, until it unsubscribes or ends.
// Inside Update.
func (ss *subscriptions) takeExclusive(s *Session, filter string) bool {
	if holder, held := ss.exclusive[filter]; held {
		return holder == s.index
	}
	ss.exclusive[filter] = s.index
	return true
}

// dropExclusive frees the filter of sub, a subscription that ends. Inside Update.
func (ss *subscriptions) dropExclusive(tx *route.Tx, sub *subscription) {
	if sub.flags&subExclusive != 0 {
		delete(ss.exclusive, tx.Filter(sub.entry))
	}
}

// settleExclusive forgets a stored subscription that another session holds
// already. A crash can leave two: its old holder's end was not yet stored, or
// could not be, when the next one's subscription was.
func (l *restoring) settleExclusive(s *Session, filter string, proxy bool) {
	l.g.Refuse(l.t, Refusal{Reason: ExclusiveTaken, ClientID: s.id, Detail: "restore " + filter})
	l.forget = append(l.forget, s.unsubscribeOp(filter, proxy))
}
