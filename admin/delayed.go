package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// delayedMessage is core.DelayedInfo as JSON.
type delayedMessage struct {
	ID        string `json:"id"` // a number that JSON's would not hold
	Topic     string `json:"topic"`
	Publisher string `json:"publisher,omitempty"` // a ClientID; "" for the gateway itself
	QoS       uint8  `json:"qos"`
	Retain    bool   `json:"retain"`
	Size      int    `json:"payload_bytes"`
	Published string `json:"published"`
	Due       string `json:"due"`
}

func delayedOf(d *core.DelayedInfo) delayedMessage {
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	return delayedMessage{strconv.FormatUint(d.ID, 10), d.Topic, d.Publisher, d.QoS, d.Retain, d.Size, at(d.Published), at(d.Due)}
}

// delayedPage is one page of messages that wait, those due first at the front.
type delayedPage struct {
	Delayed []delayedMessage `json:"delayed"`
	// Next is what after= takes for the next page; "" when this was the last.
	Next string `json:"next,omitempty"`
}

// delayedQuery is which messages a page holds.
type delayedQuery struct {
	due              int64 // of the last message of the page before
	id               uint64
	topic, publisher string
	limit            int
}

func parseDelayedQuery(q url.Values) (d delayedQuery, err error) {
	if err = known(q, "after", "limit", "topic", "publisher"); err != nil {
		return d, err
	}
	if d.limit, err = number(q, "limit", defaultPage, maxPage); err != nil {
		return d, err
	}
	d.topic, d.publisher = q.Get("topic"), q.Get("publisher")
	if after := q.Get("after"); after != "" {
		if n, err := fmt.Sscanf(after, "%d.%d", &d.due, &d.id); n != 2 || err != nil || cursorOf(d.due, d.id) != after {
			return d, badRequest(fmt.Sprintf("after=%q is not what a page told", after), "take next of the page before")
		}
	}
	return d, nil
}

func cursorOf(due int64, id uint64) string { return fmt.Sprintf("%d.%d", due, id) }

func byDue(a, b core.DelayedInfo) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
}

func (q *delayedQuery) keeps(d *core.DelayedInfo) bool {
	return byDue(*d, core.DelayedInfo{Due: q.due, ID: q.id}) > 0 &&
		(q.topic == "" || d.Topic == q.topic) &&
		(q.publisher == "" || d.Publisher == q.publisher)
}

// delayed answers one page of the messages that wait for their time.
func (s *Server) delayed(w http.ResponseWriter, r *http.Request) {
	q, err := parseDelayedQuery(r.URL.Query())
	if err != nil {
		failBad(w, err)
		return
	}
	reply(w, http.StatusOK, s.delayedPage(&q))
}

// delayedPage looks at every message and keeps the first ones behind the last page's: the
// answer is bounded by the page.
func (s *Server) delayedPage(q *delayedQuery) delayedPage {
	var kept []core.DelayedInfo
	shrink := func() {
		slices.SortFunc(kept, byDue)
		kept = kept[:min(len(kept), q.limit+1)] // one more tells that there is a next page
	}
	s.opts.Source.Delayed(func(d core.DelayedInfo) bool {
		if q.keeps(&d) {
			kept = append(kept, d)
		}
		if len(kept) >= 4*maxPage {
			shrink()
		}
		return true
	})
	shrink()
	out := delayedPage{Delayed: []delayedMessage{}}
	for i := range kept[:min(len(kept), q.limit)] {
		out.Delayed = append(out.Delayed, delayedOf(&kept[i]))
	}
	if len(kept) > q.limit {
		last := &kept[q.limit-1]
		out.Next = cursorOf(last.Due, last.ID)
	}
	return out
}

// delayedOne answers one message that waits.
func (s *Server) delayedOne(w http.ResponseWriter, r *http.Request) {
	id, d, ok := s.waiting(r)
	if !ok {
		fail(w, http.StatusNotFound, noDelayed(id))
		return
	}
	reply(w, http.StatusOK, delayedOf(&d))
}

// waiting finds the message that a path names.
func (s *Server) waiting(r *http.Request) (text string, d core.DelayedInfo, ok bool) {
	text = r.PathValue("number")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return text, d, false
	}
	d, ok = s.opts.Source.DelayedMessage(id)
	return text, d, ok
}

func noDelayed(id string) problem {
	return problem{"not_found", fmt.Sprintf("no message %q waits for its time", id), "it may have been sent meanwhile; GET /api/v1/delayed lists those that wait"}
}

// cancelDelayed takes a message back that waits: it is not sent.
func (s *Server) cancelDelayed(w http.ResponseWriter, r *http.Request) {
	id, d, ok := s.waiting(r)
	if !ok || !s.opts.Source.CancelDelayed(d.ID) {
		fail(w, http.StatusNotFound, noDelayed(id))
		return
	}
	user, _, _ := r.BasicAuth()
	s.log.Info("delayed message cancelled by the administrator", "id", id, "topic", d.Topic, "publisher", d.Publisher, "user", user, "peer", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}
