package core

import "sync/atomic"

const (
	// piece is how many filters of a SUBSCRIBE or UNSUBSCRIBE are worked off before it is
	// asked whether the connection has had its share: some 25 us.
	piece = 32
	// fewFilters is up to how many are no more than a share, and are done at once.
	fewFilters = 128
)

// Pieces is how far core has come with a request of many filters, which may take longer than
// a connection's share of a turn. An adapter that can ask again sets Allowed: where
// Unfinished says that something is left, it makes the same call with the same request
// after others were served, and does nothing of the connection in between. It may also drop
// the request, if the connection is over: what was done of it stays, as nobody was told.
// The zero value has all done in one call.
type Pieces struct {
	Allowed bool

	next  int     // the filter to go on with
	whole *pieced // nil unless unfinished
}

// Unfinished says that the request was left: the same call comes again.
func (p *Pieces) Unfinished() bool { return p.whole != nil }

// wanted says that a request of n filters is done, or goes on, in pieces.
func (p *Pieces) wanted(n int) bool { return p.Unfinished() || p.Allowed && n > fewFilters }

// pieced is a request that is done in pieces, with its answer, which is put together as they
// are done: those of a durable session once the store has them, on other turns. Each
// writes in a place of its own.
type pieced struct {
	link   Link
	left   atomic.Int32 // pieces that wait for the store, and one until the last was done
	answer Completion
}

// part is a piece: what of the whole begins at the filter of index from.
type part struct {
	of   *pieced
	from int
}

// note puts the answers of the piece where they belong. There are none of granted to an
// UNSUBSCRIBE.
func (p part) note(granted []uint8, reasons []Reason) {
	if p.of.answer.Op == OpSubscribe {
		copy(p.of.answer.Granted[p.from:], granted)
	}
	copy(p.of.answer.Reasons[p.from:], reasons)
}

// settle tells l's client what the store has answered: at once where it is the answer to
// all of the request, else with the last piece.
func (p part) settle(t *Turn, l Link, c Completion) {
	if w := p.of; w != nil {
		p.note(c.Granted, c.Reasons)
		if w.left.Add(-1) > 0 {
			return
		}
		c = w.answer
	}
	t.answer(l, c)
}

// goOn works off pieces of n filters until all are done or the connection has had its
// share, which at the begin may be none: the packet took long to read. one does a piece, up
// to the filter of index to, and says whether the store is to answer; p is the request's.
func (p *Pieces) goOn(t *Turn, n int, one func(from part, to int) (pending bool)) (done bool) {
	w := p.whole
	if p.next == 0 && t.Spent() {
		return false
	}
	if w.link.conn() == nil { // taken over meanwhile: the session's next connection decides
		for i := p.next; i < n; i++ {
			w.answer.Reasons[i] = SessionTakenOver
		}
		p.next = n
	}
	for p.next < n {
		here := part{w, p.next}
		p.next = min(p.next+piece, n)
		w.left.Add(1) // before the store could have answered
		if !one(here, p.next) {
			here.note(t.granted, t.answers)
			w.left.Add(-1)
		}
		if p.next < n && t.Spent() {
			return false
		}
	}
	*p = Pieces{Allowed: p.Allowed}
	return true
}

// work begins the request of n filters that c is to answer, or goes on with it, as goOn does.
// whole has the answer once all is done; nil: something is left, or pending, the store is
// to answer.
func (p *Pieces) work(t *Turn, l Link, c Completion, n int, one func(from part, to int) (pending bool)) (whole *pieced, pending bool) {
	if p.whole == nil {
		c.Reasons = make([]Reason, n)
		p.whole = &pieced{link: l, answer: c}
		p.whole.left.Store(1)
	}
	whole = p.whole
	switch {
	case !p.goOn(t, n, one):
		return nil, false
	case whole.left.Add(-1) > 0:
		return nil, true
	}
	return whole, false
}

// subscribePieces is Subscribe, piece by piece: each is a SUBSCRIBE of its own but for its
// answer.
func (g *Gateway) subscribePieces(t *Turn, l Link, r *SubscribeRequest) (granted []uint8, reasons []Reason, pending bool) {
	c := Completion{Op: OpSubscribe, Token: r.Token}
	if !r.Unfinished() {
		c.Granted = make([]uint8, len(r.Filters))
	}
	whole, pending := r.work(t, l, c, len(r.Filters), func(here part, to int) bool {
		some := *r
		some.Pieces, some.Filters = Pieces{}, r.Filters[here.from:to]
		s := subscribing{g: g, link: l, r: &some, part: here}
		return s.now(t)
	})
	if whole == nil {
		return nil, nil, pending
	}
	return whole.answer.Granted, whole.answer.Reasons, false
}

// unsubscribePieces is Unsubscribe, piece by piece.
func (g *Gateway) unsubscribePieces(t *Turn, l Link, r *UnsubscribeRequest) (reasons []Reason, pending bool) {
	c := Completion{Op: OpUnsubscribe, Token: r.Token}
	whole, pending := r.work(t, l, c, len(r.Filters), func(here part, to int) bool {
		u := t.unsubscribing()
		u.g, u.link, u.part = g, l, here
		return u.now(t, r.Filters[here.from:to])
	})
	if whole == nil {
		return nil, pending
	}
	return whole.answer.Reasons, false
}
