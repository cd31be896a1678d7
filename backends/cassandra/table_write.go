package cassandra

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

const (
	// chunkBytes is how much one row holds: a node takes no more at once than half of a
	// segment of its commit log, by default 16 MiB.
	chunkBytes = 1 << 20
	// noteBytes is up to where a Write is noted in the row of the claim itself.
	noteBytes = 256 << 10
	// batchBytes and batchRows are how much goes to a partition at once.
	batchBytes = 256 << 10
	batchRows  = 512
	// buckets are the partitions of a namespace's list of parts: a part that is deleted
	// leaves a tombstone in one for 6 hours, and a node reads 100,000 at most.
	buckets = 256
	// mostKnown bounds the parts of which is remembered that they stand in the list.
	mostKnown = 200_000
	// stale is when changes are no longer made: the tombstones of newer ones might be gone.
	stale = time.Hour
)

var errLate = errors.New("an earlier write, whose answer was lost, has come only now")

// Write implements sessions.Table.
func (t *Table) Write(ctx context.Context, ws []sessions.Write) error {
	release, err := t.take(ctx)
	if err != nil {
		return t.fault("write", err)
	}
	defer release()
	if t.token == "" {
		return sessions.ErrUnclaimed
	}
	return t.fault("write", t.write(ctx, sessions.Net(ws)))
}

func (t *Table) write(ctx context.Context, changes []sessions.Change) error {
	s, err := t.db.connected(ctx)
	if err != nil {
		return err
	}
	if t.unsettled.Load() {
		if err := t.settle(ctx, s, t.token); err != nil {
			return err
		}
	}
	// Deletes have the number before, so that sets of the same Write count.
	seq := max(t.seq+2, time.Now().UnixMicro())
	if err := t.note(ctx, s, seq, sessions.AppendChanges(nil, changes)); err != nil {
		return err
	}
	if err := t.apply(ctx, s, seq, changes); err != nil {
		return err
	}
	t.seq = seq
	t.unsettled.Store(false)
	return nil
}

// note decides that the Write is done.
func (t *Table) note(ctx context.Context, s *gocql.Session, seq int64, text []byte) error {
	chunks := 0
	if len(text) > noteBytes {
		t.journaled = true
		for ; len(text) > 0; chunks++ {
			n := min(len(text), chunkBytes)
			if err := s.Query("INSERT INTO fairlead_journal (namespace, seq, chunk, value) VALUES (?, ?, ?, ?)", t.namespace, seq, chunks, text[:n]).
				WithTimestamp(seq).ExecContext(ctx); err != nil {
				return err
			}
			text = text[n:]
		}
		text = []byte{}
	}
	t.unsettled.Store(true)
	was := map[string]any{}
	done, err := s.Query("UPDATE fairlead_claim SET seq = ?, chunks = ?, journal = ? WHERE namespace = ? IF holder = ? AND seq = ?",
		seq, chunks, text, t.namespace, t.token, t.seq).SerialConsistency(t.serial).MapScanCASContext(ctx, was)
	switch {
	case err != nil:
		return err
	case done:
		return t.forgetNotes(ctx, s, seq, chunks)
	case was["holder"] == t.token:
		return errLate
	}
	t.unsettled.Store(false) // it is others' to settle
	c, err := t.readClaim(ctx, s)
	if err != nil {
		return errors.Join(sessions.ErrClaimed, err)
	}
	return t.claimed(&c)
}

// forgetNotes deletes those before seq.
func (t *Table) forgetNotes(ctx context.Context, s *gocql.Session, seq int64, chunks int) error {
	if !t.journaled {
		return nil
	}
	err := s.Query("DELETE FROM fairlead_journal WHERE namespace = ? AND seq < ?", t.namespace, seq).WithTimestamp(seq - 1).ExecContext(ctx)
	t.journaled = err != nil || chunks > 0
	return err
}

// apply makes changes, those of different parts side by side.
func (t *Table) apply(ctx context.Context, s *gocql.Session, seq int64, changes []sessions.Change) error {
	a := applying{t: t, ctx: ctx, s: s, seq: seq, began: time.Now().Round(0)}
	free := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range changes {
		c := &changes[i]
		if c.Clear {
			delete(t.known, string(c.Part))
		}
		_, listed := t.known[string(c.Part)]
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			a.part(c, listed)
		})
	}
	wg.Wait()
	if a.err != nil {
		return a.err
	}
	if len(t.known) > mostKnown {
		clear(t.known)
	}
	for i := range changes {
		if len(changes[i].Sets) > 0 {
			t.known[string(changes[i].Part)] = struct{}{}
		}
	}
	return nil
}

