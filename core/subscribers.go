package core

import "github.com/fairlead-iot/fairlead/core/route"

// taken tells whether a filter has so many subscribers. Inside Update.
func taken(tx *route.Tx, filter string, most uint32) bool {
	e, ok := tx.Find(filter)
	if !ok {
		return false
	}
	var it route.Iter
	tx.Values(e, &it)
	n := uint32(0)
	for piece, ok := it.Next(); ok && n < most; piece, ok = it.Next() {
		n += uint32(len(piece))
	}
	return n >= most
}

// LimitSubscribers ends subscriptions to the very topic name, as l's client sees it, until
// no more than most clients of this node have it: those that were made as
// SubscribeRequest.Limited and whose clients are connected, whatever protocol the others
// speak. Their connections get OpOusted. It never blocks.
func (g *Gateway) LimitSubscribers(t *Turn, l Link, name string, most uint32) {
	filter, reason := g.asked(l.Session, name)
	if reason != Success {
		return
	}
	limited, over := g.excess(filter, most)
	for i := len(limited) - 1; i >= 0 && over > 0; i-- {
		s := limited[i].session
		s.mu.Lock()
		conn := s.conn
		s.mu.Unlock()
		if conn == nil {
			continue
		}
		over--
		g.Refuse(t, Refusal{Reason: SubscriberLimit, ClientID: s.id, Detail: "ended: subscribe " + filter})
		t.complete(conn, Completion{Op: OpOusted, Token: limited[i].subID})
	}
}

// limitedSubscription is one that LimitSubscribers may end.
type limitedSubscription struct {
	session *Session
	subID   uint32
}

// excess gives those subscriptions of a filter that may be ended, and how many have it
// beyond most.
func (g *Gateway) excess(filter string, most uint32) (limited []limitedSubscription, over int) {
	g.routes.Update(func(tx *route.Tx) {
		e, ok := tx.Find(filter)
		if !ok {
			return
		}
		var it route.Iter
		tx.Values(e, &it)
		for piece, ok := it.Next(); ok; piece, ok = it.Next() {
			over += len(piece)
			for _, v := range piece {
				if v&groupTag != 0 {
					continue
				}
				if sub := g.subs.at(v); sub.flags&subLimited != 0 {
					limited = append(limited, limitedSubscription{g.subs.session(sub.session), sub.subID})
				}
			}
		}
		over -= int(min(most, 1<<30))
	})
	return limited, over
}
