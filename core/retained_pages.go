package core

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// RetainedMessage is a retained message as administration sees it.
type RetainedMessage struct {
	*Message
	Elsewhere bool  // the RetainedOwner has it
	Lapses    int64 // when it is retained no longer, Unix milliseconds; 0: never
}

// RetainedPage is a piece of what is retained.
type RetainedPage struct {
	Messages []RetainedMessage
	Next     string // what the next page begins after; "": none follows
}

// retainedPageWork is how much of what is retained one page looks through, in scans of
// retainedSlice: a filter may match little of much.
const retainedPageWork = 1024

// The parts of a walk through what is retained.
const (
	walksHere byte = iota
	walksElsewhere
)

// Retained gives at most max retained messages that filter matches, in no order, for
// administration: those of the gateway first, then those that the RetainedOwner gives a
// subscription to filter. after is Next of the page before, "" at the beginning. A page may
// be short, or empty, and not be the last. What is there from the first page to the last
// comes exactly once, except that one topic may be retained here and elsewhere. Pages
// hold no lock and no memory. It may block up to ctx and auth_timeout. An *Error:
// TopicFilterInvalid, or ServerUnavailable: it is not known what there is elsewhere. ErrPlace:
// after is no Next of this filter since the gateway began.
func (g *Gateway) Retained(ctx context.Context, filter, after string, max int) (p RetainedPage, err error) {
	if _, err := g.limits.ParseFilter(filter); err != nil {
		return p, &Error{Reason: TopicFilterInvalid, Detail: "the topic filter " + filter, Err: err}
	}
	part, at, ok := g.parsePlace(filter, after)
	cur := new(route.Cursor)
	if ok && part == walksHere && after != "" {
		ok = cur.Restore(filter, at) == nil
	}
	if !ok {
		return p, ErrPlace
	}
	if part == walksHere {
		if !g.walkHere(&p, filter, cur, max) || g.elsewhere == nil || !g.elsewhere.LooksUp(filter) {
			return p, nil
		}
		if at = nil; len(p.Messages) > 0 { // a page needs the database, or not
			p.Next = g.placeOf(walksElsewhere, filter, at)
			return p, nil
		}
	}
	return g.walkElsewhere(ctx, filter, string(at), max)
}

// walkHere looks through what the gateway keeps. done says that it was all.
func (g *Gateway) walkHere(p *RetainedPage, filter string, cur *route.Cursor, max int) (done bool) {
	now := time.Now().UnixMilli()
	var found []*Message
	for range retainedPageWork {
		found, done = g.retained.scan(filter, cur, max-len(p.Messages), found[:0])
		for _, m := range found {
			if !g.retained.lapsed(m, now) {
				p.Messages = append(p.Messages, RetainedMessage{m, false, g.retained.lapses(m)})
			}
		}
		if done {
			return true
		}
		if len(p.Messages) >= max {
			break
		}
	}
	p.Next = g.placeOf(walksHere, filter, cur.Append(nil))
	return false
}

func (g *Gateway) walkElsewhere(ctx context.Context, filter, after string, max int) (p RetainedPage, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AuthTimeout)
	defer cancel()
	found, next, err := g.elsewhere.ReadRetained(ctx, filter, after, max)
	if err != nil {
		return p, &Error{Reason: ServerUnavailable, Detail: "what a database retains is not known", Err: err}
	}
	now := time.Now().UnixMilli()
	for _, m := range found {
		if topic.Match(filter, m.Topic) && !m.Expired(now) {
			p.Messages = append(p.Messages, RetainedMessage{m, true, m.Expires})
		}
	}
	if next != "" {
		p.Next = g.placeOf(walksElsewhere, filter, []byte(next))
	}
	return p, nil
}

// placeOf writes down where a walk through filter goes on. Places are numbers of this
// process alone: it is sealed with a hash that no other makes.
func (g *Gateway) placeOf(part byte, filter string, at []byte) string {
	b := append([]byte{part}, at...)
	b = binary.BigEndian.AppendUint64(b, g.hash(filter+"\x00"+string(b)))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parsePlace reads what placeOf wrote. The beginning is the empty text.
func (g *Gateway) parsePlace(filter, text string) (part byte, at []byte, ok bool) {
	if text == "" {
		return walksHere, nil, true
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if n := len(b) - 8; err == nil && n > 0 && binary.BigEndian.Uint64(b[n:]) == g.hash(filter+"\x00"+string(b[:n])) {
		return b[0], b[1:n], true
	}
	return 0, nil, false
}

// RetainedMessage gives the retained message of a topic, for administration: that of the
// gateway, else that of the RetainedOwner; ok is false when there is none. It may block up
// to ctx and auth_timeout. An *Error: TopicNameInvalid, or ServerUnavailable as in Retained.
func (g *Gateway) RetainedMessage(ctx context.Context, name string) (m RetainedMessage, ok bool, err error) {
	if _, err := g.limits.ParseName(name); err != nil {
		return m, false, &Error{Reason: TopicNameInvalid, Detail: "the topic " + name, Err: err}
	}
	if here := g.retained.get(name, time.Now().UnixMilli()); here != nil {
		return RetainedMessage{here, false, g.retained.lapses(here)}, true, nil
	}
	if g.elsewhere == nil || !g.elsewhere.LooksUp(name) {
		return m, false, nil
	}
	p, err := g.walkElsewhere(ctx, name, "", 1)
	if err != nil || len(p.Messages) == 0 {
		return m, false, err
	}
	return p.Messages[0], true, nil
}
