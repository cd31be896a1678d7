package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// retainedMessage is core.RetainedMessage as JSON, without what it carries.
type retainedMessage struct {
	Topic     string `json:"topic"`
	Place     string `json:"kept_by"`             // gateway or database
	Publisher string `json:"publisher,omitempty"` // a ClientID; "" for the gateway itself
	Username  string `json:"username,omitempty"`  // of the publisher
	QoS       uint8  `json:"qos"`
	Size      int    `json:"payload_bytes"`
	Published string `json:"published,omitempty"`
	Expires   string `json:"expires,omitempty"` // "" never
}

// retainedContent is a retained message with what it carries.
type retainedContent struct {
	retainedMessage
	Payload         []byte         `json:"payload"` // base64
	PayloadFormat   byte           `json:"payload_format"`
	ContentType     string         `json:"content_type,omitempty"`
	ResponseTopic   string         `json:"response_topic,omitempty"`
	CorrelationData []byte         `json:"correlation_data,omitempty"` // base64
	User            []userProperty `json:"user_properties,omitempty"`
}

type userProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func retainedOf(m *core.RetainedMessage) retainedMessage {
	at := func(ms int64) string {
		if ms == 0 {
			return ""
		}
		return clock(ms)
	}
	place := "gateway"
	if m.Elsewhere {
		place = "database"
	}
	return retainedMessage{m.Topic, place, m.Publisher, m.Username, m.QoS, len(m.Payload), at(m.Published), at(m.Lapses)}
}

func contentOf(m *core.RetainedMessage) retainedContent {
	c := retainedContent{retainedMessage: retainedOf(m), Payload: append([]byte{}, m.Payload...)}
	if p := m.Properties; p != nil {
		c.PayloadFormat, c.ContentType, c.ResponseTopic, c.CorrelationData = p.PayloadFormat, p.ContentType, p.ResponseTopic, p.CorrelationData
		for _, u := range p.User {
			c.User = append(c.User, userProperty(u))
		}
	}
	return c
}

// retainedPage is one page of retained messages, in no order.
type retainedPage struct {
	Retained []retainedMessage `json:"retained"`
	// Next is what after= takes for the next page; "" when this was the last. A page may
	// be short and not be the last.
	Next string `json:"next,omitempty"`
}

// retained answers one page.
func (s *Server) retained(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	err := known(q, "topic", "after", "limit")
	limit := 0
	if err == nil {
		limit, err = number(q, "limit", defaultPage, maxPage)
	}
	if err != nil {
		failBad(w, err)
		return
	}
	filter := q.Get("topic")
	if filter == "" {
		filter = "#"
	}
	p, err := s.opts.Source.Retained(r.Context(), filter, q.Get("after"), limit)
	if err != nil {
		failRetained(w, err, 0)
		return
	}
	out := retainedPage{Retained: []retainedMessage{}, Next: p.Next}
	for i := range p.Messages {
		out.Retained = append(out.Retained, retainedOf(&p.Messages[i]))
	}
	reply(w, http.StatusOK, out)
}

// failRetained tells why it is not known what is retained, or not stored that less is.
func failRetained(w http.ResponseWriter, err error, deleted int) {
	before := ""
	if deleted > 0 {
		before = fmt.Sprintf("; deleted before that: %d", deleted)
	}
	var e *core.Error
	switch {
	case errors.Is(err, core.ErrPlace):
		failBad(w, badRequest("after is not what a page told: "+err.Error(), "take next of the page before, with the same topic=, or begin without after="))
	case !errors.As(err, &e):
		fail(w, http.StatusServiceUnavailable, problem{"not_stored", "it holds until the gateway ends, but is not stored: " + err.Error() + before, "see /readyz"})
	case e.Reason == core.ServerUnavailable:
		fail(w, http.StatusServiceUnavailable, problem{"database_away", e.Error() + before, "try again once it answers; the log tells when it does"})
	default:
		failBad(w, badRequest(e.Error(), "'#' is written %23, '+' %2B and '/' %2F"))
	}
}

// retainedOne answers one message with what it carries.
func (s *Server) retainedOne(w http.ResponseWriter, r *http.Request) {
	if m, ok := s.findRetained(w, r); ok {
		reply(w, http.StatusOK, contentOf(&m))
	}
}

