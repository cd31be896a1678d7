package core

import (
	"github.com/fairlead-iot/fairlead/core/route"
)

// takeExclusive makes s the holder of an exclusive filter; false: another session
// holds it, who is not over. One that is away holds it as well, until it unsubscribes or ends.
// Inside Update.
func (ss *subscriptions) takeExclusive(s *Session, filter string) bool {
	if holder, held := ss.exclusive[filter]; held && holder != s.index && !ss.leaves(holder) {
		return false
	}
	ss.exclusive[filter] = s.index
	return true
}

// dropExclusive frees the filter of sub, a subscription that ends. Inside Update.
func (ss *subscriptions) dropExclusive(tx *route.Tx, sub *subscription) {
	if sub.flags&subExclusive == 0 {
		return
	}
	if f := tx.Filter(sub.entry); ss.exclusive[f] == sub.session { // not another's, see takeExclusive
		delete(ss.exclusive, f)
	}
}

// leaves says that the session of an index is over, though not all of its subscriptions are
// gone yet. Inside Update.
func (ss *subscriptions) leaves(index uint32) bool {
	s := ss.session(index)
	return s != nil && s.gone
}

// settleExclusive forgets a stored subscription that another session holds
// already. A crash can leave two: its old holder's end was not yet stored, or
// could not be, when the next one's subscription was.
func (l *restoring) settleExclusive(s *Session, filter string, proxy bool) {
	l.g.Refuse(l.t, Refusal{Reason: ExclusiveTaken, ClientID: s.id, Detail: "restore " + filter})
	l.forget = append(l.forget, s.unsubscribeOp(filter, proxy))
}
