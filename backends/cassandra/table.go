package cassandra

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

//go:embed sessions.cql
var tableSchema string

// wholeKey is how long keys may be that stand in the clustering column as they are.
const wholeKey = 1000

// Table keeps sessions in the tables of sessions.cql; a [sessions.Database].
//
// Cassandra has no transactions over several partitions. So a Write is first noted as one
// text of bytes in the row of the claim, by a lightweight transaction that compares the
// token: that is when it is done, or refused. Then its changes are made, one by one; if that
// does not come to its end, the next call of the Table makes them again, or whoever claims
// next. Each change has the number of its Write as its write timestamp, and numbers only
// grow, so that one which comes late, of whomever, changes nothing that is newer.
//
// A part is a partition, and DeletePart deletes it as one; keys are read by their names and
// never looked for among those that were deleted, but by Scan.
//
// What it promises: a Write that returned nil is on a quorum of the replicas (of the local
// datacenter with local_quorum) and survives the loss of the others; a node keeps it in
// memory for up to 10 seconds where commitlog_sync is periodic, so that it is lost if a
// quorum of the machines lose power together. local_quorum promises nothing about other
// datacenters: all gateways that may claim a namespace must use the same one. A node that
// was away for more than 6 hours (gc_grace_seconds) must be repaired before it serves.
type Table struct {
	db        *Database
	namespace string
	server    string            // for errors
	serial    gocql.Consistency // of lightweight transactions

	working   chan struct{} // holds one value while nobody writes or settles
	unsettled atomic.Bool   // the last Write may be done by half
	token     string        // "" before Claim
	seq       int64         // number of the last Write that is made to its end
	journaled bool          // there may be something in fairlead_journal
	known     map[string]struct{}
}

// OpenTable implements [sessions.Pool].
func (c *Config) OpenTable(namespace string) (sessions.Database, error) {
	if err := sessions.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	t := &Table{namespace: namespace, server: strings.Join(c.Nodes, ", ") + ", keyspace " + c.Keyspace, working: make(chan struct{}, 1), known: map[string]struct{}{}}
	switch c.Consistency {
	case "local_quorum":
		t.serial = gocql.LocalSerial
	case "quorum":
		t.serial = gocql.Serial
	default:
		return nil, fmt.Errorf("consistency: is %s; sessions need quorum or local_quorum", c.Consistency)
	}
	var err error
	if t.db, err = Open(*c); err != nil {
		return nil, err
	}
	t.working <- struct{}{}
	return t, nil
}

// Close implements sessions.Table.
func (t *Table) Close() error { return t.db.Close() }

// Init implements sessions.Database. The keyspace must exist.
func (t *Table) Init(ctx context.Context, create bool) (report []string, err error) {
	s, err := t.db.connected(ctx)
	if err != nil {
		return nil, t.fault("init", err)
	}
	report, err = t.db.initSchema(ctx, s, tableSchema, create)
	return report, t.fault("init", err)
}

// Caveats implements sessions.Database.
func (t *Table) Caveats(ctx context.Context) (list []string, err error) {
	s, err := t.db.connected(ctx)
	if err != nil {
		return nil, t.fault("looking at the settings", err)
	}
	var replication map[string]string
	if err := s.Query("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", t.db.cfg.Keyspace).ScanContext(ctx, &replication); err != nil {
		return nil, t.fault("looking at the settings", err)
	}
	for name, n := range replication {
		if name != "class" && (n == "1" || n == "2") {
			list = append(list, fmt.Sprintf("keyspace %s has %s = %s: what is acknowledged is away, or lost, with a single node; set it to 3", t.db.cfg.Keyspace, name, n))
		}
	}
	var sync string
	switch err := s.Query("SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'").ScanContext(ctx, &sync); {
	case err != nil:
		list = append(list, "the node does not tell commitlog_sync: where it is periodic, a loss of power at a quorum of the nodes loses the last 10 seconds of what was acknowledged")
	case sync == "periodic":
		list = append(list, "commitlog_sync is periodic: a loss of power at a quorum of the nodes loses the last 10 seconds of what was acknowledged; set it to group or batch")
	}
	return list, nil
}

