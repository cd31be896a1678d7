package rules

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// pool is one pool of a backend at work: its rules, its queue and its database.
type pool struct {
	engine *Engine
	name   string // of the backend and the pool, for logs and listings
	short  string // of the pool
	db     Database
	queue  Queue
	rules  []*planned
	byID   map[uint64]*planned

	writing  progress
	confirms confirms
	barriers barriers
	trouble  trouble
	refusals *refusals
	reads    *reads
}

// byKind gives the rules that want an event, those of message.publish or all others.
func (p *pool) wanted(published bool) (kinds core.EventKind, filters []string) {
	every := false
	for _, r := range p.rules {
		if (r.kind == core.EventPublish) != published || r.kind == 0 {
			continue
		}
		kinds |= r.kind
		if hasTopic(r.Hook) {
			every = every || r.Topic == ""
			filters = append(filters, r.Topic)
		}
	}
	if every {
		filters = nil
	}
	return kinds, filters
}

// scratch is what making jobs of events needs.
type scratch struct {
	b       []byte    // an entry while it is encoded
	waiter  *waiter   // of the event at work, nil for none
	spooled []*waiter // that wait for the spool
}

// take makes jobs of e. false: the queue has no room.
func (p *pool) take(e *core.Event, s *scratch) bool {
	msgID := ""
	for _, r := range p.rules {
		if r.kind != e.Kind || r.work.kind != writes || !r.wants(e) {
			continue
		}
		if e.Msg != nil && msgID == "" {
			msgID = MessageID(e.Msg)
		}
		if !p.put(r, r.job(e, msgID), s) {
			return false
		}
	}
	return true
}

// takeAnswered is take of a message whose publisher may wait.
func (p *pool) takeAnswered(e *core.Event, s *scratch) bool {
	w := p.confirms.begin(e)
	s.waiter = w
	taken := p.take(e, s)
	s.waiter = nil
	switch {
	case w == nil:
	case !taken:
		p.confirms.forget(w)
	default:
		p.confirms.end(nil, w)
	}
	return taken
}

// wait has the publisher of the event at work wait for an entry as the rule says.
func (s *scratch) wait(p *pool, r *planned, seq uint64) {
	switch {
	case s.waiter == nil:
	case r.Ack == AckSync:
		p.confirms.add(s.waiter, seq)
	case r.Ack == AckSpool && (len(s.spooled) == 0 || s.spooled[len(s.spooled)-1] != s.waiter):
		p.confirms.add(s.waiter, 0)
		s.spooled = append(s.spooled, s.waiter)
	}
}

// put queues one job.
func (p *pool) put(r *planned, j Job, s *scratch) bool {
	r.taken.Add(1)
	en := entry{Job: j, rule: r.id, run: p.engine.run, seq: p.writing.next()}
	s.b = en.encode(s.b[:0])
	s.wait(p, r, en.seq) // before it can be done
	if p.queue.Append(j.key(), s.b) {
		return true
	}
	r.dropped.Add(1)
	p.finish(core.ErrSinkFull, en.seq)
	return false
}

// finish notes entries as done, or with err as what will never be done.
func (p *pool) finish(err error, seqs ...uint64) {
	p.writing.finish(seqs...)
	p.confirms.finish(err, seqs...)
	p.barriers.look()
}

// Sinks are two for each pool, so that only publishers wait that some rule has wait.

// others is the sink of all that nobody waits for.
type others struct{ *pool }

func (s others) Name() string                      { return s.name }
func (s others) Wants() (core.EventKind, []string) { return s.reads.wanted(s.pool.wanted(false)) }
func (s others) Sync() bool                        { return false }

// Take implements core.Sink.
func (s others) Take(events []core.Event) int {
	var sc scratch
	for i := range events {
		s.reads.see(&events[i])
	}
	for i := range events {
		e := &events[i]
		if e.Kind == core.EventAcked && s.reads.acked(e, &sc) {
			continue
		}
		if !s.take(e, &sc) {
			return i
		}
	}
	return len(events)
}

// published is the sink of message.publish: together, so that rules with and without ack
// keep their order.
type published struct{ *pool }

func (s published) Name() string                      { return s.name }
func (s published) Wants() (core.EventKind, []string) { return s.pool.wanted(true) }

// Sync implements core.Sink.
func (s published) Sync() bool {
	return slices.ContainsFunc(s.rules, func(r *planned) bool { return r.Ack == AckSync || r.Ack == AckSpool })
}

// Take implements core.Sink.
func (s published) Take(events []core.Event) int {
	var sc scratch
	n := 0
	for n < len(events) && s.takeAnswered(&events[n], &sc) {
		n++
	}
	if len(sc.spooled) > 0 {
		s.queue.Flushed(func(err error) { s.confirms.end(err, sc.spooled...) })
	}
	return n
}

// trouble is the state of a pool's database, for the log: one line when it goes away and
// one when it is back. What ends connections is seldom why it stays away: reasons of
// another kind are told as well, a few.
type trouble struct {
	mu    sync.Mutex
	since time.Time // zero while the database answers
	last  time.Time // that it did not do something
	fails uint64
	said  []string // the kinds of reasons that were told
}

// maxReasons are told of one outage.
const maxReasons = 3

// kindOf is the text of an error without what differs between two of a kind: numbers.
func kindOf(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
}

// failed notes that the database did not do something.
func (t *trouble) failed(p *pool, doing string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	if t.fails++; t.since.IsZero() {
		t.since = t.last
		p.spill(true)
		t.said = nil
	}
	if len(t.said) == maxReasons {
		return
	}
	if kind := kindOf(err); !slices.Contains(t.said, kind) {
		t.said = append(t.said, kind)
		args := []any{"pool", p.name, "doing", doing, "err", err}
		if hint := tlsHint(err); hint != "" {
			args = append(args, "hint", hint)
		}
		p.engine.log.Warn("a database is away; what is to be written waits", args...)
	}
}

// answered notes that it did. While connections break one after the other some still
// answer: what has failed is tried again half of retry_min later at the earliest, and so
// long nothing is said.
func (t *trouble) answered(p *pool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() || time.Since(t.last) < p.engine.cfg.RetryMin/2 {
		return
	}
	p.engine.log.Info("a database is back", "pool", p.name, "after", time.Since(t.since).Round(time.Millisecond), "failures", t.fails)
	t.since, t.fails = time.Time{}, 0
	p.spill(false)
}

// away says for how long.
func (t *trouble) away() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return 0
	}
	return time.Since(t.since)
}

// run works until ctx ends, and then for as long as grace lasts on what waits.
func (p *pool) run(ctx, grace context.Context) {
	var wg sync.WaitGroup
	for _, l := range p.queue.Lanes() {
		w := &worker{pool: p, lane: l, pause: p.engine.cfg.RetryMin, most: p.engine.cfg.Batch}
		wg.Go(func() { w.run(ctx, grace) })
	}
	p.reads.run(ctx, &wg)
	last, stop := context.WithCancel(context.WithoutCancel(ctx))
	var waiting sync.WaitGroup
	waiting.Go(func() { p.confirms.run(last) })
	waiting.Go(func() { p.barriers.run(last) })
	wg.Wait()
	stop()
	waiting.Wait()
	if err := p.queue.Close(); err != nil {
		p.engine.log.Error("what waits for a database cannot be kept", "pool", p.name, "err", err)
	}
	if err := p.db.Close(); err != nil {
		p.engine.log.Log(context.Background(), slog.LevelWarn, "a database cannot be closed", "pool", p.name, "err", err)
	}
}
