package core

import (
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// way is how a client's message goes on after its topic was looked at.
type way struct {
	delay  uint32 // seconds until it is published, 0 for at once
	reason Reason // why it cannot be published, or Success
	detail string
	// permitted says that mayPublishTo was asked in the same call.
	permitted bool
}

// placer is a client as far as it decides where its topics lie.
type placer struct {
	id, user string
	mount    uint16
}

func (s *Session) placer() placer { return placer{s.id, s.user, s.mount} }

const delayedPrefix = "$delayed/"

// goesElsewhere says that a message of s to name may not simply be published there.
func (g *Gateway) goesElsewhere(s *Session, name string) bool {
	return s.mount != 0 || len(g.rewrites) > 0 || strings.HasPrefix(name, delayedPrefix)
}

// filterGoesElsewhere says that the filters of s are not what it says.
func (g *Gateway) filterGoesElsewhere(s *Session) bool { return s.mount != 0 || len(g.rewrites) > 0 }

// place gives p as it is published: with its topic as the rules see it.
func (g *Gateway) place(s *Session, p *Publish) (placed Publish, w way) {
	placed = *p
	who := s.placer()
	placed.Topic, w = g.placeName(&who, p.Topic)
	return placed, w
}

// placeName gives the Topic Name that name means when who publishes to it: the delay
// taken off, then rewritten, then mounted, so that no rule leads out of a mount point.
// A rule may lead to $delayed/ itself. The name is as it was where w.reason tells a
// fault.
func (g *Gateway) placeName(who *placer, name string) (to string, w way) {
	w.delay, to, w.reason, w.detail = g.parseDelayed(name)
	if w.reason != Success {
		return name, w
	}
	if r := g.rewriteOf(to, false); r != nil {
		to, w = g.rewriteName(r, who, to, w)
	}
	if w.reason != Success {
		return name, w
	}
	return g.mounts.prefix(who) + to, w
}

func (g *Gateway) rewriteName(r *rewrite, who *placer, name string, w way) (string, way) {
	to, fault := r.apply(name, who)
	if fault == "" {
		if _, err := g.limits.ParseName(to); err != nil {
			fault = "rewritten to " + strconv.Quote(to) + ": " + err.Error()
		}
	}
	if fault != "" {
		w.reason, w.detail = TopicNameInvalid, fault
		return name, w
	}
	if w.delay == 0 {
		w.delay, to, w.reason, w.detail = g.parseDelayed(to)
	}
	return to, w
}

// placeWill gives w with the topic that it is to be published to. Its delay stays a
// prefix.
func (g *Gateway) placeWill(who *placer, w *Will) (placed *Will, name string, err *Error) {
	name, way := g.placeName(who, w.Topic)
	if way.reason == Success && g.beyondLimits(name) {
		way.reason, way.detail = TopicNameInvalid, "longer or deeper than allowed"
	}
	if way.reason != Success {
		return nil, "", Errorf(way.reason, "the will topic cannot be used: %s", way.detail)
	}
	if name == w.Topic {
		return w, name, nil
	}
	placed = new(Will)
	*placed = *w
	placed.Topic = name
	if way.delay > 0 || strings.HasPrefix(name, delayedPrefix) {
		placed.Topic = delayedPrefix + strconv.FormatUint(uint64(way.delay), 10) + "/" + name
	}
	return placed, name, nil
}

// placeFilter gives p with the Topic Filter that it means when who subscribes to it.
func (g *Gateway) placeFilter(who *placer, p topic.Subscription) (topic.Subscription, Reason, string) {
	if r := g.rewriteOf(string(p.Filter), true); r != nil {
		to, fault := r.apply(string(p.Filter), who)
		filter, err := g.limits.ParseFilter(to)
		if fault == "" && err != nil {
			fault = "rewritten to " + strconv.Quote(to) + ": " + err.Error()
		}
		if fault != "" {
			return p, TopicFilterInvalid, fault
		}
		p = p.WithFilter(filter)
	}
	if who.mount == 0 {
		return p, Success, ""
	}
	filter, err := g.limits.ParseFilter(g.mounts.prefix(who) + string(p.Filter))
	if err != nil {
		return p, TopicFilterInvalid, "below its mount point: " + err.Error()
	}
	return p.WithFilter(filter), Success, ""
}
