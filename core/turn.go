package core

import (
	"time"

	"github.com/fairlead-iot/fairlead/core/route"
)

// Turn is what one goroutine holds while it works through a batch of input: the
// clock, the route reader, counters, caches, and what the batch touched. A turn
// belongs to one goroutine at a time; there are few of them.
type Turn struct {
	// Adapter is scratch for the adapter that runs on this turn; core ignores it.
	Adapter any
	// Outbox is the edge's: what the connections that Flush woke leave in it is sent
	// together once all of them had their turn. nil for none.
	Outbox Outbox

	g       *Gateway
	reader  *route.Reader
	now     int64
	spent   int       // of the share of the connection that is served now
	look    int       // at how much of it the clock is looked at next
	began   time.Time // the share, by the clock; zero until that was looked at
	touched []Conn
	targets []target
	fan     *fan       // that the latest publish began, or nil
	fans    []*fan     // to go on with
	leaving []*Session // with subscriptions in the table, though they are over
	twins   bool       // some of them are of clients that have one filter twice
	commit  *commit    // what this turn wants the store to keep, nil for nothing
	commits []*commit  // those before it, closed; they go to the store at the next Flush
	granted []uint8
	answers []Reason
	events  []Event
	own     *commit // of the publisher at work, if its answer waits for sinks
	sought  *Search // of the publish at work, done
	scratch []byte
	found   []*Message // retained messages between scan and delivery
	late    []lateCompletion
	boxes   boxPool
	rings   ringPool
	ranked  *Message // the message whose rank is known
	rank    uint8
	who     Identity         // that is asked about; nobody may keep it
	filters []string         // see FilterText
	spares  [][]byte         // see spareWill
	accepts []accepted       // of a SUBSCRIBE
	ending  *unsubscribing   // for the next UNSUBSCRIBE, or nil
	cursors []retainedCursor // that it begins
	draft   Message          // of a publish whose receivers are looked for; nobody may keep it
	allow   decisionCache
	explain explainRing
	counters
}

// Outbox collects what connections send in one Flush, so that many share a system
// call. It belongs to its turn's goroutine.
type Outbox interface {
	// Send sends what was left, without blocking.
	Send(t *Turn)
}

// scratchSize is the size of a turn's output scratch: about what one write
// should carry; beyond it batching gains nothing.
const scratchSize = 64 << 10

// NewTurn makes the context of one event loop or pump worker. Turns are few: each
// registers a reader of the route table. Close gives it back.
func (g *Gateway) NewTurn() *Turn {
	t := &Turn{g: g, reader: g.routes.NewReader(), now: time.Now().UnixMilli(), look: firstLook}
	t.rings.levels = g.ranks.levels()
	t.explain.init(g.cfg.ExplainRecords, &g.nextRecord)
	g.mu.Lock()
	g.turns = append(g.turns, t)
	g.mu.Unlock()
	return t
}

// Close ends the turn and gives its reader back; its counts are kept.
func (t *Turn) Close() {
	t.End()
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, o := range g.turns {
		if o == t {
			g.turns = append(g.turns[:i], g.turns[i+1:]...)
			break
		}
	}
	for i := range t.values {
		g.closed.add(Counter(i), t.values[i].Load())
	}
	g.closed.publish()
	for i := range t.reasons {
		g.closed.reasons.add(i, t.reasons[i].Load())
	}
	t.reader.Close()
}

// beginNow is Begin with the present time, for core's own turns.
func (t *Turn) beginNow() { t.Begin(time.Now()) }

// Begin sets the turn's coarse clock. Call it at the start of each batch.
func (t *Turn) Begin(now time.Time) {
	if ms := now.UnixMilli(); ms != t.now {
		t.now = ms
		t.g.passTime(ms)
	}
}

// Now is the turn's clock in Unix milliseconds.
func (t *Turn) Now() int64 { return t.now }

// turnShare is how much work one connection may cause before others are served. A unit
// is about what a delivery costs; see workPublish and its like for the rest. What one
// costs depends on what it meets, so that the clock has a say as well: from firstLook
// units on, which are taken for unitTime each, it is looked at every nextLook units, and
// after shareTime all is spent.
const (
	turnShare = 4096
	firstLook = 64
	nextLook  = 64
	shareTime = 100 * time.Microsecond
	unitTime  = 120 * time.Nanosecond
)

// What else costs, in units.
const (
	workPublish = 3 // beside its matches and deliveries
	workSteps   = 2 // steps of a match that make a unit
	workFilter  = 8 // of a SUBSCRIBE or UNSUBSCRIBE
)

// Allot begins the share of one connection: an adapter calls it before it works
// off what the connection sent.
func (t *Turn) Allot() { t.spent, t.look, t.began = 0, firstLook, time.Time{} }