// take waits until nobody else writes or settles.
func (t *Table) take(ctx context.Context) (release func(), err error) {
	select {
	case <-t.working:
		return func() { t.working <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// claim is the row of a claim.
type claim struct {
	token, who string
	claimed    time.Time
	seq        int64
	chunks     int
	journal    []byte
}

var errNoClaim = errors.New("no gateway has claimed it")

// readClaim reads the row so that no write to it, which has come to the nodes before, can
// be decided any more unless it is seen.
func (t *Table) readClaim(ctx context.Context, s *gocql.Session) (c claim, err error) {
	err = s.Query("SELECT holder, who, claimed, seq, chunks, journal FROM fairlead_claim WHERE namespace = ?", t.namespace).Consistency(t.serial).
		ScanContext(ctx, &c.token, &c.who, &c.claimed, &c.seq, &c.chunks, &c.journal)
	if errors.Is(err, gocql.ErrNotFound) {
		err = errNoClaim
	}
	return c, err
}

// Claim implements sessions.Table.
func (t *Table) Claim(ctx context.Context, who string) error {
	release, err := t.take(ctx)
	if err != nil {
		return t.fault("claim", err)
	}
	defer release()
	t.token = ""
	s, err := t.db.connected(ctx)
	if err != nil {
		return t.fault("claim", err)
	}
	token := rand.Text()
	for {
		done, err := t.tryClaim(ctx, s, token, who)
		if err != nil {
			return t.fault("claim", err)
		}
		if done {
			break
		}
	}
	clear(t.known)
	t.seq, t.journaled = 0, true
	if err := t.settle(ctx, s, token); err != nil && !errors.Is(err, sessions.ErrClaimed) { // by another since: Write will say so
		return t.fault("claim", err)
	}
	t.token = token
	return nil
}

// tryClaim claims unless another claims, or writes, at the same time.
func (t *Table) tryClaim(ctx context.Context, s *gocql.Session, token, who string) (done bool, err error) {
	c, err := t.readClaim(ctx, s)
	was := map[string]any{}
	now := time.Now().UTC()
	switch {
	case errors.Is(err, errNoClaim): // numbers begin where the clock is: above all that were there before somebody deleted the row
		return s.Query("INSERT INTO fairlead_claim (namespace, holder, who, claimed, seq, chunks) VALUES (?, ?, ?, ?, ?, 0) IF NOT EXISTS",
			t.namespace, token, who, now, now.UnixMicro()).SerialConsistency(t.serial).MapScanCASContext(ctx, was)
	case err != nil:
		return false, err
	}
	return s.Query("UPDATE fairlead_claim SET holder = ?, who = ?, claimed = ? WHERE namespace = ? IF holder = ? AND seq = ?",
		token, who, now, t.namespace, c.token, c.seq).SerialConsistency(t.serial).MapScanCASContext(ctx, was)
}

// settle makes the changes of the last Write, if they may not be made to their end.
func (t *Table) settle(ctx context.Context, s *gocql.Session, token string) error {
	c, err := t.readClaim(ctx, s)
	if err != nil {
		return err
	}
	if c.token != token {
		t.unsettled.Store(false) // it is others' to settle
		return t.claimed(&c)
	}
	if c.seq != t.seq {
		if err := t.repeat(ctx, s, &c); err != nil {
			return err
		}
	}
	t.seq = c.seq
	t.unsettled.Store(false)
	return nil
}

// repeat makes the changes that are noted.
func (t *Table) repeat(ctx context.Context, s *gocql.Session, c *claim) error {
	note := c.journal
	if c.chunks > 0 {
		note = nil
		for n := range c.chunks {
			var chunk []byte
			if err := s.Query("SELECT value FROM fairlead_journal WHERE namespace = ? AND seq = ? AND chunk = ?", t.namespace, c.seq, n).ScanContext(ctx, &chunk); err != nil {
				return fmt.Errorf("chunk %d of %d of write %d: %w", n, c.chunks, c.seq, err)
			}
			note = append(note, chunk...)
		}
	}
	if len(note) == 0 { // nothing was ever written
		return nil
	}
	changes, err := sessions.ReadChanges(note)
	if err != nil {
		return fmt.Errorf("write %d: %w", c.seq, err)
	}
	return t.apply(ctx, s, c.seq, changes)
}

// settled gives the session, with nothing by half.
func (t *Table) settled(ctx context.Context) (*gocql.Session, error) {
	s, err := t.db.connected(ctx)
	if err != nil || !t.unsettled.Load() {
		return s, err
	}
	release, err := t.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if t.token == "" || !t.unsettled.Load() {
		return s, nil
	}
	if err := t.settle(ctx, s, t.token); !errors.Is(err, sessions.ErrClaimed) { // who may not write may read
		return s, err
	}
	return s, nil
}

func (t *Table) claimed(c *claim) error {
	return fmt.Errorf("%w: %s at %s", sessions.ErrClaimed, c.who, c.claimed.Format(time.RFC3339))
}

// fault is err with what was done and where, and with what to do about it.
func (t *Table) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cassandra %s: %s: %w%s", t.server, what, err, advice(err))
}

func advice(err error) string {
	var answer gocql.RequestError
	if !errors.As(err, &answer) {
		return ""
	}
	switch text := answer.Error(); {
	case answer.Code() == gocql.ErrCodeInvalid && (strings.Contains(text, "table") || strings.Contains(text, "Undefined column")):
		return "; make what is missing with: fairlead ctl backend init"
	case answer.Code() == gocql.ErrCodeUnauthorized:
		return "; grant the user of the pool SELECT and MODIFY on the tables fairlead_*"
	case answer.Code() == gocql.ErrCodeUnavailable:
		return "; fewer replicas are well than the consistency of the pool asks for"
	case answer.Code() == gocql.ErrCodeReadFailure && strings.Contains(text, "TOMBSTONE"):
		return "; raise tombstone_failure_threshold of the nodes, or compact fairlead_state"
	}
	return ""
}