// applying is one apply.
type applying struct {
	t     *Table
	ctx   context.Context
	s     *gocql.Session
	seq   int64
	began time.Time

	mu  sync.Mutex
	err error // the first
}

// failed notes err, and says whether to give up.
func (a *applying) failed(err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
	if a.err == nil && time.Now().Round(0).Sub(a.began) > stale { // also when the machine was suspended
		a.err = errors.New("it took more than an hour")
	}
	return a.err != nil
}

const (
	clearPart  = "DELETE FROM fairlead_state WHERE namespace = ? AND part = ?"
	deleteKey  = "DELETE FROM fairlead_state WHERE namespace = ? AND part = ? AND key = ?"
	setKey     = "INSERT INTO fairlead_state (namespace, part, key, chunk, chunks, long_key, value) VALUES (?, ?, ?, ?, ?, ?, ?)"
	listPart   = "INSERT INTO fairlead_part (namespace, bucket, part) VALUES (?, ?, ?)"
	unlistPart = "DELETE FROM fairlead_part WHERE namespace = ? AND bucket = ? AND part = ?"
)

// part makes the changes of a part. Their timestamps put them in order.
func (a *applying) part(c *sessions.Change, listed bool) {
	t := a.t
	if c.Clear && a.exec(a.seq-1, clearPart, t.namespace, c.Part) {
		return
	}
	switch {
	case len(c.Sets) > 0 && !listed:
		if a.exec(a.seq, listPart, t.namespace, bucket(c.Part), c.Part) {
			return
		}
	case len(c.Sets) == 0 && c.Clear:
		if a.exec(a.seq-1, unlistPart, t.namespace, bucket(c.Part), c.Part) {
			return
		}
	}
	deletes := group{a: a, at: a.seq - 1}
	for _, key := range c.Deletes {
		short, _ := sessions.ShortKey(key, wholeKey)
		if deletes.add(len(short), deleteKey, t.namespace, c.Part, short) {
			return
		}
	}
	sets := group{a: a, at: a.seq}
	for _, p := range c.Sets {
		if sets.set(c.Part, p) {
			return
		}
	}
	if !deletes.flush() {
		sets.flush()
	}
}

func bucket(part []byte) int {
	h := fnv.New32a()
	h.Write(part)
	return int(h.Sum32() % buckets)
}

func (a *applying) exec(at int64, text string, values ...any) (failed bool) {
	if a.failed(nil) {
		return true
	}
	return a.failed(a.s.Query(text, values...).WithTimestamp(at).ExecContext(a.ctx))
}

// group gathers statements about one partition.
type group struct {
	a     *applying
	at    int64 // write timestamp
	batch *gocql.Batch
	bytes int
}

// set adds a pair, as several rows if it is long.
func (g *group) set(part []byte, p sessions.Pair) (failed bool) {
	var long []byte
	short, cut := sessions.ShortKey(p.Key, wholeKey)
	if cut {
		long = p.Key
	}
	chunks := max(1, (len(p.Value)+chunkBytes-1)/chunkBytes)
	for n := range chunks {
		value := p.Value[n*chunkBytes : min(len(p.Value), (n+1)*chunkBytes)]
		if g.add(len(short)+len(long)+len(value), setKey, g.a.t.namespace, part, short, n, chunks, long, value) {
			return true
		}
	}
	return false
}

func (g *group) add(bytes int, text string, values ...any) (failed bool) {
	if g.batch != nil && (g.bytes+bytes > batchBytes || len(g.batch.Entries) >= batchRows) && g.flush() {
		return true
	}
	if g.batch == nil {
		g.batch = g.a.s.Batch(gocql.UnloggedBatch).WithTimestamp(g.at)
	}
	g.batch.Query(text, values...)
	g.bytes += bytes
	return false
}

func (g *group) flush() (failed bool) {
	if g.batch == nil {
		return false
	}
	if g.a.failed(nil) {
		return true
	}
	err := g.batch.ExecContext(g.a.ctx)
	g.batch, g.bytes = nil, 0
	return g.a.failed(err)
}
