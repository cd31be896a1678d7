package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// Priorities order what waits for one session: by topic, so that the messages of one
// topic keep their order. [MQTT-4.6.0-6]

// The answers to priority_default, and the bounds of the others.
const (
	PriorityLowest  = "lowest"
	PriorityHighest = "highest"

	maxPriorities = 200
	maxSpan       = 60_000 // below maxWindow: how far a Packet Identifier reaches
)

// ranks turn a topic into a rank from 0 on, the higher the sooner. No rules, no ranks.
type ranks struct {
	rules  []rankRule
	others uint8 // of topics that no rule matches
	again  uint8 // above all others: what was sent on a former connection
}

type rankRule struct {
	filter   string
	priority int
	rank     uint8
}

// levels is how many ranks a ring keeps apart, 0 without priorities.
func (r *ranks) levels() int {
	if len(r.rules) == 0 {
		return 0
	}
	return int(r.again) + 1
}

// parseRanks reads the settings; the error tells of every rule that is wrong.
func parseRanks(c *Config) (r ranks, errs []error) {
	values := []int{0}
	if c.PriorityDefault == PriorityHighest {
		values[0] = 256
	}
	for i, text := range c.Priorities {
		rule, err := parseRank(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("priorities: rule %d, %q: %w", i+1, text, err))
			continue
		}
		r.rules, values = append(r.rules, rule), append(values, rule.priority)
	}
	if len(c.Priorities) > maxPriorities {
		errs = append(errs, fmt.Errorf("priorities: has %d rules, at most %d are allowed: each message is compared with all", len(c.Priorities), maxPriorities))
		return ranks{}, errs
	}
	other := values[0]
	slices.Sort(values)
	values = slices.Compact(values)
	for i := range r.rules {
		r.rules[i].rank = uint8(slices.Index(values, r.rules[i].priority))
	}
	r.others, r.again = uint8(slices.Index(values, other)), uint8(len(values))
	return r, errs
}

func parseRank(text string) (rankRule, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return rankRule{}, fmt.Errorf("must be FILTER = PRIORITY")
	}
	filter := strings.TrimSpace(text[:i])
	if _, err := (topic.Limits{}).ParseFilter(filter); err != nil {
		return rankRule{}, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(text[i+1:]))
	if err != nil || n < 1 || n > 255 {
		return rankRule{}, fmt.Errorf("the priority must be a number from 1 to 255")
	}
	return rankRule{filter: filter, priority: n}, nil
}

// of is the rank of m's topic: the first rule that matches counts.
func (r *ranks) of(m *Message) uint8 {
	for i := range r.rules {
		if topic.Match(r.rules[i].filter, m.Topic) {
			return r.rules[i].rank
		}
	}
	return r.others
}

// rank is the rank of m, looked up once a turn for all its receivers.
func (g *Gateway) rank(t *Turn, m *Message) uint8 {
	if len(g.ranks.rules) == 0 {
		return 0
	}
	if t.ranked != m {
		t.ranked, t.rank = m, g.ranks.of(m)
	}
	return t.rank
}

// level is what waits of one rank in a ring.
type level struct {
	waiting uint32
	next    uint64 // nothing of the rank waits below it
}

// enter counts a cell that was put at seq.
func (r *ring) enter(c *cell, seq uint64) {
	l := &r.levels[c.rank]
	if l.waiting == 0 {
		l.next = seq
	}
	l.waiting++
}

// first is the cell of a rank that waits longest.
func (r *ring) first(rank int) (*cell, uint64) {
	l := &r.levels[rank]
	for l.next = max(l.next, r.base); ; l.next++ {
		if c := r.at(l.next); int(c.rank) == rank && c.waits() {
			return c, l.next
		}
	}
}

// waits says that the cell was not sent on this connection and will be.
func (c *cell) waits() bool {
	switch c.state {
	case cellQueued, cellCommitting, cellReleased, cellReleasing:
		return c.flags&cellOut == 0
	}
	return false
}

// nextByRank is next for a ring with ranks. A low rank holds base back; once the
// others are too far ahead for their Packet Identifiers it has its turn.
func (r *ring) nextByRank() (*cell, uint64) {
	for rank := len(r.levels) - 1; rank >= 0; rank-- {
		if r.levels[rank].waiting == 0 {
			continue
		}
		c, seq := r.first(rank)
		if c.state == cellCommitting || seq-r.base >= maxWindow {
			continue
		}
		return c, seq
	}
	return nil, 0
}

// lowest is the cell that waits longest of the lowest rank, up to most.
func (r *ring) lowest(most uint8) (*cell, uint64) {
	for rank := range min(int(most)+1, len(r.levels)-1) {
		if r.levels[rank].waiting > 0 {
			return r.first(rank)
		}
	}
	return nil, 0
}

// total is how many cells of all ranks wait.
func (r *ring) total() int {
	n := 0
	for i := range r.levels {
		n += int(r.levels[i].waiting)
	}
	return n
}

// hungry says that more of a backlog should come from the store: when nothing is left
// to send; with priorities, as long as less is at hand than they are to be chosen from.
// With the session's lock held, as all that follows.
func (g *Gateway) hungry(s *Session) bool {
	switch r := s.ring; {
	case r == nil:
		return true
	case r.levels == nil:
		return r.waiting() == 0
	default:
		return r.waiting() < g.cfg.PrioritySpan && r.bytes < g.cfg.MaxQueuedBytes
	}
}

// gathers says that sending waits until enough of a backlog is at hand to choose from.
// Half the span may be sent meanwhile, so that reading and sending overlap.
func (g *Gateway) gathers(s *Session) bool {
	r := s.ring
	return s.spilled && r.levels != nil && r.waiting() < g.cfg.PrioritySpan/2 && r.bytes < g.cfg.MaxQueuedBytes/2
}

// noteSent keeps which messages of a ring that ends are under way: with priorities
// they lie scattered.
func (m *rare) noteSent(r *ring) {
	if r.levels == nil {
		m.sent, m.exempt = max(m.sent, r.send), max(m.exempt, r.send)
		return
	}
	m.scattered = m.scattered[:0]
	for seq := r.base; seq < r.end; seq++ {
		if c := r.at(seq); c.state != cellDone && (c.flags&cellOut != 0 || int(c.rank) == len(r.levels)-1) {
			m.scattered = append(m.scattered, seq)
		}
	}
}

// underWay says whether seq was sent on a former connection, as far as is known.
func (m *rare) underWay(seq uint64) bool {
	_, found := slices.BinarySearch(m.scattered, seq)
	return found
}
