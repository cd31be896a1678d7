package core

import (
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Record explains one outcome: a message that a receiver did not get, a refusal,
// an end. Records live in bounded rings, one a turn; the oldest give way. Texts of
// more than maxRecordText bytes are cut, with "…" behind them.
type Record struct {
	Seq       uint64 // grows with every record of this process
	Time      int64  // Unix milliseconds
	Reason    Reason
	ClientID  string // whom it happened to
	Publisher string
	Topic     string
	MessageID uint64
	QoS       uint8
	Size      int    // payload bytes
	Count     uint64 // how many alike it stands for; 0 and 1 mean one
	Listener  string
	Peer      string
	Detail    string
}

// explainRing is one turn's records: written by its turn, read by queries.
type explainRing struct {
	mu      sync.Mutex
	records []Record
	next    int
	max     int
	seq     *atomic.Uint64
}

func (e *explainRing) init(max int, seq *atomic.Uint64) { e.max, e.seq = max, seq }

// maxRecordText bounds each text of a record, in bytes: whoever is refused chooses how
// long a topic or identifier is, and records outlive the refusal.
const maxRecordText = 512

func (e *explainRing) add(r Record) {
	for _, text := range []*string{&r.ClientID, &r.Publisher, &r.Topic, &r.Detail} {
		*text = clip(*text)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r.Seq = e.seq.Add(1)
	if len(e.records) < e.max {
		e.records = append(e.records, r)
		return
	}
	e.records[e.next] = r
	if e.next++; e.next == e.max {
		e.next = 0
	}
}

// clip gives s, or a beginning of it that does not hold on to the rest.
func clip(s string) string {
	if len(s) <= maxRecordText {
		return s
	}
	const more = "…"
	end := maxRecordText - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// drop names, counts and explains a message that clientID does not get.
func (g *Gateway) drop(t *Turn, m *Message, clientID string, r Reason) {
	t.Count(Dropped, 1)
	t.counters.reason(r)
	g.record(t, r, clientID, m)
	g.eventDropped(t, m, clientID, r)
}

// dropMany counts n messages of a queue that ends, with one record.
func (g *Gateway) dropMany(t *Turn, clientID string, r Reason, n uint64) {
	if n == 0 {
		return
	}
	t.Count(Dropped, n)
	t.reasons.add(int(r), n)
	t.explain.add(Record{Time: t.now, Reason: r, ClientID: clientID, Count: n})
}

// record explains without counting a drop.
func (g *Gateway) record(t *Turn, r Reason, clientID string, m *Message) {
	rec := Record{Time: t.now, Reason: r, ClientID: clientID}
	if m != nil {
		rec.Publisher, rec.Topic, rec.MessageID, rec.QoS, rec.Size = m.Publisher, m.Topic, m.ID, m.QoS, len(m.Payload)
	}
	t.explain.add(rec)
}

// Refusal describes what ended before or beside a session: malformed packets,
// limits, timeouts, refused subscriptions.
type Refusal struct {
	Reason   Reason
	Listener string
	Peer     string
	ClientID string
	Detail   string
}

// Refuse counts and explains a refusal.
func (g *Gateway) Refuse(t *Turn, r Refusal) {
	t.counters.reason(r.Reason)
	t.explain.add(Record{Time: t.now, Reason: r.Reason, ClientID: r.ClientID, Listener: r.Listener, Peer: r.Peer, Detail: r.Detail})
}

// Explain gives at most max records that keep accepts, newest first. It copies;
// it may run beside everything.
func (g *Gateway) Explain(max int, keep func(*Record) bool) []Record {
	var out []Record
	for _, t := range g.allTurns() {
		e := &t.explain
		e.mu.Lock()
		for i := range e.records {
			if keep(&e.records[i]) {
				out = append(out, e.records[i])
			}
		}
		e.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Record) int {
		switch {
		case a.Seq > b.Seq:
			return -1
		case a.Seq < b.Seq:
			return 1
		}
		return 0
	})
	return out[:min(max, len(out))]
}

func (g *Gateway) allTurns() []*Turn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Turn(nil), g.turns...)
}