// findRetained finds the message that a path names, and answers where there is none.
func (s *Server) findRetained(w http.ResponseWriter, r *http.Request) (m core.RetainedMessage, ok bool) {
	name := r.PathValue("topic")
	m, ok, err := s.opts.Source.RetainedMessage(r.Context(), name)
	switch {
	case err != nil:
		failRetained(w, err, 0)
	case !ok:
		fail(w, http.StatusNotFound, problem{"not_found", fmt.Sprintf("nothing is retained for %q", name), "GET /api/v1/retained lists what is; '/' in a topic is written %2F"})
	}
	return m, ok && err == nil
}

// deleteRetainedOne deletes one message, and answers once that is stored.
func (s *Server) deleteRetainedOne(w http.ResponseWriter, r *http.Request) {
	m, ok := s.findRetained(w, r)
	if !ok {
		return
	}
	if err := s.opts.Source.DeleteRetained(r.Context(), []string{m.Topic}, m.Topic); err != nil {
		failRetained(w, err, 0)
		return
	}
	s.logDeleted(r, m.Topic, 1)
	switch m, ok, err := s.opts.Source.RetainedMessage(r.Context(), m.Topic); {
	case err != nil:
		failRetained(w, err, 1)
	case ok && m.Elsewhere:
		fail(w, http.StatusConflict, problem{"not_deleted", fmt.Sprintf("a database still retains %q", m.Topic), "no rule on_retain_delete is for it, or it was published anew"})
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) logDeleted(r *http.Request, filter string, n int) {
	user, _, _ := r.BasicAuth()
	s.log.Info("retained messages deleted by the administrator", "topic", filter, "messages", n, "user", user, "peer", r.RemoteAddr)
}

const (
	defaultDeleted = 1000
	maxDeleted     = 100_000
	deletedAtOnce  = 256
)

// deleted answers the deletion of many.
type deleted struct {
	Deleted int `json:"deleted"`
	// Left are those that a database still retains: no rule deletes them, or they were
	// published anew.
	Left int `json:"left,omitempty"`
	// Next is what after= takes to go on; "" when all was looked through.
	Next string `json:"next,omitempty"`
}

// deleteRetained deletes what a filter matches, in slices, until limit are deleted, all
// are, or half of the time for an answer has passed.
func (s *Server) deleteRetained(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	err := known(q, "topic", "after", "limit")
	limit := 0
	if err == nil {
		limit, err = number(q, "limit", defaultDeleted, maxDeleted)
	}
	filter := q.Get("topic")
	if err == nil && filter == "" {
		err = badRequest("topic is missing: it says what to delete", "topic=%23 is all but $SYS")
	}
	if err != nil {
		failBad(w, err)
		return
	}
	d := deleted{Next: q.Get("after")}
	until := time.Now().Add(s.opts.Config.RequestTimeout / 2)
	for more := true; more && err == nil; {
		err = s.deleteSlice(r, filter, min(deletedAtOnce, limit-d.Deleted-d.Left), &d)
		more = d.Next != "" && d.Deleted+d.Left < limit && time.Now().Before(until)
	}
	if d.Deleted > 0 {
		s.logDeleted(r, filter, d.Deleted)
	}
	if err != nil {
		failRetained(w, err, d.Deleted)
		return
	}
	reply(w, http.StatusOK, d)
}

// deleteSlice deletes one page, and looks whether a database did so, too.
func (s *Server) deleteSlice(r *http.Request, filter string, most int, d *deleted) error {
	from := d.Next
	p, err := s.opts.Source.Retained(r.Context(), filter, from, most)
	if err != nil || len(p.Messages) == 0 {
		d.Next = p.Next
		return err
	}
	topics, elsewhere := make([]string, len(p.Messages)), map[string]bool{}
	for i, m := range p.Messages {
		topics[i] = m.Topic
		if m.Elsewhere {
			elsewhere[m.Topic] = true
		}
	}
	if err := s.opts.Source.DeleteRetained(r.Context(), topics, filter); err != nil {
		return err
	}
	left := 0
	if len(elsewhere) > 0 {
		again, err := s.opts.Source.Retained(r.Context(), filter, from, most)
		if err != nil {
			return err
		}
		for _, m := range again.Messages {
			if m.Elsewhere && elsewhere[m.Topic] {
				left++
			}
		}
	}
	d.Next, d.Left, d.Deleted = p.Next, d.Left+left, d.Deleted+len(topics)-left
	return nil
}
