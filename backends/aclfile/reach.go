package aclfile

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// maxReach bounds the rules for everyone that later rules are compared with.
const maxReach = 64

// reach knows the rules for everyone so far: what they answer, no later rule
// is asked about.
type reach struct {
	publish, subscribe []reached
}

// reached is a topic that a rule for everyone answers.
type reached struct {
	filter string
	line   int
}

// check warns of a rule that can never decide anything, and notes s if it is
// about everyone.
func (r *reach) check(p *parser, s statement) {
	line, all := 0, true
	if s.publish {
		line, all = hidden(r.publish, s.topics)
	}
	if s.subscribe && all {
		line, all = hidden(r.subscribe, s.topics)
	}
	if all {
		p.warn(p.row, fmt.Sprintf("the rule is never reached: line %d answers for everyone before it; put it above", line))
	}
	if len(s.clauses) > 0 {
		return
	}
	for i := range s.topics {
		t := &s.topics[i]
		if t.literal || t.slots != nil {
			continue
		}
		if s.publish && len(r.publish) < maxReach {
			r.publish = append(r.publish, reached{t.filter, p.row})
		}
		if s.subscribe && len(r.subscribe) < maxReach {
			r.subscribe = append(r.subscribe, reached{t.filter, p.row})
		}
	}
}

// hidden tells whether each topic is covered by one that is answered already,
// and gives the line of one that does.
func hidden(before []reached, topics []pattern) (line int, all bool) {
	for i := range topics {
		line = 0
		for _, b := range before {
			if topic.MatchFilter(b.filter, topics[i].filter) {
				line = b.line
				break
			}
		}
		if line == 0 {
			return 0, false
		}
	}
	return line, len(topics) > 0
}
