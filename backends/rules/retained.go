package rules

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// What a subscription is given of retained messages can be read without one, too: for
// protocols whose clients ask.

var _ core.RetainedOwner = (*Engine)(nil)

var errAway = errors.New("the database is away")

// LooksUp implements core.RetainedOwner.
func (e *Engine) LooksUp(filter string) bool {
	for _, p := range e.pools {
		for _, r := range p.reads.rules {
			if r.givesRetained(filter) {
				return true
			}
		}
	}
	return false
}

func (p *planned) givesRetained(filter string) bool {
	return p.work.kind == retains && (p.Topic == "" || topic.MatchFilter(p.Topic, filter))
}

// ReadRetained implements core.RetainedOwner. What was published before is written first.
// Of a database that is away it tries once in retry_max.
func (e *Engine) ReadRetained(ctx context.Context, filter, after string, max int) ([]*core.Message, string, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	type source struct {
		pool *pool
		rule *planned
	}
	var all []source
	for _, p := range e.pools {
		for _, r := range p.reads.rules {
			if r.givesRetained(filter) {
				all = append(all, source{p, r})
			}
		}
	}
	return ReadAll(len(all), after, max, func(i int, after string, max int) ([]*core.Message, string, error) {
		p := all[i].pool
		found, next, err := p.readRetained(ctx, all[i].rule, filter, after, max)
		if err != nil {
			err = fmt.Errorf("%s: %w", p.name, err)
		}
		return found, next, err
	})
}

// ReadAll reads from count sources, one behind the other, as core.RetainedOwner reads from
// one: what it calls next is the number of a source, and of that what read called so.
func ReadAll(count int, after string, max int, read func(i int, after string, max int) ([]*core.Message, string, error)) (found []*core.Message, next string, err error) {
	i := 0
	if after != "" {
		number, inner, ok := strings.Cut(after, ".")
		if i, err = strconv.Atoi(number); !ok || err != nil || i < 0 {
			return nil, "", fmt.Errorf("%q is no place to go on at", after)
		}
		after = inner
	}
	for ; i < count; i++ {
		if len(found) >= max {
			return found, strconv.Itoa(i) + ".", nil
		}
		ms, inner, err := read(i, after, max-len(found))
		if err != nil {
			return nil, "", err
		}
		if found = append(found, ms...); inner != "" {
			return found, strconv.Itoa(i) + "." + inner, nil
		}
		after = ""
	}
	return found, "", nil
}

func (p *pool) readRetained(ctx context.Context, r *planned, filter, after string, max int) (found []*core.Message, next string, err error) {
	if p.trouble.lately(p.engine.cfg.RetryMax) {
		return nil, "", errAway
	}
	if err := p.written(ctx); err != nil {
		return nil, "", err
	}
	q := &Query{Filter: filter, After: after, Newest: r.MaxReturned}
	if r.TimeRange > 0 {
		q.Since = time.Now().Add(-r.TimeRange).UnixMilli()
	}
	for len(found) < max {
		q.Max = min(p.engine.cfg.Page, max-len(found))
		page, err := p.db.Retained(ctx, &r.Rule, q)
		if err != nil {
			r.failed.Add(1)
			if !IsPermanent(err) {
				p.trouble.failed(p, r.name(), err)
			}
			return nil, "", err
		}
		p.trouble.answered(p)
		r.read.Add(uint64(len(page)))
		for i := range page {
			found = append(found, page[i].retained())
			q.After = page[i].Cursor
		}
		if len(page) == 0 {
			return found, "", nil
		}
	}
	return found, q.After, nil
}

// retained is a message in core's words.
func (m *Message) retained() *core.Message {
	return &core.Message{Topic: m.Topic, Payload: m.Payload, Publisher: m.Sender, Published: m.Arrived, Expires: m.Expires, QoS: min(m.QoS, 2), Retain: true}
}

// written waits until what is queued is written.
func (p *pool) written(ctx context.Context) error {
	to := p.writing.latest()
	if p.writing.reached() >= to {
		return nil
	}
	done := make(chan struct{})
	p.barriers.add(to, func() { close(done) })
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.writing.reached() < to {
		return errors.New("what was published before is not written yet")
	}
	return nil
}

// lately says that the database is away, and was found so within d.
func (t *trouble) lately(d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.since.IsZero() && time.Since(t.last) < d
}
