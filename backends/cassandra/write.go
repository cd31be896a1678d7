package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Do does jobs side by side where they touch different partitions, and in order where
// they touch the same. Statements of the user's own are done alone.
func (d *Database) Do(ctx context.Context, jobs []rules.Job) (done int, err error) {
	s, err := d.connected(ctx)
	if err != nil {
		return 0, err
	}
	for done < len(jobs) {
		n := done
		for n < len(jobs) && jobs[n].Rule.Function != "" {
			n++
		}
		if n > done {
			k, err := d.functions(ctx, s, jobs[done:n])
			if done += k; err != nil {
				return done, err
			}
			continue
		}
		if err := d.statements(ctx, s, &jobs[done]); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// atOnce is how many partitions are written to at a time.
const atOnce = 32

// functions does jobs that have one.
func (d *Database) functions(ctx context.Context, s *gocql.Session, jobs []rules.Job) (done int, err error) {
	parts := map[string][]int{} // jobs of a partition, as places in jobs
	var order []string
	for i := range jobs {
		k := partition(&jobs[i])
		if parts[k] == nil {
			order = append(order, k)
		}
		parts[k] = append(parts[k], i)
	}
	var mu sync.Mutex
	done = len(jobs)
	fail := func(i int, e error) {
		mu.Lock()
		defer mu.Unlock()
		if i < done {
			done, err = i, explain(e)
		}
	}
	free := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, k := range order {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			d.inOrder(ctx, s, jobs, parts[k], fail)
		})
	}
	wg.Wait()
	return done, err
}

// partition is what the jobs that must stay in order have in common.
func partition(j *rules.Job) string {
	switch j.Rule.Function {
	case rules.OnClientConnected, rules.OnClientDisconnected:
		return "client " + j.ClientID
	case rules.OnMessageAcked, rules.OnAckedDelete:
		return "acked " + j.ClientID
	case rules.OnMessageRetain, rules.OnRetainDelete:
		return "retain " + j.Message.Topic
	case rules.OnMessagePublish, rules.OnMessageStore:
		return "msg " + j.Message.Topic
	}
	return string(j.Rule.Function)
}

