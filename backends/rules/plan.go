package rules

import (
	"strings"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// planned is a rule at work in one pool.
type planned struct {
	Rule
	work
	id    uint64
	place int // among the rules of the configuration
	kind  core.EventKind
	counts
}

// counts are a rule's figures.
type counts struct {
	taken   atomic.Uint64 // jobs that came into being
	done    atomic.Uint64 // that the database has done
	dropped atomic.Uint64 // that it refused for good, or for which there was no room
	kept    atomic.Uint64 // that it refused for good, and that stand in the file of refusals
	failed  atomic.Uint64 // tries that failed with a job at the front
	retried atomic.Uint64 // jobs that were given to the database again
	read    atomic.Uint64 // messages and subscriptions that came of reading
}

// RuleStats are the figures of one rule since the start.
type RuleStats struct {
	Backend, Pool  string
	Hook           Hook
	Topic          string
	Function       Function // for statements rules[I], their place
	Done, Dropped  uint64
	Kept           uint64 // refused, and kept aside
	Failed         uint64 // tries that failed
	Retried        uint64 // jobs that were tried again
	Read           uint64 // messages or subscriptions that were read
	Waiting        uint64 // jobs
	AwayForSeconds float64
}

func eventOf(h Hook) core.EventKind {
	switch h {
	case ClientConnected:
		return core.EventConnected
	case ClientDisconnected:
		return core.EventDisconnected
	case SessionCreated:
		return core.EventSessionCreated
	case SessionTerminated:
		return core.EventSessionEnded
	case SessionSubscribed:
		return core.EventSubscribed
	case SessionUnsubscribed:
		return core.EventUnsubscribed
	case MessagePublish:
		return core.EventPublish
	case MessageDelivered:
		return core.EventDelivered
	}
	return core.EventAcked
}

func plan(r Rule, place int) *planned {
	r = normal(r)
	w, _ := workOf(r.Function)
	return &planned{Rule: r, work: w, id: ruleID(&r), kind: eventOf(r.Hook), place: place}
}

// wants says whether the rule makes a job of e.
func (p *planned) wants(e *core.Event) bool {
	if p.kind != e.Kind || !p.matches(e) {
		return false
	}
	m := e.Msg
	if m == nil {
		return true
	}
	switch {
	case p.needsQoS && m.QoS == 0,
		p.needsRetain && !m.Retain,
		p.needsPayload && len(m.Payload) == 0,
		p.needsEmpty && len(m.Payload) > 0:
		return false
	}
	return true
}

// matches compares the rule's topic with that of the message, or the subscription's
// filter: all that the filter matches must be matched.
func (p *planned) matches(e *core.Event) bool {
	switch {
	case p.Topic == "" || e.Topic == "":
		return true
	case e.Msg == nil:
		return topic.MatchFilter(p.Topic, e.Topic)
	}
	return topic.Match(p.Topic, e.Topic)
}

// usesPayload says whether a job must carry the payload.
func (p *planned) usesPayload() bool {
	if p.OnRefused == RefusedKeep { // it may have to be kept
		return true
	}
	if p.Function != "" {
		return p.Hook == MessagePublish
	}
	for _, s := range p.Statements {
		if strings.Contains(s, "${payload}") || strings.Contains(s, "${message}") {
			return true
		}
	}
	return false
}

// job makes the job of e; msgID names its message.
func (p *planned) job(e *core.Event, msgID string) Job {
	j := Job{Rule: &p.Rule, Hook: p.Hook, Time: e.Time, ClientID: e.ClientID, Username: e.Username, Protocol: e.Protocol, Topic: e.Topic, QoS: e.QoS}
	if e.Peer.IsValid() {
		j.Peer = e.Peer.String()
	}
	if m := e.Msg; m != nil {
		j.Message = &Message{MsgID: msgID, Topic: m.Topic, QoS: m.QoS, Retain: m.Retain, Sender: m.Publisher, Arrived: m.Published, Expires: m.Expires}
		if p.usesPayload() {
			j.Message.Payload = m.Payload
		}
	}
	return j
}

// key is what jobs of one order have in common.
func (j *Job) key() string {
	if j.Topic != "" {
		return j.Topic
	}
	return j.ClientID
}