// Spend counts n units of work.
func (t *Turn) Spend(n int) { t.spent += n }

// Spent says that the connection has had its share. An adapter then leaves whole
// packets where they are and asks for them again, see Actions.Again at the edge: a
// share is bounded in work because a read of 64 KiB may hold thousands of messages
// that each go to thousands.
func (t *Turn) Spent() bool { return t.spent >= t.look && t.spentTime() }

// spentTime looks at the clock. A share that is used up stays so.
func (t *Turn) spentTime() bool {
	now := time.Now()
	if t.look == firstLook {
		t.began = now.Add(-time.Duration(t.spent) * unitTime)
	}
	if t.spent >= turnShare || now.Sub(t.began) > shareTime {
		t.look = 0
		return true
	}
	t.look = t.spent + nextLook
	return false
}

// Took is what the share that Allot began has taken so far: what its units cost, or what
// the clock says, if that was looked at and is more.
func (t *Turn) Took() time.Duration {
	took := time.Duration(t.spent) * unitTime
	if !t.began.IsZero() {
		took = max(took, time.Since(t.began))
	}
	return took
}

// Count adds n to a counter.
func (t *Turn) Count(c Counter, n uint64) { t.counters.add(c, n) }

// CountReason counts n events by their reason without a record that explains them:
// for floods, of which some are explained by Gateway.Refuse.
func (t *Turn) CountReason(r Reason, n uint64) { t.counters.reasons.add(int(r), n) }

// Scratch is a buffer of 64 KiB capacity and length 0 for output that is encoded
// and written within the call; the next user of the turn overwrites it.
func (t *Turn) Scratch() []byte {
	if t.scratch == nil {
		t.scratch = make([]byte, 0, scratchSize)
	}
	return t.scratch[:0]
}

// InternTopic gives the string of a topic, without allocation when it is hot.
func (t *Turn) InternTopic(b []byte) string {
	if s, ok := t.KnownTopic(b); ok {
		return s
	}
	return string(b)
}

// KnownTopic gives the string of a topic if it is hot. It allocates nothing.
func (t *Turn) KnownTopic(b []byte) (s string, hot bool) { return t.reader.Intern(b) }

// touch notes that c has something to write. Each connection is noted once per
// batch: its session's dirty flag sees to that.
func (t *Turn) touch(c Conn) { t.touched = append(t.touched, c) }

// lateCompletion is a result to hand to a connection once no lock is held.
type lateCompletion struct {
	conn  Conn
	c     Completion
	close Reason // not Success: close instead
}

// complete hands c to conn at the next Flush: no call leaves core under a lock.
func (t *Turn) complete(conn Conn, c Completion) {
	t.late = append(t.late, lateCompletion{conn: conn, c: c})
}

// answer is complete for the connection of l, if that holds its session still.
func (t *Turn) answer(l Link, c Completion) {
	if conn := l.conn(); conn != nil {
		t.complete(conn, c)
	}
}

// closeLater closes conn for r once no lock is held.
func (t *Turn) closeLater(conn Conn, r Reason) {
	t.late = append(t.late, lateCompletion{conn: conn, close: r})
}

func (l *lateCompletion) run() {
	if l.close != Success {
		l.conn.Close(l.close)
		return
	}
	l.conn.Complete(l.c)
}

// Flush commits what the batch wants kept, then wakes at most max of the
// connections that it touched. more says that something is left: serve others,
// then call again. A huge fan-out is cut into slices that way.
func (t *Turn) Flush(max int) (more bool) {
	t.emitEvents()
	t.commitNow()
	for i := range t.late {
		t.late[i].run()
		t.late[i] = lateCompletion{}
	}
	t.late = t.late[:0]
	more = len(t.fans) > 0
	if more && len(t.touched) < max {
		more = t.g.fanOut(t)
	}
	t.leaveOn()
	n := min(max, len(t.touched))
	for i := 0; i < n; i++ {
		// Wake may touch further connections (a session fed from its queue).
		c := t.touched[i]
		t.touched[i] = nil
		c.Wake(t)
	}
	if t.Outbox != nil {
		t.Outbox.Send(t)
	}
	rest := copy(t.touched, t.touched[n:])
	clear(t.touched[rest:])
	t.touched = t.touched[:rest]
	if rest == 0 && cap(t.touched) > 1<<16 {
		t.touched = nil
	}
	t.publish()
	// What a Wake left to commit or to hand over is work as well.
	return more || rest > 0 || len(t.leaving) > 0 || t.commit != nil || len(t.commits) > 0 || len(t.late) > 0 || len(t.events) > 0
}

// End flushes everything.
func (t *Turn) End() {
	for t.Flush(1 << 30) {
	}
}