// inOrder does the jobs of one partition, until one fails.
func (d *Database) inOrder(ctx context.Context, s *gocql.Session, jobs []rules.Job, of []int, fail func(int, error)) {
	for len(of) > 0 {
		j := &jobs[of[0]]
		n, err := 1, error(nil)
		switch j.Rule.Function {
		case rules.OnClientConnected:
			err = d.write(ctx, s, `UPDATE client SET state = 1, node = ?, connected = ?, disconnected = null WHERE client_id = ?`, j.Node, at(j.Time), j.ClientID)
		case rules.OnClientDisconnected:
			err = d.write(ctx, s, `UPDATE client SET state = 0, disconnected = ? WHERE client_id = ?`, at(j.Time), j.ClientID)
		case rules.OnMessagePublish, rules.OnMessageStore:
			n = min(len(of), batchSize)
			err = d.store(ctx, s, jobs, of[:n])
		case rules.OnMessageRetain:
			err = d.retain(ctx, s, j)
		case rules.OnRetainDelete:
			err = d.write(ctx, s, `DELETE FROM retain WHERE topic = ?`, j.Message.Topic)
		case rules.OnMessageAcked:
			err = d.acked(ctx, s, j)
		case rules.OnAckedDelete:
			err = d.ackedDelete(ctx, s, j)
		default:
			err = rules.Permanent(fmt.Errorf("cassandra has no function %s", j.Rule.Function))
		}
		if err != nil {
			fail(of[0], err)
			return
		}
		of = of[n:]
	}
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func (d *Database) write(ctx context.Context, s *gocql.Session, text string, values ...any) error {
	return s.Query(text, values...).WithTimestamp(d.now()).ExecContext(ctx)
}

// batchSize is how many messages of one topic are written at once; they are of one
// partition, so that a batch costs no coordination.
const batchSize = 50

const insertMessage = `INSERT INTO msg (topic, msgid, sender, qos, retain, payload, arrived) VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ?`

// store writes messages of one topic. Where the batch fails, each is tried alone, so that
// the first that fails is known to be the first.
func (d *Database) store(ctx context.Context, s *gocql.Session, jobs []rules.Job, of []int) error {
	if err := d.enter(ctx, s, kindMessages, jobs[of[0]].Message.Topic); err != nil {
		return err
	}
	b := s.Batch(gocql.UnloggedBatch).WithTimestamp(d.now())
	for _, i := range of {
		j := &jobs[i]
		m := j.Message
		b.Query(insertMessage, m.Topic, m.MsgID, m.Sender, int(m.QoS), flag(m.Retain), d.payload("msg", m.Payload), at(m.Arrived), ttl(j))
	}
	return b.ExecContext(ctx)
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// ttl is the time to live in seconds, 0 for ever.
func ttl(j *rules.Job) int {
	keep := j.Rule.Expiry
	if m := j.Message; m.Expires != 0 {
		left := max(time.Duration(m.Expires-j.Time)*time.Millisecond, time.Second)
		if keep == 0 || left < keep {
			keep = left
		}
	}
	const most = 20 * 365 * 24 * time.Hour // more is refused
	return int((min(keep, most) + time.Second - 1) / time.Second)
}

// enter notes that a topic has messages of a kind.
func (d *Database) enter(ctx context.Context, s *gocql.Session, kind, topic string) error {
	if _, known := d.topics.get(kind, topic); known {
		return nil
	}
	if err := d.write(ctx, s, `INSERT INTO topic (kind, topic) VALUES (?, ?)`, kind, topic); err != nil {
		return err
	}
	d.topics.put(kind, topic, "")
	return nil
}

func (d *Database) retain(ctx context.Context, s *gocql.Session, j *rules.Job) error {
	m := j.Message
	if err := d.enter(ctx, s, kindRetained, m.Topic); err != nil {
		return err
	}
	if d.hasBody() {
		return d.write(ctx, s, `INSERT INTO retain (topic, msgid, sender, qos, payload, arrived) VALUES (?, ?, ?, ?, ?, ?) USING TTL ?`,
			m.Topic, m.MsgID, m.Sender, int(m.QoS), d.payload("retain", m.Payload), at(m.Arrived), ttl(j))
	}
	// A table of EMQ X names the message alone: its body must be found in msg.
	if err := d.write(ctx, s, insertMessage, m.Topic, m.MsgID, m.Sender, int(m.QoS), 1, d.payload("msg", m.Payload), at(m.Arrived), ttl(j)); err != nil {
		return err
	}
	return d.write(ctx, s, `INSERT INTO retain (topic, msgid) VALUES (?, ?) USING TTL ?`, m.Topic, m.MsgID, ttl(j))
}

// acked moves a cursor forward. The one before is remembered, or read: a client is on one
// node at a time, and its jobs are done in order.
func (d *Database) acked(ctx context.Context, s *gocql.Session, j *rules.Job) error {
	last, err := d.cursor(ctx, s, j.ClientID, j.Topic)
	if err != nil || last >= j.Message.MsgID {
		return err
	}
	return d.setCursor(ctx, s, j.ClientID, j.Topic, j.Message.MsgID)
}

func (d *Database) setCursor(ctx context.Context, s *gocql.Session, clientID, topic, msgID string) error {
	err := d.write(ctx, s, `INSERT INTO acked (client_id, topic, msgid) VALUES (?, ?, ?)`, clientID, topic, msgID)
	if err == nil {
		d.cursors.put(clientID, topic, msgID)
	} else {
		d.cursors.forget(clientID, topic) // it may be written all the same
	}
	return err
}

// cursor is how far a client has read a topic, "" for no cursor.
func (d *Database) cursor(ctx context.Context, s *gocql.Session, clientID, topic string) (id string, err error) {
	if id, known := d.cursors.get(clientID, topic); known {
		return id, nil
	}
	err = s.Query(`SELECT msgid FROM acked WHERE client_id = ? AND topic = ?`, clientID, topic).ScanContext(ctx, &id)
	if errors.Is(err, gocql.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// cursorsOf gives how far a client has read, by topics and filters.
func (d *Database) cursorsOf(ctx context.Context, s *gocql.Session, clientID string) (map[string]string, error) {
	all := map[string]string{}
	rows := s.Query(`SELECT topic, msgid FROM acked WHERE client_id = ?`, clientID).IterContext(ctx)
	var name, id string
	for rows.Scan(&name, &id) {
		all[name] = id
	}
	return all, rows.Close()
}

// ackedDelete forgets the cursors of an ended subscription: that of the filter, and those
// of the topics that it matches.
func (d *Database) ackedDelete(ctx context.Context, s *gocql.Session, j *rules.Job) error {
	names := []string{j.Topic}
	if wildcard(j.Topic) {
		all, err := d.cursorsOf(ctx, s, j.ClientID)
		if err != nil {
			return err
		}
		for name := range all {
			if topic.Match(j.Topic, name) {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		d.cursors.forget(j.ClientID, name)
		if err := d.write(ctx, s, `DELETE FROM acked WHERE client_id = ? AND topic = ?`, j.ClientID, name); err != nil {
			return err
		}
	}
	return nil
}
