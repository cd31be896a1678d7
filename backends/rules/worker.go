package rules

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// worker does the jobs of one lane, in order.
type worker struct {
	pool  *pool
	lane  Lane
	space batch         // for the next one
	batch               // what is left of this one, from the front
	tried bool          // the job at the front was given to the database before
	fails int           // in a row
	pause time.Duration // after the next failure
	most  int           // jobs of one call, at present
	good  int           // calls in a row that went well
}

// batch is jobs with what the engine knows of each.
type batch struct {
	jobs  []Job
	rules []*planned
	seqs  []uint64
}

func (b batch) empty() batch {
	clear(b.jobs)
	return batch{b.jobs[:0], b.rules[:0], b.seqs[:0]}
}

// drop takes n off the front.
func (b *batch) drop(n int) { b.jobs, b.rules, b.seqs = b.jobs[n:], b.rules[n:], b.seqs[n:] }

// run works until ctx ends, then on what waits until grace ends or nothing does.
func (w *worker) run(ctx, grace context.Context) {
	cfg := &w.pool.engine.cfg
	for {
		batch, err := w.lane.Next(ctx, cfg.Batch, cfg.BatchBytes)
		if err != nil && ctx.Err() != nil {
			break
		}
		if err != nil {
			w.pool.engine.log.Error("a queue ends", "pool", w.pool.name, "err", err)
			return
		}
		if !w.settle(ctx, grace, batch) {
			return
		}
	}
	for grace.Err() == nil {
		short, cancel := context.WithTimeout(grace, time.Millisecond) // nothing new is waited for
		batch, err := w.lane.Next(short, cfg.Batch, cfg.BatchBytes)
		cancel()
		if err != nil || !w.settle(grace, grace, batch) {
			return
		}
	}
}

// settle does all entries of a batch; false: the time is over, the rest stays queued.
func (w *worker) settle(ctx, grace context.Context, batch [][]byte) bool {
	for len(batch) > 0 {
		var err error
		n := 0
		w.batch = w.space.empty()
		for n < len(batch) && err == nil {
			if err = w.decode(batch[n]); err == nil {
				n++
			}
		}
		w.space = w.batch
		if !w.do(ctx, grace) {
			return false
		}
		if batch = batch[n:]; err != nil {
			w.pool.unreadable(err)
			w.lane.Commit(1)
			batch = batch[1:]
		}
	}
	return true
}

// decode adds an entry to the jobs.
func (w *worker) decode(b []byte) error {
	var en entry
	if err := en.decode(b); err != nil {
		return err
	}
	r := w.pool.byID[en.rule]
	if r == nil {
		return fmt.Errorf("the rule that %q was queued for is no more", en.key())
	}
	if en.run != w.pool.engine.run {
		en.seq = 0
		r.taken.Add(1)
	}
	en.Rule, en.Hook, en.Node = &r.Rule, r.Hook, w.pool.engine.node
	if en.Message != nil {
		en.Message.Node = en.Node
	}
	w.jobs, w.rules, w.seqs = append(w.jobs, en.Job), append(w.rules, r), append(w.seqs, en.seq)
	return nil
}

// do does the jobs; false: the time is over before all are done.
func (w *worker) do(ctx, grace context.Context) bool {
	for len(w.jobs) > 0 {
		n := min(w.most, len(w.jobs))
		call, cancel := context.WithTimeout(grace, w.pool.engine.cfg.Timeout)
		if w.tried {
			w.rules[0].retried.Add(1)
		}
		done, err := w.pool.db.Do(call, w.jobs[:n])
		cancel()
		w.done(min(max(done, 0), n))
		switch {
		case err == nil && done >= n:
			w.pool.trouble.answered(w.pool)
			w.fails, w.pause = 0, w.pool.engine.cfg.RetryMin
			w.grow()
			continue
		case len(w.jobs) == 0:
			continue
		case IsPermanent(err):
			w.pool.trouble.answered(w.pool)
			w.refuse(err)
			continue
		case err == nil:
			err = errors.New("the database did less than it was asked to, and does not say why")
		}
		w.tried = true
		w.rules[0].failed.Add(1)
		w.pool.trouble.failed(w.pool, string(w.jobs[0].Hook), err)
		w.most, w.good = max(1, n/2), 0 // one of them may be the reason
		if !w.wait(ctx, grace) {
			return false
		}
	}
	return true
}

// grow lets batches that had to be smaller be larger again, by and by.
func (w *worker) grow() {
	if w.good++; w.good%16 == 0 {
		w.most = min(2*w.most, w.pool.engine.cfg.Batch)
	}
}

// done takes n jobs off the front.
func (w *worker) done(n int) {
	if n == 0 {
		return
	}
	w.lane.Commit(n)
	for _, r := range w.rules[:n] {
		r.done.Add(1)
	}
	w.tried = false
	w.pool.finish(nil, w.seqs[:n]...)
	w.drop(n)
}

// refuse drops the job at the front, or keeps it aside, by name.
func (w *worker) refuse(err error) {
	err = w.pool.refused(w.rules[0], &w.jobs[0], err)
	w.lane.Commit(1)
	w.tried = false
	w.pool.finish(err, w.seqs[0])
	w.drop(1)
}

// wait lets the database recover; false: the time is over.
func (w *worker) wait(ctx, grace context.Context) bool {
	pause := w.pause/2 + rand.N(w.pause/2+1)
	w.pause = min(2*w.pause, w.pool.engine.cfg.RetryMax)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-grace.Done():
		return false
	case <-ctx.Done(): // once more at once, then not again
		ended := ctx == grace || w.fails > 0
		w.fails++
		return !ended
	}
}

// refused tells of a job that the database will never have, and what its publisher is to
// be told: nothing where it is on disk.
func (p *pool) refused(r *planned, j *Job, err error) error {
	told := fmt.Errorf("%s refuses the message: %w", p.name, err)
	becomes := "is dropped"
	if r.OnRefused == RefusedKeep {
		if fault := p.refusals.keep(newRefusal(p, r, j, err)); fault != nil {
			told = fmt.Errorf("%w, and it cannot be kept: %w", told, fault)
			p.engine.complain("what a database refuses cannot be kept, and is dropped", "pool", p.name, "err", fault)
		} else {
			told, becomes = nil, "was put into "+p.refusals.path
		}
	}
	if told == nil {
		r.kept.Add(1)
	} else {
		r.dropped.Add(1)
	}
	what := j.Topic
	if what == "" {
		what = j.ClientID
	}
	p.engine.explain(core.StoreUnavailable, j.ClientID, fmt.Sprintf("rule %s of %s: %q was refused for good and %s: %v", r.name(), p.name, clip(what), becomes, err))
	p.engine.complain("a database refuses what a rule has for it, which "+becomes+"; fairlead explain shows each", "pool", p.name, "rule", r.name(), "err", err)
	return told
}

// unreadable tells of an entry that is dropped.
func (p *pool) unreadable(err error) {
	p.engine.explain(core.StoreUnavailable, "", "queue of "+p.name+": an entry is dropped: "+err.Error())
	p.engine.complain("an entry of a queue is dropped", "pool", p.name, "err", err)
}

// name is how a rule is called in logs.
func (r *planned) name() string {
	f := string(r.Function)
	if f == "" {
		f = "statements"
	}
	if r.Topic == "" {
		return string(r.Hook) + " " + f
	}
	return string(r.Hook) + " " + r.Topic + " " + f
}

// clip keeps texts of others short.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
