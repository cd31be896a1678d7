package identity

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// shared are rows of access rules that more than one client may have: those of a query that
// does not name the client id. What is read again for one client is read for all that ask
// the same within a moment. Safe for concurrent use.
type shared struct {
	moment time.Duration
	now    func() time.Time

	mu   sync.Mutex
	rows map[question]answer
}

// question is a query with what it names.
type question struct{ query, username, peer, protocol string }

// answer are rows, which nobody changes, and when they were asked for.
type answer struct {
	rows []map[string]string
	at   time.Time
}

// maxShared bounds the answers that are remembered; what comes beyond is read for each.
const maxShared = 1000

// newShared remembers for a tenth of refresh, and for a second at most.
func newShared(refresh time.Duration, now func() time.Time) *shared {
	return &shared{moment: min(refresh/10, time.Second), now: now, rows: map[question]answer{}}
}

// questionOf is what j asks by query; false: nobody else asks that.
func questionOf(query string, j *rules.Job) (q question, common bool) {
	parts, err := rules.ParseTemplate(query)
	if err != nil {
		return q, false
	}
	q.query = query
	for _, p := range parts {
		switch p.Variable {
		case "":
		case rules.VarUsername:
			q.username = j.Username
		case rules.VarPeerHost:
			q.peer = j.Peer
		case rules.VarProtocol:
			q.protocol = j.Protocol
		default:
			return q, false
		}
	}
	return q, true
}

// ask gives the rows of query for j, by db unless they were asked for a moment ago. fresh:
// by db in any case. Nobody may change them.
func (s *shared) ask(ctx context.Context, db Database, query string, j *rules.Job, fresh bool) ([]map[string]string, error) {
	q, common := questionOf(query, j)
	if !common {
		return db.Access(ctx, query, j)
	}
	at := s.now()
	if !fresh {
		s.mu.Lock()
		a, known := s.rows[q]
		s.mu.Unlock()
		if known && at.Sub(a.at) < s.moment {
			return a.rows, nil
		}
	}
	rows, err := db.Access(ctx, query, j)
	if err == nil {
		s.remember(q, answer{slices.Clip(rows), at})
	}
	return rows, err
}

func (s *shared) remember(q question, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) >= maxShared {
		for other, old := range s.rows {
			if a.at.Sub(old.at) >= s.moment {
				delete(s.rows, other)
			}
		}
	}
	if before, known := s.rows[q]; len(s.rows) < maxShared && (!known || before.at.Before(a.at)) {
		s.rows[q] = a
	}
}
